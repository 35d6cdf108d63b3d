"""Operations of the vendor's on paths that mixminus knows, which it does not do yet: answered, never guessed at."""

from __future__ import annotations

from mixminus.api.operations import Answer, ApiRequest, Operation, Verb
from mixminus.api.ports import Ports
from mixminus.errors import NotImplementedHere


async def refuse(ports: Ports, request: ApiRequest) -> Answer:
    raise NotImplementedHere("this operation of the API is not implemented yet by mixminus")


_ROWS: tuple[tuple[Verb, str, str], ...] = (
    ("POST", "MultiPartyCall/{mpc}/Participant/{member}/Record", "Start a participant recording"),
    ("DELETE", "MultiPartyCall/{mpc}/Participant/{member}/Record", "Stop a participant recording"),
    ("POST", "MultiPartyCall/{mpc}/Participant/{member}/Record/Pause", "Pause a participant recording"),
    ("POST", "MultiPartyCall/{mpc}/Participant/{member}/Record/Resume", "Resume a participant recording"),
    ("POST", "Number/{number}", "Link a number to an application"),
)

OPERATIONS = tuple(
    Operation(verb=verb, template=template, handler=refuse, summary=summary, status=404, asynchronous=False)
    for verb, template, summary in _ROWS
)
