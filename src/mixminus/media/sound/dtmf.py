"""Telephone events (RFC 4733): keys heard from a leg, keys sent to it. One state machine per leg that uses them."""

from __future__ import annotations

import struct
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media.jitter.ingest import MAX_WAVES, Arrivals
from mixminus.media.state import FRAME, RATE

KEYS: Final = "0123456789*#ABCD"
"""Key of each event code (RFC 4733 §3.2)."""
EVENT_BYTES: Final = 4
SILENCE_TICKS: Final = 6
"""120 ms without a packet end a press whose end packets were lost."""
TONE_TICKS: Final = 5
GAP_TICKS: Final = 5
END_PACKETS: Final = 3
"""The last packet is sent three times (§2.5.1.4)."""
VOLUME: Final = 10
"""-10 dBm0."""
WAITS: Final = {"w": 25, "W": 50}
"""Ticks of each kind of pause."""
MAX_QUEUED: Final = 256


class Press(NamedTuple):
    """One key press."""

    key: str
    duration_ms: int


@dataclass(slots=True)
class _Held:
    code: int
    timestamp: int
    duration: int
    before: int
    """Samples of earlier segments of a press too long for one (§2.5.1.3)."""
    tick: int


class KeyReader:
    """Event packets of one stream → presses, each told once: at its end packet, or when it must have ended."""

    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self._held: _Held | None = None
        self._told: int | None = None
        """Timestamp of the newest press told; anything up to it is a repetition."""

    @property
    def holding(self) -> bool:
        return self._held is not None

    def receive(self, timestamp: int, payload: bytes, tick: int) -> list[Press]:
        """One event packet, payload of at least 4 bytes. Codes beyond the 16 keys are ignored."""
        code, flags, duration = struct.unpack_from(">BBH", payload)
        if code >= len(KEYS) or not self._is_newer(timestamp):
            return []
        told = []
        held = self._held
        if held is None or held.timestamp != timestamp:
            before = 0
            if held is not None:
                follows = code == held.code and timestamp == (held.timestamp + held.duration) & 0xFFFFFFFF
                if follows:
                    before = held.before + held.duration
                else:
                    told.append(self._tell(held))
            held = self._held = _Held(code, timestamp, duration, before, tick)
        held.duration = max(held.duration, duration)
        held.tick = tick
        if flags & 0x80:
            told.append(self._tell(held))
        return told

    def expire(self, tick: int) -> list[Press]:
        """The press that ended without an end packet, if any."""
        if self._held is None or tick - self._held.tick < SILENCE_TICKS:
            return []
        return self.finish()

    def finish(self) -> list[Press]:
        """The stream ended: the press still held, if any."""
        return [] if self._held is None else [self._tell(self._held)]

    def _is_newer(self, timestamp: int) -> bool:
        newest = self._told
        if self._held is not None:
            newest = (self._held.timestamp - 1) & 0xFFFFFFFF
        return newest is None or 0 < (timestamp - newest) & 0xFFFFFFFF < 1 << 31

    def _tell(self, held: _Held) -> Press:
        self._held = None
        self._told = held.timestamp
        return Press(KEYS[held.code], (held.before + held.duration) * 1000 // RATE)


class EventPacket(NamedTuple):
    """What to send instead of audio in one tick."""

    payload: bytes
    age: int
    """Ticks since the event began: its timestamp is that much before the tick's."""
    marker: bool


@dataclass(slots=True)
class KeySender:
    """Keys waiting to be sent to one leg. Each ``send`` is told when its last key and gap are over."""

    _queue: deque[str] = field(default_factory=deque)
    _tick: int = 0
    """Ticks into the present key or pause."""

    def send(self, digits: str) -> None:
        """Queue ``0-9*#A-D``, ``w`` and ``W``.

        Raises:
            MediaError: empty, another character, or too many waiting; nothing was queued.
        """
        wanted = [key if key in WAITS else key.upper() for key in digits]
        wrong = sorted({key for key in wanted if key not in KEYS and key not in WAITS})
        if wrong or not wanted:
            raise MediaError(f"digits {digits!r}: use 0-9, *, #, A-D, w (0.5 s) and W (1 s), at least one")
        if len(self._queue) + len(wanted) > MAX_QUEUED:
            raise MediaError(f"digits: {len(self._queue)} are waiting already, at most {MAX_QUEUED} may")
        self._queue.extend((*wanted, ""))

    @property
    def idle(self) -> bool:
        return not self._queue

    def step(self, scale: int = 1) -> tuple[EventPacket | None, int]:
        """One tick: the packet to send instead of audio, if any, and how many ``send`` were completed.

        ``scale``: the clock of the durations, in 8 kHz.
        """
        done = 0
        while self._queue and self._queue[0] == "":
            self._queue.popleft()
            done += 1
        if not self._queue:
            return None, done
        key = self._queue[0]
        tick = self._tick
        self._tick += 1
        if self._tick == WAITS.get(key, TONE_TICKS + GAP_TICKS):
            self._queue.popleft()
            self._tick = 0
        if key in WAITS or tick >= TONE_TICKS + END_PACKETS - 1:
            return None, done
        duration = scale * FRAME * min(tick + 1, TONE_TICKS)
        end = 0x80 if tick + 1 >= TONE_TICKS else 0
        payload = struct.pack(">BBH", KEYS.index(key), end | VOLUME, duration)
        return EventPacket(payload, tick, tick == 0), done


class KeyReaders:
    """The readers of all legs that ever sent a key."""

    def __init__(self) -> None:
        self._readers: dict[int, KeyReader] = {}
        self._holding: set[int] = set()

    def receive(self, arrivals: Arrivals, data: NDArray[np.uint8], tick: int) -> list[tuple[int, Press]]:
        """Read the event packets among this tick's arrivals; returns rows and what was pressed."""
        told: list[tuple[int, Press]] = []
        seen: Counter[int] = Counter()
        for at in np.flatnonzero(arrivals.event).tolist():
            row = int(arrivals.row[at])
            seen[row] += 1
            if seen[row] > MAX_WAVES:
                continue
            reader = self._reader(row, int(arrivals.ssrc[at]), told)
            begin = int(arrivals.offset[at])
            payload = data[arrivals.packet[at], begin : begin + EVENT_BYTES].tobytes()
            told += [(row, press) for press in reader.receive(int(arrivals.timestamp[at]), payload, tick)]
            if reader.holding:
                self._holding.add(row)
        return told

    def expire(self, tick: int) -> list[tuple[int, Press]]:
        """Presses that ended without an end packet."""
        told: list[tuple[int, Press]] = []
        for row in list(self._holding):
            reader = self._readers[row]
            told += [(row, press) for press in reader.expire(tick)]
            if not reader.holding:
                self._holding.discard(row)
        return told

    @property
    def holding(self) -> bool:
        """Whether any key is down."""
        return bool(self._holding)

    def knows(self, row: int) -> bool:
        """Whether the leg has ever sent a key."""
        return row in self._readers

    def forget(self, row: int) -> None:
        """The leg is gone."""
        self._readers.pop(row, None)
        self._holding.discard(row)

    def _reader(self, row: int, ssrc: int, told: list[tuple[int, Press]]) -> KeyReader:
        reader = self._readers.get(row)
        if reader is None or reader.ssrc != ssrc:
            if reader is not None:
                told += [(row, press) for press in reader.finish()]
            reader = self._readers[row] = KeyReader(ssrc)
        return reader
