"""How long a recording takes: from stop to the verified file, and how fast the finisher works.

``python -m bench.recording [--hours 8]``: writes a spool of that length in one go, lets a real finisher process follow
it, then adds a last second, closes it and measures until the file is in its place.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from mixminus.recording.client import Finisher
from mixminus.recording.finish import FinishedFile
from mixminus.recording.rendering import Format
from mixminus.recording.spool import Spool

RATE = 8000
BLOCK = RATE // 2


class Result(NamedTuple):
    format: Format
    follow_cpu: float
    latency: float
    latency_unfollowed: float
    file: FinishedFile


def talk(seconds: int) -> bytes:
    """Something like speech: noise and a tone under a syllable's envelope, with pauses."""
    rng = np.random.default_rng(7)
    t = np.arange(seconds * RATE) / RATE
    envelope = np.maximum(0, np.sin(2 * np.pi * 2.7 * t)) * (np.sin(2 * np.pi * 0.11 * t) > -0.5)
    voice = 6000 * np.sin(2 * np.pi * 180 * t + 3 * np.sin(2 * np.pi * 0.7 * t)) + rng.normal(0, 1500, len(t))
    pcm: bytes = (voice * envelope + rng.normal(0, 20, len(t))).astype("<i2").tobytes()
    return pcm


def write_spool(folder: Path, seconds: int) -> Spool:
    """An open spool of so many seconds."""
    minute = memoryview(talk(60))
    spool = Spool.open(folder, rate=RATE, now_ns=0)
    for second in range(seconds):
        at = 2 * RATE * (second % 60)
        spool.append(minute[at : at + 2 * BLOCK])
        spool.append(minute[at + 2 * BLOCK : at + 2 * RATE])
    spool.sync()
    return spool


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def caught_up(pid: int) -> None:
    """Until the process has been idle for two of its polls."""
    idle, before = 0, cpu_seconds(pid)
    while idle < 4:
        await asyncio.sleep(1)
        now = cpu_seconds(pid)
        idle = idle + 1 if now - before <= 0.02 else 0
        before = now


async def measure(folder: Path, format: Format, seconds: int) -> Result:
    finisher = Finisher()
    await finisher.start()
    spool = write_spool(folder / "spool", seconds - 1)
    finisher.follow("followed", folder / "spool", format, folder / f"followed.{format}")
    (pid,) = finisher.pids
    await caught_up(pid)
    cpu = cpu_seconds(pid)
    spool.append(talk(1))
    began = time.perf_counter()
    spool.close(0)
    file = await finisher.finish("followed")
    latency = time.perf_counter() - began
    finisher.follow("late", folder / "spool", format, folder / f"late.{format}")
    began = time.perf_counter()
    late = await finisher.finish("late")
    unfollowed = time.perf_counter() - began
    assert late.sha256 == file.sha256 and file.samples == seconds * RATE, "both ways make the same file"
    await finisher.discard("followed", folder / "spool")
    await finisher.stop()
    return Result(format, cpu, latency, unfollowed, file)


async def run(hours: float) -> None:
    seconds = round(hours * 3600)
    table = Table(title=f"A recording of {hours:g} h, {RATE} Hz mono, one finisher process")
    for heading in ("format", "stop → verified file", "after a crash (all anew)", "follow CPU", "× real time", "MB/h"):
        table.add_column(heading, justify="right")
    for format in ("mp3", "wav"):
        with tempfile.TemporaryDirectory(prefix="mixminus-bench-") as name:
            result = await measure(Path(name), format, seconds)
        table.add_row(
            result.format,
            f"{result.latency * 1000:,.0f} ms",
            f"{result.latency_unfollowed:.1f} s",
            f"{result.follow_cpu:.1f} s",
            f"{seconds / result.follow_cpu:,.0f}",
            f"{result.file.size / hours / 1e6:.1f}",
        )
    Console().print(table)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.recording", description=__doc__)
    parser.add_argument("--hours", type=float, default=8.0)
    asyncio.run(run(parser.parse_args(arguments).hours))


if __name__ == "__main__":
    main()
