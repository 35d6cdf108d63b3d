"""The real server, real phones, real kills: hundreds of ``kill -9`` of every kind of process, among full disks, and
stores and receivers that are away.

``CHAOS_KILLS=300 pytest -m slow tests/slow/test_chaos_server.py -s`` prints the totals kept in docs/benchmarks.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from plivo.exceptions import PlivoRestError

from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerFailed, ServerProcess, descendants
from mixminus.testing.sink import CallbackSink, Received
from recording.chaos import HEADING, LATE_SECONDS, TERMINAL, Totals
from recording.kept import KEY
from slow.support import times
from slow.test_object_store import BUCKET, options, s3

__all__ = ["s3"]

pytestmark = pytest.mark.slow

KILLS = times("CHAOS_KILLS", 12)
SEED = times("CHAOS_SEED", 1)
SEALED = SEED % 2 == 0
"""Whether recordings are encrypted at rest."""
CALLS = 3
"""At once, each of two phones and recorded."""
TONES = (440, 620)
ALLOWED_LOSS = 1.0
"""Seconds that a kill may cost."""
SLACK = 0.25
"""Seconds that a request may take to come into force on a busy machine."""
REPLACED = 4.0
"""Seconds in which a killed media worker is replaced: nothing is mixed meanwhile, so nothing can be kept."""
EVENT_ID = "X-Mixminus-Event-Id"


class Gate:
    """A port that leads to another one, or, while :attr:`shut`, nowhere."""

    def __init__(self, port: int) -> None:
        self._port, self.shut = port, False

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._lead, "127.0.0.1", 0)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            if self.shut:
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            with contextlib.closing(back):
                await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while (data := await source.read(1 << 16)) and not self.shut:
                target.write(data)
                await target.drain()
        target.close()


@dataclass
class Recorded:
    """One recording that was started, by times of CLOCK_MONOTONIC in seconds."""

    id: str
    asked: float
    answered: float
    paused: float = 0.0
    least_end: float = 0.0
    most_end: float = 0.0
    disk_full: float = 0.0
    """When; 0: it was not."""
    whole: bool = True
    """No media worker was killed meanwhile, which leaves silence."""

    @property
    def least(self) -> float:
        return max(0.0, self.least_end - self.answered - self.paused)

    @property
    def most(self) -> float:
        return self.most_end - self.asked - self.paused


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own where that is allowed, so that it can be filled up; else a folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest_asyncio.fixture
async def gate(s3: str) -> AsyncIterator[tuple[Gate, str]]:
    """The object store's door and where it is."""
    gate = Gate(int(s3.rpartition(":")[2]))
    async with await gate.serve() as server:
        yield gate, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@dataclass
class Chaos:
    """A server on one data folder, through all of its lives."""

    server: ServerProcess
    sink: CallbackSink
    gate: Gate
    disk: Path
    randomly: random.Random
    recorded: list[Recorded] = field(default_factory=list)
    running: list[Recorded] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    worker_killed: float = 0.0
    lives: int = 0

    @property
    def kills(self) -> int:
        return sum(self.kills_by_kind.values())

    @property
    def kills_by_kind(self) -> dict[str, int]:
        return {kind: count for kind, count in self.kinds.items() if kind.startswith("kill")}

    async def live(self) -> None:
        """Start, record a few calls, let things go wrong, die."""
        await self.server.start(timeout=60)
        self.sink.auth_token = self.server.address.auth_token
        self.lives, self.worker_killed = self.lives + 1, 0.0
        async with AsyncExitStack() as phones:
            calls = await asyncio.gather(*(self._call(phones, number) for number in range(CALLS)))
            for _ in range(self.randomly.randint(3, 6)):
                await asyncio.sleep(self.randomly.uniform(0, 0.5))
                await self._fault()
            ending = self.randomly.random()
            if ending < 0.6 and (call := calls[0]) is not None:
                await self._stop(*call)
            await asyncio.sleep(self.randomly.uniform(0, 1.0))
            self._die()

    async def _call(self, phones: AsyncExitStack, number: int) -> tuple[MultiPartyCall, Recorded] | None:
        call = MultiPartyCall(self.server.plivo_client(), self.sink, f"life-{self.lives}-{number}")
        for role, hertz in zip(("agent", "customer"), TONES, strict=True):
            phone = await phones.enter_async_context(VirtualPhone(f"{role}-{number}"))
            phone.says(sources.tone(hertz), loop=True)
            await call.add(role, phone)
        asked = time.monotonic()
        answer = await call.record("wav" if number else "mp3")
        one = Recorded(answer.recording_id, asked, time.monotonic())
        self.recorded.append(one)
        self.running.append(one)
        return call, one

    async def _stop(self, call: MultiPartyCall, one: Recorded) -> None:
        least = time.monotonic()
        with contextlib.suppress(PlivoRestError):  # the disk may be full
            await call("stop_recording")
            self.running.remove(one)
            one.least_end, one.most_end = self._least(least), time.monotonic()

    def _least(self, now: float) -> float:
        """Until when samples were mixed for sure."""
        return self.worker_killed if now - self.worker_killed < REPLACED else now

    async def _fault(self) -> None:
        faults: list[Callable[[], Awaitable[None]]] = [self._kill_finisher, self._kill_worker, self._kill_finisher]
        faults += [self._receiver_away, self._store_away]
        if self.disk.is_mount() and self.randomly.random() < 0.5:
            faults.append(self._disk_full)
        await self.randomly.choice(faults)()

    async def _kill_finisher(self) -> None:
        self._kill("mixminus finisher", "kill of a finisher")

    async def _kill_worker(self) -> None:
        if time.monotonic() - self.worker_killed < REPLACED:
            return await self._kill_finisher()
        self.worker_killed = time.monotonic()
        for one in self.running:
            one.whole = False
        self._kill("mixminus media", "kill of a media worker")

    def _kill(self, words: str, kind: str) -> None:
        pids = [pid for pid in descendants(self.server.address.pid) if words in _command_line(pid)]
        for pid in pids[:1]:
            os.kill(pid, signal.SIGKILL)
            self.kinds[kind] += 1

    async def _receiver_away(self) -> None:
        self.kinds["receiver away"] += 1
        self.sink.fail("/recording", times=self.randomly.randint(1, 3))

    async def _store_away(self) -> None:
        self.kinds["store away"] += 1
        self.gate.shut = True
        asyncio.get_running_loop().call_later(self.randomly.uniform(0.5, 3.0), setattr, self.gate, "shut", False)

    async def _disk_full(self) -> None:
        self.kinds["disk full"] += 1
        ballast = self.disk / "ballast"
        for one in self.running:
            one.disk_full = one.disk_full or time.monotonic()
        try:
            with ballast.open("wb") as file:
                while True:
                    file.write(bytes(1 << 20))
        except OSError as error:
            assert error.errno == errno.ENOSPC
        most = self.randomly.choice((0.8, 8.0))
        await asyncio.sleep(self.randomly.uniform(0.1, most))
        ballast.unlink()

    def _die(self) -> None:
        least = time.monotonic()
        if self.randomly.random() < 0.5:
            self.kinds["kill of the whole tree"] += 1
            self.server.kill()
        else:
            self.kinds["kill of the control process"] += 1
            os.kill(self.server.address.pid, signal.SIGKILL)
        for one in self.running:
            one.least_end, one.most_end = self._least(least), time.monotonic() + SLACK
        self.running.clear()
        with contextlib.suppress(ProcessLookupError):
            self.server.kill()


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@pytest.mark.timeout(180 + 5 * KILLS)
async def test_the_whole_server_killed_at_random(
    tmp_path: Path,
    disk: Path,
    sink: CallbackSink,
    gate: tuple[Gate, str],
) -> None:
    door, endpoint = gate
    (disk / "server").mkdir()
    (disk / "key").write_text(KEY.hex())
    (disk / "server" / "mixminus.toml").write_text(_settings(endpoint, disk / "key" if SEALED else None))
    server = ServerProcess(disk / "server")
    chaos = Chaos(server, sink, door, disk, random.Random(SEED))
    try:
        while chaos.kills < KILLS:
            await chaos.live()
        door.shut = False
        await server.start(timeout=60)
        totals = await _judge(chaos)
    finally:
        server.kill()
    print(*totals.problems, HEADING, totals.markdown("real server and phones, `kill -9`"), sep="\n")  # noqa: T201
    print(dict(chaos.kinds), f"{chaos.lives} lives")  # noqa: T201
    assert totals.problems == [] and totals.recordings >= chaos.lives


def _settings(endpoint: str, key: Path | None) -> str:
    lines = (f'{name} = "{value}"' for name, value in options(endpoint).items())
    sealed = [] if key is None else [f'encryption_key_file = "{key}"']
    return "\n".join(("[storage]", f'url = "s3://{BUCKET}/voice"', *sealed, "[storage.options]", *lines))


async def _judge(chaos: Chaos) -> Totals:
    totals = Totals(tried=chaos.kills, deaths=chaos.kills)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and any(not _endings(chaos, one) for one in chaos.recorded):  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    for one in chaos.recorded:
        totals.recordings += 1
        await _judge_one(chaos, one, totals)
    return totals


def _taken(chaos: Chaos, one: Recorded) -> dict[str, Received]:
    """The first of each event that was told and taken."""
    first: dict[str, Received] = {}
    for told in chaos.sink.received:
        if told.path == "/recording" and told.parameters.get("RecordingUUID") == one.id:
            first.setdefault(told.headers[EVENT_ID], told)
    return first


def _endings(chaos: Chaos, one: Recorded) -> list[Received]:
    return [told for told in _taken(chaos, one).values() if told.event in TERMINAL]


async def _judge_one(chaos: Chaos, one: Recorded, totals: Totals) -> None:
    first = _taken(chaos, one)
    arrivals = [told for told in chaos.sink.received if told.headers.get(EVENT_ID) in first]
    totals.duplicated += len(arrivals) - len(first)
    sequence = [told.sequence for told in first.values()]
    what = f"recording {one.id} of {one.least:.3f} to {one.most:.3f} s"
    if sequence != list(range(1, len(sequence) + 1)):
        totals.problems.append(f"{what}: told in the order {sequence}")
    endings = _endings(chaos, one)
    if len(endings) != 1:
        totals.problems.append(f"{what}: {len(endings)} terminal events: {[told.event for told in first.values()]}")
        return
    ending = endings[0]
    ended = time.time() - (time.monotonic() - one.most_end)
    totals.late += ending.at.timestamp() - ended > LATE_SECONDS
    if ending.event == "MPCRecordingFailed":
        totals.failed += 1
        reason = ending.parameters.get("FailureReason", "")
        if one.least > ALLOWED_LOSS:
            totals.problems.append(f"{what}: failed: {reason}")
        return
    await _judge_file(chaos, one, ending.parameters, what, totals)


async def _judge_file(chaos: Chaos, one: Recorded, told: Any, what: str, totals: Totals) -> None:
    try:
        path = told["RecordingURL"].partition("/v1/")[2]  # the port was that of an earlier life
        content = await chaos.server.fetch(f"{chaos.server.address.api}/v1/{path}")
    except ServerFailed as error:
        totals.problems.append(f"{what}: {error}")
        return
    samples = sources.from_file(io.BytesIO(content))
    seconds = len(samples) / sources.RATE
    least = one.least
    if "disk full" in told.get("FailureReason", "") and one.disk_full:
        totals.cut_short += 1
        least = min(least, one.disk_full - one.answered - one.paused)
    totals.lost_ms = max(totals.lost_ms, 1000 * (least - seconds))
    if not least - ALLOWED_LOSS <= seconds <= one.most + SLACK:
        totals.problems.append(f"{what}: {seconds:.3f} s were kept")
    if one.whole and seconds > 1.2 and ear.tones(samples[: sources.RATE], [*TONES, 1000]) != set(TONES):
        totals.problems.append(f"{what}: it does not hold what was said")
