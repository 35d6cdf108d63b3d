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
from mixminus.testing.multiparty import MultiPartyCall, eventually, hears
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
"""Seconds that requests and processes may take on a busy machine."""


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
    least, most = await _a_call_that_is_killed(server, sink, name, after, pause, file_format)
    await server.start()
    told = await sink.wait_for(lambda one: one.event in ("MPCRecordingCompleted", "MPCRecordingFailed"), timeout=10)
    what = f"{name}: {least:.3f} to {most:.3f} s were recorded"
    if told.event == "MPCRecordingFailed":
        assert least <= ALLOWED_LOSS, f"{what}, and nothing of it was saved"
        return
    samples = await download(server, told)
    seconds = len(samples) / sources.RATE
    assert least - ALLOWED_LOSS <= seconds <= most, f"{what}, {seconds:.3f} saved"
    assert ear.tones(samples, [AGENT, CUSTOMER, 1000]) == {AGENT, CUSTOMER}, what
    assert told.signature.valid, what
    spool = server.data / "spool" / told.parameters["RecordingUUID"]
    await eventually(lambda: not spool.exists(), what=f"removing {spool}")


async def _a_call_that_is_killed(
    server: ServerProcess, sink: CallbackSink, name: str, after: float, pause: bool, file_format: str
) -> tuple[float, float]:
    """A recorded call whose server is killed after about ``after`` seconds.

    Returns the least and the most that may have been recorded, seconds: a request acts between its sending and its
    answer.
    """
    async with VirtualPhone("agent") as agent, VirtualPhone("customer") as customer:
        agent.says(sources.tone(AGENT), loop=True)
        customer.says(sources.tone(CUSTOMER), loop=True)
        call = MultiPartyCall(server.plivo_client(), sink, name)
        await call.add("agent", agent)
        await call.add("customer", customer)
        await hears(agent, {CUSTOMER}, [AGENT, CUSTOMER], seconds=0.1)
        await hears(customer, {AGENT}, [AGENT, CUSTOMER], seconds=0.1)
        asked = time.monotonic()
        await call.record(file_format)
        began = time.monotonic()
        await asyncio.sleep(after)
        if pause:
            least = time.monotonic() - began
            await call("pause_recording")
            most = time.monotonic() - asked
            await asyncio.sleep(0.5)
            server.kill()
            return least, most
        least = time.monotonic() - began
        server.kill()
        return least, time.monotonic() - asked


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
