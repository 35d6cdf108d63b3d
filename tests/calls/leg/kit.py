"""A call leg driven by hand: inputs in, decisions out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from calls.kit import BY, Told, events_of
from mixminus.calls import effects
from mixminus.calls.commands import Callback
from mixminus.calls.document import read_document
from mixminus.calls.events import CallEvent
from mixminus.calls.inputs import Fetched, PickedUp, TimedOut
from mixminus.calls.leg.effects import LegEffect, Origin, PlaceOrder, StartPrompt
from mixminus.calls.leg.inputs import KeyOnLeg, PromptEnded
from mixminus.calls.leg.machine import Incoming, Leg, decide
from mixminus.calls.leg.rooms import private_room
from mixminus.ids import Mint
from mixminus.store.rows import CallRow, RecordingRow

APP = "http://app.test"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

E = TypeVar("E")


def document(text: str, number: int = 0) -> Fetched:
    return Fetched(read_document(f"<Response>{text}</Response>".encode()), number)


class Driver:
    """Keeps the leg, the clock and everything that came out."""

    def __init__(self, first: Any) -> None:
        self.leg: Leg | None = None
        self.mint = Mint(seed=1)
        self.now = NOW
        self.effects: list[LegEffect] = []
        self.events: list[Told] = []
        self.row: CallRow | None = None
        self.recordings: dict[str, RecordingRow] = {}
        self.result: object = None
        self.do(first)

    def do(self, *commands: Any) -> None:
        for command in commands:
            decision = decide(self.leg, command, self.now, self.mint)
            self.leg = decision.state
            self.effects += decision.effects
            self.events += events_of(decision.outbox)
            self.result = decision.result
            for row in decision.rows:
                if isinstance(row, CallRow):
                    self.row = row
                if isinstance(row, RecordingRow):
                    self.recordings[row.id] = row

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def elapse(self) -> None:
        """The timer of the present element runs out."""
        self.do(TimedOut("element"))

    def press(self, keys: str) -> None:
        for key in keys:
            self.do(KeyOnLeg(key))

    def prompt(self) -> StartPrompt:
        """The prompt started last, forgetting all effects."""
        return self.take(StartPrompt)[-1]

    def played(self) -> None:
        """The last prompt has been played to its end."""
        self.do(PromptEnded(self.prompt().player))

    def take(self, kind: type[E]) -> list[E]:
        found: list[E] = [effect for effect in self.effects if isinstance(effect, kind)]
        self.effects.clear()
        return found

    def last(self, kind: type[E]) -> E:
        return [effect for effect in self.effects if isinstance(effect, kind)][-1]

    def kinds(self) -> list[str]:
        """Names of the effects so far, timers and seats aside, forgetting them."""
        quiet = ("Wake", "Seat")
        found = [type(effect).__name__ for effect in self.effects if type(effect).__name__ not in quiet]
        self.effects.clear()
        return found

    def timer(self, name: str) -> float | None:
        """What a timer was last set to."""
        return [effect for effect in self.effects if isinstance(effect, effects.Wake) and effect.timer == name][
            -1
        ].seconds

    def fetch(self) -> tuple[str, dict[str, str]]:
        """The document asked for last: its URL and the element's own parameters."""
        found = self.last(effects.Fetch)
        assert isinstance(found.request, CallEvent)
        return found.callback.url, found.request.own

    def told(self, path: str) -> list[CallEvent]:
        return [event for event in self.events if isinstance(event, CallEvent) and event.name == path]

    @property
    def phase(self) -> str:
        assert self.leg is not None, "the leg is over"
        return self.leg.phase

    def outcome(self) -> tuple[str, int | None, str]:
        assert self.leg is None, "the leg is still live"
        assert self.row is not None
        return self.row.status, self.row.hangup_cause_code, self.row.hangup_source


def inbound(text: str | None = None, *, answered: bool = False) -> Driver:
    """A caller whose document is ``text``; with ``answered`` the element that answers it has done so."""
    driver = Driver(
        Incoming(
            call_uuid="c",
            by=BY,
            from_number="100",
            to_number="200",
            caller_name="Ann",
            sip_call_id="x",
            headers={},
            answer=Callback(f"{APP}/answer"),
            fallback=Callback(),
            hangup=Callback(f"{APP}/hangup"),
        )
    )
    if text is not None:
        driver.effects.clear()
        driver.do(document(text))
    if answered:
        driver.do(PickedUp())
    return driver


def callee(**origin: Any) -> Driver:
    """A leg that the call ``a`` dials."""
    return placed(parent="a", room=private_room("a"), **origin)


def placed(**origin: Any) -> Driver:
    """A leg placed over the API, unless a parent is named."""
    given: dict[str, Any] = {
        "to": "200",
        "from_": "100",
        "caller_name": "100",
        "room": private_room("b"),
        "ring_timeout": 30.0,
        **origin,
    }
    return Driver(
        PlaceOrder(call_uuid="b", request_uuid="b", by=BY, origin=Origin(**given), hangup=Callback(f"{APP}/hangup"))
    )
