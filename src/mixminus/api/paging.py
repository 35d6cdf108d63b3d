"""``limit`` and ``offset`` or ``cursor`` in, ``meta`` out (API reference, section 1.8)."""

from __future__ import annotations

import base64
from datetime import datetime
from urllib.parse import urlencode

import msgspec

from mixminus.api import parameters
from mixminus.api.operations import ApiRequest
from mixminus.api.reading import Reader
from mixminus.api.render import Meta
from mixminus.store.lists import Page, Place

MAX_LIMIT = 20
MAX_OFFSET = 2**31


class _Cursor(msgspec.Struct, array_like=True):
    """What a cursor holds: the row it stands behind, and how many were listed up to there."""

    time: datetime
    id: str
    offset: int


def read_page(reader: Reader, *, cursors: bool = False) -> Page:
    """A ``limit`` above 20 means 20. With ``cursors`` the list can be walked by them too: rows that come in meanwhile
    shift nothing then.
    """
    limit, offset = min(reader.take(parameters.LIMIT, MAX_LIMIT), MAX_LIMIT), reader.take(parameters.OFFSET, 0)
    text = reader.optional(parameters.CURSOR) if cursors else None
    if text is None:
        return Page(limit, offset)
    try:
        cursor = _read_cursor(text)
    except ValueError:
        reader.note("cursor", "must be one that a list has given, unchanged")
        return Page(limit, offset)
    return Page(limit, cursor.offset, Place(cursor.time, cursor.id))


def meta(request: ApiRequest, page: Page, total: int, last: Place | None = None) -> Meta:
    """Links are relative, and hold the request's own filters as they were sent.

    ``last``: the place of the page's last row, if the list has cursors and goes on.
    """
    after, before = page.offset + page.limit, page.offset - page.limit
    goes_on = after < total if page.after is None else last is not None
    return Meta(
        limit=page.limit,
        offset=page.offset,
        next=_link(request, page.limit, after, last) if goes_on else None,
        previous=_link(request, page.limit, max(before, 0)) if page.offset > 0 else None,
        total_count=total,
        count=total,
    )


def _link(request: ApiRequest, limit: int, offset: int, place: Place | None = None) -> str:
    """With ``place`` a cursor too, for clients that know it; the others find their ``offset``."""
    filters = [(name, value) for name, value in request.query if name not in {"limit", "offset", "cursor"}]
    pages = [("limit", str(limit)), ("offset", str(offset))]
    if place is not None:
        pages.append(("cursor", _write_cursor(_Cursor(place.time, place.id, offset))))
    return f"{request.path}?{urlencode([*filters, *pages])}"


def _write_cursor(cursor: _Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def _read_cursor(text: str) -> _Cursor:
    """Raises ValueError."""
    raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    cursor = msgspec.msgpack.decode(raw, type=_Cursor)
    if cursor.time.tzinfo is None or not cursor.id.isprintable() or not 0 <= cursor.offset <= MAX_OFFSET:
        raise ValueError("no cursor of ours")
    return cursor
