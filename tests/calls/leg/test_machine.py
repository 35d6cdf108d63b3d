from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from calls.kit import BY, MPC, Told, events_of
from mixminus.calls import effects
from mixminus.calls.commands import Callback, DialParameters, ParticipantParameters
from mixminus.calls.document import read_document
from mixminus.calls.effects import CreateLeg
from mixminus.calls.events import CallEvent, MemberLeftForAction, MemberSnapshot
from mixminus.calls.inputs import (
    Admission,
    Answered,
    Entered,
    Fetched,
    FetchFailed,
    Gone,
    HangUp,
    PickedUp,
    Rang,
    Refused,
    Released,
    TimedOut,
    Transfer,
)
from mixminus.calls.leg.effects import LegEffect
from mixminus.calls.leg.machine import Incoming, Leg, decide
from mixminus.calls.model import ExitCause, HangupCause, HangupSource, Role
from mixminus.ids import Mint
from mixminus.store.rows import CallRow

NO_ACTION = Callback()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
AGENT = ParticipantParameters(role=Role.AGENT)


class Driver:
    def __init__(self, first: Any) -> None:
        self.leg: Leg | None = None
        self.mint = Mint(seed=1)
        self.effects: list[LegEffect] = []
        self.events: list[Told] = []
        self.row: CallRow | None = None
        self.do(first)

    def do(self, *commands: Any) -> None:
        for command in commands:
            decision = decide(self.leg, command, NOW, self.mint)
            self.leg = decision.state
            self.effects += decision.effects
            self.events += events_of(decision.outbox)
            self.row = next((row for row in decision.rows if isinstance(row, CallRow)), self.row)

    def kinds(self) -> list[str]:
        """Names of the effects so far, timers aside, forgetting them."""
        found = [type(effect).__name__ for effect in self.effects if not isinstance(effect, effects.Wake)]
        self.effects.clear()
        return found

    def outcome(self) -> tuple[str, int | None, str]:
        assert self.leg is None, "the leg is still live"
        assert self.row is not None
        return self.row.status, self.row.hangup_cause_code, self.row.hangup_source


def inbound() -> Driver:
    return Driver(
        Incoming(
            call_uuid="c",
            by=BY,
            from_number="100",
            to_number="200",
            caller_name="",
            sip_call_id="x",
            headers={"X-PH-A": "b"},
            answer=Callback("http://app.test/answer"),
            fallback=Callback(),
            hangup=Callback("http://app.test/hangup"),
        )
    )


def outbound(*to: str, **dial: Any) -> Driver:
    order = DialParameters(from_="100", to=to or ("200",), call_status_callback=Callback("http://app.test/s"), **dial)
    return Driver(
        CreateLeg(
            call_uuid="c",
            request_uuid="r",
            by=BY,
            mpc_uuid=MPC,
            mpc_name="room",
            to=order.to[0],
            index=0,
            dial=order,
            participant=AGENT,
        )
    )


def document(text: str) -> Fetched:
    return Fetched(read_document(f"<Response>{text}</Response>".encode()))


JOIN = document('<MultiPartyCall role="agent">room</MultiPartyCall>')
ADMITTED = Admission(Entered(True, "7"))


def released(cause: ExitCause = ExitCause.KICKED, action: Callback = NO_ACTION) -> Released:
    left = MemberLeftForAction(
        mpc_uuid=MPC, mpc_name="room", member=MemberSnapshot(), joined_at=NOW, left_at=NOW, callback=action
    )
    return Released(cause, HangupCause.KICKED, HangupSource.API_REQUEST, left)


def test_inbound_from_ringing_to_the_callers_hang_up() -> None:
    leg = inbound()
    assert leg.kinds() == ["SignalRinging", "Fetch"]
    leg.do(JOIN)
    assert leg.kinds() == ["PickUp"]
    leg.do(PickedUp())
    assert leg.kinds() == ["JoinMpc"]
    leg.do(ADMITTED, Gone())
    assert leg.kinds() == ["LeaveMpc", "CloseMedia"]
    assert leg.outcome() == ("completed", 4000, "Caller")
    told = leg.events[-1]
    assert isinstance(told, CallEvent)
    assert (told.name, told.hangup_cause_name, told.sip_headers) == ("Hangup", "Normal Hangup", {"X-PH-A": "b"})


def test_a_caller_who_gives_up_is_cancelled() -> None:
    leg = inbound()
    leg.do(Gone())
    assert leg.outcome() == ("cancel", 1000, "Caller")


@pytest.mark.parametrize(
    ("text", "status", "outcome"),
    [
        ('<Hangup reason="busy"/>', 486, ("busy", 3010, "Answer XML")),
        ('<Hangup reason="rejected"/>', 603, ("failed", 3020, "Answer XML")),
        ("<Hangup/>", 603, ("failed", 4000, "Answer XML")),
        ("", 603, ("failed", 4010, "Plivo")),
    ],
)
def test_documents_that_refuse_the_call(text: str, status: int, outcome: tuple[str, int, str]) -> None:
    leg = inbound()
    leg.do(document(text))
    assert effects.Refuse(status) in leg.effects
    assert leg.outcome() == outcome


@pytest.mark.parametrize(("reaching", "code"), [(True, 7011), (False, 8011)])
def test_an_unusable_answer_ends_the_call_with_its_cause(reaching: bool, code: int) -> None:
    leg = inbound()
    leg.do(FetchFailed("answer", reaching, "x"))
    assert effects.Refuse(480) in leg.effects
    assert leg.outcome() == ("failed", code, "Error")


def test_after_release_the_document_goes_on_or_ends_with_4010() -> None:
    leg = inbound()
    leg.do(JOIN, PickedUp(), ADMITTED)
    leg.kinds()
    leg.do(released())
    assert leg.kinds() == ["HangUpLine", "CloseMedia"]
    assert leg.outcome() == ("completed", 4010, "Plivo")
    two = inbound()
    two.do(
        document('<MultiPartyCall role="agent">a</MultiPartyCall><MultiPartyCall role="agent">b</MultiPartyCall>'),
        PickedUp(),
        ADMITTED,
        released(),
    )
    join = two.effects[-1]
    assert isinstance(join, effects.JoinMpc)
    assert join.join.name == "b"


def test_an_exit_action_is_fetched_and_run_and_its_failure_has_a_cause() -> None:
    leg = inbound()
    leg.do(JOIN, PickedUp(), ADMITTED, released(action=Callback("http://app.test/exit")))
    fetch = leg.effects[-1]
    assert isinstance(fetch, effects.Fetch)
    assert isinstance(fetch.request, MemberLeftForAction)
    assert fetch.request.call is not None
    leg.do(FetchFailed("action", True, "x"))
    assert leg.outcome() == ("completed", 7012, "Error")


def test_outbound_from_dialling_to_the_callees_hang_up() -> None:
    leg = outbound(send_digits="12")
    assert leg.kinds() == ["PlaceCall"]
    leg.do(Rang(), Rang(), Answered())
    assert leg.kinds() == [*["ReportRinging"] * 3, "JoinMpc", "SendDigits"]
    leg.do(ADMITTED, Gone())
    assert leg.outcome() == ("completed", 4000, "Callee")
    assert [event.name for event in leg.events] == ["Ring", "StartApp", "Hangup"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (486, ("busy", 3010, "Callee")),
        (480, ("no-answer", 3000, "Callee")),
        (603, ("failed", 3110, "Callee")),
        (404, ("failed", 3050, "Callee")),
        (408, ("no-answer", 3070, "Carrier")),
        (503, ("failed", 3090, "Carrier")),
        (499, ("failed", 3020, "Callee")),
    ],
)
def test_refusals_are_mapped(status: int, outcome: tuple[str, int, str]) -> None:
    leg = outbound()
    leg.do(Refused(status))
    assert leg.outcome() == outcome
    assert effects.ReportDial(MPC, "r") in leg.effects


def test_ring_timeout_cancels() -> None:
    leg = outbound(ring_timeouts=(20,))
    assert effects.Wake("ring", 20.0) in leg.effects
    leg.do(TimedOut("ring"))
    assert effects.HangUpLine(HangupCause.RING_TIMEOUT) in leg.effects
    assert leg.outcome() == ("timeout", 6010, "Plivo")


def test_a_delayed_dial_waits_and_can_be_lost_before_it_is_placed() -> None:
    leg = outbound("a", "b", delays=(5,))
    assert leg.effects == [effects.Wake("delay", 5.0)]
    leg.do(TimedOut("delay"))
    assert "PlaceCall" in leg.kinds()
    lost = outbound("a", "b", delays=(5,))
    lost.do(HangUp(HangupCause.LOST_RACE, HangupSource.PLIVO))
    assert "HangUpLine" not in lost.kinds()
    assert lost.outcome() == ("cancel", 9000, "Plivo")


def test_the_loser_of_a_race_is_hung_up() -> None:
    leg = outbound("a", "b")
    leg.do(Answered(), Admission(Entered(False, reason="late")))
    assert leg.outcome() == ("completed", 9000, "Plivo")


def test_an_api_leg_without_exit_action_is_hung_up_with_the_cause() -> None:
    leg = outbound()
    leg.do(Answered(), ADMITTED, released())
    assert leg.outcome() == ("completed", 4030, "API Request")


def test_a_transfer_leaves_one_call_and_joins_the_other() -> None:
    leg = outbound()
    leg.do(Answered(), ADMITTED)
    leg.kinds()
    leg.do(Transfer("r2", "other", "other room", AGENT))
    assert leg.kinds() == ["LeaveMpc", "JoinMpc"]
    leg.do(Gone())
    assert leg.leg is None


def test_a_scheduled_hangup_lets_the_document_go_on() -> None:
    leg = inbound()
    leg.do(document('<Hangup schedule="30"/><MultiPartyCall role="agent">a</MultiPartyCall>'))
    assert effects.Wake("hangup", 30.0) in leg.effects
    leg.do(PickedUp(), ADMITTED, TimedOut("hangup"))
    assert leg.outcome() == ("completed", 6000, "Answer XML")


def test_nothing_happens_after_the_end() -> None:
    leg = inbound()
    leg.do(Gone())
    before = len(leg.effects)
    leg.do(JOIN, PickedUp(), Answered(), Rang(), HangUp(HangupCause.NORMAL_HANGUP, HangupSource.PLIVO))
    assert len(leg.effects) == before
