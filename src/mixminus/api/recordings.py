"""Recordings: list, get, delete, and the file itself (API reference, section 6.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.multi_party_calls import time_bounds
from mixminus.api.operations import Answer, ApiRequest, FileAnswer, Operation
from mixminus.api.paging import meta, read_page
from mixminus.api.ports import Ports
from mixminus.api.reading import Parameter
from mixminus.api.visible import sees
from mixminus.calls.commands import DeleteRecording
from mixminus.errors import NotFound, RequestError
from mixminus.store.queries import DayBounds, RecordingFilter
from mixminus.store.rows import RecordingRow


class RangeNotSatisfiable(RequestError):
    """The asked-for range lies behind the end of the file of ``size`` bytes (416)."""

    status = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"Range: the file has {size} bytes")
        self.size = size


async def find_recording(ports: Ports, request: ApiRequest) -> RecordingRow:
    """The recording the path names, if the requester may see it; else NotFound."""
    row = await ports.store.recording(request.segments["recording_id"])
    if row is None or row.deleted_at is not None or not sees(request.requester, row):
        raise NotFound("no such recording")
    return row


async def list_recordings(ports: Ports, request: ApiRequest) -> Answer:
    by, reader = request.requester, request.reader()
    page = read_page(reader)
    stored = {bound or "eq": reader.optional(p.RECORDING_STORAGE_DURATION[bound]) for bound in ("", *p.BOUNDS)}
    filters = RecordingFilter(
        sub_account=by.sub_account or reader.optional(p.SUBACCOUNT),
        call_uuid=reader.optional(p.CALL_UUID_FILTER),
        from_number=reader.optional(p.FROM_NUMBER),
        to_number=reader.optional(p.TO_NUMBER),
        conference_name=reader.optional(p.CONFERENCE_NAME),
        conference_uuid=reader.optional(p.CONFERENCE_UUID),
        mpc_name=reader.optional(p.MPC_NAME),
        mpc_uuid=reader.optional(p.MPC_UUID),
        added=time_bounds(reader, p.ADD_TIME),
        stored_days=DayBounds(**stored),
    )
    reader.check()
    found = await ports.store.recordings(by.account, request.now, filters, page)
    objects = [_render(ports, request, row) for row in found.rows]
    return Answer(200, render.RecordingList(meta=meta(request, page, found.total), objects=objects))


async def get_recording(ports: Ports, request: ApiRequest) -> Answer:
    row = await find_recording(ports, request)
    return Answer(200, _render(ports, request, row))


def _render(ports: Ports, request: ApiRequest, row: RecordingRow) -> render.Recording:
    account = request.requester.account
    made = render.recording(row, account, request.auth_id, ports.public_url, request.now)
    return msgspec.structs.replace(made, recording_url=ports.recording_urls.told(made.recording_url, request.now))


async def delete_recording(ports: Ports, request: ApiRequest) -> Answer:
    row = await find_recording(ports, request)
    await ports.apply(DeleteRecording(by=request.requester, recording_id=row.id))
    return Answer(204)


async def get_file(ports: Ports, request: ApiRequest) -> FileAnswer:
    """The audio: whole, one byte range, or 304; 404 with the recording's state until it is ready."""
    row = await find_recording(ports, request)
    if row.format != request.segments["format"]:
        raise NotFound(f"this recording is a {row.format} file")
    if row.state == "failed":
        raise NotFound(f"this recording failed: {row.failure or 'no reason is known'}")
    if row.state != "ready":
        raise NotFound(f"this recording has no file yet: its state is {row.state}")
    size = await run_in_threadpool(ports.files.size, row.file)
    if size is None:
        raise NotFound("the file of this recording is gone from the storage")
    etag = f'"{row.sha256 or row.id}"'
    shared = {"etag": etag, "accept-ranges": "bytes", "cache-control": "private, no-cache"}
    if _names(request.headers.get("if-none-match", ""), etag):
        return FileAnswer(304, shared)
    asked = byte_range(request.headers, size, etag)
    start, length = asked or (0, size)
    headers = {**shared, "content-type": render.MEDIA_TYPES[row.format], "content-length": str(length)}
    if asked is not None:
        headers["content-range"] = f"bytes {start}-{start + length - 1}/{size}"
    chunks = None if request.is_head else ports.files.read(row.file, start, length)
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


_LIST_PARAMETERS: tuple[Parameter[Any], ...] = (
    p.SUBACCOUNT, p.CALL_UUID_FILTER, p.FROM_NUMBER, p.TO_NUMBER, p.CONFERENCE_NAME, p.CONFERENCE_UUID, p.MPC_NAME,
    p.MPC_UUID, *p.ADD_TIME.values(), *p.RECORDING_STORAGE_DURATION.values(), p.LIMIT, p.OFFSET,
)  # fmt: skip

OPERATIONS = (
    Operation(
        verb="GET",
        template="Recording",
        handler=list_recordings,
        summary="List recordings, newest first",
        status=200,
        parameters=_LIST_PARAMETERS,
        answers=render.RecordingList,
    ),
    Operation(
        verb="GET",
        template="Recording/{recording_id}",
        handler=get_recording,
        summary="Get a recording",
        status=200,
        answers=render.Recording,
    ),
    Operation(
        verb="DELETE",
        template="Recording/{recording_id}",
        handler=delete_recording,
        summary="Delete a recording and its file",
        status=204,
    ),
    Operation(
        verb="GET",
        template="Recording/{recording_id}.{format}",
        handler=get_file,
        summary="The recording's audio; byte ranges are served",
        status=200,
        media_type="audio/*",
        asynchronous=False,
    ),
)
