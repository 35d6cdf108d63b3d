"""Filters as conditions of SQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from mixminus.store.lists import Bounds, DayBounds, Place, TimeBounds

DEFAULT_WINDOW = timedelta(days=7)
"""How far back a list reaches when the caller gives no time bound."""
SINGLE_BOUND_WINDOW = timedelta(days=30)
"""How far a list reaches from the one time bound that is given."""


def follows(time: sa.Column[Any], row_id: sa.Column[Any], place: Place) -> sa.ColumnElement[bool]:
    """Rows behind ``place`` in the order of the lists."""
    length = sa.func.length(row_id)
    shorter = sa.or_(length < len(place.id), sa.and_(length == len(place.id), row_id < place.id))
    return sa.and_(time <= place.time, sa.or_(time < place.time, shorter))


def equal(table: sa.Table, **wanted: object) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


def within(column: sa.ColumnElement[Any], bounds: Bounds[Any]) -> list[sa.ColumnElement[bool]]:
    pairs = (
        (bounds.gt, column.__gt__),
        (bounds.gte, column.__ge__),
        (bounds.lt, column.__lt__),
        (bounds.lte, column.__le__),
        (bounds.eq, column.__eq__),
    )
    return [compare(bound) for bound, compare in pairs if bound is not None]


def widen(bounds: TimeBounds) -> TimeBounds:
    """Close a half-open range to the 30 days next to its one end."""
    if bounds.above is None and bounds.below is not None:
        return replace(bounds, lte=_shifted(bounds.below, SINGLE_BOUND_WINDOW))
    if bounds.below is None and bounds.above is not None:
        return replace(bounds, gte=_shifted(bounds.above, -SINGLE_BOUND_WINDOW))
    return bounds


def _shifted(moment: datetime, by: timedelta) -> datetime:
    """``moment + by``, stopping at the ends of the calendar: the moment is a caller's and may be any."""
    try:
        return moment + by
    except OverflowError:
        return (datetime.max if by > timedelta(0) else datetime.min).replace(tzinfo=UTC)


def stored_for(column: sa.Column[Any], days: DayBounds, now: datetime) -> list[sa.ColumnElement[bool]]:
    """Bounds on whole days of age as bounds on the time of birth: "n days" lasts until the next full day."""
    at_least = [bound for bound in (days.gte, days.eq, None if days.gt is None else days.gt + 1) if bound is not None]
    less_than = [
        bound
        for bound in (
            days.lt,
            None if days.lte is None else days.lte + 1,
            None if days.eq is None else days.eq + 1,
        )
        if bound is not None
    ]
    where = [column <= now - _days(bound) for bound in at_least]
    return where + [column > now - _days(bound) for bound in less_than]


def _days(count: int) -> timedelta:
    """``count`` days, within a century either way: the number is a caller's and may be any."""
    return timedelta(days=max(-36_500, min(count, 36_500)))
