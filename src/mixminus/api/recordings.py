"""Recordings: list, get, delete (API reference, section 6.2)."""

from __future__ import annotations

from typing import Any

import msgspec

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.multi_party_calls import time_bounds
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paging import meta, read_page
from mixminus.api.ports import Ports
from mixminus.api.reading import Parameter
from mixminus.api.visible import sees
from mixminus.calls.commands import DeleteRecording
from mixminus.errors import NotFound
from mixminus.store.lists import DayBounds, Place, RecordingFilter
from mixminus.store.rows import RecordingRow


async def find_recording(ports: Ports, request: ApiRequest) -> RecordingRow:
    """The recording the path names, if the requester may see it; else NotFound."""
    row = await ports.store.recording(request.segments["recording_id"])
    if row is None or row.deleted_at is not None or not sees(request.requester, row):
        raise NotFound("no such recording")
    return row


async def list_recordings(ports: Ports, request: ApiRequest) -> Answer:
    by, reader = request.requester, request.reader()
    page = read_page(reader, cursors=True)
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
    last = Place(found.rows[-1].created_at, found.rows[-1].id) if found.more else None
    return Answer(200, render.RecordingList(meta=meta(request, page, found.total, last), objects=objects))


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


async def find_ready(ports: Ports, request: ApiRequest) -> RecordingRow:
    """As :func:`find_recording`, and its file is there; else NotFound says what became of it."""
    row = await find_recording(ports, request)
    if row.state == "failed":
        raise NotFound(f"this recording failed: {row.failure or 'no reason is known'}")
    if row.state != "ready":
        raise NotFound(f"this recording has no file yet: its state is {row.state}")
    return row


_LIST_PARAMETERS: tuple[Parameter[Any], ...] = (
    p.SUBACCOUNT, p.CALL_UUID_FILTER, p.FROM_NUMBER, p.TO_NUMBER, p.CONFERENCE_NAME, p.CONFERENCE_UUID, p.MPC_NAME,
    p.MPC_UUID, *p.ADD_TIME.values(), *p.RECORDING_STORAGE_DURATION.values(), p.LIMIT, p.OFFSET,
    p.CURSOR,
)  # fmt: skip

OPERATIONS = (
    Operation.get(
        "Recording", list_recordings, "List recordings, newest first", render.RecordingList, parameters=_LIST_PARAMETERS
    ),
    Operation.get("Recording/{recording_id}", get_recording, "Get a recording", render.Recording),
    Operation.delete("Recording/{recording_id}", delete_recording, "Delete a recording and its file"),
)
