"""What a finished file is made of, in order. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from mixminus.recording.journal import SAMPLE_BYTES

_NO_TRACKS: Mapping[str, bytes] = {}


class Audio(NamedTuple):
    """Samples as recorded, int16 little-endian, and those of each track that sounds there, as many."""

    pcm: bytes
    tracks: Mapping[str, bytes] = _NO_TRACKS

    @property
    def samples(self) -> int:
        return len(self.pcm) // SAMPLE_BYTES


class Silence(NamedTuple):
    """Zeros in place of what could not be recorded."""

    samples: int


class Tone(NamedTuple):
    """A tone in place of what was not to be recorded."""

    samples: int


Piece: TypeAlias = Audio | Silence | Tone
