"""The media engine and its spool writer under constant churn, tick by tick on the caller's thread: hours in minutes."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from mixminus.media.batch import PacketBatch, pack_address
from mixminus.media.codecs import g711
from mixminus.media.engine import Engine
from mixminus.media.fleet.ports import REST_NS, PortBook
from mixminus.media.protocol import (
    Address,
    CloseLeg,
    Command,
    GetStats,
    OpenLeg,
    StartTap,
    Stats,
    TapClosed,
    TapFailed,
)
from mixminus.media.state import FRAME, TICK_NS
from mixminus.media.taping.spool import SpoolWriter
from mixminus.media.taping.spooled import Tap
from mixminus.recording.spool import Spool
from mixminus.testing.churn import Churn
from mixminus.testing.tables import table_sizes

PORTS = tuple(range(20000, 20064, 2))
LOSS = 0.02
CHANGE_TICKS = 3
"""Ticks between two changes."""
SILENCE = bytes([0xFF]) * FRAME
_HEADER = Struct("!BBHII")


class _Sender:
    """The peer of one leg."""

    def __init__(self, opening: OpenLeg, ssrc: int, sequence: int) -> None:
        assert opening.remote is not None
        self.address, self.port = pack_address(opening.remote), PORTS.index(opening.port)
        self._type, self._ssrc, self.sequence = opening.payload_type, ssrc, sequence

    def packet(self, payload: bytes) -> bytes:
        sequence = self.sequence
        return _HEADER.pack(0x80, self._type, sequence & 0xFFFF, sequence * FRAME & 0xFFFFFFFF, self._ssrc) + payload


class VirtualSoak:
    """``peers`` who come and go, two in a hundred of their packets lost, half of the time talking."""

    def __init__(self, folder: Path, *, peers: int, seed: int = 1) -> None:
        self.folder = folder
        self.now_ns = 0
        self.ticks = 0
        self.failed: list[TapFailed] = []
        self._random = Random(seed)
        self._writer = SpoolWriter(Spool.open)
        self._engine = Engine(PORTS, capacity=16, seed=seed, open_tap=self._open_tap)
        self._book = PortBook(PORTS)
        remotes = [(f"127.0.{number // 250}.{number % 250 + 1}", 4000) for number in range(peers)]
        spool = folder.joinpath
        self.churn = Churn(self._random, self._reserve, lambda tap: str(spool(tap)), remotes, rooms=max(1, peers // 5))
        self._packets = PacketBatch(peers)
        self._senders: dict[str, _Sender] = {}
        self._sounds = [voice(number) for number in range(8)]

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            if self.ticks % CHANGE_TICKS == 0:
                self._obey(self.churn.step())
            self._tick()

    def empty(self) -> None:
        """Everybody leaves, and every address rests."""
        for command in self.churn.end():
            self._obey(command)
        for _ in range(REST_NS // TICK_NS + 10):
            self._tick()
        self._reserve("", "last", ("127.0.0.1", 9))
        self._book.release("last", self.now_ns - REST_NS)
        self._reserve("", "last", ("127.0.0.1", 9))
        self._book.release("last", self.now_ns - REST_NS)

    def stats(self) -> Stats:
        stats = self._engine.apply(GetStats(legs=True), self.now_ns)
        assert stats is not None
        return stats

    @property
    def backlog(self) -> int:
        """Bytes that wait for the disk."""
        return self._writer.backlog

    def sizes(self) -> dict[str, int]:
        """Entries of every table there is."""
        parts = {"engine": self._engine, "writer": self._writer, "book": self._book}
        return {f"{name}{path}": size for name, part in parts.items() for path, size in table_sizes(part).items()}

    def _open_tap(self, command: StartTap, now_ns: int) -> Tap:
        return self._writer.open_tap(command, now_ns)

    def _reserve(self, room: str, leg: str, remote: Address) -> int:
        return self._book.take(leg, remote=remote, latchable=False, now_ns=self.now_ns)

    def _obey(self, command: Command) -> None:
        self._engine.apply(command, self.now_ns)
        if isinstance(command, OpenLeg):
            self._senders[command.leg] = _Sender(
                command, self._random.randrange(1 << 32), self._random.randrange(65536)
            )
        elif isinstance(command, CloseLeg):
            del self._senders[command.leg]
            self._book.release(command.leg, self.now_ns)

    def _send(self) -> None:
        self._packets.count = 0
        for number, sender in enumerate(self._senders.values()):
            sender.sequence += 1
            if self._random.random() >= LOSS:
                talks = (self.ticks // 100 + number) % 2
                sound = self._sounds[number % len(self._sounds)][sender.sequence % 50] if talks else SILENCE
                self._packets.append(sender.packet(sound), sender.address, sender.port)

    def _tick(self) -> None:
        self._send()
        self.now_ns += TICK_NS
        self.ticks += 1
        self._engine.tick(self.now_ns, self._packets)
        self._engine.reports()
        self._writer.pump()
        for event in [*self._engine.events(), *self._writer.events()]:
            self.churn.observed(event)
            if isinstance(event, TapFailed):
                self.failed.append(event)
            if isinstance(event, TapClosed):
                shutil.rmtree(self.folder / event.tap)


def voice(seed: int) -> list[bytes]:
    """A second of noise as loud as a talker, 50 frames of µ-law."""
    samples: NDArray[np.float64] = np.random.default_rng(seed).normal(0, 3000, (50, FRAME)).clip(-32768, 32767)
    codes = g711.ENCODE[g711.PCMU][samples.astype(np.int16).view(np.uint16)]
    return [codes[frame].tobytes() for frame in range(50)]
