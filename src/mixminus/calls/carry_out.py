"""What carrying out decisions has in common, whichever machine made them. A shell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import structlog

from mixminus.calls.ports import Media
from mixminus.errors import MediaError
from mixminus.media import protocol as media

Who = TypeVar("Who")

Answer: TypeAlias = Awaitable[None] | None
"""What is still to come of an effect; ``None``: nothing."""
Handler: TypeAlias = Callable[[Who, Any], Awaitable[Answer]]
"""Carries out one effect of somebody's decision."""

log = structlog.get_logger(__name__)


class Runner(Generic[Who]):
    """Carries out the effects of decisions, one handler for each kind."""

    def __init__(self, handlers: Mapping[type, Handler[Who]]) -> None:
        self._handlers = handlers

    async def run(self, who: Who, effects: Iterable[object]) -> None:
        """In order. Media commands are all on their way before the first answer, a tick later, is awaited."""
        answers: list[Awaitable[None]] = []
        try:
            for effect in effects:
                answer = await self._handlers[type(effect)](who, effect)
                if answer is not None:
                    answers.append(answer)
        finally:
            for answer in answers:
                await answer


def tell(
    workers: Media, command: media.Command, refused: Callable[[media.Command, MediaError], None] | None = None
) -> Answer:
    """Send ``command`` now; the answer is still to come.

    ``refused`` learns what the worker says against it; by default it is logged and of no consequence for the call:
    the leg has just gone.
    """
    refused = refused or _log_refusal
    try:
        return _heard(workers.send(command), command, refused)
    except MediaError as error:
        refused(command, error)
        return None


async def _heard(
    answer: Awaitable[object], command: media.Command, refused: Callable[[media.Command, MediaError], None]
) -> None:
    try:
        await answer
    except MediaError as error:
        refused(command, error)


def _log_refusal(command: media.Command, error: MediaError) -> None:
    log.info("media command refused", command=type(command).__name__, error=str(error))
