"""The media engine: one tick, stages in order, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media import protocol
from mixminus.media.batch import DatagramBatch, PacketBatch
from mixminus.media.tap import OpenTap


class Engine:
    """Every call of one worker. Pure: packets and time go in, datagrams and events come out."""

    def __init__(
        self,
        ports: Sequence[int],
        *,
        capacity: int = 256,
        seed: int | None = None,
        open_tap: OpenTap | None = None,
        load_prompt: Callable[[str], NDArray[np.int16]] | None = None,
    ) -> None:
        self._events: list[protocol.Event] = []
        self._out = DatagramBatch(0, np.zeros((0, 160), np.uint8))

    def apply(self, command: protocol.Command, now_ns: int) -> protocol.Stats | None:
        """Do one command; its effect begins with the next tick.

        Raises:
            MediaError: it cannot be done; nothing was changed.
        """
        raise MediaError("the engine is not there yet")

    def tick(self, now_ns: int, packets: PacketBatch) -> DatagramBatch:
        """20 ms of every call."""
        return self._out

    def events(self) -> list[protocol.Event]:
        """What happened since the last call, in order."""
        drained, self._events = self._events, []
        return drained
