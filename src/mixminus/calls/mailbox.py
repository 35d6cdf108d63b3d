"""One thing at a time, in order: what keeps a state machine's commands apart from each other. A shell."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

M = TypeVar("M")


class Mailbox(Generic[M]):
    """Hands messages to ``handle`` one by one, in the order in which they were posted.

    Whoever must not wait (one machine telling another) posts and goes on; whoever needs the answer awaits the future.
    """

    def __init__(self, handle: Callable[[M], Awaitable[Any]]) -> None:
        self._handle = handle
        self._waiting: deque[tuple[M, asyncio.Future[Any]]] = deque()
        self._task: asyncio.Task[None] | None = None

    def post(self, message: M) -> asyncio.Future[Any]:
        """Queue ``message``; the future has what ``handle`` returned or raised."""
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        self._waiting.append((message, future))
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        return future

    @property
    def idle(self) -> bool:
        return self._task is None

    async def _run(self) -> None:
        try:
            while self._waiting:
                message, future = self._waiting.popleft()
                try:
                    result = await self._handle(message)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is the poster's to see
                    if not future.done():
                        future.set_exception(error)
                else:
                    if not future.done():
                        future.set_result(result)
        finally:
            self._task = None


def _retrieve(future: asyncio.Future[Any]) -> None:
    """An exception nobody awaits was already logged by the handler; it is no warning of the loop's."""
    if not future.cancelled():
        future.exception()
