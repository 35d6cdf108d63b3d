"""One scenario in virtual time, and over real SIP and RTP in real time: the same is told, the same is recorded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink, Received
from mixminus.testing.virtual.world import World
from slow.support import PhoneMaker, download

pytestmark = pytest.mark.timeout(120)
ROLES = {"agent": 440.0, "customer": 620.0}
SCENARIO: list[tuple[float, str, str]] = [
    (1.0, "call", "start_recording"),
    (1.0, "say", "agent"),
    (2.0, "say", "customer"),
    (2.0, "call", "pause_recording"),
    (1.0, "call", "resume_recording"),
    (1.0, "say", "agent"),
    (2.0, "call", "stop_recording"),
    (1.0, "call", "stop"),
    (1.0, "wait", ""),
]
"""Seconds after the step before, what, and by whom or which method."""
SAID = 1.0
TICK = 0.02
_OF_THE_RUN = re.compile(r"UUID|ID$|Timestamp|Time$|Duration|Billed|URL|Url|To$|From$|Address|_ms|Start$|End$")
"""Fields that are times, ids, lengths of real time, or a phone's own port."""


def told(received: Iterable[Received]) -> list[tuple[str, str, dict[str, str]]]:
    """Callbacks of the multiparty call and its recording, lane by lane."""
    lanes = sorted((one for one in received if one.path in ("/status", "/recording")), key=lambda one: one.path)
    return [(one.path, one.event, _lasting(one.parameters)) for one in lanes]


def _lasting(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if not _OF_THE_RUN.search(name)}


def _parameters(method: str, sink: CallbackSink) -> dict[str, Any]:
    if method != "start_recording":
        return {}
    return {
        "file_format": "wav",
        "recording_callback_url": sink.url("/recording"),
        "recording_callback_method": "POST",
    }


def in_virtual_time(folder: Path) -> tuple[list[Any], sources.Samples]:
    with World(folder) as world:
        phones = {}
        for role in ROLES:
            phones[role] = world.phone(role)
            world.client.multi_party_calls.add_participant(
                friendly_name="fidelity",
                role=role,
                to_=phones[role].address,
                from_="14155550100",
                enter_sound="none",
                exit_sound="none",
                status_callback_url=world.app.url("/status"),
                status_callback_method="POST",
            )
        for after, what, name in SCENARIO:
            world.advance(after)
            if what == "say":
                phones[name].say(sources.tone(ROLES[name], SAID))
            elif what == "call":
                method = getattr(world.client.multi_party_calls, name)
                method(friendly_name="fidelity", **_parameters(name, world.app))
        world.until("MPCRecordingCompleted")
        return told(world.received), world.recording().samples


async def in_real_time(
    server: ServerProcess, sink: CallbackSink, phone: PhoneMaker
) -> tuple[list[Any], sources.Samples]:
    call = MultiPartyCall(server.plivo_client(), sink, "fidelity")
    phones = {}
    for role, hz in ROLES.items():
        phones[role] = await phone(role, hz)
        phones[role].hushes()
        await call.add(role, phones[role])
    for after, what, name in SCENARIO:
        await asyncio.sleep(after)
        if what == "say":
            phones[name].says(sources.tone(ROLES[name], SAID))
        elif what == "call":
            await call(name, **_parameters(name, sink))
    done = await sink.wait_for("MPCRecordingCompleted")
    await sink.wait_for("MPCEnd")
    return told(sink.received), await download(server, done)


async def test_virtual_and_real_time_agree(
    server: ServerProcess, sink: CallbackSink, phone: PhoneMaker, tmp_path: Path
) -> None:
    events, samples = await in_real_time(server, sink, phone)
    virtual_events, virtual_samples = await asyncio.to_thread(in_virtual_time, tmp_path / "virtual")
    assert virtual_events == events
    for role, hz in ROLES.items():
        real, virtual = ear.tone_spans(samples, hz), ear.tone_spans(virtual_samples, hz)
        assert len(real) == len(virtual), role
        for one, other in zip(real, virtual, strict=True):
            assert one.seconds == pytest.approx(other.seconds, abs=TICK + 1e-9)
            assert _level(samples, one, hz) == pytest.approx(_level(virtual_samples, other, hz), abs=0.1)


def _level(samples: sources.Samples, span: ear.Span, hz: float) -> float:
    """Of the middle, so that begin and end weigh nothing."""
    middle = (span.start + span.end) / 2
    return ear.tone_level(samples[round((middle - 0.3) * 8000) : round((middle + 0.3) * 8000)], hz)
