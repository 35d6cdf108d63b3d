"""Record taps: what a listener of a room would hear, gathered to blocks and handed to a sink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixminus.media.protocol import StartTap


class TapSink(Protocol):
    """Where the samples of one tap go. The engine calls it from inside the tick, so it must not block."""

    def write(self, pcm: NDArray[np.int16], now_ns: int) -> None:
        """Take (S,) int16 samples at 8 kHz, at most 1 s of them; a view, to be copied or consumed at once.

        ``now_ns`` is the tick whose frame is the last in it.
        """

    def pause(self, now_ns: int) -> None:
        """Nothing is recorded from here on; all samples before were written."""

    def resume(self, now_ns: int) -> None:
        """Recording goes on; the next sample is of the coming tick."""

    def close(self, now_ns: int) -> None:
        """The tap ended; all samples were written."""


OpenTap: TypeAlias = Callable[[StartTap, int], TapSink]
"""Makes the sink of a new tap; second argument ``now_ns``. May raise MediaError to refuse it."""
LoadPrompt: TypeAlias = Callable[[str], NDArray[np.int16]]
