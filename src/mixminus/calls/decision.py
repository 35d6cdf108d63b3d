"""The shape of every decision: state, rows, events, effects and an answer, all decided at once and committed
together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from mixminus.calls.commands import Callback
from mixminus.calls.events import Event
from mixminus.ids import Mint
from mixminus.store.rows import OutboxRow, Row

S = TypeVar("S")
E = TypeVar("E")


@dataclass(frozen=True)
class Decision(Generic[S, E]):
    """What follows from one command. ``state`` of ``None`` means the machine is over."""

    state: S | None
    rows: tuple[Row, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()
    effects: tuple[E, ...] = ()
    result: object = None


@dataclass
class Ledger:
    """Collects the rows and callbacks of one decision. Of several versions of a row the last is kept."""

    mint: Mint
    at: datetime
    _rows: dict[tuple[type[Row], str], Row] = field(default_factory=dict)
    _outbox: list[OutboxRow] = field(default_factory=list)

    def save(self, *rows: Row) -> None:
        for row in rows:
            self._rows[(type(row), row.id)] = row

    def owe(self, callback: Callback, event: Event, *, subject: str, account: str, sub_account: str) -> None:
        """Owe ``callback`` this event. Without a URL nobody asked for it."""
        if not callback.url:
            return
        self._outbox.append(
            OutboxRow(
                id=self.mint.uuid(),
                lane=f"{subject} {callback.url}",
                account=account,
                sub_account=sub_account,
                url=callback.url,
                method=callback.method,
                event=msgspec.json.encode(event),
                created_at=self.at,
            )
        )

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(self._rows.values())

    @property
    def outbox(self) -> tuple[OutboxRow, ...]:
        return tuple(self._outbox)


def whole_seconds(start: datetime | None, end: datetime | None) -> int:
    """Seconds between two moments, rounded down, never negative."""
    if start is None or end is None:
        return 0
    return max(0, int((end - start).total_seconds()))


def billed_seconds(durations: Iterable[int]) -> int:
    """Each leg rounded up to whole minutes, then added (API reference: MPC object)."""
    return sum(-(-seconds // 60) * 60 for seconds in durations)
