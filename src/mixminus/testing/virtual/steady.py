"""Phones that just go on saying what they say: their packets as arrays, for as many ticks as one likes.

What is sent and heard meanwhile is kept here, and brought to the phones when somebody looks at them or tells them
something: most are looked at once, at the end, and some hundred phones are then not touched hundreds of times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mixminus.media.batch import ADDRESS_BYTES, Bytes, PacketBatch
from mixminus.media.many_ticks.stretch import Sent
from mixminus.media.many_ticks.stretch_heard import Later, Payloads
from mixminus.media.mixing.matrix import Index
from mixminus.media.state import FOREVER
from mixminus.testing.sources import FRAME

if TYPE_CHECKING:
    from mixminus.testing.virtual.bank import BankAudio

MOST_TICKS: Final = 250
"""Of one stretch: within it no leg may have its turn to report twice."""


@dataclass(slots=True)
class Voice:
    """``codes`` from ``at`` on are what comes next; round and round if there is a ``period``, with which they begin."""

    codes: Bytes
    at: int
    period: int = 0

    def take(self, samples: int) -> Bytes:
        """The next ones, (samples,), a view."""
        found = self.codes[self.at : self.at + samples]
        self.at += samples
        if self.period:
            self.at %= self.period
        return found


@dataclass(frozen=True, slots=True)
class _Page:
    """One stretch: what was sent, and which of it to whom."""

    first_ns: int
    ticks: int
    payload: Payloads
    payload_row: Index


class Steady:
    """``talking``: everybody who sends, none of whom does anything but go on; ``held``: who is in a call, and sends
    nothing in it; ``ports``: local port → its index.
    """

    def __init__(self, talking: Sequence[BankAudio], held: Sequence[BankAudio], ports: Mapping[int, int]) -> None:
        self._talking, self._held = talking, held
        self._voices = [audio.voice() for audio in talking]
        """As they were when everybody was brought up to date."""
        self._at = np.array([voice.at for voice in self._voices], np.int64)
        """Where each is at the end of the last page."""
        self._round = np.array([voice.period or FOREVER for voice in self._voices], np.int64)
        self._head = np.array([audio.head(ports) for audio in talking], np.int64).reshape(-1, 5)
        self._address = np.array([audio.raw for audio in talking], np.uint8).reshape(-1, ADDRESS_BYTES)
        self._hearers: list[tuple[int, BankAudio]] | None = None
        self._pages: list[_Page] = []
        self._batch = PacketBatch(max(1, len(talking)))
        self._batch.address[: len(talking)] = self._address
        self.left = min((audio.frames_left for audio in talking), default=FOREVER)
        """Frames for which nothing that is said comes to an end."""

    def sound(self, ticks: int) -> list[Bytes]:
        """What comes next of each, (ticks * S,)."""
        ends = (self._at + ticks * FRAME).tolist()
        return [voice.codes[at:end] for voice, at, end in zip(self._voices, self._at.tolist(), ends, strict=True)]

    def packets(self, sound: Sequence[Bytes]) -> PacketBatch:
        """The next packet of each, with the begin of its ``sound`` (RFC 3550 §5.1)."""
        count, batch, head = len(self._talking), self._batch, self._head
        batch.data[:count, 0] = 0x80
        batch.data[:count, 1] = head[:, 0]
        batch.data[:count, 2:4] = head[:, 1].astype(">u2").view(np.uint8).reshape(count, 2)
        batch.data[:count, 4:12] = head[:, 2:4].astype(">u4").view(np.uint8).reshape(count, 8)
        for row, codes in zip(batch.data, sound, strict=False):
            row[12 : 12 + FRAME] = codes[:FRAME]
        batch.length[:count] = 12 + FRAME
        batch.port[:count] = head[:, 4]
        batch.count = count
        return batch

    def went(self, first_ns: int, sent: Sent, by_address: Mapping[bytes, BankAudio]) -> None:
        """What comes next was sent, from ``first_ns`` on, and ``sent`` came back."""
        size = sent.ticks * FRAME
        if self._hearers is None:
            raw = sent.batch.address[: sent.payload_row.size]
            found = ((index, by_address.get(address.tobytes())) for index, address in enumerate(raw))
            self._hearers = [(index, audio) for index, audio in found if audio is not None]
        self._pages.append(_Page(first_ns, sent.ticks, sent.payload, sent.payload_row))
        self._at = (self._at + size) % self._round
        self._head[:, 1] = (self._head[:, 1] + sent.ticks) % (1 << 16)
        self._head[:, 2] = (self._head[:, 2] + size) % (1 << 32)
        self.left -= sent.ticks

    def settle(self) -> None:
        """Bring everybody up to date."""
        if not self._pages:
            return
        pages, self._pages = self._pages, []
        starts = [page.first_ns for page in pages]
        sizes = [page.ticks * FRAME for page in pages]
        for voice, audio in zip(self._voices, self._talking, strict=True):
            audio.skip(sum(sizes) // FRAME, starts, [voice.take(size) for size in sizes])
        for audio in self._held:
            audio.rests(sum(sizes) // FRAME)
        for index, audio in self._hearers or ():
            audio.hears(starts, [Later(page.payload, int(page.payload_row[index])) for page in pages])
