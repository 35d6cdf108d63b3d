"""M1-M4 and M10-M13: multiparty calls and their recording (API reference, sections 2.4-2.7 and 2.13)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paging import meta, read_page
from mixminus.api.paths import mpc_ref
from mixminus.api.ports import Ports
from mixminus.api.reading import Parameter, Reader, read_callback
from mixminus.api.visible import sees
from mixminus.calls.commands import (
    ActivateMpc,
    Callback,
    Command,
    EndMpc,
    MpcRef,
    PauseRecording,
    RecordingStarted,
    RecordingWishes,
    Requester,
    ResumeRecording,
    StartRecording,
    StopRecording,
)
from mixminus.errors import NotFound
from mixminus.store.lists import MpcFilter, TimeBounds
from mixminus.store.rows import MpcRow


async def find(ports: Ports, by: Requester, ref: MpcRef) -> MpcRow:
    """The call ``ref`` means to ``by``: live or ended by uuid, live only by name. Raises NotFound."""
    if ref.uuid or ref.either:
        row = await ports.store.mpc(ref.uuid or ref.either)
        if row is not None and sees(by, row):
            return row
    if ref.name or ref.either:
        named = await _live_by_name(ports, by, ref.name or ref.either)
        if named is not None:
            return named
    raise NotFound("no such multiparty call; by name only live ones are found")


async def _live_by_name(ports: Ports, by: Requester, name: str) -> MpcRow | None:
    """The requester's own call of that name first; a main account sees those of its sub-accounts too."""
    row = await ports.store.live_mpc_by_name(by.account, name, sub_account=by.sub_account)
    if row is None and not by.sub_account:
        row = await ports.store.live_mpc_by_name(by.account, name, sub_account=None)
    return row


def time_bounds(reader: Reader, declared: dict[str, Parameter[datetime]]) -> TimeBounds:
    return TimeBounds(
        eq=reader.optional(declared[""]), **{bound: reader.optional(declared[bound]) for bound in p.BOUNDS}
    )


async def list_mpcs(ports: Ports, request: ApiRequest) -> Answer:
    by, reader = request.requester, request.reader()
    page = read_page(reader)
    filters = MpcFilter(
        sub_account=by.sub_account or reader.optional(p.SUBACCOUNT),
        friendly_name=reader.optional(p.FRIENDLY_NAME),
        status=reader.optional(p.MPC_STATUS),
        termination_cause_code=reader.optional(p.TERMINATION_CAUSE_CODE),
        created=time_bounds(reader, p.CREATION_TIME),
        ended=time_bounds(reader, p.END_TIME),
    )
    reader.check()
    found = await ports.store.mpcs(by.account, request.now, filters, page)
    objects = [render.multi_party_call(row, request.auth_id) for row in found.rows]
    return Answer(200, render.MultiPartyCallList(meta=meta(request, page, found.total), objects=objects))


async def get_mpc(ports: Ports, request: ApiRequest) -> Answer:
    ref = mpc_ref(request.segments["mpc"])
    row = await find(ports, request.requester, ref)
    return Answer(200, render.multi_party_call(row, request.auth_id, by_name=bool(ref.name)))


async def activate_mpc(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    reader.required(p.ACTIVATE_STATUS, "")
    reader.check()
    return await _done(ports, ActivateMpc(by=request.requester, mpc=mpc_ref(request.segments["mpc"])))


async def end_mpc(ports: Ports, request: ApiRequest) -> Answer:
    return await _done(ports, EndMpc(by=request.requester, mpc=mpc_ref(request.segments["mpc"])))


async def start_recording(ports: Ports, request: ApiRequest) -> Answer:
    by, reader = request.requester, request.reader()
    callback = read_callback(reader, p.RECORDING_CALLBACK_URL, p.RECORDING_CALLBACK_METHOD, "POST") or Callback()
    file_format: Literal["mp3", "wav"] = reader.take(p.FILE_FORMAT, "mp3")
    wishes = read_wishes(ports, reader)
    reader.check()
    mpc = mpc_ref(request.segments["mpc"])
    started = await ports.apply(
        StartRecording(by=by, mpc=mpc, file_format=file_format, callback=callback, wishes=wishes)
    )
    assert isinstance(started, RecordingStarted)
    url = render.recording_url(ports.public_url, by.account, started.recording_id, started.file_format)
    link = ports.recording_urls.told(url, request.now)
    return Answer(
        202,
        render.RecordingBegun(
            message=f"MPC: {started.mpc_name} record started", recording_id=started.recording_id, recording_url=link
        ),
    )


def read_wishes(ports: Ports, reader: Reader) -> RecordingWishes:
    """How a recording is to be taken. A transcript nobody can make is refused at once."""
    transcript = reader.take(p.TRANSCRIPT, False)
    if transcript and ports.no_transcripts:
        reader.note("transcript", ports.no_transcripts)
    return RecordingWishes(
        tracks=reader.optional(p.RECORD_TRACKS),
        pause_as=reader.optional(p.PAUSE_AS),
        transcript=transcript,
        transcription_url=reader.take(p.TRANSCRIPTION_URL, ""),
    )


async def stop_recording(ports: Ports, request: ApiRequest) -> Answer:
    return await _done(ports, StopRecording(by=request.requester, mpc=mpc_ref(request.segments["mpc"])))


async def pause_recording(ports: Ports, request: ApiRequest) -> Answer:
    return await _done(ports, PauseRecording(by=request.requester, mpc=mpc_ref(request.segments["mpc"])))


async def resume_recording(ports: Ports, request: ApiRequest) -> Answer:
    return await _done(ports, ResumeRecording(by=request.requester, mpc=mpc_ref(request.segments["mpc"])))


async def _done(ports: Ports, command: Command) -> Answer:
    await ports.apply(command)
    return Answer(204)


_LIST_PARAMETERS: tuple[Parameter[Any], ...] = (
    p.SUBACCOUNT, p.FRIENDLY_NAME, p.MPC_STATUS, p.TERMINATION_CAUSE_CODE, *p.CREATION_TIME.values(),
    *p.END_TIME.values(), p.LIMIT, p.OFFSET,
)  # fmt: skip

OPERATIONS = (
    Operation.get(
        "MultiPartyCall",
        list_mpcs,
        "List multiparty calls, newest first",
        render.MultiPartyCallList,
        parameters=_LIST_PARAMETERS,
    ),
    Operation.get("MultiPartyCall/{mpc}", get_mpc, "Get a multiparty call", render.MultiPartyCall),
    Operation.post(
        "MultiPartyCall/{mpc}",
        activate_mpc,
        "Start (activate) a multiparty call that is Initialized",
        status=204,
        parameters=(p.ACTIVATE_STATUS,),
        required=("status",),
    ),
    Operation.delete("MultiPartyCall/{mpc}", end_mpc, "End a multiparty call"),
    Operation.post(
        "MultiPartyCall/{mpc}/Record",
        start_recording,
        "Start recording a multiparty call",
        render.RecordingBegun,
        parameters=p.START_RECORDING_PARAMETERS,
    ),
    Operation.delete("MultiPartyCall/{mpc}/Record", stop_recording, "Stop recording"),
    Operation.post(
        "MultiPartyCall/{mpc}/Record/Pause",
        pause_recording,
        "Pause the recording: what is said until it is resumed is not in the file",
        status=204,
    ),
    Operation.post("MultiPartyCall/{mpc}/Record/Resume", resume_recording, "Resume a paused recording", status=204),
)
