"""``limit`` and ``offset`` in, ``meta`` out (API reference, section 1.8)."""

from __future__ import annotations

from urllib.parse import urlencode

from mixminus.api import parameters
from mixminus.api.operations import ApiRequest
from mixminus.api.reading import Reader
from mixminus.api.render import Meta
from mixminus.store.queries import Page

MAX_LIMIT = 20


def read_page(reader: Reader) -> Page:
    """A ``limit`` above 20 means 20."""
    limit = reader.take(parameters.LIMIT, MAX_LIMIT)
    return Page(min(limit, MAX_LIMIT), reader.take(parameters.OFFSET, 0))


def meta(request: ApiRequest, page: Page, total: int) -> Meta:
    """Links are relative, and hold the request's own filters as they were sent."""
    after, before = page.offset + page.limit, page.offset - page.limit
    return Meta(
        limit=page.limit,
        offset=page.offset,
        next=_link(request, page.limit, after) if after < total else None,
        previous=_link(request, page.limit, max(before, 0)) if page.offset > 0 else None,
        total_count=total,
        count=total,
    )


def _link(request: ApiRequest, limit: int, offset: int) -> str:
    filters = [(name, value) for name, value in request.query if name not in {"limit", "offset"}]
    return f"{request.path}?{urlencode([*filters, ('limit', limit), ('offset', offset)])}"
