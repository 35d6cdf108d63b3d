"""Committing decisions, also when the disk will not. A shell over the store.

A command that cannot be written is refused and nothing has changed. A fact (somebody hung up) cannot be refused: it is
owed, and written before anything newer as soon as the store takes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from mixminus.calls.decision import Decision
from mixminus.calls.ports import Store, Timers
from mixminus.errors import StorageError
from mixminus.store.transaction import Transaction

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0


class Books:
    """``command`` raises StorageError and leaves nothing behind; ``fact`` always succeeds in the end."""

    def __init__(self, store: Store, timers: Timers, spawn: Callable[[Coroutine[Any, Any, Any]], None]) -> None:
        self._store = store
        self._timers = timers
        self._spawn = spawn
        self._owed: list[Transaction] = []
        self._turn = asyncio.Lock()
        self._cancel_retry: Callable[[], None] | None = None

    @property
    def owed(self) -> int:
        """Transactions that could not be written yet."""
        return len(self._owed)

    async def command(self, decision: Decision[Any, Any]) -> None:
        transaction = _transaction(decision)
        if transaction is None:
            return
        if self._owed:
            async with self._turn:
                await self._settle()
                await self._store.commit(transaction)
            return
        await self._store.commit(transaction)

    async def fact(self, decision: Decision[Any, Any]) -> None:
        try:
            await self.command(decision)
        except StorageError as error:
            log.error("a change could not be written and is owed", error=str(error))
            transaction = _transaction(decision)
            assert transaction is not None
            self._owed.append(transaction)
            self._retry_later()

    async def settle(self) -> None:
        """Write what is owed. Raises StorageError when the store still will not."""
        async with self._turn:
            await self._settle()

    async def _settle(self) -> None:
        while self._owed:
            await self._store.commit(self._owed[0])
            del self._owed[0]

    def _retry_later(self) -> None:
        if self._cancel_retry is None:
            self._cancel_retry = self._timers.call_later(RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        self._cancel_retry = None
        self._spawn(self._try_settle())

    async def _try_settle(self) -> None:
        try:
            await self.settle()
        except StorageError:
            self._retry_later()


def _transaction(decision: Decision[Any, Any]) -> Transaction | None:
    if not decision.rows and not decision.outbox:
        return None
    return Transaction(save=decision.rows, outbox=decision.outbox)
