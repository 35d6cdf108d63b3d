"""Room on the disk, kept ahead of a growing file, so that a full disk is known while there is still room to write.

Room that ``fallocate(2)`` gave is nobody else's; the file's size does not change. Where the file system or the kernel
cannot give any, none is kept, and a full disk is known when a write fails.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

AHEAD_SECONDS = 12
"""Kept after it was asked for: 192 KiB for 8 kHz mono."""
REFILL_SECONDS = 6
"""With less, more is asked for."""
TELL_SECONDS = 3
"""With less, and no more to be had, it is told: half a second of sound is on its way then, telling may take two."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_KEEP_SIZE = 1
Allocate: TypeAlias = Callable[[int, int, int], None]
"""(descriptor, offset, length): keep these bytes of the disk. Raises OSError."""


def _find_fallocate() -> Allocate | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    found: Any = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if found is None:
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

    def fallocate(descriptor: int, offset: int, length: int) -> None:
        if found(descriptor, _KEEP_SIZE, offset, length):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return fallocate


_FALLOCATE = _find_fallocate()


class Reserve:
    """Of one file, which grows at its end as sound comes.

    How much is enough follows from the most that a sample has taken so far, its tracks and their seals included.
    """

    def __init__(self, descriptor: int, rate: int, allocate: Allocate | None = _FALLOCATE) -> None:
        """``rate``: samples a second."""
        self._descriptor, self._rate, self._allocate = descriptor, rate, allocate
        self._bytes_per_sample = 2.0
        self._written = 0
        self.end = 0
        """The file can grow up to this many bytes, whatever else is written to the disk."""
        self.short: OSError | None = None
        """Why there is room for less than :data:`TELL_SECONDS`."""

    def follow(self, written: int, samples: int) -> None:
        """The file has ``written`` bytes; ``samples`` came since the last call."""
        if samples >= self._rate // 4:  # of shorter blocks much is headers
            self._bytes_per_sample = max(self._bytes_per_sample, (written - self._written) / samples)
        self._written = written
        second = self._bytes_per_sample * self._rate
        if self._allocate is None or self.end - written >= REFILL_SECONDS * second:
            return
        length = round(AHEAD_SECONDS * second)
        try:
            self._allocate(self._descriptor, written, length)
        except OSError as error:
            if error.errno in _FULL:
                self.short = error if self.end - written < TELL_SECONDS * second else None
            else:
                self._allocate = None  # it cannot be done here; what else is wrong, writing will tell
        else:
            self.end, self.short = written + length, None
