"""Carrying out what multiparty calls decided: media commands, releases, recordings, timers. A shell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog

from mixminus.calls import effects, hearing
from mixminus.calls.inputs import HangUp, MaxDurationReached, RecordingBroke, Released, Transfer
from mixminus.calls.model import HangupSource
from mixminus.errors import MediaError, StorageError
from mixminus.media import protocol as media
from mixminus.store.rows import RecordingRow

if TYPE_CHECKING:
    from mixminus.calls.service import Service

log = structlog.get_logger(__name__)


def private_room(call_uuid: str) -> str:
    """The room of a leg that is in no multiparty call: nobody else is ever in it."""
    return f"call:{call_uuid}"


class MpcEffects:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._live_taps: dict[str, RecordingRow] = {}
        self._handlers: dict[type, Callable[[str, Any], Awaitable[None]]] = {
            effects.Admit: self._admit,
            effects.Rehear: self._rehear,
            effects.PlaySound: self._play_sound,
            effects.StartMusic: self._start_music,
            effects.StopMusic: self._stop_music,
            effects.BeginTap: self._begin_tap,
            effects.PauseTap: self._pause_tap,
            effects.ResumeTap: self._resume_tap,
            effects.EndTap: self._end_tap,
            effects.AbandonTap: self._abandon_tap,
            effects.CreateLeg: self._create_leg,
            effects.MoveHere: self._move_here,
            effects.Release: self._release,
            effects.CancelDials: self._cancel_dials,
            effects.ArmTimer: self._arm_timer,
            effects.Forget: self._forget,
        }

    async def run(self, uuid: str, wanted: tuple[effects.MpcEffect, ...]) -> None:
        for effect in wanted:
            await self._handlers[type(effect)](uuid, effect)

    async def _media(self, command: media.Command) -> None:
        """Tell the worker; what it refuses (a leg that has just gone) is of no consequence for the call."""
        try:
            await self._service.media.send(command)
        except MediaError as error:
            log.info("media command refused", command=type(command).__name__, error=str(error))

    async def _admit(self, uuid: str, effect: effects.Admit) -> None:
        await self._media(media.MoveLeg(effect.call_uuid, effect.room, effect.masks.talk, effect.masks.hear))

    async def _rehear(self, uuid: str, effect: effects.Rehear) -> None:
        rows = tuple(media.Hearing(leg, masks.talk, masks.hear) for leg, masks in effect.changes)
        await self._media(media.SetHearing(effect.room, rows))

    async def _play_sound(self, uuid: str, effect: effects.PlaySound) -> None:
        player = self._service.mint.uuid()
        await self._media(media.Play(player, effect.room, effect.source, hearing.SOUNDS))

    async def _start_music(self, uuid: str, effect: effects.StartMusic) -> None:
        player = f"{effect.room}:{effect.channel}"
        await self._media(media.Play(player, effect.room, effect.source, effect.channel, loop=True))

    async def _stop_music(self, uuid: str, effect: effects.StopMusic) -> None:
        await self._media(media.StopPlay(f"{effect.room}:{effect.channel}"))

    async def _begin_tap(self, uuid: str, effect: effects.BeginTap) -> None:
        row, recorder = effect.recording, self._service.recorder
        self._live_taps[row.id] = row
        try:
            await recorder.begin(row)
            await self._service.media.send(
                media.StartTap(row.id, effect.room, hearing.RECORDED, recorder.folder(row.id))
            )
        except (StorageError, MediaError) as error:
            self._service.post_mpc(uuid, RecordingBroke(row.id, str(error), 0))

    async def _pause_tap(self, uuid: str, effect: effects.PauseTap) -> None:
        await self._media(media.PauseTap(effect.recording_id))

    async def _resume_tap(self, uuid: str, effect: effects.ResumeTap) -> None:
        await self._media(media.ResumeTap(effect.recording_id))

    async def _end_tap(self, uuid: str, effect: effects.EndTap) -> None:
        row = effect.recording
        self._live_taps.pop(row.id, None)
        await self._media(media.StopTap(row.id))
        self._service.finish_recording(row)

    async def _abandon_tap(self, uuid: str, effect: effects.AbandonTap) -> None:
        self._live_taps.pop(effect.recording_id, None)
        await self._media(media.StopTap(effect.recording_id))
        await self._service.recorder.abandon(effect.recording_id)

    def tap_failed(self, event: media.TapFailed) -> None:
        """The worker can no longer write a recording's spool."""
        row = self._live_taps.get(event.tap)
        if row is not None:
            self._service.post_mpc(row.mpc_uuid, RecordingBroke(event.tap, event.reason, event.samples))

    async def _create_leg(self, uuid: str, effect: effects.CreateLeg) -> None:
        self._service.create_leg(effect)

    async def _move_here(self, uuid: str, effect: effects.MoveHere) -> None:
        self._service.post_leg(
            effect.call_uuid, Transfer(effect.request_uuid, effect.mpc_uuid, effect.mpc_name, effect.participant)
        )

    async def _release(self, uuid: str, effect: effects.Release) -> None:
        await self._media(media.MoveLeg(effect.call_uuid, private_room(effect.call_uuid), 0, 0))
        live = self._service.legs.get(effect.call_uuid)
        if live is not None and live.mpc_uuid == uuid:
            live.mpc_uuid = ""
        self._service.post_leg(
            effect.call_uuid,
            Released(effect.exit_cause, effect.hangup_cause, effect.hangup_source, effect.action),
        )

    async def _cancel_dials(self, uuid: str, effect: effects.CancelDials) -> None:
        for call_uuid in effect.call_uuids:
            self._service.post_leg(call_uuid, HangUp(effect.cause, HangupSource.PLIVO))

    async def _arm_timer(self, uuid: str, effect: effects.ArmTimer) -> None:
        live = self._service.mpcs[uuid]
        live.cancel_timer = self._service.timers.call_later(effect.seconds, lambda: self._expire(uuid))

    def _expire(self, uuid: str) -> None:
        if uuid in self._service.mpcs:
            self._service.post_mpc(uuid, MaxDurationReached())

    async def _forget(self, uuid: str, effect: effects.Forget) -> None:
        """Nothing more to do: the mailbox drops the call once its state is gone."""
