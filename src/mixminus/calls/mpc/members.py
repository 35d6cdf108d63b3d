"""Finding members of a multiparty call, for the parts of its machine. Pure."""

from __future__ import annotations

from mixminus.calls.commands import (
    Done,
)
from mixminus.calls.mpc.draft import Draft
from mixminus.calls.mpc.participant import Participant
from mixminus.errors import NotFound


def member_of(draft: Draft, call_uuid: str) -> Participant | None:
    return next((member for member in draft.members.values() if member.call_uuid == call_uuid), None)


def selected(draft: Draft, members: tuple[str, ...]) -> list[Participant]:
    """The members meant; empty means all. NotFound names those who are not in."""
    missing = [member for member in members if member not in draft.members]
    if missing:
        raise NotFound(f"no such participant in {draft.row.friendly_name!r}: {', '.join(missing)}")
    return [draft.members[member] for member in members] if members else list(draft.members.values())


def done(draft: Draft) -> Done:
    return Done(draft.row.id, draft.row.friendly_name)


def rehear_those_waiting_for_an_agent(draft: Draft) -> None:
    draft.rehear.update(member.id for member in draft.members.values() if member.parameters.wait_for_agent)
