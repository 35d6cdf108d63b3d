"""The log of callbacks does not grow for ever: what was delivered, or given up, long ago is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from mixminus.store.db import Store
from mixminus.store.rows import AttemptRow, OutboxRow
from mixminus.store.transaction import Transaction

BATCH = 500
"""Callbacks forgotten in one transaction, so that no commit has to wait long behind it."""
BATCHES = 40
"""At most, in one call of :meth:`CallbackPruner.prune`."""


class CallbackPruner:
    """Keeps ``days`` of settled callbacks with their attempts; 0 keeps them for ever."""

    def __init__(self, store: Store, days: int) -> None:
        self._store = store
        self._kept = timedelta(days=days)

    async def prune(self, now: datetime) -> int:
        """Forget what is too old; how many callbacks. What is still owed stays, and so does the newest of all, whose
        number the next one goes on from. Raises :class:`~mixminus.errors.StorageError`.
        """
        if not self._kept:
            return 0
        forgotten = 0
        for _ in range(BATCHES):
            old = await self._store.settled_callbacks(now - self._kept, BATCH)
            if not old:
                break
            tries = await self._store.attempts_of(old)
            gone = [(OutboxRow, row_id) for row_id in old] + [(AttemptRow, row_id) for row_id in tries]
            await self._store.commit(Transaction(delete=tuple(gone)))
            forgotten += len(old)
        return forgotten
