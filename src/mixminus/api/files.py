"""Serving a stored file: whole, one byte range, or not at all because the client has it (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool

from mixminus.api.operations import ApiRequest, FileAnswer
from mixminus.api.ports import Ports
from mixminus.errors import NotFound, RequestError


class RangeNotSatisfiable(RequestError):
    """The asked-for range lies behind the end of the file of ``size`` bytes (416)."""

    status = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"Range: the file has {size} bytes")
        self.size = size


async def serve(ports: Ports, request: ApiRequest, key: str, tag: str, media_type: str) -> FileAnswer:
    """The file ``key`` names in the storage. ``tag`` is another one whenever the content is."""
    size = await run_in_threadpool(ports.files.size, key)
    if size is None:
        raise NotFound("the file of this recording is gone from the storage")
    etag = f'"{tag}"'
    shared = {"etag": etag, "accept-ranges": "bytes", "cache-control": "private, no-cache"}
    if _names(request.headers.get("if-none-match", ""), etag):
        return FileAnswer(304, shared)
    asked = byte_range(request.headers, size, etag)
    start, length = asked or (0, size)
    headers = {**shared, "content-type": media_type, "content-length": str(length)}
    if asked is not None:
        headers["content-range"] = f"bytes {start}-{start + length - 1}/{size}"
    chunks = None if request.is_head else ports.files.read(key, start, length)
    return FileAnswer(200 if asked is None else 206, headers, chunks)


def byte_range(headers: Mapping[str, str], size: int, etag: str) -> tuple[int, int] | None:
    """``Range`` as (start, length); ``None`` serves the whole file: no range, several, not bytes, malformed, or made
    for another file (RFC 9110 sections 13.1.5 and 14.2). Raises :class:`RangeNotSatisfiable`.
    """
    match = re.fullmatch(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", headers.get("range", ""), re.ASCII | re.I)
    condition = headers.get("if-range", etag).strip()
    if match is None or condition != etag or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise RangeNotSatisfiable(size)
    return start, end - start


def _names(header: str, etag: str) -> bool:
    return any(part.strip().removeprefix("W/") in ("*", etag) for part in header.split(","))
