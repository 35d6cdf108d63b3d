"""A run as values: all that came into a world from outside, with its virtual time.

What comes from outside is what the test told the phones, what was asked of the API, and what the application answered.
The rest follows from these and the seed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mixminus.errors import OutboundError
from mixminus.outbound.request import OutboundRequest, OutboundResponse


class Entry(msgspec.Struct):
    """Something from outside. ``within``: while request number so much to the application was unanswered; -1: not."""

    at_ns: int
    do: str
    """``phone``, ``tell``, ``fault`` or ``api``."""
    name: str = ""
    action: str = ""
    given: dict[str, Any] = {}
    within: int = -1


class Answer(msgspec.Struct):
    """What the application answered; ``stage`` says how far the request came if it failed."""

    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""
    stage: str = ""
    error: str = ""


class Frozen(msgspec.Struct):
    version: int
    seed: int
    settings: dict[str, Any]
    bases: list[str]
    journal: list[Entry]
    answers: list[Answer]
    end_ns: int
    log: dict[str, Any]


def answer_of(response: OutboundResponse | OutboundError) -> Answer:
    if isinstance(response, OutboundError):
        return Answer(stage=response.stage, error=str(response))
    return Answer(response.status, dict(response.headers), response.body)


def again(answer: Answer, request: OutboundRequest) -> OutboundResponse:
    """Raises OutboundError if it failed then."""
    if answer.stage:
        raise OutboundError(answer.stage, answer.error)
    return OutboundResponse(answer.status, answer.headers, answer.body, request.url)
