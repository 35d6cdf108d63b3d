"""Mixing at more than 8 kHz. A band is all that is mixed at one rate: for legs of that rate and recordings of it.

Whoever listens is served at their own rate: every source of a room is brought to each rate that somebody in the room
listens at, once, and summed there. So a call sounds as wide as each member can hear, a recording takes the highest
rate, callers of G.711 among themselves are not resampled at all, and the filters' histories belong to sources, which
last, and not to mixes, which come and go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixminus.media import level
from mixminus.media.codecs import g722, opus
from mixminus.media.mixing.layout import WIDE_LAWS, Layout, lay_out_mixes
from mixminus.media.mixing.limiter import Limiter
from mixminus.media.mixing.matrix import Plan, build_plan
from mixminus.media.mixing.mix import Mixer
from mixminus.media.state import FRAME, RATE, MediaState
from mixminus.media.taping.tap import Taps
from mixminus.media.wide.g722_speakers import G722Speakers
from mixminus.media.wide.resample import RATES, Resampler
from mixminus.media.wide.speakers import RATE_OF, Speakers
from mixminus.media.wide.streams import Run
from mixminus.media.wide.wideband import Sound

Index = NDArray[np.intp]
Pcm = NDArray[np.int16]
Bytes = NDArray[np.uint8]

Played: TypeAlias = Callable[[int, NDArray[np.bool_]], list[Sound]]
"""Rate, and rows wanted (R,) → what players among them have played in this tick, if they have it at that rate."""

WIDE_RATES: Final = tuple(rate for rate in RATES if rate > RATE)


class Resamplers:
    """One of each pair of rates, made when first used. Streams are rows of the state."""

    def __init__(self) -> None:
        self._of: dict[tuple[int, int], Resampler] = {}
        self.tick = 0
        """In which is resampled."""

    def run(self, source: int, target: int, row: Index, pcm: Pcm) -> Pcm:
        """As :meth:`Resampler.run`; no change if the rates are equal."""
        return pcm if source == target else self._one(source, target).run(row, pcm, self.tick)

    def go_on_from(self, source: int, target: int, row: Index, pcm: Pcm) -> None:
        """What these streams were in the tick before."""
        self._one(source, target).go_on_from(row, pcm, self.tick - 1)

    def _one(self, source: int, target: int) -> Resampler:
        if (source, target) not in self._of:
            self._of[source, target] = Resampler(source, target)
        return self._of[source, target]

    def forget(self, row: int) -> None:
        """The row is somebody else's from now on."""
        for resampler in self._of.values():
            resampler.reset(np.array([row], np.intp))


class Band:
    """What is mixed at one rate above 8 kHz.

    Attributes:
        frame: (R, S) int16, this tick's samples of sources, of meaning where the state says ``active``.
        taps: recordings at this rate.
    """

    def __init__(self, rate: int, state: MediaState, resamplers: Resamplers, played: Played) -> None:
        self.rate = rate
        self._state = state
        self._resamplers = resamplers
        self._played = played
        self._law = next(law for law, codec_rate in RATE_OF.items() if codec_rate == rate)
        self.frame: Pcm = np.zeros((0, rate // 50), np.int16)
        self.taps = Taps(state, self)
        self.speakers = G722Speakers() if self._law == g722.G722_CODE else Speakers()
        self._limiter = Limiter()
        self._mixer = Mixer(self._limiter, 1, rate // 50)
        self._plan: Plan | None = None
        self._layout: Layout | None = None
        self._sources = np.zeros(0, np.intp)
        self.legs = np.zeros(0, np.intp)
        """Places of its legs among those that are sent to."""
        self._seats = np.zeros(0, np.intp)

    @property
    def idle(self) -> bool:
        """Nobody listens at this rate."""
        return self._plan is None

    def plan(self) -> None:
        """Membership, rooms or masks have changed. To be told before the tick's sounds are known: sources that are new
        here have been heard elsewhere, and begin with the end of what they were.
        """
        state, before = self._state, self._sources
        if len(self.frame) < state.capacity:
            grown = np.zeros((state.capacity, self.frame.shape[1]), np.int16)
            grown[: len(self.frame)] = self.frame
            self.frame = grown
        listens = (state.rate == self.rate) & (state.room >= 0)
        recorded = self.taps.legs()
        if not listens.any() and not recorded.size:
            self._plan = self._layout = None
            self._sources = np.zeros(0, np.intp)
            return
        listens[recorded] = True
        self._plan = build_plan(state.room, state.talk, np.where(listens, state.hear, np.uint64(0)))
        self._sources = np.union1d(self._plan.source, recorded)
        fresh = np.setdiff1d(self._sources, before)
        fresh = fresh[state.active[fresh] & (state.rate[fresh] == RATE)]
        self._resamplers.go_on_from(RATE, self.rate, fresh, state.frame[fresh])

    def lay_out(self, row: Index) -> None:
        """Activity, plan or routes have changed; ``row`` (L,): legs that are sent to."""
        if self._plan is None:
            self.legs = np.zeros(0, np.intp)
            return
        state = self._state
        self.legs = np.flatnonzero(state.rate[row] == self.rate)
        leg = row[self.legs]
        self._layout, mix = lay_out_mixes(self._plan, state.active, leg)
        if 2 * self._layout.mixes > len(self._mixer.mix):
            self._mixer = Mixer(self._limiter, 2 * self._layout.mixes, self.frame.shape[1])
        self._seats = self.speakers.seat(leg, mix)

    def hear(self, sounds: list[Sound]) -> None:
        """Bring this tick's sounds of all sources of this band to its rate."""
        if self._plan is None:
            return
        state = self._state
        wanted = np.zeros(state.capacity, np.bool_)
        wanted[self._sources] = state.active[self._sources]
        for sound in (*sounds, *self._played(self.rate, wanted)):
            mine = wanted[sound.row]
            row = sound.row[mine]
            self.frame[row] = self._resamplers.run(sound.rate, self.rate, row, sound.pcm[mine])
            wanted[row] = False
        row = np.flatnonzero(wanted)
        self.frame[row] = self._resamplers.run(RATE, self.rate, row, state.frame[row])

    def mix(self, payload: Bytes, length: NDArray[np.int32], begin: int, run: Run) -> int:
        """Mix, and make payloads from row ``begin`` of ``payload`` on; how many."""
        if self._plan is None or self._layout is None:
            return 0
        self._mixer.run(self._plan, self._layout, self.frame, payload)
        count = self.speakers.count
        if count:
            length[begin : begin + count] = self.speakers.speak(self._mixer.mix, payload, begin, run)
        return count

    def payloads(self, begin: int, silence: int) -> Index:
        """(legs,) payload rows of its legs, those that hear nothing ``silence``."""
        return np.where(self._seats >= 0, begin + self._seats, silence)

    def record(self, now_ns: int) -> None:
        """Let the recordings at this rate have the tick."""
        if self._plan is not None and self._layout is not None:
            self.taps.record(self._plan, self._layout, self._mixer.mix, now_ns)


class Bands:
    """All rates above 8 kHz. Costs nothing while nobody has such a rate."""

    def __init__(self, state: MediaState, run: Run, played: Played) -> None:
        self._state = state
        self._run = run
        self._resamplers = Resamplers()
        self._bands = {rate: Band(rate, state, self._resamplers, played) for rate in WIDE_RATES}
        self._sounds: list[Sound] = []
        self._row = np.zeros(0, np.intp)
        self._length = np.zeros(0, np.int32)
        """(Q,) bytes of each payload row."""
        self._begin: dict[int, int] = {}
        """Rate → first payload row of its band."""
        self._silences_at = 0

    @property
    def taps(self) -> dict[int, Taps]:
        """Recordings, by rate."""
        return {rate: band.taps for rate, band in self._bands.items()}

    @property
    def idle(self) -> bool:
        """Nobody listens at more than 8 kHz."""
        return all(band.idle for band in self._bands.values())

    def forget(self, row: int) -> None:
        """The row is somebody else's from now on."""
        self._resamplers.forget(row)
        for band in self._bands.values():
            band.speakers.forget(row)

    def narrow(self, tick: int, sounds: list[Sound], heard: NDArray[np.bool_]) -> tuple[Index, Pcm]:
        """This tick's sounds at 8 kHz: (A,), (A, 160). ``heard`` (R,): rows to which somebody listens at 8 kHz.

        Of the others only every n-th sample is taken, which is as loud, and good for nothing but to judge that. What is
        loud above 4 kHz alone (the begin of an s) opens the gate too.
        """
        self._sounds = sounds
        self._resamplers.tick = tick
        frames = []
        for row, pcm, rate in ((sound.row, sound.pcm, sound.rate) for sound in sounds):
            peak = np.maximum(pcm.max(axis=1), np.negative(pcm.min(axis=1), dtype=np.int32))
            self._state.hangover[row[peak > level.GATE_PEAK]] = level.HANGOVER
            frame = np.ascontiguousarray(pcm[:, :: rate // RATE])
            at = np.flatnonzero(heard[row])
            if at.size:
                frame[at] = self._resamplers.run(rate, RATE, row[at], pcm[at])
            frames.append(frame)
        return np.concatenate([sound.row for sound in sounds]), np.concatenate(frames)

    def plan(self, tick: int) -> None:
        """Follow what has changed: who hears whom. Before the sounds of ``tick``."""
        self._resamplers.tick = tick
        for band in self._bands.values():
            band.plan()

    def arrange(self, row: Index, *, layout: bool) -> None:
        """Follow what has changed: plans, who sounds, or who is sent to (``layout``); ``row`` (L,)."""
        for band in self._bands.values():
            if layout:
                band.lay_out(row)
        self._row = row

    def run(self, tick: int, payload: Bytes, begin: int, silences_at: int) -> None:
        """Mix and encode this tick: payloads to rows ``begin`` and on, those of silence to ``silences_at`` and on."""
        if self.idle:
            self._sounds = []
            return
        self._resamplers.tick = tick
        if self._length.size < len(payload):
            self._length = np.zeros(len(payload), np.int32)
        for band in self._bands.values():
            band.hear(self._sounds)
            self._begin[band.rate] = begin
            begin += band.mix(payload, self._length, begin, self._run)
        self._sounds = []
        self._silences_at = silences_at
        if (self._state.law[self._row] == opus.OPUS_CODE).any():
            silence, place = opus.silence(), silences_at + WIDE_LAWS.index(opus.OPUS_CODE)
            payload[place, : len(silence)] = np.frombuffer(silence, np.uint8)
            self._length[place] = len(silence)

    def address(self, payload_row: Index) -> NDArray[np.int32]:
        """Put the payloads of this tick to their legs in ``payload_row`` ((L,)); (L,) lengths of all payloads."""
        length = np.full(payload_row.size, FRAME, np.int32)
        for place, band in enumerate(self._bands.values(), self._silences_at):
            if band.legs.size:
                rows = band.payloads(self._begin[band.rate], place)
                payload_row[band.legs] = rows
                length[band.legs] = self._length[rows]
                self._state.excess[self._row[band.legs]] += self._length[rows] - FRAME
        return length

    def record(self, now_ns: int) -> None:
        """Let the recordings have the tick."""
        for band in self._bands.values():
            band.record(now_ns)
