"""What mixminus adds to a recording's file: other formats and layouts, the timeline, subtitles, the waveform."""

from __future__ import annotations

from typing import get_args

from starlette.concurrency import run_in_threadpool

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.files import serve
from mixminus.api.operations import Answer, ApiRequest, FileAnswer, Operation
from mixminus.api.ports import Ports
from mixminus.api.recordings import find_ready
from mixminus.errors import InvalidParameter, NotFound
from mixminus.recording.layouts import Layout
from mixminus.recording.rendering import Format
from mixminus.recording.storage import stem_of

_FORMATS: dict[str, Format] = {name: name for name in get_args(Format)}


async def get_file(ports: Ports, request: ApiRequest) -> Answer | FileAnswer:
    """The audio: whole, one byte range, or 304; 404 with the recording's state until it is ready. Another format or
    layout than the recording's own is made when it is first asked for: 202 until it is there.
    """
    row = await find_ready(ports, request)
    reader = request.reader()
    layout: Layout = reader.take(p.LAYOUT, "mono")
    coach = reader.take(p.COACH, True)
    reader.check()
    format = _FORMATS.get(request.segments["format"].lower())
    if format is None:
        raise InvalidParameter("format", f"must be one of {', '.join(_FORMATS)}")
    if format == row.format and layout == "mono" and coach:
        return await serve(ports, request, row.file, row.sha256 or row.id, render.MEDIA_TYPES[format])
    key = await ports.rendering(row, format, layout, coach=coach)
    if key is None:
        return Answer(202, render.Message(message="the file is being made; ask again in a few seconds"))
    return await serve(
        ports, request, key, f"{row.sha256 or row.id}-{key.rpartition('/')[2]}", render.MEDIA_TYPES[format]
    )


async def _beside(ports: Ports, request: ApiRequest, ending: str, media_type: str) -> FileAnswer:
    row = await find_ready(ports, request)
    key = f"{stem_of(row.file)}.{ending}"
    if await run_in_threadpool(ports.files.size, key) is None:
        raise NotFound("this recording has none; a transcript only those that were asked for one")
    return await serve(ports, request, key, f"{row.sha256 or row.id}-{ending}", media_type)


async def get_timeline(ports: Ports, request: ApiRequest) -> FileAnswer:
    return await _beside(ports, request, "timeline.json", "application/json")


async def get_subtitles(ports: Ports, request: ApiRequest) -> FileAnswer:
    return await _beside(ports, request, "vtt", "text/vtt; charset=utf-8")


async def get_transcript(ports: Ports, request: ApiRequest) -> FileAnswer:
    return await _beside(ports, request, "transcript.json", "application/json")


async def get_waveform(ports: Ports, request: ApiRequest) -> FileAnswer:
    return await _beside(ports, request, "peaks.json", "application/json")


OPERATIONS = (
    Operation.get(
        "Recording/{recording_id}.{format}",
        get_file,
        "The recording's audio; byte ranges are served. Another format or layout is made when asked for",
        parameters=(p.LAYOUT, p.COACH),
        media_type="audio/*",
        asynchronous=False,
    ),
    Operation.get(
        "Recording/{recording_id}/Timeline",
        get_timeline,
        "Who spoke, joined, left, paused: on the recording's sample clock",
        asynchronous=False,
    ),
    Operation.get(
        "Recording/{recording_id}/Subtitles",
        get_subtitles,
        "Who speaks, as WebVTT",
        media_type="text/vtt",
        asynchronous=False,
    ),
    Operation.get(
        "Recording/{recording_id}/Transcript",
        get_transcript,
        "What was said, if transcript was asked for",
        asynchronous=False,
    ),
    Operation.get(
        "Recording/{recording_id}/Waveform",
        get_waveform,
        "Peaks for drawing a waveform (audiowaveform JSON)",
        asynchronous=False,
    ),
)
