"""sipp as a crowd of strangers: many calls at once, in and out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from mixminus.testing.multiparty import MultiPartyCall
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink
from slow.support import free_udp_port, program, start

pytestmark = pytest.mark.timeout(120)
INBOUND = 50
ROOMS, SEATS = 5, 5


@pytest_asyncio.fixture
async def server(tmp_path: Path, sink: CallbackSink) -> AsyncIterator[ServerProcess]:
    """A server with a port for each call: sipp names one and the same media address for all of its calls."""
    environment = {"MIXMINUS_DEFAULT_ANSWER_URL": sink.url("/answer"), "MIXMINUS_RTP_POOL": "64"}
    async with ServerProcess(tmp_path / "server", environment=environment) as running:
        sink.auth_token = running.address.auth_token
        yield running


async def test_fifty_inbound_calls_at_once_join_their_rooms(
    server: ServerProcess, sink: CallbackSink, tmp_path: Path
) -> None:
    def document(parameters: Mapping[str, str]) -> str:
        return (
            f'<Response><MultiPartyCall role="customer" stayAlone="true" maxParticipants="100" enterSound="none"'
            f' exitSound="none" statusCallbackUrl="{sink.url("/status")}">'
            f"room-{parameters['CallUUID'][-1]}</MultiPartyCall></Response>"
        )

    sink.answer("/answer", document)
    # Each call lasts 6 s and all begin within 2 s, so that all are up at once.
    words = ["-sn", "uac", "-s", "5000", "-d", "6000", "-r", "25", "-l", str(INBOUND), "-m", str(INBOUND)]
    crowd = await _sipp(tmp_path, *words, server.address.sip)
    await sink.wait_for("ParticipantJoin", count=INBOUND, timeout=30)
    assert not [one for one in sink.received if one.event == "ParticipantExit"], "all should be in at the same time"
    await _succeeds(crowd, tmp_path)
    await sink.wait_for("ParticipantExit", count=INBOUND, timeout=30)
    assert all(one.signature.valid for one in sink.received)


async def test_calls_added_through_the_api_reach_sipp(
    server: ServerProcess, sink: CallbackSink, tmp_path: Path
) -> None:
    port = free_udp_port()
    crowd = await _sipp(tmp_path, "-sn", "uas", "-p", str(port), "-m", str(ROOMS * SEATS))
    rooms = [MultiPartyCall(server.plivo_client(), sink, f"out-{number}") for number in range(ROOMS)]
    for seat in range(SEATS):
        await asyncio.gather(*(room.dial("customer", f"sip:u{seat}@127.0.0.1:{port}") for room in rooms))
    await sink.wait_for("ParticipantJoin", count=ROOMS * SEATS, timeout=30)
    for room in rooms:
        await room("stop")
    await sink.wait_for("MPCEnd", count=ROOMS, timeout=30)
    await _succeeds(crowd, tmp_path)


async def _sipp(folder: Path, *words: str) -> asyncio.subprocess.Process:
    common = ("-i", "127.0.0.1", "-nostdin", "-trace_err", "-timeout", "60s")
    return await start(folder, program("sipp"), *words, *common)


async def _succeeds(crowd: asyncio.subprocess.Process, folder: Path) -> None:
    """sipp ends with 0 only if every call went through its scenario to the last message."""
    code = await asyncio.wait_for(crowd.wait(), 60)
    assert code == 0, _complaints(folder)


def _complaints(folder: Path) -> str:
    errors = "".join(path.read_text(errors="replace")[:3000] for path in folder.glob("*_errors.log"))
    return errors or (folder / "sipp.log").read_text(errors="replace")[-3000:]
