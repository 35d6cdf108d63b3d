"""What a participant costs: CPU of the real worker process per participant and 20 ms tick, against two floors.

``python -m bench media [--participants 400] [--seconds 20]``: rooms of four, everyone talking, PCMU 20 ms, every room
recorded to disk. The same load is then put on a bare receive-and-send loop in Python and, if there is a C compiler,
in C. The delay is from the moment a peer sends a marked frame to the moment another peer receives it.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from bench.load import TONES, Plan, Result, peer_address
from rich.console import Console
from rich.table import Table

from mixminus.media.fleet.client import MediaClient
from mixminus.media.fleet.ports import open_pools
from mixminus.media.protocol import Command, Event, OpenLeg, StartTap, Stats, StopTap, TapClosed, TapFailed
from mixminus.settings import Settings

PORT_RANGE = (30000, 31999)
SEATS = 4
MARKING_PAIRS = 8
WARM_UP = 3.0
SAMPLED = 16
AT_ONCE = 50
TICKS_PER_SECOND = 50
AUDIBLE = -45.0
"""dBFS; a neighbour comes in at about -23, one's own tone must stay far below."""


class Measured(NamedTuple):
    name: str
    microseconds: float
    """CPU per participant and tick, user and system."""
    result: Result
    stats: Stats | None = None
    recorded: int = 0
    """Samples that reached the disk."""
    memory: tuple[int, int, int] = (0, 0, 0)
    """Resident bytes of the workers: empty, with every leg open and silent, under load and recording."""
    ports: int = 0
    """UDP ports that were in use."""


class Lateness:
    """How late ticks began: the worst of the windows that a worker looks back on, over a run of any length."""

    EVERY = 60.0

    def __init__(self, client: MediaClient) -> None:
        self._client = client
        self._task = asyncio.create_task(self._watch())
        self.windows: list[tuple[float, float, float]] = []

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.EVERY)
            await self.look()

    async def look(self) -> None:
        self.windows += [part.lateness_us for part in await self._client.fresh_stats() if part is not None]

    async def worst(self) -> tuple[float, float, float]:
        self._task.cancel()
        await self.look()
        p50, p99, most = zip(*self.windows, strict=True)
        return max(p50), max(p99), max(most)


class Generator:
    """The load generator process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "bench.load"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin and self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout
        self.port = int(self._out.readline())

    def start(self, plan: Plan) -> None:
        self._in.write(msgspec.json.encode(plan).decode() + "\n")
        self._in.flush()

    def result(self) -> Result:
        line = self._out.readline()
        self._in.close()
        self._out.close()
        if self._process.wait() != 0:
            raise SystemExit("the load generator failed; see above")
        return msgspec.json.decode(line, type=Result)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads, from the scheduler's nanoseconds where Linux tells them."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def resident(pid: int | str) -> int:
    """Bytes of memory that a process has of its own, without what it shares with others' files."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(pages[1]) - int(pages[2])) * 4096


def together(parts: Sequence[Stats | None]) -> Stats:
    """Counters of all workers added up; of load and depth the most."""
    found = [msgspec.structs.asdict(part) for part in parts if part is not None]
    kinds = (int, tuple)
    total = {
        name: sum((each[name] for each in found), type(found[0][name])())
        for name in found[0]
        if isinstance(found[0][name], kinds)
    }
    return Stats(**{**found[0], **total, "load": max(each["load"] for each in found)})


async def drive(generator: Generator, plan: Plan, *pids: int) -> tuple[Result, float]:
    """Run the load; returns its result and the CPU seconds per second of ``pids`` between warm-up and end."""
    generator.start(plan)
    await asyncio.sleep(WARM_UP)
    began, before = time.monotonic(), sum(map(cpu_seconds, pids))
    await asyncio.sleep(max(0.5, plan.seconds - WARM_UP - 0.5))
    used, elapsed = sum(map(cpu_seconds, pids)) - before, time.monotonic() - began
    return await asyncio.to_thread(generator.result), used / elapsed


class Taps:
    """Waits until every tap has told its end."""

    def __init__(self, count: int) -> None:
        self.samples = 0
        self.failures: list[str] = []
        self._left = count
        self.done = asyncio.Event()

    def event(self, event: Event) -> None:
        if isinstance(event, TapClosed | TapFailed):
            self.samples += event.samples
            self._left -= 1
            if isinstance(event, TapFailed):
                self.failures.append(event.reason)
            if not self._left:
                self.done.set()


async def send_all(client: MediaClient, commands: Sequence[Command]) -> None:
    """In order, as many in one tick as a busy control process would have under way."""
    for first in range(0, len(commands), AT_ONCE):
        await asyncio.gather(*map(client.send, commands[first : first + AT_ONCE]))


async def measure_worker(participants: int, seconds: float, folder: Path, pool: int, workers: int) -> Measured:
    """The real thing: client, worker processes, spools on disk."""
    rooms = participants // SEATS
    peers = participants + 2 * MARKING_PAIRS
    taps = Taps(rooms)
    client = MediaClient(host="127.0.0.1", ports=PORT_RANGE, pool=pool, workers=workers, on_event=taps.event)
    await client.start()
    try:
        generator = Generator()
        pids = [pid for pid in client.pids() if pid is not None]
        empty = sum(map(resident, pids))
        opening = []
        for peer in range(peers):
            pair = peer - participants
            room = f"room-{peer % rooms}" if pair < 0 else f"pair-{pair // 2}"
            remote = (peer_address(peer), generator.port)
            _, port = client.reserve(room, str(peer), remote=remote, latchable=False)
            opening.append(OpenLeg(leg=str(peer), room=room, port=port, remote=remote, talk=1, hear=1))
        await send_all(client, opening)
        idle = sum(map(resident, pids))
        ports = [leg.port for leg in opening]
        spools = [(f"tap-{number}", f"room-{number}") for number in range(rooms)]
        await send_all(client, [StartTap(tap=tap, room=room, hear=1, spool=str(folder / tap)) for tap, room in spools])
        sampled = list(range(0, participants, max(1, participants // SAMPLED)))
        plan = Plan(ports=ports, rooms=rooms, seconds=seconds, marks=2 * MARKING_PAIRS, samples=sampled)
        lateness = Lateness(client)
        result, load = await drive(generator, plan, *pids)
        stats = together(await client.fresh_stats(legs=True))
        memory = empty, idle, sum(map(resident, pids))
        stats = msgspec.structs.replace(stats, lateness_us=await lateness.worst())
        await send_all(client, [StopTap(tap=tap) for tap, _ in spools])
        await asyncio.wait_for(taps.done.wait(), 60)
    finally:
        await client.stop()
    if taps.failures:
        raise SystemExit(f"{len(taps.failures)} taps failed: {taps.failures[0]}")
    cost = load * 1e6 / TICKS_PER_SECOND / peers
    return Measured("mixminus", cost, result, stats, taps.samples, memory, len(set(ports)))


async def measure_floor(name: str, command: Sequence[str], participants: int, seconds: float, pool: int) -> Measured:
    """The same load on a program that only moves packets."""
    peers = participants + 2 * MARKING_PAIRS
    ((*sockets,),) = open_pools("127.0.0.1", PORT_RANGE, workers=1, size=pool)
    generator = Generator()
    fds = [sock.fileno() for sock in sockets]
    process = await asyncio.to_thread(subprocess.Popen, [*command, *map(str, fds)], pass_fds=fds)
    try:
        ports = [sockets[peer % pool].getsockname()[1] for peer in range(peers)]
        plan = Plan(ports=ports, rooms=participants // SEATS, seconds=seconds)
        result, load = await drive(generator, plan, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        for sock in sockets:
            sock.close()
    return Measured(name, load * 1e6 / TICKS_PER_SECOND / peers, result)


async def compile_c(compiler: str, source: Path, program: Path) -> None:
    process = await asyncio.create_subprocess_exec(compiler, "-O2", "-o", program, source)
    if await process.wait() != 0:
        raise SystemExit(f"{source} could not be compiled; see above")


def wrong_hearing(result: Result, rooms: int) -> list[str]:
    """What sampled peers heard that they should not have, or did not hear."""
    problems = []
    for peer, levels in result.spectra.items():
        own = peer // rooms
        for tone, level in enumerate(levels):
            if (tone != own) != (level > AUDIBLE):
                problems.append(f"peer {peer} in seat {own} hears {TONES[tone]:.0f} Hz at {level:.0f} dBFS")
    return problems


def figures(measured: Measured) -> list[str]:
    """Table cells of one row, from the name on."""
    result = measured.result
    delays = result.delays_ms
    delay = f"{np.percentile(delays, 50):.0f} / {np.percentile(delays, 99):.0f}" if delays else "–"
    stats = measured.stats
    lateness = " / ".join(f"{value / 1000:.2f}" for value in stats.lateness_us) if stats else "–"
    expected = result.received + result.lost
    loss = f"{100 * result.lost / expected:.3f} %" if expected else "all"
    if result.silent_peers:
        loss += f", {result.silent_peers} peers heard nothing"
    return [measured.name, f"{measured.microseconds:.2f}", lateness, loss, delay]


def show(rows: list[Measured], participants: int, seconds: float) -> None:
    console = Console()
    table = Table(title=f"{participants} participants in rooms of {SEATS}, all talking, recorded; {seconds:.0f} s")
    for heading in (
        "",
        "µs CPU per participant and tick",
        "ratio",
        "tick late ms p50/p99/max",
        "loss",
        "delay ms p50/p99",
    ):
        table.add_column(heading, justify="right" if heading else "left")
    own = rows[0].microseconds
    for row in rows:
        name, cost, *rest = figures(row)
        table.add_row(name, cost, f"{own / row.microseconds:.2f} ×" if row is not rows[0] else "", *rest)
    console.print(table)
    generator = rows[0].result.cpu_seconds / seconds
    console.print(
        f"load generator: {generator:.0%} of a core, {generator * 1e6 / TICKS_PER_SECOND / participants:.1f} µs per "
        "peer and tick"
    )
    stats = rows[0].stats
    if stats is not None:
        legs = stats.leg_stats
        empty, idle, busy = (size / 1024 for size in rows[0].memory)
        console.print(
            f"worker's memory: {empty / 1024:.0f} MiB, {(idle - empty) / participants:.1f} KiB more for each idle "
            f"participant, {(busy - empty) / participants:.1f} KiB for each that talks and is recorded"
        )
        console.print(
            f"worker: load {stats.load:.1%}, {stats.ticks} ticks, {stats.late_ticks} late, "
            f"{stats.skipped_ticks} skipped; "
            f"received {stats.received_datagrams}, sent {stats.sent_datagrams}, refused {stats.send_errors}, "
            f"strangers {stats.stranger_packets}, malformed {stats.malformed_packets}; "
            f"frames lost {sum(leg.lost for leg in legs)}, concealed {sum(leg.concealed for leg in legs)}; "
            f"recorded {rows[0].recorded / 8000:.0f} s"
        )


async def run(participants: int, seconds: float, pool: int, workers: int, floors: bool) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        rows = [await measure_worker(participants, seconds, folder / "spool", pool, workers)]
        used = rows[0].ports
        if floors:
            python = [sys.executable, "-m", "bench.floor"]
            rows.append(await measure_floor("floor, Python", python, participants, seconds, used))
        if floors and (compiler := shutil.which("cc") or shutil.which("gcc")):
            source, program = Path(__file__).with_name("floor.c"), folder / "floor"
            await compile_c(compiler, source, program)
            rows.append(await measure_floor("floor, C", [str(program)], participants, seconds, used))
    show(rows, participants, seconds)
    problems = wrong_hearing(rows[0].result, participants // SEATS)
    Console().print("hearing: " + ("; ".join(problems) if problems else f"right at {SAMPLED} sampled peers"))
    if problems:
        raise SystemExit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.media", description=__doc__)
    parser.add_argument("--participants", type=int, default=400, help="a multiple of 4")
    parser.add_argument("--seconds", type=float, default=20.0, help="of load, each")
    parser.add_argument("--pool", type=int, default=Settings().rtp_pool, help="UDP ports")
    parser.add_argument("--workers", type=int, default=1, help="media worker processes; the floors are one each")
    parser.add_argument("--no-floors", action="store_true", help="measure the worker alone")
    options = parser.parse_args(arguments)
    asyncio.run(run(options.participants, options.seconds, options.pool, options.workers, not options.no_floors))


if __name__ == "__main__":
    main()
