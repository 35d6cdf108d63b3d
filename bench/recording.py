"""How long a recording takes: from stop to the verified file, and how fast the finisher works.

``python -m bench.recording [--hours 8]``: writes a spool of that length in one go, lets a real finisher process follow
it, then adds a last second, closes it and measures until the file is in its place. Then again, but the finisher is
killed as the recording is stopped. All of it in the clear and sealed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import resource
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from mixminus.recording.client import COMMAND, Finisher
from mixminus.recording.finish import FinishedFile
from mixminus.recording.recover import recover_folder
from mixminus.recording.rendering import Format
from mixminus.recording.sealing import new_cipher
from mixminus.recording.spool import NewCipher, Spool

RATE = 8000
BLOCK = RATE // 2


class Result(NamedTuple):
    format: Format
    follow_cpu: float
    latency: float
    cpu: float
    """Seconds that the finisher worked, of the latency."""
    latency_killed: float
    file: FinishedFile


def talk(seconds: int) -> bytes:
    """Something like speech: noise and a tone under a syllable's envelope, with pauses."""
    rng = np.random.default_rng(7)
    t = np.arange(seconds * RATE) / RATE
    envelope = np.maximum(0, np.sin(2 * np.pi * 2.7 * t)) * (np.sin(2 * np.pi * 0.11 * t) > -0.5)
    voice = 6000 * np.sin(2 * np.pi * 180 * t + 3 * np.sin(2 * np.pi * 0.7 * t)) + rng.normal(0, 1500, len(t))
    pcm: bytes = (voice * envelope + rng.normal(0, 20, len(t))).astype("<i2").tobytes()
    return pcm


def write_spool(folder: Path, seconds: int, seal: NewCipher | None = None) -> Spool:
    """An open spool of so many seconds."""
    minute = memoryview(talk(60))
    spool = Spool.open(folder, rate=RATE, now_ns=0, seal=seal)
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


async def measure(folder: Path, format: Format, seconds: int, *, sealed: bool) -> Result:
    key, words = secrets.token_bytes(32), tuple[str, ...]()
    if sealed:
        (folder / "key").write_text(key.hex())
        words = ("--seal-key-file", str(folder / "key"))
    finisher = Finisher(command=(*COMMAND, *words))
    await finisher.start()
    spool = write_spool(folder / "spool", seconds - 1, partial(new_cipher, key) if sealed else None)
    finisher.follow("followed", folder / "spool", format, folder / f"followed.{format}")
    (pid,) = finisher.pids
    await caught_up(pid)
    cpu = cpu_seconds(pid)
    spool.append(talk(1))
    began = time.perf_counter()
    spool.close(0)
    file = await finisher.finish("followed")
    latency, worked = time.perf_counter() - began, cpu_seconds(pid) - cpu
    finisher.follow("killed", folder / "spool", format, folder / f"killed.{format}")
    began = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    anew = await finisher.finish("killed")
    killed = time.perf_counter() - began
    assert anew.sha256 == file.sha256 and file.samples == seconds * RATE, "both ways make the same file"
    await finisher.discard("followed", folder / "spool")
    await finisher.stop()
    return Result(format, cpu, latency, worked, killed, file)


async def run(hours: float) -> None:
    seconds = round(hours * 3600)
    table = Table(title=f"A recording of {hours:g} h, {RATE} Hz mono, one finisher process")
    headings = ("stop → verified file", "of it CPU", "kill → verified file", "follow CPU", "× real time", "MB/h")
    for heading in ("format", *headings):
        table.add_column(heading, justify="right")
    formats: tuple[Format, ...] = ("mp3", "wav")
    for format, sealed in itertools.product(formats, (False, True)):
        with tempfile.TemporaryDirectory(prefix="mixminus-bench-") as name:
            result = await measure(Path(name), format, seconds, sealed=sealed)
        table.add_row(
            f"{result.format}, sealed" if sealed else result.format,
            f"{result.latency * 1000:,.0f} ms",
            f"{result.cpu * 1000:,.0f} ms",
            f"{result.latency_killed:.1f} s",
            f"{result.follow_cpu:.1f} s",
            f"{seconds / result.follow_cpu:,.0f}",
            f"{result.file.size / hours / 1e6:.1f}",
        )
    Console().print(table)


YARDSTICKS = {
    ("lame", "mp3"): ("lame", "--silent", "-b", "32", "{wav}", "{out}"),
    ("sox", "mp3"): ("sox", "{wav}", "-C", "32", "{out}"),
    ("ffmpeg", "mp3"): ("ffmpeg", "-loglevel", "error", "-y", "-i", "{wav}", "-b:a", "32k", "{out}"),
    ("sox", "wav"): ("sox", "{wav}", "{out}"),
    ("ffmpeg", "wav"): ("ffmpeg", "-loglevel", "error", "-y", "-i", "{wav}", "{out}"),
    ("sox", "flac"): ("sox", "{wav}", "{out}"),
    ("ffmpeg", "flac"): ("ffmpeg", "-loglevel", "error", "-y", "-i", "{wav}", "{out}"),
    ("ffmpeg", "opus"): ("ffmpeg", "-loglevel", "error", "-y", "-i", "{wav}", "{out}"),
}
"""What else makes such files, where it is installed: command by (program, format). None of them reads back."""


def yardsticks(minutes: int) -> None:
    """The same input for everybody: CPU seconds to encode it, and what comes out; ours includes reading it back."""
    table = Table(title=f"Encoding {minutes} min of the same talk, {RATE} Hz mono, one core")
    for heading in ("program", "format", "CPU", "× real time", "MB/h"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory(prefix="mixminus-bench-") as name:
        folder = Path(name)
        write_spool(folder / "spool", 60 * minutes).close(0)
        for format in get_args(Format):
            before = time.process_time()
            made = recover_folder(folder / "spool", format, folder / f"ours.{format}")
            _row(table, "mixminus, verified", format, time.process_time() - before, made.size, minutes)
        for (program, format), words in YARDSTICKS.items():
            if shutil.which(program) is None:
                continue
            out = folder / f"{program}.{format}"
            before = _children()
            filled = [word.format(wav=folder / "ours.wav", out=out) for word in words]
            if subprocess.run(filled, capture_output=True, check=False).returncode == 0:
                _row(table, program, format, _children() - before, out.stat().st_size, minutes)
    Console().print(table)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _row(table: Table, program: str, format: str, cpu: float, size: int, minutes: int) -> None:
    table.add_row(program, format, f"{cpu:.2f} s", f"{60 * minutes / cpu:,.0f}", f"{size * 60 / minutes / 1e6:.1f}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.recording", description=__doc__)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument(
        "--minutes", type=int, default=30, help="Length for the comparison with other programs; 0: none."
    )
    options = parser.parse_args(arguments)
    if options.minutes:
        yardsticks(options.minutes)
    asyncio.run(run(options.hours))


if __name__ == "__main__":
    main()
