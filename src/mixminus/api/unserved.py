"""Operations of the vendor's on paths that mixminus knows, which it does not do yet: answered, never guessed at."""

from __future__ import annotations

from mixminus.api.operations import Answer, ApiRequest, Operation, Verb
from mixminus.api.ports import Ports
from mixminus.errors import NotImplementedHere


async def refuse(ports: Ports, request: ApiRequest) -> Answer:
    raise NotImplementedHere("this operation of the API is not implemented yet by mixminus")


_ROWS: tuple[tuple[Verb, str, str], ...] = (
    ("POST", "Call/{call_uuid}/Stream", "Stream audio to a websocket"),
    ("GET", "Call/{call_uuid}/Stream", "List audio streams"),
    ("DELETE", "Call/{call_uuid}/Stream", "Stop all audio streams"),
    ("GET", "Call/{call_uuid}/Stream/{stream_id}", "Get an audio stream"),
    ("DELETE", "Call/{call_uuid}/Stream/{stream_id}", "Stop an audio stream"),
)

OPERATIONS = tuple(
    Operation(verb=verb, template=template, handler=refuse, summary=summary, status=404, asynchronous=False)
    for verb, template, summary in _ROWS
)
