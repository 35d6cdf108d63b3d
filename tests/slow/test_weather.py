"""Bad weather around a call that must go on: garbage on its sockets, a full disk.

Both are real, for they are about sockets and a file system; dead, slow and failing receivers: ``tests/flows``.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from mixminus.recording.reserve import AHEAD_SECONDS, REFILL_SECONDS, TELL_SECONDS
from mixminus.settings import split_host_port
from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall, hears
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink, Received
from slow.support import PhoneMaker, download

pytestmark = pytest.mark.timeout(90)
AGENT, CUSTOMER = 440, 620
TONES = (AGENT, CUSTOMER)

_INVITE = (
    "INVITE sip:5000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{number}\r\n"
    "From: <sip:evil@127.0.0.1>;tag=1\r\nTo: <sip:5000@127.0.0.1>\r\nCall-ID: {number}\r\nCSeq: 1 INVITE\r\n"
    "Max-Forwards: 70\r\nContact: <sip:evil@127.0.0.1:9>\r\nContent-Type: application/sdp\r\nContent-Length: {size}"
    "\r\n\r\n{body}"
)


def _garbage(randomly: random.Random, number: int) -> bytes:
    """One hostile datagram: noise, or an INVITE cut, twisted, or with nonsense for SDP."""
    body = "".join(
        randomly.choice(["v=0\r\n", "m=audio 1 RTP/AVP 0\r\n", "c=IN IP4 0\r\n", "a=x\r\n", "\0"]) for _ in range(9)
    )
    whole = bytearray(_INVITE.format(number=number, size=len(body), body=body).encode())
    match randomly.randrange(4):
        case 0:
            return randomly.randbytes(randomly.randrange(1, 1400))
        case 1:
            return bytes(whole[: randomly.randrange(1, len(whole))])
        case 2:
            for _ in range(randomly.randrange(1, 12)):
                whole[randomly.randrange(len(whole))] = randomly.randrange(256)
            return bytes(whole)
        case _:
            return bytes(whole)


async def test_garbage_on_every_port_does_not_disturb_a_call(
    server: ServerProcess, sink: CallbackSink, phone: PhoneMaker
) -> None:
    agent, customer = await phone("agent", AGENT), await phone("customer", CUSTOMER)
    call = MultiPartyCall(server.plivo_client(), sink, "storm")
    await call.add("agent", agent)
    await call.add("customer", customer)
    await call.record("wav")
    sip = split_host_port(server.address.sip)
    sink.fail("/answer", status=404, times=100_000)
    randomly = random.Random(3)
    began = time.monotonic_ns()
    with socket.socket(type=socket.SOCK_DGRAM) as attacker:
        attacker.bind(("127.0.0.1", 0))
        for number in range(3000):
            attacker.sendto(_garbage(randomly, number), sip)
            for line in (agent, customer):
                assert line.peer is not None
                packet = bytes([0x80, 0]) + randomly.randbytes(170) if number % 2 else randomly.randbytes(172)
                attacker.sendto(packet, line.peer)
            if number % 20 == 0:
                await asyncio.sleep(0.02)
    for _ in range(30):
        _, writer = await asyncio.open_connection(*sip)
        writer.write(_garbage(randomly, 0) + b"\r\n\r\n")
        await writer.drain()
        writer.close()
    ended = time.monotonic_ns()
    await hears(agent, {CUSTOMER}, TONES)
    await hears(customer, {AGENT}, TONES)
    for line, hz in ((agent, CUSTOMER), (customer, AGENT)):
        spans = ear.tone_spans(line.heard.between(began, ended), hz)
        assert sum(span.seconds for span in spans) > 0.9 * (ended - began) / 1e9, f"{line.name}: {spans}"
    async with aiohttp.ClientSession() as http, http.get(f"{server.address.api}/healthz") as answer:
        assert answer.status == 200
    await call("stop_recording")
    await sink.wait_for("MPCRecordingCompleted", timeout=20)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_told_and_survived(small_disk: Path, sink: CallbackSink, phone: PhoneMaker) -> None:
    agent, customer = await phone("agent", AGENT), await phone("customer", CUSTOMER)
    async with ServerProcess(small_disk) as server:
        sink.auth_token = server.address.auth_token
        call = MultiPartyCall(server.plivo_client(), sink, "full")
        await call.add("agent", agent)
        await call.add("customer", customer)
        await call.record("wav")
        await hears(agent, {CUSTOMER}, TONES, seconds=2, timeout=10)
        filler = small_disk / "filler"
        _fill(filler)
        await hears(agent, {CUSTOMER}, TONES, seconds=3, timeout=10)
        filler.unlink()
        try:
            told = await sink.wait_for(_over, timeout=5)
        except TimeoutError:  # it went on: what was lost is for the file to tell
            await call("stop_recording")
            told = await sink.wait_for(_over, timeout=15)
        if told.event == "MPCRecordingCompleted":
            saved = await download(server, told)
            assert len(saved) / sources.RATE > 1
        await hears(agent, {CUSTOMER}, TONES)
        await call("stop")
        await sink.wait_for("MPCEnd")


@pytest.mark.timeout(120)
async def test_what_was_said_before_a_disk_stayed_full_is_delivered(
    small_disk: Path, sink: CallbackSink, phone: PhoneMaker
) -> None:
    agent, customer = await phone("agent", AGENT), await phone("customer", CUSTOMER)
    async with ServerProcess(small_disk) as server:
        sink.auth_token = server.address.auth_token
        call = MultiPartyCall(server.plivo_client(), sink, "full")
        await call.add("agent", agent)
        await call.add("customer", customer)
        await call.record("wav")
        await hears(agent, {CUSTOMER}, TONES, seconds=2, timeout=10)
        filler = small_disk / "filler"
        _fill(filler)
        await hears(agent, {CUSTOMER}, TONES, seconds=AHEAD_SECONDS + 2, timeout=60)
        filler.unlink()
        told = await sink.wait_for(_over, timeout=30)
        assert told.event == "MPCRecordingCompleted"
        assert "disk full" in told.parameters["FailureReason"]
        saved = await download(server, told)
        assert len(saved) / sources.RATE > 2 + REFILL_SECONDS - TELL_SECONDS - 1
        assert ear.tones(saved, TONES) == set(TONES)
        await hears(agent, {CUSTOMER}, TONES)
        await call("stop")
        await sink.wait_for("MPCEnd")


def _over(one: Received) -> bool:
    return one.event in ("MPCRecordingCompleted", "MPCRecordingFailed")


def _fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        while out.write(bytes(4096)):
            pass
