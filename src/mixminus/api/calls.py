"""The Call resource (API reference 6.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from mixminus.api import call_bodies as bodies
from mixminus.api import call_parameters as c
from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.multi_party_calls import time_bounds
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paging import meta, read_page
from mixminus.api.ports import Ports
from mixminus.api.reading import Reader, read_callback
from mixminus.api.visible import sees
from mixminus.calls.commands import Callback, SoundKind
from mixminus.calls.document.elements import DEFAULT_TIME_LIMIT
from mixminus.calls.leg.door import CallsCreated, CancelRequest, CreateCalls
from mixminus.calls.leg.inputs import (
    CallRecordingStarted,
    HangUpCall,
    PlayOnCall,
    RecordCall,
    SendDigitsOnCall,
    StopPlayOnCall,
    StopRecordCall,
    TransferCall,
)
from mixminus.calls.sounds.program import PlayItem, Program, SpeakItem
from mixminus.errors import NotFound
from mixminus.store.lists import CallFilter, DayBounds, Place
from mixminus.store.rows import CallRow

DEFAULT_RING_TIMEOUT = 120
"""Seconds."""
ALL_LIVE = 10_000
"""Most live calls a list names when no ``limit`` is given."""


async def create_call(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    answer = read_callback(reader, p.ANSWER_URL, p.ANSWER_METHOD, "POST") or Callback()
    reader.required(p.ANSWER_URL, "")
    hangup = Callback(reader.take(c.CALL_HANGUP_URL, "") or answer.url, reader.take(p.HANGUP_METHOD, "POST"))
    for parameter in c.MACHINE_DETECTION:
        reader.optional(parameter)
    parent = reader.optional(c.PARENT_CALL_UUID)
    if parent and reader.take(c.ERROR_IF_PARENT_NOT_FOUND, False):
        row = await ports.store.call(parent)
        if row is None or row.ended_at is not None or not sees(request.requester, row):
            reader.note("parent_call_uuid", "must be the uuid of a live call")
    command = CreateCalls(
        by=request.requester,
        from_=reader.required(p.FROM, ""),
        to=reader.required(c.CALL_TO, ()),
        answer=answer,
        caller_name=reader.take(p.CALLER_NAME, ""),
        ring=read_callback(reader, c.RING_URL, c.RING_METHOD, "POST") or Callback(),
        hangup=hangup,
        fallback=read_callback(reader, c.FALLBACK_URL, p.FALLBACK_METHOD, "POST") or Callback(),
        ring_timeout=reader.take(c.CALL_RING_TIMEOUT, DEFAULT_RING_TIMEOUT),
        time_limit=reader.take(c.TIME_LIMIT, DEFAULT_TIME_LIMIT),
        hangup_on_ring=reader.optional(c.HANGUP_ON_RING),
        sip_headers=reader.take(p.SIP_HEADERS, ()),
        send_digits=reader.take(p.SEND_DIGITS, ""),
        send_on_preanswer=reader.take(p.SEND_ON_PREANSWER, False),
    )
    reader.check()
    created = await ports.apply(command)
    assert isinstance(created, CallsCreated)
    uuids = list(created.request_uuids)
    return Answer(201, bodies.CallsFired(message="call fired", request_uuid=uuids[0] if len(uuids) == 1 else uuids))


async def list_calls(ports: Ports, request: ApiRequest) -> Answer:
    """Ended calls; with ``status`` the uuids of those that live or are queued."""
    by, reader = request.requester, request.reader()
    page, status = read_page(reader, cursors=True), reader.optional(c.CALL_STATUS)
    billed = {bound or "eq": reader.optional(c.BILL_DURATION[bound]) for bound in ("", *p.BOUNDS)}
    filters = CallFilter(
        live=status is not None,
        status="queued" if status == "queued" else None,
        direction=reader.optional(c.CALL_DIRECTION),
        from_number=reader.optional(p.FROM_NUMBER),
        to_number=reader.optional(p.TO_NUMBER),
        parent_call_uuid=reader.optional(c.PARENT_CALL_UUID),
        hangup_cause_code=reader.optional(c.HANGUP_CAUSE_CODE),
        hangup_source=reader.optional(c.HANGUP_SOURCE),
        ended=time_bounds(reader, p.END_TIME),
        billed=DayBounds(**billed),
    )
    sub_account = by.sub_account or reader.optional(p.SUBACCOUNT)
    if status is not None and not reader.gives(p.LIMIT):
        page = replace(page, limit=ALL_LIVE)
    reader.check()
    found = await ports.store.calls(by.account, sub_account=sub_account, filters=filters, page=page)
    if status is not None:
        return Answer(200, bodies.LiveCalls(calls=[row.id for row in found.rows]))
    objects = [bodies.call(row, request.auth_id) for row in found.rows]
    last = Place(found.rows[-1].initiated_at, found.rows[-1].id) if found.more else None
    return Answer(200, bodies.CallList(meta=meta(request, page, found.total, last), objects=objects))


async def _find(ports: Ports, request: ApiRequest) -> CallRow:
    row = await ports.store.call(request.segments["call_uuid"])
    if row is None or not sees(request.requester, row):
        raise NotFound("no such call")
    return row


async def get_call(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    status = reader.optional(c.CALL_STATUS)
    reader.check()
    row = await _find(ports, request)
    if status is None:
        if row.ended_at is None:
            raise NotFound("the call is still live; ask with status=live")
        return Answer(200, bodies.call(row, request.auth_id))
    if row.ended_at is not None or (status == "queued" and row.status != "queued"):
        raise NotFound(f"the call is not {status}")
    return Answer(200, bodies.live_call(row))


async def transfer_call(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    legs: Literal["aleg", "bleg", "both"] = reader.take(c.LEGS, "aleg")
    aleg = read_callback(reader, c.ALEG_URL, c.ALEG_METHOD, "POST")
    bleg = read_callback(reader, c.BLEG_URL, c.BLEG_METHOD, "POST")
    if legs in ("aleg", "both"):
        reader.required(c.ALEG_URL, "")
    if legs in ("bleg", "both"):
        reader.required(c.BLEG_URL, "")
    reader.check()
    await ports.apply(
        TransferCall(
            by=request.requester,
            call_uuid=request.segments["call_uuid"],
            legs=legs,
            aleg=aleg or Callback(),
            bleg=bleg or Callback(),
        )
    )
    return Answer(202, render.Message(message="call transfered"))


async def hang_up_call(ports: Ports, request: ApiRequest) -> Answer:
    await ports.apply(HangUpCall(by=request.requester, call_uuid=request.segments["call_uuid"]))
    return Answer(204)


async def cancel_request(ports: Ports, request: ApiRequest) -> Answer:
    await ports.apply(CancelRequest(by=request.requester, request_uuid=request.segments["request_uuid"]))
    return Answer(204)


def read_speech(ports: Ports, reader: Reader) -> Program:
    """Refused at once when nothing on this machine can speak.

    One SDK sends the voice under ``length``: a value that is no number is that.
    """
    missing = ports.speech_missing()
    if missing:
        reader.note("text", missing)
    voice = reader.optional(c.VOICE)
    if voice is None:
        instead = reader.optional(c.VOICE_AS_LENGTH)
        voice = None if instead is None or instead.isdigit() else instead
    text = reader.required(c.TEXT, "")
    return (SpeakItem(text, voice or "WOMAN", reader.take(c.LANGUAGE, "en-US")),)


async def play_on_call(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    program = tuple(PlayItem(url) for url in reader.required(c.URLS, ()))
    length = reader.optional(c.PLAY_LENGTH)
    await _play(ports, request, reader, program, "play", length or 0)
    return Answer(202, render.Message(message="play started"))


async def speak_on_call(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    await _play(ports, request, reader, read_speech(ports, reader), "speak", 0)
    return Answer(202, render.Message(message="speak started"))


async def _play(
    ports: Ports, request: ApiRequest, reader: Reader, program: Program, kind: SoundKind, length: int
) -> None:
    command = PlayOnCall(
        by=request.requester,
        call_uuid=request.segments["call_uuid"],
        kind=kind,
        program=program,
        legs=reader.take(c.LEGS, "aleg"),
        loop=reader.take(c.LOOP, False),
        mix=reader.take(c.MIX, True),
        length=length,
    )
    reader.check()
    await ports.apply(command)


async def stop_play_on_call(ports: Ports, request: ApiRequest) -> Answer:
    return await _stop_play(ports, request, "play")


async def stop_speak_on_call(ports: Ports, request: ApiRequest) -> Answer:
    return await _stop_play(ports, request, "speak")


async def _stop_play(ports: Ports, request: ApiRequest, kind: SoundKind) -> Answer:
    await ports.apply(StopPlayOnCall(by=request.requester, call_uuid=request.segments["call_uuid"], kind=kind))
    return Answer(204)


async def record_call(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    for ignored in (*c.TRANSCRIPTION, c.RECORD_CHANNEL_TYPE):
        reader.optional(ignored)
    command = RecordCall(
        by=request.requester,
        call_uuid=request.segments["call_uuid"],
        file_format=reader.take(p.FILE_FORMAT, "mp3"),
        time_limit=reader.take(c.RECORD_TIME_LIMIT, 60),
        callback=read_callback(reader, c.FILE_READY_URL, c.FILE_READY_METHOD, "POST") or Callback(),
    )
    reader.check()
    started = await ports.apply(command)
    assert isinstance(started, CallRecordingStarted)
    return Answer(202, recording_begun(ports, request, "call recording started", started))


def recording_begun(
    ports: Ports, request: ApiRequest, message: str, started: CallRecordingStarted
) -> bodies.CallRecordingBegun:
    account = request.requester.account
    url = render.recording_url(ports.public_url, account, started.recording_id, started.file_format)
    return bodies.CallRecordingBegun(message=message, recording_id=started.recording_id, url=url)


async def stop_record_call(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    url = reader.take(c.RECORD_URL, "")
    reader.check()
    recording_id = url.rsplit("/", 1)[-1].partition(".")[0]
    call_uuid = request.segments["call_uuid"]
    await ports.apply(StopRecordCall(by=request.requester, call_uuid=call_uuid, recording_id=recording_id))
    return Answer(204)


async def send_digits(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    command = SendDigitsOnCall(
        by=request.requester,
        call_uuid=request.segments["call_uuid"],
        digits=reader.required(c.DIGITS, ""),
        legs=reader.take(c.LEGS, "aleg"),
    )
    reader.check()
    await ports.apply(command)
    return Answer(202, render.Message(message="digits sent"))


_ONE = "Call/{call_uuid}"

OPERATIONS = (
    Operation.post(
        "Call",
        create_call,
        "Place a call, or one to each of several destinations",
        bodies.CallsFired,
        status=201,
        parameters=c.CREATE_PARAMETERS,
        required=("answer_url", "from", "to"),
    ),
    Operation.get(
        "Call",
        list_calls,
        "List calls that have ended; with status the uuids of live or queued ones",
        bodies.CallList,
        parameters=c.LIST_PARAMETERS,
    ),
    Operation.get(
        _ONE,
        get_call,
        "Get a call that has ended; with status one that is live or queued",
        bodies.Call,
        parameters=(c.CALL_STATUS,),
    ),
    Operation.post(
        _ONE,
        transfer_call,
        "Let one or both sides of a call run another document",
        render.Message,
        parameters=c.TRANSFER_PARAMETERS,
    ),
    Operation.delete(_ONE, hang_up_call, "Hang up a call"),
    Operation.delete("Request/{request_uuid}", cancel_request, "Hang up the call of a request, answered or not"),
    Operation.post(
        f"{_ONE}/Record",
        record_call,
        "Record both sides of a call",
        bodies.CallRecordingBegun,
        parameters=c.RECORD_PARAMETERS,
        asynchronous=False,
    ),
    Operation.delete(f"{_ONE}/Record", stop_record_call, "Stop recording a call", parameters=(c.RECORD_URL,)),
    Operation.post(
        f"{_ONE}/Play",
        play_on_call,
        "Play audio files to a call",
        render.Message,
        parameters=c.PLAY_PARAMETERS,
        required=("urls",),
    ),
    Operation.delete(f"{_ONE}/Play", stop_play_on_call, "Stop playing to a call"),
    Operation.post(
        f"{_ONE}/Speak",
        speak_on_call,
        "Speak to a call",
        render.Message,
        parameters=c.SPEAK_PARAMETERS,
        required=("text",),
    ),
    Operation.delete(f"{_ONE}/Speak", stop_speak_on_call, "Stop speaking to a call"),
    Operation.post(
        f"{_ONE}/DTMF",
        send_digits,
        "Press keys on a call",
        render.Message,
        parameters=(c.DIGITS, c.LEGS),
        required=("digits",),
    ),
)
