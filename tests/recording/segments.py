"""Builds the bytes of a segment, block by block."""

from __future__ import annotations

from mixminus.recording.journal import Block, Kind, SegmentHeader, encode_block_header, encode_gap, encode_segment

SECOND = 1_000_000_000
BOOT = bytes(range(16))


class Segment:
    """Builds the bytes of a segment, block by block."""

    def __init__(self, *, at: float = 0.0, paused: bool = False, rate: int = 8000, boot: bytes = BOOT) -> None:
        at_ns = round(at * SECOND)
        self.data = encode_segment(SegmentHeader(rate, at_ns, 10**18 + at_ns, boot, paused))
        self.edges = [len(self.data)]
        self.position = 0
        self.sequence = 0

    def add(self, kind: Kind, *, at: float = 0.0, payload: bytes = b"") -> Segment:
        head = encode_block_header(kind, self.sequence, self.position, round(at * SECOND), payload)
        self.data += head + payload
        self.edges.append(len(self.data))
        self.position += Block(kind, 0, 0, 0, payload).samples
        self.sequence += 1
        return self

    def audio(self, samples: int, value: int = 1) -> Segment:
        return self.add(Kind.AUDIO, payload=value.to_bytes(2, "little", signed=True) * samples)


SHORT = Segment().audio(5).add(Kind.PAUSE, at=1).add(Kind.RESUME, at=2).audio(3, 2).add(Kind.GAP, payload=encode_gap(4))
SHORT.audio(2, 3).add(Kind.END, at=3)
