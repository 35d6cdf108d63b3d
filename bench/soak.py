"""Constant churn for long: does anything grow? ``python -m bench soak [--virtual-minutes 60] [--minutes 5]``

First an hour of virtual time: engine, spool writer and journals in this process, a change every 60 ms (joins, leaves,
moves, mutes, recordings, sounds, keys). Then some minutes of real time: the media client and two real worker processes,
with legs moving between them. What is printed over time is memory, open files, threads and rows; it fails when memory
grows by more than the bound after the first fifth, or when anything is left once everybody has gone.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from bench.media import resident
from rich.console import Console

from mixminus.media.fleet.client import MediaClient
from mixminus.media.protocol import Address, CloseLeg, Event, OpenLeg, TapClosed, TapFailed
from mixminus.media.state import FRAME
from mixminus.rtp.packet import RtpHeader
from mixminus.testing.churn import Churn
from mixminus.testing.soak import VirtualSoak, voice
from mixminus.testing.tables import grown, table_sizes

BOUND = 4 << 20
"""Bytes by which a process may grow after the first fifth of the time: pools still find their size."""
PEERS = 60
TICKS_PER_MINUTE = 3000
LOOKS = 20
POOLS = ("._free", ".names")
WORKERS = 2
PORT_RANGE = (30000, 31999)
CHANGE_SECONDS = 0.05
RESTED_SECONDS = 6.0


class Look(NamedTuple):
    """One process at one moment."""

    memory: int
    files: int
    threads: int

    @classmethod
    def at(cls, pid: int | str) -> Look:
        process = Path(f"/proc/{pid}")
        return cls(resident(pid), len(list((process / "fd").iterdir())), len(list((process / "task").iterdir())))

    def __str__(self) -> str:
        return f"{self.memory / 1048576:.1f} MiB, {self.files} files, {self.threads} threads"


class Failed(SystemExit):
    """Something grew, or was left."""


def check(name: str, looks: Sequence[Look]) -> None:
    """Compare the end with the first fifth."""
    settled = max(look.memory for look in looks[: max(1, len(looks) // 5)])
    growth = looks[-1].memory - settled
    Console(width=140).print(
        f"{name}: {growth / 1024:+.0f} KiB from the first fifth to the end; allowed {BOUND // 1024} KiB"
    )
    if growth > BOUND:
        raise Failed(f"{name} grew by {growth} bytes")


def virtual(minutes: float, folder: Path) -> None:
    console, soak = Console(width=140), VirtualSoak(folder, peers=PEERS)
    looks = []
    soak.run(TICKS_PER_MINUTE)
    soak.empty()
    first = soak.sizes()
    for part in range(LOOKS):
        soak.run(round(minutes * TICKS_PER_MINUTE / LOOKS))
        looks.append(Look.at("self"))
        stats = soak.stats()
        console.print(
            f"virtual {(part + 1) * minutes / LOOKS:5.1f} min: {looks[-1]}; {soak.churn.asked} changes; "
            f"{stats.legs} legs, {stats.rooms} rooms, {stats.taps} taps"
        )
    soak.empty()
    left = {path: change for path, change in grown(first, soak.sizes()).items() if not path.endswith(POOLS)}
    if left or soak.failed or any(folder.iterdir()):
        raise Failed(f"left behind: {left}; recordings failed: {soak.failed}; spools: {list(folder.iterdir())}")
    check("virtual time", looks)


class Phones:
    """Peers that talk to wherever their leg is, 50 times a second."""

    def __init__(self, count: int) -> None:
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        self._servers: dict[Address, tuple[OpenLeg, int]] = {}
        for sock in self._sockets:
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        self.addresses: list[Address] = [sock.getsockname() for sock in self._sockets]
        self._sound = voice(1)

    def opened(self, leg: OpenLeg) -> None:
        if leg.remote is not None:
            self._servers[leg.remote] = leg, hash(leg.leg) & 0xFFFFFFFF

    def closed(self, leg: str) -> None:
        self._servers = {address: of for address, of in self._servers.items() if of[0].leg != leg}

    async def talk(self) -> None:
        loop, sent = asyncio.get_running_loop(), 0
        begin = loop.time()
        while True:
            for sock, address in zip(self._sockets, self.addresses, strict=True):
                self._one(sock, address, sent)
            sent += 1
            await asyncio.sleep(max(0.0, begin + 0.02 * sent - loop.time()))

    def _one(self, sock: socket.socket, address: Address, sent: int) -> None:
        if address in self._servers:
            leg, ssrc = self._servers[address]
            header = RtpHeader(leg.payload_type, sent & 0xFFFF, sent * FRAME & 0xFFFFFFFF, ssrc)
            sock.sendto(header.pack() + self._sound[sent % 50], ("127.0.0.1", leg.port))
        for _ in range(4):
            try:
                sock.recv(2000)
            except BlockingIOError:
                return

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()


class Real:
    """The churn on real workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = MediaClient(host="127.0.0.1", ports=PORT_RANGE, pool=32, workers=WORKERS, on_event=self._event)
        self.phones = Phones(PEERS)
        self.churn = Churn(
            Random(1), self._reserve, lambda tap: str(folder / tap), self.phones.addresses, rooms=PEERS // 5
        )
        self.failed: list[Event] = []

    def _reserve(self, room: str, leg: str, remote: Address) -> int:
        return self.client.reserve(room, leg, remote=remote, latchable=False)[1]

    def _event(self, event: Event) -> None:
        self.churn.observed(event)
        if isinstance(event, TapFailed):
            self.failed.append(event)
        if isinstance(event, TapClosed):
            shutil.rmtree(self.folder / event.tap)

    def spools(self) -> list[str]:
        """Those that are not closed."""
        return sorted(path.name for path in self.folder.iterdir())

    async def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            command = self.churn.step()
            await self.client.send(command)
            if isinstance(command, OpenLeg):
                self.phones.opened(command)
            elif isinstance(command, CloseLeg):
                self.phones.closed(command.leg)
            await asyncio.sleep(CHANGE_SECONDS)

    async def empty(self) -> dict[str, int]:
        """Everybody leaves; sizes of the client's tables once every address has rested."""
        for command in self.churn.end():
            await self.client.send(command)
            if isinstance(command, CloseLeg):
                self.phones.closed(command.leg)
        await asyncio.sleep(RESTED_SECONDS)
        for handle in self.client._handles:
            handle.book._forget_rested(time.monotonic_ns())
        return table_sizes(self.client)


async def real(minutes: float, folder: Path) -> None:
    console, soak = Console(width=140), Real(folder)
    await soak.client.start()
    talking = asyncio.create_task(soak.phones.talk())
    try:
        pids: list[int | str] = ["self", *(pid for pid in soak.client.pids() if pid is not None)]
        await soak.run(min(5.0, 12 * minutes))
        first = await soak.empty()
        looks: list[list[Look]] = [[] for _ in pids]
        for part in range(LOOKS):
            await soak.run(60 * minutes / LOOKS)
            for pid, seen in zip(pids, looks, strict=True):
                seen.append(Look.at(pid))
            told = "; ".join(
                f"{name}: {seen[-1]}" for name, seen in zip(("control", "worker 0", "worker 1"), looks, strict=True)
            )
            console.print(f"real {(part + 1) * minutes / LOOKS:5.2f} min: {told}; {soak.churn.asked} changes")
        left = grown(first, await soak.empty())
        left.pop(".counters.events", None)  # by kind: a kind that was not told before the first look
        stats = [part for part in await soak.client.fresh_stats() if part is not None]
        rows = sum(part.legs + part.rooms + part.taps + part.spool_backlog_bytes for part in stats)
        if left or rows or soak.failed or soak.spools():
            raise Failed(f"left behind: {left}, {rows} rows, spools {soak.spools()}; failed: {soak.failed}")
        for name, seen in zip(("control", "worker 0", "worker 1"), looks, strict=True):
            check(name, seen)
        console.print(f"{soak.client.counters.crossings} legs went from one worker to the other")
    finally:
        talking.cancel()
        await soak.client.stop()
        soak.phones.close()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench soak", description=__doc__)
    parser.add_argument("--virtual-minutes", type=float, default=60.0, help="0: not at all")
    parser.add_argument("--minutes", type=float, default=5.0, help="of real time; 0: not at all")
    options = parser.parse_args(arguments)
    if options.virtual_minutes:
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(dir=memory if memory.exists() else None) as name:
            virtual(options.virtual_minutes, Path(name))
    if options.minutes:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
            asyncio.run(real(options.minutes, Path(name)))


if __name__ == "__main__":
    main()
