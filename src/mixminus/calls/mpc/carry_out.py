"""Carrying out what multiparty calls decided: media commands, releases, recordings, timers. A shell."""

from __future__ import annotations

from mixminus.calls import effects, hearing
from mixminus.calls.carry_out import Answer, Handler, Runner, tell
from mixminus.calls.commands import Callback
from mixminus.calls.events import SoundRequest
from mixminus.calls.inputs import (
    HangUp,
    MaxDurationReached,
    MpcInput,
    PromptEnded,
    PromptReady,
    RecordingAnnounced,
    RecordingBroke,
    Released,
    Transfer,
    WaitedLongEnough,
)
from mixminus.calls.leg.rooms import private_room
from mixminus.calls.model import HangupSource
from mixminus.calls.sounds.request import AnyProgram, DocumentItem
from mixminus.calls.switchboard import Switchboard
from mixminus.media import protocol as media


class MpcEffects:
    def __init__(self, board: Switchboard) -> None:
        self._board = board
        handlers: dict[type, Handler[str]] = {
            effects.Admit: self._admit,
            effects.Rehear: self._rehear,
            effects.LevelVoice: self._level_voice,
            effects.PlaySound: self._play_sound,
            effects.StartMusic: self._start_music,
            effects.StopMusic: self._stop_music,
            effects.ReadyPrompt: self._ready_prompt,
            effects.StartPrompt: self._start_prompt,
            effects.StopPrompt: self._stop_prompt,
            effects.AnnounceRecording: self._announce_recording,
            effects.AnnounceStop: self._announce_stop,
            effects.RelayKey: self._relay_key,
            effects.ArmWait: self._arm_wait,
            effects.BeginTap: self._begin_tap,
            effects.PauseTap: self._pause_tap,
            effects.ResumeTap: self._resume_tap,
            effects.Annotate: self._annotate,
            effects.EndTap: board.taps.end,
            effects.AbandonTap: board.taps.abandon,
            effects.CreateLeg: self._create_leg,
            effects.MoveHere: self._move_here,
            effects.Release: self._release,
            effects.CancelDials: self._cancel_dials,
            effects.ArmTimer: self._arm_timer,
            effects.Forget: self._forget,
        }
        self.run = Runner(handlers).run

    def _media(self, command: media.Command) -> Answer:
        return tell(self._board.media, command)

    async def _admit(self, uuid: str, effect: effects.Admit) -> Answer:
        return self._media(media.MoveLeg(effect.call_uuid, effect.room, effect.masks.talk, effect.masks.hear))

    async def _rehear(self, uuid: str, effect: effects.Rehear) -> Answer:
        rows = tuple(media.Hearing(leg, masks.talk, masks.hear) for leg, masks in effect.changes)
        return self._media(media.SetHearing(effect.room, rows))

    async def _level_voice(self, uuid: str, effect: effects.LevelVoice) -> Answer:
        return self._media(media.SetGainControl(effect.call_uuid, effect.on))

    async def _play_sound(self, uuid: str, effect: effects.PlaySound) -> None:
        player = self._board.mint.uuid()
        self._board.players.start(player, effect.room, effect.program, talk=hearing.SOUNDS)

    async def _start_music(self, uuid: str, effect: effects.StartMusic) -> None:
        player = f"{effect.room}:{effect.channel}"
        self._board.players.start(player, effect.room, effect.program, talk=effect.channel, loop=True)

    async def _stop_music(self, uuid: str, effect: effects.StopMusic) -> None:
        self._board.players.stop(f"{effect.room}:{effect.channel}")

    async def _ready_prompt(self, uuid: str, effect: effects.ReadyPrompt) -> None:
        self._board.spawn(self._make_ready(uuid, effect))

    async def _make_ready(self, uuid: str, effect: effects.ReadyPrompt) -> None:
        error = await self._board.players.ready(effect.program)
        self._tell(uuid, PromptReady(effect.prompt_id, error))

    async def _start_prompt(self, uuid: str, effect: effects.StartPrompt) -> None:
        ended = PromptEnded(effect.prompt_id)
        self._board.players.start(
            effect.prompt_id,
            effect.room,
            effect.program,
            talk=effect.talk,
            on_end=lambda error: self._tell(uuid, ended),
        )

    async def _stop_prompt(self, uuid: str, effect: effects.StopPrompt) -> None:
        self._board.players.stop(effect.prompt_id)

    async def _announce_recording(self, uuid: str, effect: effects.AnnounceRecording) -> None:
        announced = RecordingAnnounced(effect.recording_id)
        self._board.players.start(
            self._board.mint.uuid(),
            effect.room,
            self._asked(uuid, effect.audio),
            talk=hearing.SOUNDS,
            on_end=lambda error: self._tell(uuid, announced),
        )

    async def _announce_stop(self, uuid: str, effect: effects.AnnounceStop) -> None:
        player = self._board.mint.uuid()
        self._board.players.start(player, effect.room, self._asked(uuid, effect.audio), talk=hearing.SOUNDS)

    def _asked(self, uuid: str, audio: Callback) -> AnyProgram:
        """What a sound URL of the whole call answers."""
        state = self._board.mpcs[uuid].state
        assert state is not None
        request = SoundRequest(mpc_uuid=uuid, mpc_name=state.row.friendly_name)
        return (DocumentItem(audio, request, state.row.account, state.row.sub_account),)

    async def _relay_key(self, uuid: str, effect: effects.RelayKey) -> None:
        for call_uuid in effect.call_uuids:
            self._board.spawn(self._board.lines.send_digits(call_uuid, effect.key))

    async def _arm_wait(self, uuid: str, effect: effects.ArmWait) -> None:
        """Not cancelled: a member who has stopped waiting by then stays."""
        waited = WaitedLongEnough(effect.member_id)
        self._board.timers.call_later(effect.seconds, lambda: self._tell(uuid, waited))

    def _tell(self, uuid: str, message: MpcInput) -> None:
        """Post to a multiparty call if it is still there."""
        if uuid in self._board.mpcs:
            self._board.post_mpc(uuid, message)

    async def _begin_tap(self, uuid: str, effect: effects.BeginTap) -> Answer:
        recording_id = effect.recording.id
        return await self._board.taps.begin(
            effect, lambda reason, begun: self._tell(uuid, RecordingBroke(recording_id, reason, begun))
        )

    async def _pause_tap(self, uuid: str, effect: effects.PauseTap) -> Answer:
        self._board.recorder.note(effect.recording_id, "paused", {"by": effect.by})
        return self._media(media.PauseTap(effect.recording_id))

    async def _resume_tap(self, uuid: str, effect: effects.ResumeTap) -> Answer:
        self._board.recorder.note(effect.recording_id, "resumed", {"by": effect.by})
        return self._media(media.ResumeTap(effect.recording_id))

    async def _annotate(self, uuid: str, effect: effects.Annotate) -> None:
        for recording_id in effect.recording_ids:
            self._board.recorder.note(recording_id, effect.kind, effect.facts)

    async def _create_leg(self, uuid: str, effect: effects.CreateLeg) -> None:
        self._board.create_leg(effect)

    async def _move_here(self, uuid: str, effect: effects.MoveHere) -> None:
        self._board.post_leg(
            effect.call_uuid, Transfer(effect.request_uuid, effect.mpc_uuid, effect.mpc_name, effect.participant)
        )

    async def _release(self, uuid: str, effect: effects.Release) -> Answer:
        answer = self._media(media.MoveLeg(effect.call_uuid, private_room(effect.call_uuid), 0, 0))
        live = self._board.legs.get(effect.call_uuid)
        if live is not None and live.mpc_uuid == uuid:
            live.mpc_uuid = ""
        self._board.post_leg(
            effect.call_uuid,
            Released(effect.exit_cause, effect.hangup_cause, effect.hangup_source, effect.action),
        )
        return answer

    async def _cancel_dials(self, uuid: str, effect: effects.CancelDials) -> None:
        for call_uuid in effect.call_uuids:
            self._board.post_leg(call_uuid, HangUp(effect.cause, HangupSource.PLIVO))

    async def _arm_timer(self, uuid: str, effect: effects.ArmTimer) -> None:
        live = self._board.mpcs[uuid]
        live.cancel_timer()
        live.cancel_timer = self._board.timers.call_later(effect.seconds, lambda: self._expire(uuid))

    def _expire(self, uuid: str) -> None:
        if uuid in self._board.mpcs:
            self._board.post_mpc(uuid, MaxDurationReached())

    async def _forget(self, uuid: str, effect: effects.Forget) -> None:
        """The mailbox drops the call once its state is gone; sounds still on their way are not played."""
        self._board.players.stop_room(effect.room)
