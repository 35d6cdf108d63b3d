"""WAV (RIFF), and RF64 (EBU Tech 3306) once a file outgrows RIFF's 32-bit sizes.

Room for the ``ds64`` chunk is kept from the start in a ``JUNK`` chunk, which every reader skips; so a file is plain WAV
unless it must be RF64.
"""

from __future__ import annotations

import struct
from pathlib import Path

from mixminus.recording.rendering import Growing, GrowingFile, OpenFile

HEADER_BYTES = 80
"""Offset of the first sample."""
_DS64_BYTES = 28
_FULL = 0xFFFFFFFF


def header(samples: int, rate: int, channels: int = 1, *, limit: int = _FULL) -> bytes:
    """The first :data:`HEADER_BYTES` bytes of a file of ``samples`` int16 samples per channel at ``rate`` Hz.

    Beyond ``limit`` bytes the file is RF64; the parameter is there for tests.
    """
    data = 2 * channels * samples
    riff = HEADER_BYTES - 8 + data
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    if riff <= limit:
        junk = struct.pack("<4sI28x", b"JUNK", _DS64_BYTES)
        return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + junk + fmt + struct.pack("<4sI", b"data", data)
    ds64 = struct.pack("<4sIQQQI", b"ds64", _DS64_BYTES, riff, data, samples, 0)
    return struct.pack("<4sI4s", b"RF64", _FULL, b"WAVE") + ds64 + fmt + struct.pack("<4sI", b"data", _FULL)


class WavRendering:
    """A :class:`~mixminus.recording.rendering.Rendering`. 16-bit PCM; bytes per hour and channel = 7,200 × rate."""

    def __init__(self, path: Path, rate: int, channels: int = 1, open_file: OpenFile = GrowingFile) -> None:
        self.rate = rate
        self.samples = 0
        self._channels = channels
        self.file: Growing = open_file(path, header(0, rate, channels))

    def write(self, pcm: bytes) -> None:
        self.file.append(pcm)
        self.samples += len(pcm) // (2 * self._channels)

    def finish(self) -> int:
        self.file.rewrite(0, header(self.samples, self.rate, self._channels))
        self.file.complete()
        return self.samples

    def close(self) -> None:
        self.file.close()
