"""Players: sources that are not legs. All players of one clip are one array operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media.sound import tone
from mixminus.media.state import FRAME, RATE, MediaState
from mixminus.media.wide.resample import low_pass
from mixminus.media.wide.wideband import Sound

Pcm = NDArray[np.int16]
LoadPrompt: TypeAlias = Callable[[str], Pcm]
"""Path → (N,) int16 samples at 8 kHz. Raises MediaError with the path and the reason if it cannot."""
LoadWide: TypeAlias = Callable[[str, int, int], Pcm | None]
"""Path, rate above 8 kHz, and N → the same sound at that rate, (N,) int16, if there is more to it than at 8 kHz."""

MAX_GAIN: Final = 8.0


class _Key(NamedTuple):
    source: str
    loop: bool
    gain: float


class _Clip:
    """A sound and everybody who plays it."""

    def __init__(self, samples: Pcm | None, length: int, loop: bool) -> None:
        self.length = length
        self.loop = loop
        self.row = np.zeros(0, np.intp)
        self.at = np.zeros(0, np.int64)
        """Samples played; of a loop, those of all its turns."""
        self.wide: dict[int, Pcm | None] = {}
        """What there is at other rates, as far as that is known."""
        self.windows: Pcm | None = None
        self.peak = 0
        if samples is not None:
            # One frame more than the sound, so that a frame begun anywhere in it is one contiguous window.
            more = np.resize(samples, FRAME) if loop else np.zeros(FRAME, np.int16)
            self.peak = max(int(samples.max()), -int(samples.min()))
            self.windows = sliding_window_view(np.concatenate((samples, more)), FRAME)

    def place(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in the sound one is after so many samples."""
        return at % self.length if self.loop else at

    def wide_frames(self, sound: Pcm, rate: int, at: NDArray[np.int64]) -> Pcm:
        """(A, S) the frames at ``rate`` that begin after ``at`` (A,) samples of 8 kHz.

        They are as late as those that are brought to this rate from 8 kHz: what of a recording is made in the one way
        fits what is made in the other.
        """
        ratio = rate // RATE
        late = low_pass(RATE, rate).size // 2
        size, first = FRAME * ratio, at * ratio - late
        begin = np.where(first < 0, first, first % sound.size) if self.loop else first
        frames = np.empty((first.size, size), np.int16)
        whole = (begin >= 0) & (begin <= sound.size - size)
        if whole.any():
            frames[whole] = sliding_window_view(sound, size)[begin[whole]]
        edge = np.flatnonzero(~whole)
        if edge.size:
            wanted = first[edge, None] + np.arange(size)
            there = (wanted >= 0) & (self.loop | (wanted < sound.size))
            frames[edge] = np.where(there, sound[wanted % sound.size], np.int16(0))
        return frames


class Players:
    """Who plays what, and how far they are."""

    def __init__(self, state: MediaState, load_prompt: LoadPrompt, load_wide: LoadWide) -> None:
        self._state = state
        self._load = load_prompt
        self._load_wide = load_wide
        self._clips: dict[_Key, _Clip] = {}
        self._key_of: dict[int, _Key] = {}

    def prepare(self, source: str, loop: bool, gain: float) -> None:
        """Have the sound ready, so that :meth:`start` cannot fail.

        Raises:
            MediaError: unknown or unreadable source, or gain out of range.
        """
        if not 0 <= gain <= MAX_GAIN:
            raise MediaError(f"gain {gain}: must be 0 to {MAX_GAIN:g}")
        key = _Key(source, loop, gain)
        if key not in self._clips:
            self._clips[key] = self._make(key)

    def start(self, row: int, source: str, loop: bool, gain: float) -> None:
        """Let a player row play a prepared sound from its begin, with the coming tick."""
        key = _Key(source, loop, gain)
        clip = self._clips[key]
        clip.row = np.append(clip.row, row)
        clip.at = np.append(clip.at, 0)
        self._key_of[row] = key

    def stop(self, row: int) -> None:
        key = self._key_of.pop(row)
        clip = self._clips[key]
        keep = clip.row != row
        clip.row, clip.at = clip.row[keep], clip.at[keep]
        if not clip.row.size:
            del self._clips[key]

    def play(self) -> list[int]:
        """Put this tick's samples into ``frame``, set ``active``; returns the rows that played their last sample."""
        ended: list[int] = []
        for clip in self._clips.values():
            row = clip.row
            if clip.windows is not None:
                self._state.frame[row] = clip.windows[clip.place(clip.at)]
                self._state.active[row] = True
            clip.at += FRAME
            if not clip.loop and (over := clip.at >= clip.length).any():
                ended += row[over].tolist()
        return ended

    def played(self, rate: int, wanted: NDArray[np.bool_]) -> list[Sound]:
        """What :meth:`play` has just played in the rows ``wanted`` ((R,)), of sounds that there are at this rate."""
        sounds = []
        for key, clip in self._clips.items():
            mine = wanted[clip.row]
            if clip.windows is None or not mine.any():
                continue
            if rate not in clip.wide:
                clip.wide[rate] = self._load_wide(key.source, rate, clip.length * rate // RATE)
            sound = clip.wide[rate]
            if sound is not None:
                pcm = clip.wide_frames(sound, rate, clip.at[mine] - FRAME)
                sounds.append(Sound(rate, clip.row[mine], _louder(pcm, key.gain)))
        return sounds

    def peaks(self) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Rows that sound, (N,), and the highest sample of what each plays."""
        sounding = [clip for clip in self._clips.values() if clip.windows is not None]
        rows = [np.zeros(0, np.intp), *(clip.row for clip in sounding)]
        return np.concatenate(rows), np.repeat([0, *(clip.peak for clip in sounding)], [row.size for row in rows])

    def ticks_left(self) -> int:
        """Ticks for which every player that does not loop plays on, its last one not counted."""
        ends = [int((c.length - c.at.max() - 1) // FRAME) for c in self._clips.values() if not c.loop and c.row.size]
        return min(ends, default=1 << 30)

    @property
    def sounding(self) -> int:
        """Players of a sound, those of silence left out."""
        return sum(clip.row.size for clip in self._clips.values() if clip.windows is not None)

    def coming(self, ticks: int, out: Pcm) -> NDArray[np.intp]:
        """What :meth:`play` would give in so many ticks, within :meth:`ticks_left`: the rows that sound, (N,); their
        samples go to the begin of each row of ``out``, (N, at least ticks * S).
        """
        rows, done = [np.zeros(0, np.intp)], 0
        for clip in self._clips.values():
            if clip.windows is not None:
                at = clip.at[:, None] + FRAME * np.arange(ticks)
                rows.append(clip.row)
                windows = clip.windows[clip.place(at)]
                out[done : done + clip.row.size, : ticks * FRAME] = windows.reshape(clip.row.size, -1)
                done += clip.row.size
        return np.concatenate(rows)

    def skip(self, ticks: int) -> None:
        """So many ticks were played in another way."""
        for clip in self._clips.values():
            clip.at += FRAME * ticks

    def _make(self, key: _Key) -> _Clip:
        length = tone.silence_samples(key.source)
        if length is not None:
            return _Clip(None, length, key.loop)
        samples = tone.built_in(key.source)
        if samples is None:
            samples = self._load(key.source)
        if samples.ndim != 1 or samples.dtype != np.int16 or not samples.size:
            raise MediaError(f"source {key.source!r}: not mono 16-bit samples, or none at all")
        samples = _louder(samples, key.gain)
        return _Clip(samples, samples.size, key.loop)


def _louder(pcm: Pcm, gain: float) -> Pcm:
    return pcm if gain == 1 else np.clip(np.rint(pcm * gain), -32768, 32767).astype(np.int16)
