"""What a phone heard, put together by RTP timestamp and placed on the clock.

Packets are laid out by their timestamps, so network jitter leaves no trace; what never came is silence. Each stream
(SSRC) is placed in time by its quickest packet. Pure: arrival times are arguments.
"""

from __future__ import annotations

import numpy as np

from mixminus.testing.sources import RATE, Samples

_NS_PER_SAMPLE = 1_000_000_000 // RATE
_JUMP = RATE
"""A timestamp this many samples off what arrival says begins a new stream."""


class _Stream:
    """Packets of one SSRC without a jump; ``origin_ns`` is when its first sample was due."""

    def __init__(self, ssrc: int, timestamp: int, arrived_ns: int) -> None:
        self.ssrc = ssrc
        self.origin_ns = arrived_ns
        self._first = timestamp
        self._latest = 0
        self.pieces: dict[int, Samples] = {}

    def offset(self, timestamp: int) -> int:
        """Samples since the stream's first, past every 32-bit wrap."""
        distance = (timestamp - self._first - self._latest + (1 << 31)) % (1 << 32) - (1 << 31)
        return self._latest + distance

    def fits(self, ssrc: int, offset: int, arrived_ns: int) -> bool:
        due = (arrived_ns - self.origin_ns) // _NS_PER_SAMPLE
        return ssrc == self.ssrc and abs(offset - due) < _JUMP

    def add(self, offset: int, samples: Samples, arrived_ns: int) -> None:
        self.pieces[offset] = samples
        self._latest = max(self._latest, offset)
        self.origin_ns = min(self.origin_ns, arrived_ns - offset * _NS_PER_SAMPLE)


class Heard:
    """Everything that came to one phone in one call. Times are ``CLOCK_MONOTONIC`` nanoseconds."""

    def __init__(self) -> None:
        self._streams: list[_Stream] = []
        self.packets = 0
        self.keys = ""
        """Keys received as telephone events (RFC 4733), in order."""
        self._key_timestamp: int | None = None

    def audio(self, ssrc: int, timestamp: int, samples: Samples, arrived_ns: int) -> None:
        """Take one packet's decoded samples. Duplicates and reordering do no harm."""
        self.packets += 1
        stream = self._streams[-1] if self._streams else _Stream(ssrc, timestamp, arrived_ns)
        offset = stream.offset(timestamp)
        if not stream.fits(ssrc, offset, arrived_ns):
            stream, offset = _Stream(ssrc, timestamp, arrived_ns), 0
        if not self._streams or stream is not self._streams[-1]:
            self._streams.append(stream)
        stream.add(offset, samples, arrived_ns)

    def key(self, timestamp: int, key: str) -> None:
        """Take one telephone-event packet; packets of one press share a timestamp."""
        if timestamp != self._key_timestamp:
            self._key_timestamp = timestamp
            self.keys += key

    @property
    def began_ns(self) -> int:
        """When the first sample was due; 0 if nothing came."""
        return min((_position(stream) for stream in self._streams), default=0)

    def all(self) -> Samples:
        """Everything from the first sample to the last."""
        ends = [
            _position(stream) + _ns(max(stream.pieces) - min(stream.pieces) + len(stream.pieces[max(stream.pieces)]))
            for stream in self._streams
        ]
        return self.between(self.began_ns, max(ends)) if ends else np.zeros(0, np.int16)

    def between(self, start_ns: int, end_ns: int) -> Samples:
        """What was heard from ``start_ns`` to ``end_ns``, silence where nothing came, shape (S,)."""
        out = np.zeros(max(0, _samples(end_ns - start_ns)), np.int16)
        for stream in self._streams:
            base = _samples(stream.origin_ns - start_ns)
            for offset, piece in stream.pieces.items():
                first = base + offset
                cut = piece[max(0, -first) : max(0, len(out) - first)]
                out[max(0, first) : max(0, first) + len(cut)] = cut
        return out


def _position(stream: _Stream) -> int:
    return stream.origin_ns + _ns(min(stream.pieces))


def _samples(nanoseconds: int) -> int:
    return round(nanoseconds / _NS_PER_SAMPLE)


def _ns(samples: int) -> int:
    return samples * _NS_PER_SAMPLE
