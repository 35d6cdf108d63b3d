from __future__ import annotations

import pytest

from calls.kit import BY, MPC, REF, Driver
from mixminus.calls import effects, hearing
from mixminus.calls.commands import MpcParameters, SoundKind, SoundQueued, StartSound, StopSound, UpdateParticipants
from mixminus.calls.inputs import PromptEnded, PromptReady
from mixminus.calls.model import Role
from mixminus.calls.mpc.prompts import LONGEST_QUEUE
from mixminus.calls.sounds.program import PlayItem, Program, SpeakItem
from mixminus.errors import Conflict, NotFound

HELLO: Program = (PlayItem("http://app.test/hello.mp3"),)
WORDS: Program = (SpeakItem("hello"),)


class Desk(Driver):
    """A call with an agent (1), a customer (2) and a coaching supervisor (3)."""

    def __init__(self) -> None:
        super().__init__(MpcParameters(stay_alone=True, max_participants=100))
        for call, role in (("a", Role.AGENT), ("c", Role.CUSTOMER), ("s", Role.SUPERVISOR)):
            self.enter(call, role)
        self.effects.clear()

    def start(self, *members: str, mix: bool = True, kind: SoundKind = "play") -> SoundQueued:
        program = HELLO if kind == "play" else WORDS
        command = StartSound(by=BY, mpc=REF, kind=kind, program=program, members=members, mix=mix)
        result = self.do(command).result
        assert isinstance(result, SoundQueued)
        return result

    def stop(self, *members: str, kind: SoundKind = "play") -> None:
        self.do(StopSound(by=BY, mpc=REF, kind=kind, members=members))

    def ready(self, error: str = "") -> None:
        """Everything that was to be made ready is."""
        waiting = [effect for effect in self.effects if isinstance(effect, effects.ReadyPrompt)]
        self.effects = [effect for effect in self.effects if not isinstance(effect, effects.ReadyPrompt)]
        for prompt in waiting:
            self.do(PromptReady(prompt.prompt_id, error))

    def hear(self) -> dict[str, int]:
        """Call uuid → what it hears, as last told."""
        heard = {"a": IN_TALK | hearing.COACH, "c": IN_TALK, "s": IN_TALK}
        for effect in self.effects:
            if isinstance(effect, effects.Rehear):
                heard.update({call: masks.hear for call, masks in effect.changes})
        return heard

    def channels(self) -> int:
        """Of all prompts that play."""
        assert self.state is not None
        return sum(prompt.channel for prompt in self.state.prompts)


IN_TALK = hearing.TALK | hearing.SOUNDS | hearing.DIALLING


def test_a_prompt_for_one_is_heard_by_nobody_else_and_not_recorded() -> None:
    desk = Desk()
    assert desk.start("2") == SoundQueued(("2",), MPC, "room")
    desk.ready()
    hear = desk.hear()
    (prompt,) = desk.take(effects.StartPrompt)
    assert prompt.program == HELLO
    assert {call for call, mask in hear.items() if mask & prompt.talk} == {"c"}
    assert not prompt.talk & hearing.RECORDED
    assert hear["c"] & hearing.TALK, "mixed with the talk"


def test_a_prompt_for_all_is_heard_by_everybody_those_who_come_later_too_and_recorded() -> None:
    desk = Desk()
    assert desk.start().members == ("1", "2", "3")
    desk.ready()
    (prompt,) = [effect for effect in desk.effects if isinstance(effect, effects.StartPrompt)]
    assert all(mask & prompt.talk for mask in desk.hear().values())
    assert prompt.talk & hearing.RECORDED
    desk.effects.clear()
    desk.enter("late", Role.CUSTOMER)
    assert desk.take(effects.Admit)[0].masks.hear & prompt.talk


def test_without_mix_it_replaces_the_talk_until_it_ends() -> None:
    desk = Desk()
    desk.start("2", mix=False, kind="speak")
    assert desk.hear()["c"] == IN_TALK, "nothing changes before it can be heard"
    desk.ready()
    assert desk.hear()["c"] == desk.channels()
    (prompt,) = [effect for effect in desk.effects if isinstance(effect, effects.StartPrompt)]
    desk.do(PromptEnded(prompt.prompt_id))
    assert desk.hear()["c"] == IN_TALK
    assert desk.state is not None and desk.state.prompts == ()


def test_prompts_of_one_address_queue_and_those_of_others_do_not() -> None:
    desk = Desk()
    desk.start("2")
    desk.start("2", kind="speak")
    desk.start("1")
    assert [effect.program for effect in desk.effects if isinstance(effect, effects.ReadyPrompt)] == [HELLO, HELLO]
    desk.ready()
    first, other = desk.take(effects.StartPrompt)
    assert not first.talk & other.talk
    desk.do(PromptEnded(first.prompt_id))
    assert desk.take(effects.ReadyPrompt)[0].program == WORDS


def test_stop_reaches_what_was_addressed_the_same_way_only() -> None:
    desk = Desk()
    desk.start("1", "2")
    desk.ready()
    (prompt,) = desk.take(effects.StartPrompt)
    for members in ((), ("1",), ("2",)):
        desk.stop(*members)
        assert not desk.take(effects.StopPrompt)
    desk.stop("2", "1", kind="speak")
    assert not desk.take(effects.StopPrompt), "it was played, not spoken"
    desk.stop("2", "1")
    assert desk.hear()["c"] == IN_TALK
    assert desk.take(effects.StopPrompt) == [effects.StopPrompt(prompt.prompt_id)]
    desk.stop("2", "1")


def test_stopping_empties_the_queue_of_that_kind_and_the_other_kind_goes_on() -> None:
    desk = Desk()
    for kind in ("play", "play", "speak", "play"):
        desk.start("2", kind=kind)
    desk.ready()
    desk.stop("2")
    assert [prompt.program for prompt in desk.take(effects.ReadyPrompt)] == [WORDS]
    assert desk.state is not None and [prompt.kind for prompt in desk.state.prompts] == ["speak"]


def test_a_prompt_that_cannot_be_had_changes_nobodys_hearing_and_the_next_begins() -> None:
    desk = Desk()
    desk.start("2", mix=False)
    desk.start("2", kind="speak")
    desk.ready(error="http://app.test/hello.mp3: answered 404")
    assert desk.hear()["c"] == IN_TALK
    assert desk.take(effects.ReadyPrompt)[0].program == WORDS


def test_a_prompt_interrupts_hold_music_and_the_music_goes_on_after_it() -> None:
    desk = Desk()
    desk.do(UpdateParticipants(by=BY, mpc=REF, members=("2",), hold=True))
    desk.start("2")
    desk.ready()
    channel = desk.channels()
    assert desk.hear()["c"] == channel
    assert effects.StopMusic(MPC, hearing.HOLD_CUSTOMER) not in desk.effects
    (prompt,) = [effect for effect in desk.effects if isinstance(effect, effects.StartPrompt)]
    desk.do(PromptEnded(prompt.prompt_id))
    assert desk.hear()["c"] == hearing.HOLD_CUSTOMER


def test_a_prompt_nobody_is_left_to_hear_stops() -> None:
    desk = Desk()
    desk.start("1", "2")
    desk.ready()
    desk.effects.clear()
    desk.leave("c")
    assert not [effect for effect in desk.effects if isinstance(effect, effects.StopPrompt)]
    desk.leave("a")
    assert len(desk.take(effects.StopPrompt)) == 1


def test_the_end_of_the_call_stops_prompts() -> None:
    desk = Desk()
    desk.start()
    desk.ready()
    for call in "acs":
        desk.leave(call)
    assert desk.state is None
    assert len(desk.take(effects.StopPrompt)) == 1


def test_strangers_and_endless_queues_are_refused() -> None:
    desk = Desk()
    with pytest.raises(NotFound, match="9"):
        desk.start("1", "9")
    for _ in range(LONGEST_QUEUE):
        desk.start("1")
    with pytest.raises(Conflict, match="stop some first"):
        desk.start("1")


def test_a_late_word_about_a_prompt_that_is_gone_changes_nothing() -> None:
    desk = Desk()
    desk.start("1")
    (ready,) = desk.take(effects.ReadyPrompt)
    desk.stop("1")
    desk.do(PromptReady(ready.prompt_id))
    desk.do(PromptEnded(ready.prompt_id))
    assert not desk.take(effects.StartPrompt)


def test_more_addresses_than_channels_wait_for_one() -> None:
    desk = Desk()
    members = [str(number) for number in range(1, 4)]
    for number in range(4, 41):
        desk.enter(f"m{number}", Role.CUSTOMER)
        members.append(str(number))
    desk.effects.clear()
    for member in members:
        desk.start(member)
    assert len([e for e in desk.effects if isinstance(e, effects.ReadyPrompt)]) == len(hearing.PRIVATE)
    desk.ready()
    started = desk.take(effects.StartPrompt)
    assert len({prompt.talk for prompt in started}) == len(hearing.PRIVATE)
    desk.do(PromptEnded(started[0].prompt_id))
    desk.ready()
    assert desk.take(effects.StartPrompt)[0].talk == started[0].talk
