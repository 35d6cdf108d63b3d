"""Many recordings at once: is a tick late, and how long until the last is verified when all stop together?

``python -m bench parallel [--recordings 500] [--seconds 20]``: an engine with as many rooms of two talkers, each
recorded by the worker's own spool thread to a real disk, ticked in real time; finisher processes follow all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench.recording import cpu_seconds
from rich.console import Console
from rich.table import Table

from mixminus.media import protocol
from mixminus.media.batch import PacketBatch, pack_address
from mixminus.media.engine import Engine
from mixminus.media.loop import LATE_NS, prefer_this_thread
from mixminus.media.state import TICK_NS
from mixminus.media.taping.spool import SpoolWriter
from mixminus.recording.client import Finisher
from mixminus.recording.spool import Spool, sync_together

HEADER = np.dtype([("first", "u1"), ("second", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")])


def build(rooms: int, writer: SpoolWriter, folder: Path) -> tuple[Engine, PacketBatch]:
    legs = 2 * rooms
    engine = Engine([20000], capacity=2 * legs, seed=1, open_tap=writer.open_tap)
    batch = PacketBatch(legs)
    batch.count = legs
    fields = batch.data[:, :12].copy().view(HEADER)[:, 0]
    fields["first"], fields["ssrc"] = 0x80, np.arange(legs)
    batch.data[:, :12] = fields.view(np.uint8).reshape(-1, 12)
    batch.length[:] = 172
    batch.data[:, 12:172] = np.random.default_rng(1).integers(0, 256, (legs, 160))
    for leg in range(legs):
        remote = (f"127.0.{leg // 200}.1", 10000 + leg % 200)
        batch.address[leg] = pack_address(remote)
        engine.apply(protocol.OpenLeg(f"leg {leg}", f"room {leg // 2}", 20000, remote, talk=3, hear=1), 0)
    for room in range(rooms):
        engine.apply(protocol.StartTap(f"tap {room}", f"room {room}", 2, str(folder / "spool" / str(room))), 0)
    return engine, batch


def advance(batch: PacketBatch) -> None:
    fields = batch.data[:, :12].copy().view(HEADER)[:, 0]
    fields["sequence"] += 1
    fields["timestamp"] += 160
    batch.data[:, :12] = fields.view(np.uint8).reshape(-1, 12)
    batch.count = len(batch.length)


def ticks(engine: Engine, batch: PacketBatch, count: int) -> tuple[int, int, float, float]:
    """Tick in real time; (ticks begun 5 ms late, a whole tick late, longest tick in ms, mean in ms)."""
    late, skipped, spent, begin = 0, 0, [], time.perf_counter_ns()
    for number in range(count):
        due = begin + number * TICK_NS
        now = time.perf_counter_ns()
        if now < due:
            time.sleep((due - now) / 1e9)
        started = time.perf_counter_ns()
        late += started - due > LATE_NS
        skipped += started - due > TICK_NS
        engine.tick(number * TICK_NS, batch)
        advance(batch)
        spent.append((time.perf_counter_ns() - started) / 1e6)
    return late, skipped, max(spent), sum(spent) / count


def cpu_of(finisher: Finisher) -> float:
    return sum(map(cpu_seconds, finisher.pids))


async def run(recordings: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="mixminus-bench-") as name:
        folder, finisher = Path(name), Finisher(processes=os.cpu_count() or 1)
        await finisher.start()
        writer = SpoolWriter(Spool.open, sync_together=sync_together)
        engine, batch = build(recordings, writer, folder)
        sys.setswitchinterval(0.0005)  # as the worker does
        prefer_this_thread()
        writer.start()
        for room in range(recordings):
            finisher.follow(str(room), folder / "spool" / str(room), "mp3", folder / f"{room}.mp3")
        late, skipped, longest, mean = await asyncio.to_thread(ticks, engine, batch, round(seconds * 50))
        began, spent = time.perf_counter(), cpu_of(finisher)
        for room in range(recordings):
            engine.apply(protocol.StopTap(f"tap {room}"), round(seconds * 1e9))
        writer.stop()
        made = await asyncio.gather(*(finisher.finish(str(room)) for room in range(recordings)))
        stopped, spent = time.perf_counter() - began, cpu_of(finisher) - spent
        await finisher.stop()
    assert {file.samples for file in made} == {round(seconds * 50) * 160}, "a recording is not as long as the call"
    table = Table(title=f"{recordings} recordings in parallel for {seconds:g} s, 2 talkers each")
    for heading in (
        "begun > 5 ms late",
        "> 20 ms late",
        "longest tick",
        "mean tick",
        "all stopped → last verified mp3",
        "finishers' CPU",
    ):
        table.add_column(heading, justify="right")
    table.add_row(f"{late}", f"{skipped}", f"{longest:.1f} ms", f"{mean:.1f} ms", f"{stopped:.2f} s", f"{spent:.2f} s")
    Console().print(table)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.parallel", description=__doc__)
    parser.add_argument("--recordings", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args(arguments)
    asyncio.run(run(options.recordings, options.seconds))


if __name__ == "__main__":
    main()
