"""Whatever happens in whatever order: what the worker was last told is what the rule in words says."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from calls.kit import BY, REF, Driver
from mixminus.calls import effects, hearing
from mixminus.calls.commands import ActivateMpc, MpcParameters, StartSound, StopSound, UpdateParticipants
from mixminus.calls.hearing import Masks
from mixminus.calls.inputs import PromptEnded, PromptReady
from mixminus.calls.model import ExitCause, Role
from mixminus.calls.mpc.participant import Participant
from mixminus.calls.sounds.program import BuiltIn

AGENTS = (Role.AGENT, Role.AI_AGENT)


class Desk(Driver):
    """Keeps what the media worker knows: masks of legs, and what plays on which channels."""

    def __init__(self) -> None:
        super().__init__(MpcParameters(stay_alone=True, max_participants=1000))
        self.told: dict[str, Masks] = {}
        self.playing: dict[str, tuple[int, effects.StartPrompt]] = {}
        self.addresses: dict[str, tuple[str, ...]] = {}
        self.mixes: dict[str, bool] = {}
        self.music: set[int] = set()
        self.waiting: list[str] = []
        self.entered = 0

    def settle(self) -> None:
        for effect in self.effects:
            match effect:
                case effects.Admit():
                    self.told[effect.call_uuid] = effect.masks
                case effects.Rehear():
                    self.told.update(effect.changes)
                case effects.Release():
                    self.told.pop(effect.call_uuid, None)
                case effects.StartPrompt():
                    self.playing[effect.prompt_id] = (effect.talk, effect)
                case effects.StopPrompt():
                    del self.playing[effect.prompt_id]
                case effects.ReadyPrompt():
                    self.waiting.append(effect.prompt_id)
                case effects.StartMusic():
                    self.music.add(effect.channel)
                case effects.StopMusic():
                    self.music.discard(effect.channel)
        self.effects.clear()
        for prompt in self.state.prompts if self.state else ():
            self.addresses[prompt.id] = prompt.members
            self.mixes[prompt.id] = prompt.mix

    @property
    def members(self) -> list[Participant]:
        return list(self.state.members.values()) if self.state else []

    # -- the rule in words -----------------------------------------------------------------------------------------

    def waits(self, member: Participant) -> bool:
        assert self.state is not None
        agents = any(other.row.role in AGENTS for other in self.members)
        return not self.state.active or (member.parameters.wait_for_agent and not agents)

    def in_talk(self, member: Participant) -> bool:
        return not self.waits(member) and not member.row.hold

    def prompts_for(self, member: Participant) -> list[str]:
        return [one for one in self.playing if not self.addresses[one] or member.id in self.addresses[one]]

    def hears_voice(self, listener: Participant, source: Participant) -> bool:
        if not (self.in_talk(listener) and self.in_talk(source)) or source.row.mute:
            return False
        if not all(self.mixes[one] for one in self.prompts_for(listener)):
            return False
        coaching = source.row.role == Role.SUPERVISOR and source.row.coach_mode
        return not coaching or listener.row.role in AGENTS

    def music_of(self, member: Participant) -> int:
        if self.waits(member):
            return hearing.WAIT
        if member.row.hold:
            return hearing.HOLD_CUSTOMER if member.row.role == Role.CUSTOMER else hearing.HOLD_STAFF
        return 0

    def check(self) -> None:
        members = self.members
        assert set(self.told) >= {member.call_uuid for member in members}
        for listener in members:
            hear = self.told[listener.call_uuid].hear
            for source in members:
                if source is not listener:
                    heard = bool(hear & self.told[source.call_uuid].talk)
                    assert heard == self.hears_voice(listener, source), (listener.row, source.row)
            for prompt_id, (talk, _) in self.playing.items():
                assert bool(hear & talk) == (prompt_id in self.prompts_for(listener))
            music = 0 if self.prompts_for(listener) else self.music_of(listener)
            assert hear & sum(hearing.MUSIC) == music
            if music == 0 and not self.in_talk(listener):
                assert not hear & (hearing.TALK | hearing.COACH | hearing.SOUNDS)
        self.check_recording()
        assert self.music == {channel for member in members if (channel := self.music_of(member))}

    def check_recording(self) -> None:
        for member in self.members:
            voice = self.in_talk(member) and not member.row.mute
            assert bool(hearing.RECORDED & self.told[member.call_uuid].talk) == voice
        for prompt_id, (talk, _) in self.playing.items():
            assert bool(hearing.RECORDED & talk) == (not self.addresses[prompt_id])
        channels = [talk & ~hearing.EVERYBODY for talk, _ in self.playing.values()]
        assert len(set(channels)) == len(channels)


def some_members(data: DataObject, desk: Desk, *, all_too: bool = True) -> tuple[str, ...]:
    ids = [member.id for member in desk.members]
    return tuple(data.draw(st.lists(st.sampled_from(ids), unique=True, min_size=0 if all_too else 1, max_size=3)))


def enter(data: DataObject, desk: Desk) -> None:
    desk.entered += 1
    flags = {name: data.draw(st.booleans()) for name in ("coach_mode", "mute", "hold", "start_mpc_on_enter")}
    desk.enter(f"c{desk.entered}", data.draw(st.sampled_from(Role)), wait_for_agent=data.draw(st.booleans()), **flags)


def leave(data: DataObject, desk: Desk) -> None:
    member = data.draw(st.sampled_from(desk.members))
    desk.leave(member.call_uuid, data.draw(st.sampled_from([ExitCause.HANGUP, ExitCause.TRANSFERRED])))
    desk.told.pop(member.call_uuid)


def update(data: DataObject, desk: Desk) -> None:
    flags = {name: data.draw(st.sampled_from([None, True, False])) for name in ("mute", "hold", "coach_mode")}
    members = some_members(data, desk, all_too=False)
    if any(flag is not None for flag in flags.values()):
        mute, hold, coach = flags["mute"], flags["hold"], flags["coach_mode"]
        desk.do(UpdateParticipants(by=BY, mpc=REF, members=members, mute=mute, hold=hold, coach_mode=coach))


def activate(data: DataObject, desk: Desk) -> None:
    if desk.state is not None and not desk.state.active:
        desk.do(ActivateMpc(by=BY, mpc=REF))


def play(data: DataObject, desk: Desk) -> None:
    members, mix = some_members(data, desk), data.draw(st.booleans())
    program = (BuiltIn("beep:1"),)
    desk.do(StartSound(by=BY, mpc=REF, kind="play", program=program, members=members, mix=mix))


def stop(data: DataObject, desk: Desk) -> None:
    desk.do(StopSound(by=BY, mpc=REF, kind="play", members=some_members(data, desk)))


def ready(data: DataObject, desk: Desk) -> None:
    if desk.waiting:
        error = data.draw(st.sampled_from(["", "", "answered 404"]))
        desk.do(PromptReady(desk.waiting.pop(0), error))


def ended(data: DataObject, desk: Desk) -> None:
    if desk.playing:
        prompt_id = data.draw(st.sampled_from(sorted(desk.playing)))
        del desk.playing[prompt_id]
        desk.do(PromptEnded(prompt_id))


STEPS = (enter, enter, leave, update, update, activate, play, play, stop, ready, ready, ready, ended)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_hearing_is_the_rule_after_every_step(data: DataObject) -> None:
    desk = Desk()
    enter(data, desk)
    desk.settle()
    for step in data.draw(st.lists(st.sampled_from(STEPS), max_size=25)):
        if desk.state is None:
            break
        step(data, desk)
        desk.settle()
        if desk.state is not None:
            desk.check()


def test_the_rule_would_notice_a_leak() -> None:
    desk = Desk()
    desk.enter("a")
    desk.enter("s", Role.SUPERVISOR)
    desk.enter("c", Role.CUSTOMER)
    desk.settle()
    desk.check()
    leaking = msgspec.structs.replace(desk.told["c"], hear=desk.told["c"].hear | hearing.COACH)
    desk.told["c"] = leaking
    try:
        desk.check()
    except AssertionError:
        return
    raise AssertionError("a customer who hears the coach was not noticed")
