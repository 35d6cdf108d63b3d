"""A multiparty call driven by hand: commands in, decisions out, virtual time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar

import msgspec

from mixminus.calls.commands import Callback, MpcParameters, MpcRef, ParticipantParameters, Requester
from mixminus.calls.decision import Decision
from mixminus.calls.effects import MpcEffect
from mixminus.calls.events import CallEvent, MpcEvent, RecordingEvent
from mixminus.calls.inputs import Enter, Entered, Leave
from mixminus.calls.model import ExitCause, Role
from mixminus.calls.mpc.draft import Context, MultiPartyCall
from mixminus.calls.mpc.machine import decide
from mixminus.ids import Mint
from mixminus.store.rows import OutboxRow, Row

BY = Requester("MA" + "A" * 18)
REF = MpcRef(name="room")
MPC = "11111111-1111-4111-8111-111111111111"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
STATUS = Callback("http://app.test/status", "POST")

E = TypeVar("E")


Told: TypeAlias = MpcEvent | RecordingEvent | CallEvent


def events_of(outbox: tuple[OutboxRow, ...]) -> list[Told]:
    return [msgspec.json.decode(row.event, type=Told) for row in outbox]


class Driver:
    """Keeps the state, the clock and everything that came out."""

    def __init__(self, parameters: MpcParameters | None = None) -> None:
        self.state: MultiPartyCall | None = None
        self.now = START
        self.mint = Mint(seed=1)
        self.parameters = parameters or MpcParameters(status_callback=STATUS, stay_alone=True)
        self.events: list[Told] = []
        self.effects: list[MpcEffect] = []
        self.rows: dict[tuple[type[Row], str], Row] = {}
        self._member = 0

    def _new_member_id(self) -> str:
        self._member += 1
        return str(self._member)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def do(self, command: Any) -> Decision[MultiPartyCall, MpcEffect]:
        context = Context(self.now, self.mint, self._new_member_id)
        decision = decide(self.state, command, context)
        self.state = decision.state
        self.events += events_of(decision.outbox)
        self.effects += decision.effects
        self.rows.update({(type(row), row.id): row for row in decision.rows})
        return decision

    def enter(self, call: str, role: Role = Role.AGENT, **flags: Any) -> Entered:
        participant = ParticipantParameters(role=role, **flags)
        result = self.do(
            Enter(
                by=BY,
                mpc_uuid=MPC,
                name="room",
                call_uuid=call,
                call_from="100",
                call_to="200",
                call_direction="outbound",
                address=f"sip:{call}@test",
                participant=participant,
                parameters=self.parameters,
            )
        ).result
        assert isinstance(result, Entered)
        return result

    def leave(self, call: str, cause: ExitCause = ExitCause.HANGUP) -> None:
        self.do(Leave(call, cause))

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def take(self, kind: type[E]) -> list[E]:
        """The effects of one kind so far, forgetting all."""
        found: list[E] = [effect for effect in self.effects if isinstance(effect, kind)]
        self.effects.clear()
        return found
