"""Pull the plug: kill -9 at random instants, and look at what is left of the recordings."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import pytest

from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall, hears
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess, descendants
from mixminus.testing.sink import CallbackSink
from slow.support import PhoneMaker, download, times

KILLS = times("MIXMINUS_TEST_KILLS", 10)
SEED = times("MIXMINUS_TEST_SEED", 1)
AGENT, CUSTOMER = 440, 620
ALLOWED_LOSS = 1.0
"""Seconds of sound that a killed machine may cost at the cut."""
CLOCK_SLACK = 0.25
"""Seconds between asking for a recording and its first sample, and between deciding to kill and the kill."""


@pytest.mark.timeout(30 + 25 * KILLS)
@pytest.mark.parametrize("file_format", ["mp3", "wav"])
async def test_a_killed_server_finishes_its_recordings_when_it_is_back(
    tmp_path: Path, sink: CallbackSink, file_format: str
) -> None:
    randomly = random.Random(SEED)
    server = ServerProcess(tmp_path / "server")
    await server.start()
    try:
        for number in range(KILLS):
            after, pause = randomly.uniform(0.1, 4.0), randomly.random() < 0.3
            await _one_kill(server, sink, f"killed-{number} of seed {SEED}", after, pause, file_format)
    finally:
        server.kill()


async def _one_kill(
    server: ServerProcess, sink: CallbackSink, name: str, after: float, pause: bool, file_format: str
) -> None:
    """Kill the server ``after`` seconds into a recorded call, start it again, and judge what is announced."""
    sink.auth_token = server.address.auth_token
    sink.received.clear()
    lived, paused = await _a_call_that_is_killed(server, sink, name, after, pause, file_format)
    await server.start()
    told = await sink.wait_for(lambda one: one.event in ("MPCRecordingCompleted", "MPCRecordingFailed"), timeout=10)
    what = f"{name}: lived {lived:.3f} s"
    recorded = lived - paused
    if told.event == "MPCRecordingFailed":
        assert recorded <= ALLOWED_LOSS + CLOCK_SLACK, f"{what}, and nothing of it was saved"
        return
    samples = await download(server, told)
    seconds = len(samples) / sources.RATE
    assert recorded - ALLOWED_LOSS - CLOCK_SLACK <= seconds <= recorded + CLOCK_SLACK, f"{what}, saved {seconds:.3f}"
    assert ear.tones(samples, [AGENT, CUSTOMER, 1000]) == {AGENT, CUSTOMER}, what
    assert told.signature.valid, what
    assert not _spools(server), f"{what}: spool left behind"


def _spools(server: ServerProcess) -> list[Path]:
    return list((server.data / "spool").rglob("*.spool"))


async def _a_call_that_is_killed(
    server: ServerProcess, sink: CallbackSink, name: str, after: float, pause: bool, file_format: str
) -> tuple[float, float]:
    """A recorded call whose server is killed ``after`` seconds; returns seconds it was recorded for, and paused."""
    async with VirtualPhone("agent") as agent, VirtualPhone("customer") as customer:
        agent.says(sources.tone(AGENT), loop=True)
        customer.says(sources.tone(CUSTOMER), loop=True)
        call = MultiPartyCall(server.plivo_client(), sink, name)
        await call.add("agent", agent)
        await call.add("customer", customer)
        await hears(agent, {CUSTOMER}, [AGENT, CUSTOMER], seconds=0.1)
        await hears(customer, {AGENT}, [AGENT, CUSTOMER], seconds=0.1)
        await call.record(file_format)
        began, paused = time.monotonic(), 0.0
        await asyncio.sleep(after)
        if pause:
            await call("pause_recording")
            paused_at = time.monotonic()
            await asyncio.sleep(0.5)
            paused = time.monotonic() - paused_at
        server.kill()
        return time.monotonic() - began, paused


@pytest.mark.timeout(60)
async def test_a_killed_media_worker_is_replaced_and_the_call_goes_on(
    server: ServerProcess, sink: CallbackSink, phone: PhoneMaker
) -> None:
    agent, customer = await phone("agent", AGENT), await phone("customer", CUSTOMER)
    call = MultiPartyCall(server.plivo_client(), sink, "worker")
    await call.add("agent", agent)
    await call.add("customer", customer)
    await call.record("wav")
    began = time.monotonic()
    await hears(agent, {CUSTOMER}, [AGENT, CUSTOMER])
    (worker,) = _processes(server, "mixminus media")
    os.kill(worker, signal.SIGKILL)
    killed_ns = time.monotonic_ns()
    await hears(agent, {CUSTOMER}, [AGENT, CUSTOMER], timeout=5)
    await hears(customer, {AGENT}, [AGENT, CUSTOMER], timeout=5)
    gap = ear.sound_spans(agent.heard.between(killed_ns, time.monotonic_ns()), close=0.1)[0].start
    assert gap < 2.0, f"the phones heard nothing for {gap:.2f} s"
    await call("stop_recording")
    lived = time.monotonic() - began
    done = await sink.wait_for("MPCRecordingCompleted")
    samples = await download(server, done)
    assert len(samples) / sources.RATE == pytest.approx(lived, abs=ALLOWED_LOSS + CLOCK_SLACK)
    assert ear.tones(samples[-4000:], [AGENT, CUSTOMER]) == {AGENT, CUSTOMER}
    await call("stop")
    await sink.wait_for("MPCEnd")


@pytest.mark.timeout(60)
async def test_a_killed_finisher_costs_nothing(server: ServerProcess, sink: CallbackSink, phone: PhoneMaker) -> None:
    agent, customer = await phone("agent", AGENT), await phone("customer", CUSTOMER)
    call = MultiPartyCall(server.plivo_client(), sink, "finisher")
    await call.add("agent", agent)
    await call.add("customer", customer)
    await call.record("mp3")
    began = time.monotonic()
    await hears(agent, {CUSTOMER}, [AGENT, CUSTOMER], seconds=2, timeout=10)
    for finisher in _processes(server, "mixminus finisher"):
        os.kill(finisher, signal.SIGKILL)
    await hears(agent, {CUSTOMER}, [AGENT, CUSTOMER], seconds=1)
    await call("stop_recording")
    lived = time.monotonic() - began
    done = await sink.wait_for("MPCRecordingCompleted")
    assert len(await download(server, done)) / sources.RATE == pytest.approx(lived, abs=CLOCK_SLACK)


def _processes(server: ServerProcess, words: str) -> list[int]:
    """Processes of the server whose command line holds ``words``."""
    found = []
    for pid in descendants(server.address.pid):
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        if words in line:
            found.append(pid)
    return found
