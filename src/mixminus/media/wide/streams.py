"""One leg's G.722 or Opus where it is not simply one packet of 20 ms after the other: gaps, odd durations, changes of
the delay. What is regular passes it by, many legs at once (:mod:`mixminus.media.wide.wideband`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media.codecs import g722, opus
from mixminus.media.jitter import conceal
from mixminus.media.state import NEVER

Pcm = NDArray[np.int16]

Work: TypeAlias = Callable[[], None]
"""Takes tasks from an iterator until none is left; may be called by several threads at once."""
Run: TypeAlias = Callable[[Work, int], None]
"""Has work done, on as many threads as so many tasks are worth; back when all are done."""

FADE_SLOTS: Final = conceal.FADE_SLOTS
"""Concealed slots (10 ms) until silence."""
HISTORY_SLOTS: Final = conceal.HISTORY_MS // 10
"""Of G.722, what is looked at before a gap."""
AHEAD_SLOTS: Final = 6
"""How far behind a gap the packet may begin that is looked into for redundancy."""


class Piece(NamedTuple):
    """What there is for one slot: a payload, and which of its slots this is."""

    payload: bytes
    part: int


def on_this_thread(work: Work, tasks: int) -> None:
    """:data:`Run` without other threads."""
    work()


class G722Stream:
    """Plays one leg's G.722. Gaps are filled as those of G.711 are (:mod:`mixminus.media.jitter.conceal`)."""

    slot: Final = g722.RATE // 100

    def __init__(self) -> None:
        self.decoder = g722.Decoder()
        self._past: deque[Pcm] = deque(maxlen=HISTORY_SLOTS)
        """What was played, or made up and not yet faded: pieces of a slot or more."""
        self._run = 0
        self._lag: NDArray[np.intp] = np.zeros(1, np.intp)
        """Of the present gap, (1,) samples: the pitch is looked for once."""

    def restart(self) -> None:
        self.decoder = g722.Decoder()
        self._past.clear()

    @property
    def broken(self) -> bool:
        """What was played last is made up: the next sound is to be joined to it."""
        return self._run > 0

    def join(self, pcm: Pcm) -> None:
        """Cross over to ``pcm`` (slots, contiguous), the first sound after a gap, in place."""
        ahead = conceal.fade(self._go_on(), np.array([self._run]))
        pcm[: self.slot] = conceal.cross(ahead, pcm[None, : self.slot])[0]

    def played(self, pcm: Pcm) -> None:
        """These samples were decoded and played."""
        self._past.append(pcm)
        self._run = 0

    def play(self, first: int, pieces: Sequence[Piece | None], ahead: tuple[bytes, int] | None, out: Pcm) -> None:
        """Fill ``out`` with slots ``first`` and on; None in ``pieces`` is missing. ``ahead`` is of no use here."""
        for number, piece in enumerate(pieces):
            sound = out[number * self.slot : (number + 1) * self.slot]
            if piece is not None:
                sound[:] = self.decoder.decode(piece.payload)
                if self.broken:
                    self.join(sound)
                self.played(sound.copy())
            elif self._run < FADE_SLOTS:
                made = self._go_on()
                sound[:] = conceal.fade(made, np.array([self._run]))[0]
                self._past.append(made[0])
                self._run += 1
            else:
                sound[:] = 0

    def _go_on(self) -> Pcm:
        """(1, 160): what may come next, as loud as what was before."""
        history = np.zeros((1, HISTORY_SLOTS * self.slot), np.int16)
        if self._past:
            past = np.concatenate(self._past)[-history.size :]
            history[0, history.size - past.size :] = past
        if not self._run:
            self._lag, _ = conceal.pitch(history.astype(np.float32), self.slot)
        return conceal.go_on(history, self.slot, self._lag)


class OpusStream:
    """Plays one leg's Opus: packets of any duration; gaps by redundancy of the next packet, else by concealment."""

    slot: Final = opus.SLOT

    def __init__(self) -> None:
        self.decoder = opus.Decoder()
        self.last = b""
        """The packet of 20 ms that was played last."""
        self._sound: Pcm = np.zeros(opus.SLOT * opus.MAX_SLOTS, np.int16)
        self._from = self._until = NEVER
        """Slots that ``_sound`` holds."""
        self._run = 0

    def restart(self) -> None:
        self.decoder.reset()
        self._from = self._until = NEVER

    def played(self, packet: bytes) -> None:
        """This packet, of 20 ms, was decoded and played."""
        self.last, self._run = packet, 0

    def play(self, first: int, pieces: Sequence[Piece | None], ahead: tuple[bytes, int] | None, out: Pcm) -> None:
        """Fill ``out`` with slots ``first`` and on; None in ``pieces`` is missing.

        ``ahead``: the next packet there is, and the slot with which it begins.
        """
        for number, piece in enumerate(pieces, first):
            at = number - first
            sound = out[at * self.slot : (at + 1) * self.slot]
            if piece is not None and self._decoded(number - piece.part, piece.payload, number):
                self._run = 0
            elif not self._from <= number < self._until and (piece is not None or not self._recovered(number, ahead)):
                self._conceal(sound)
                continue
            begin = (number - self._from) * self.slot
            sound[:] = self._sound[begin : begin + self.slot]

    def _decoded(self, start: int, packet: bytes, number: int) -> bool:
        """Have the packet that begins in slot ``start`` decoded; whether it reaches to slot ``number``."""
        if self._from != start:
            try:
                samples = self.decoder.decode(packet, self._sound)
            except MediaError:
                return False
            self._from, self._until = start, start + samples // self.slot
        return number < self._until

    def _recovered(self, number: int, ahead: tuple[bytes, int] | None) -> bool:
        if ahead is None or not 0 < ahead[1] - number <= AHEAD_SLOTS:
            return False
        try:
            samples = self.decoder.recover(ahead[0], (ahead[1] - number) * self.slot, self._sound)
        except MediaError:
            return False
        self._from, self._until = number, number + samples // self.slot
        return True

    def _conceal(self, sound: Pcm) -> None:
        if self._run < FADE_SLOTS:
            self.decoder.conceal(self.slot, sound)
            self._run += 1
        else:
            sound[:] = 0
