"""One tap on its way to a spool: what the engine hands over is queued for the thread that writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixminus.media.protocol import StartTap
from mixminus.media.taping.tracks import Note, Track, plain

RATE = 8000
"""Hz of a tap whose command names no other."""
GAP_NS = 100_000_000
"""Time between two writes not covered by samples from which it is a gap: only skipped ticks make one."""

Operation: TypeAlias = Literal["open", "beside", "append", "gap", "pause", "resume", "close", "leave", "renew"]


class Beside(NamedTuple):
    """What goes with the samples that follow: tracks, int16 little-endian, and notes."""

    tracks: list[tuple[str, bytes]]
    notes: list[list[Any]]

    def __len__(self) -> int:
        return sum(len(pcm) for _, pcm in self.tracks)


class Begin(NamedTuple):
    """How a segment begins."""

    rate: int
    """Hz."""
    paused: bool


Value: TypeAlias = bytes | int | Beside | Begin


class SpoolFile(Protocol):
    """The writing end of one recording's journal. Every method may raise StorageError."""

    @property
    def trouble(self) -> str:
        """Why it will soon not be able to go on, though it still can; empty: nothing is wrong."""
        ...

    def append(self, pcm: bytes | memoryview, now_ns: int = 0) -> None: ...
    def beside(self, tracks: Sequence[tuple[str, bytes]], notes: Sequence[Sequence[Any]], now_ns: int) -> None: ...
    def gap(self, samples: int, now_ns: int) -> None: ...
    def pause(self, now_ns: int) -> None: ...
    def resume(self, now_ns: int) -> None: ...
    def sync(self) -> None: ...
    def end(self, now_ns: int) -> None: ...
    def leave(self) -> None: ...
    def close(self, now_ns: int) -> int: ...


class OpenSpool(Protocol):
    """Begins the next segment of the recording in ``folder``."""

    def __call__(self, folder: Path, *, rate: int, now_ns: int, paused: bool) -> SpoolFile: ...


class Tap:
    """The sink of one tap: what the engine writes to. All methods return at once and never raise."""

    def __init__(self, command: StartTap, now_ns: int, enqueue: Callable[[Tap, Operation, Value, int], bool]):
        self.name = command.tap
        self.folder = Path(command.spool)
        self.rate = command.rate or RATE
        self.paused = command.paused
        self.closing = False
        self.elsewhere = False
        """When it is closed the recording is not over: another worker goes on with it."""
        self.failed = False
        """Set by whichever side finds out first; nothing but its closing is queued after it."""
        self.broken = False
        """The writer thread's: nothing can be written any more."""
        self.told = False
        """That it has failed, ahead of time: it is written to until it is closed."""
        self.file: SpoolFile | None = None
        self.samples = 0
        """Written to the file so far; the writer thread's."""
        self.covered_ns = now_ns
        """Up to when the samples handed over reach."""
        self.left_out = 0
        """Samples, up to the next that are handed over, that were never mixed or found no room."""
        self._enqueue = enqueue
        enqueue(self, "open", Begin(self.rate, command.paused), now_ns)

    def write(self, pcm: NDArray[np.int16], now_ns: int) -> None:
        """``pcm``: (S,) int16, copied. ``now_ns``: the tick that mixed its last sample."""
        missing_ns = now_ns - self.covered_ns - len(pcm) * 1_000_000_000 // self.rate
        if missing_ns > GAP_NS:
            self.left_out += missing_ns * self.rate // 1_000_000_000
        self.covered_ns = now_ns
        if not self._enqueue(self, "append", pcm.astype("<i2", copy=False).tobytes(), now_ns):
            self.left_out += len(pcm)

    def beside(self, tracks: Sequence[Track], notes: Sequence[Note]) -> None:
        copies = [(name, pcm.astype("<i2", copy=False).tobytes()) for name, pcm in tracks]
        self._enqueue(self, "beside", Beside(copies, plain(notes)), self.covered_ns)

    def pause(self, now_ns: int) -> None:
        self.paused = True
        self._enqueue(self, "pause", 0, now_ns)

    def resume(self, now_ns: int) -> None:
        self.paused = False
        self.covered_ns = now_ns
        self._enqueue(self, "resume", 0, now_ns)

    def change_rate(self, rate: int, now_ns: int) -> None:
        self.rate = rate
        self._enqueue(self, "renew", Begin(rate, self.paused), now_ns)

    def close(self, now_ns: int) -> None:
        self.closing = True
        self._enqueue(self, "leave" if self.elsewhere else "close", 0, now_ns)
