"""The callbacks that are owed, lane by lane, in memory; the rows on disk are the truth.

A lane is handed out when its oldest row may go, and not again before that row is settled: so rows of one lane go out
one after the other and never overtake. Only the next few rows of a lane are kept; the rest, and all rows of a lane
that has to wait long, are read again when their turn comes, so that a receiver that is down for a day costs disk and
not memory.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from mixminus.store.db import Store
from mixminus.store.rows import AttemptRow, OutboxRow
from mixminus.store.transaction import Transaction

KEPT_ROWS = 16
"""Rows of one lane held in memory."""
KEPT_FOR = timedelta(seconds=30)
"""A lane that waits longer than this keeps no rows."""


class ReadyLane(NamedTuple):
    """A lane whose oldest row may be delivered now, and where that row goes."""

    lane: str
    url: str


@dataclass
class _Lane:
    url: str
    newest: int
    """Number of the newest row that is owed."""
    settled: int = 0
    """Number of the last row that is not owed any more."""
    rows: deque[OutboxRow] = field(default_factory=deque)

    @property
    def complete(self) -> bool:
        """Whether every owed row is in memory."""
        return bool(self.rows) and self.rows[-1].number == self.newest


class Outbox:
    """The owed callbacks of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[str] = deque()
        self._waiting: list[tuple[datetime, int, str]] = []
        self._early: list[OutboxRow] | None = []
        """Rows that were committed before :meth:`load` was through; ``None`` after that."""

    def __len__(self) -> int:
        """How many lanes owe something."""
        return len(self._lanes)

    async def load(self) -> None:
        """Take up what an earlier run left. To be called once; what is added meanwhile is added after it."""
        for head, newest in ((pending.head, pending.newest) for pending in await self._store.pending_lanes()):
            self._lanes[head.lane] = _Lane(head.url, newest, settled=head.number - 1)
            self._enlist(head)
        early, self._early = self._early or [], None
        self.add(tuple(early))

    def add(self, rows: tuple[OutboxRow, ...]) -> None:
        """Rows just committed, in order; give this to :meth:`Store.on_outbox` before :meth:`load`."""
        if self._early is not None:
            self._early.extend(rows)
            return
        for row in rows:
            lane = self._lanes.get(row.lane)
            if lane is None:
                self._lanes[row.lane] = _Lane(row.url, row.number, row.number - 1, deque((row,)))
                self._ready.append(row.lane)
            elif row.number > lane.newest:  # else it was on disk already when the lanes were loaded
                if lane.complete and len(lane.rows) < KEPT_ROWS:
                    lane.rows.append(row)
                lane.newest = row.number

    def due(self, now: datetime) -> list[ReadyLane]:
        """The lanes that may go now, each once until its row is settled."""
        while self._waiting and self._waiting[0][0] <= now:
            self._ready.append(heapq.heappop(self._waiting)[2])
        ready = [ReadyLane(lane, self._lanes[lane].url) for lane in self._ready]
        self._ready.clear()
        return ready

    @property
    def next_due(self) -> datetime | None:
        """When the next waiting lane may go; ``None`` when none waits."""
        return self._waiting[0][0] if self._waiting else None

    async def head(self, lane_name: str) -> OutboxRow:
        """The oldest owed row of a lane that :meth:`due` has handed out."""
        lane = self._lanes[lane_name]
        if not lane.rows:
            found = await self._store.pending_of_lane(lane_name, after=lane.settled, limit=KEPT_ROWS)
            assert found, f"lane {lane_name} owes row {lane.newest}, which is not in the database"
            lane.rows.extend(found)
        return lane.rows[0]

    async def settle(self, row: OutboxRow, attempt: AttemptRow) -> None:
        """Record an attempt and what became of ``row``: ``pending`` until ``next_at``, ``delivered`` or ``gave_up``.

        Raises :class:`~mixminus.errors.StorageError`; nothing has changed then, and it may be called again.
        """
        await self._store.commit(Transaction(save=(row, attempt)))
        lane = self._lanes[row.lane]
        if row.state == "pending":
            assert row.next_at is not None, "a row that stays pending says when it goes next"
            lane.rows[0] = row
            if row.next_at - attempt.started_at > KEPT_FOR:
                lane.rows.clear()
            self._enlist(row)
            return
        lane.rows.popleft()
        lane.settled = row.number
        if lane.newest == row.number:
            del self._lanes[row.lane]
        else:
            lane.url = lane.rows[0].url if lane.rows else lane.url
            self._ready.append(row.lane)

    def _enlist(self, head: OutboxRow) -> None:
        if head.next_at is None:
            self._ready.append(head.lane)
        else:
            heapq.heappush(self._waiting, (head.next_at, head.number, head.lane))
