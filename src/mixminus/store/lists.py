"""What a list is asked for and what it answers: pages, places, bounds and filters, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from mixminus.store.rows import Row

R = TypeVar("R", bound=Row)
V = TypeVar("V", int, datetime)


@dataclass(frozen=True)
class Place:
    """A row's place in a list: its time and id, which order the list. It stays, whatever comes in before it."""

    time: datetime
    id: str


@dataclass(frozen=True)
class Page:
    """Which part of a list: at most ``limit`` rows after the first ``offset``; with ``after``, which then decides
    alone, after that place.
    """

    limit: int = 20
    offset: int = 0
    after: Place | None = None


@dataclass(frozen=True)
class Found(Generic[R]):
    """One page of rows, the number of rows on all pages, and whether some follow this page."""

    rows: tuple[R, ...]
    total: int
    more: bool = False


@dataclass(frozen=True)
class Bounds(Generic[V]):
    """``field__gt`` and its kin; ``eq`` is the bare field."""

    gt: V | None = None
    gte: V | None = None
    lt: V | None = None
    lte: V | None = None
    eq: V | None = None

    @property
    def below(self) -> V | None:
        """The tighter lower bound."""
        return max((bound for bound in (self.gt, self.gte, self.eq) if bound is not None), default=None)

    @property
    def above(self) -> V | None:
        """The tighter upper bound."""
        return min((bound for bound in (self.lt, self.lte, self.eq) if bound is not None), default=None)

    @property
    def given(self) -> bool:
        return self.below is not None or self.above is not None


TimeBounds = Bounds[datetime]
DayBounds = Bounds[int]
ANY_TIME = TimeBounds()
ANY_DAYS = DayBounds()


@dataclass(frozen=True)
class MpcFilter:
    """API reference 2.4. ``status`` in any case. Without an ``ended`` bound: live calls and those ended in the last
    7 days; with a single one: the 30 days from or to it, ended calls only.
    """

    sub_account: str | None = None
    friendly_name: str | None = None
    status: str | None = None
    termination_cause_code: int | None = None
    created: TimeBounds = ANY_TIME
    ended: TimeBounds = ANY_TIME


@dataclass(frozen=True)
class RecordingFilter:
    """API reference 6.2. ``conference_*`` mean the same columns as ``mpc_*``. ``stored_days`` is whole days since
    ``created_at``. ``states`` of ``None`` takes every state. Without a time bound: the last 7 days; with a single
    one: the 30 days from or to it.
    """

    sub_account: str | None = None
    call_uuid: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    conference_name: str | None = None
    conference_uuid: str | None = None
    mpc_name: str | None = None
    mpc_uuid: str | None = None
    added: TimeBounds = ANY_TIME
    stored_days: DayBounds = ANY_DAYS
    states: frozenset[str] | None = None


@dataclass(frozen=True)
class CallFilter:
    """API reference 6.1. ``billed`` is whole seconds from answer to end."""

    live: bool | None = None
    status: str | None = None
    direction: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    parent_call_uuid: str | None = None
    hangup_cause_code: int | None = None
    hangup_source: str | None = None
    ended: TimeBounds = ANY_TIME
    billed: Bounds[int] = ANY_DAYS


FIRST_PAGE = Page()
ANY_MPC = MpcFilter()
ANY_RECORDING = RecordingFilter()
ANY_CALL = CallFilter()
