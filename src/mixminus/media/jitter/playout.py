"""Jitter slots → this tick's samples of every leg; what is missing is concealed, what is too much or too little is
taken out or put in by time scaling.

A leg that lacks nothing gives away two slots as they are, later by the samples that it holds from before. Any other is
tended: slots are taken one by one, filled where they are missing, and follow those samples that are held; then a frame
is given away, and the rest held. Tending is dear, so it is for those few legs that need it in this tick, and no more
than MOST_JOINTS begin to be made shorter or longer: should all legs be late at once, they wait their turn.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g711
from mixminus.media.jitter import conceal, depth, gaps, timescale
from mixminus.media.level import SPEECH_RMS
from mixminus.media.state import FRAME, FRAME_SLOTS, GIVEN, RATE, SLOT, SLOTS, TAIL, MediaState

Index = NDArray[np.intp]
Slots = NDArray[np.int64]
Flags = NDArray[np.bool_]
Pcm = NDArray[np.int16]
Payload = NDArray[np.uint8]
Likeness = NDArray[np.float32]

MEMORY: Final = TAIL // FRAME
"""Ticks after a gap for which what was made up is still needed, should another come."""
MOST_JOINTS: Final = 32
"""Rows of whose sound time is taken out, or put in, in one tick at most."""
MOST_SLOTS: Final = 4
"""Slots taken in one tick at most: enough to shorten."""
_BEFORE: Final = np.arange(-TAIL // SLOT, 0, dtype=np.int64)
_HALVES: Final = np.arange(FRAME_SLOTS, dtype=np.int64)
_MOST: Final = np.arange(MOST_SLOTS, dtype=np.int64)
_SHORTEST: Final = round(RATE * timescale.SHORTEST_MS / 1000)
_MUCH: Final = 6 * SLOT
"""Samples owed (60 ms) from which on joints follow one another faster, and need be less alike."""
_TOO_MUCH: Final = 20 * SLOT
_ALIKE: Final = np.array([timescale.ALIKE, 0.7, 0.3], np.float32)
"""Likeness asked for when little, much or too much is owed; the last also of what is not loud."""
_PACE: Final = np.array([4, 4, 1])
"""Ticks from joint to joint."""
_SETTLING_PACE: Final = 8
"""Ticks after which a leg that holds a few samples and is silent is looked at, to skip them."""
_PATIENCE: Final = np.array([100, 20, 1])
"""Ticks, multiples of _PACE, after which a joint is made in the midst of a loud sound, too."""
_FORCED: Final = np.array([200, 40, 3])
"""Ticks, multiples of _PATIENCE, after which it is made though nothing is alike: in music, in noise."""


def pull(state: MediaState, tick: int) -> tuple[Index, Pcm]:
    """Take one frame of every running stream of G.711.

    Returns: rows that have one, (A,), and their samples, (A, S). Rows nobody listens to are moved on but not decoded;
    rows in a pause, or lost for longer than concealment lasts, have none.
    """
    depth.review(state, tick)
    row = np.flatnonzero(state.started & (state.rate == RATE))
    if not row.size:
        return row, np.zeros((0, FRAME), np.int16)
    first = state.play[row]
    number = first[:, None] + _HALVES
    place = row[:, None] * SLOTS + number % SLOTS
    present: Flags = state.stamp.reshape(-1)[place] == number
    whole = np.logical_and.reduce(present, axis=1)
    heard = (state.talk[row] != 0) | state.inband[row]
    resumes = (state.good[row] < first - 1) & (state.quiet_to[row] < first)
    due = _due(state, row, tick)
    troubled = ~whole | resumes | due | (state.held[row] >= SLOT) | (state.tended_at[row] >= tick - MEMORY)
    straight = np.flatnonzero(~troubled)
    leg = row[straight]
    state.good[leg] = first[straight] + 1
    state.play[leg] = first[straight] + FRAME_SLOTS
    straight = straight[heard[straight]]
    pcm = _straight(state, row[straight], first[straight])
    if straight.size == row.size:
        return row, pcm
    of = np.flatnonzero(troubled)
    tended, patch = _tend(state, row[of], number[of], present[of], heard[of], due[of], tick)
    return np.concatenate((row[straight], tended)), np.concatenate((pcm, patch))


def leave_out(state: MediaState, ticks: int) -> None:
    """So many ticks were not made, so what was to be played in them is over: nobody is to hear it later instead.

    A row that has not so much waiting keeps its usual delay.
    """
    row = np.flatnonzero(state.started)
    play = state.play[row]
    gone = np.clip(state.end[row] - state.margin[row] - FRAME_SLOTS - play, 0, FRAME_SLOTS * ticks)
    state.good[row] += np.where(state.good[row] == play - 1, gone, 0)
    state.play[row] = play + gone


def _due(state: MediaState, row: Index, tick: int) -> Flags:
    """Rows whose turn it is that something of what is owed be paid, at most MOST_JOINTS.

    Of those that were loud just now, only the ones whose patience is over: of the others nothing would come.
    """
    owing = np.flatnonzero((state.owed[row] != 0) | (state.held[row] > 0))
    leg = row[owing]
    owed, turn, silent = state.owed[leg], leg + tick, ~state.speaking[leg]
    now: Flags = (owed >= _SHORTEST) & (turn % _PACE[_urgency(owed)] == 0)
    now |= (owed < 0) & (turn % 2 == 0)
    now &= (state.quiet[leg] > 0) | (_asked(owed, turn) <= 1)
    now |= (state.held[leg] > 0) & silent & (turn % _SETTLING_PACE == 0)
    due = np.zeros(row.size, np.bool_)
    due[owing[now]] = True
    return depth.in_turn(due, MOST_JOINTS, tick)


def _straight(state: MediaState, row: Index, first: Slots) -> Pcm:
    """(A, 160) the slots from ``first`` on, after what rows hold of the last."""
    held = state.held[row]
    pcm = _expand(state, row, _window(state, row, first * SLOT - held))
    holding = np.flatnonzero(held)
    before = first[holding] - 1
    gone = holding[state.stamp[row[holding], before % SLOTS] != before]
    for leg in gone:
        pcm[leg, : held[leg]] = 0
    return pcm


def _window(state: MediaState, row: Index, begin: Slots) -> Payload:
    """(A, 160) bytes of the ring, from byte ``begin`` of the stream on, wherever in a slot that is."""
    ring = state.ring.reshape(-1)
    size = SLOTS * SLOT
    at = begin % size
    views = np.ndarray((ring.size - FRAME + 1,), f"V{FRAME}", ring, strides=(1,))
    cut = np.flatnonzero(at > size - FRAME)
    place = row * size + at
    place[cut] = 0
    window: Payload = views[place].view(np.uint8).reshape(-1, FRAME)
    if cut.size:
        window[cut] = ring[row[cut, None] * size + (at[cut, None] + np.arange(FRAME)) % size]
    return window


def _decode(state: MediaState, row: Index, place: Index) -> Pcm:
    """(A, N) places of the ring → (A, 80 N) samples, each in its leg's law."""
    payload = state.ring.reshape(-1, SLOT).take(place, axis=0).reshape(-1, place.shape[1] * SLOT)
    return _expand(state, row, payload)


def _expand(state: MediaState, row: Index, payload: Payload) -> Pcm:
    """Samples of payloads, each in its leg's law."""
    alaw = state.law[row] == g711.PCMA
    if not alaw.any():
        return g711.decode(g711.PCMU, payload)
    if alaw.all():
        return g711.decode(g711.PCMA, payload)
    pcm = np.empty(payload.shape, np.int16)
    pcm[~alaw] = g711.decode(g711.PCMU, payload[~alaw])
    pcm[alaw] = g711.decode(g711.PCMA, payload[alaw])
    return pcm


def _tend(
    state: MediaState, row: Index, number: Slots, present: Flags, heard: Flags, due: Flags, tick: int
) -> tuple[Index, Pcm]:
    """Rows that need more than their next two slots ``number``; ``present``: which of these there are, (A, 2) each."""
    faked = gaps.to_fake(state, row, number, present)
    sounds = heard & ((present | faked).any(axis=1) | (state.held[row] > 0))
    quiet = ~sounds
    _move_on(state, row[quiet], number[quiet], present[quiet], faked[quiet], heard[quiet])
    row, due = row[sounds], due[sounds]
    tail, given = _recall(state, row, tick)
    work = np.concatenate((np.zeros((row.size, MOST_SLOTS * SLOT), np.int16), given), axis=1)
    missing = FRAME - state.held[row]
    takes = (missing + SLOT - 1) // SLOT
    cut, add = _wanted(state, row, due)
    takes[cut] = MOST_SLOTS
    fakes = np.zeros(row.size, np.bool_)
    for part in range(MOST_SLOTS):
        of = np.flatnonzero(takes > part)
        if of.size:
            fakes[of] |= _take(state, row[of], tail, work, of)
    begin = GIVEN + MOST_SLOTS * SLOT - (state.held[row] + takes * SLOT)
    work, begin = _scale(state, row, work, begin, cut & ~fakes, add & ~fakes, tick)
    columns = begin[:, None] + np.arange(FRAME)
    pcm = np.take_along_axis(work, columns, axis=1)
    state.held[row] = work.shape[1] - FRAME - begin
    state.tail[row], state.given[row] = tail, work[:, -GIVEN:]
    state.tail_at[row] = tick
    state.tended_at[row[fakes]] = tick
    return row, pcm


def _move_on(state: MediaState, row: Index, number: Slots, present: Flags, faked: Flags, heard: Flags) -> None:
    """Rows that give nothing away: there is nothing, or nobody may hear it. What is owed is settled at no cost."""
    if not row.size:
        return
    gaps.count(state, row, number, present, faked)
    play, end = number[:, -1] + 1, state.end[row]
    free = ~heard | (play >= end)
    settled = np.maximum(play + state.owed[row] // SLOT, np.where(heard, end, 0))
    state.play[row] = np.where(free, settled, play)
    state.owed[row[free]] = 0
    state.held[row] = 0


def _recall(state: MediaState, row: Index, tick: int) -> tuple[Pcm, Pcm]:
    """What came out of the slots before, (A, 480), and what was given away, with what is held at its end, (A, 400).

    As kept since the last tick, else as far as the ring has it.
    """
    kept = state.tail_at[row] == tick - 1
    tail, given = state.tail[row], state.given[row]
    new = np.flatnonzero(~kept)
    if new.size:
        leg = row[new]
        before = state.play[leg, None] + _BEFORE
        place = leg[:, None] * SLOTS + before % SLOTS
        pcm = _decode(state, leg, place).reshape(-1, _BEFORE.size, SLOT)
        pcm[state.stamp.reshape(-1)[place] != before] = 0
        tail[new] = pcm.reshape(-1, TAIL)
        given[new] = tail[new, -GIVEN:]
        state.faked_run[leg[state.good[leg] == state.play[leg] - 1]] = 0
    return tail, given


def _take(state: MediaState, row: Index, tail: Pcm, work: Pcm, of: Index) -> Flags:
    """The next slot of each row, to the end of ``tail[of]`` and ``work[of]``; (A,) whether it was made up.

    A packet that is missing while the delay is too small is probably late: what is made up then does not take its
    place.
    """
    number = state.play[row, None]
    place = row[:, None] * SLOTS + number % SLOTS
    present: Flags = state.stamp.reshape(-1)[place] == number
    faked = gaps.to_fake(state, row, number, present)
    gaps.count(state, row, number, present, faked)
    waits = faked[:, 0] & (state.owed[row] <= -SLOT) & (number[:, 0] < state.end[row])
    state.owed[row] += SLOT * waits
    state.play[row] += ~waits
    pcm = _decode(state, row, place)
    pcm[~present[:, 0]] = 0
    kept = _conceal(state, row, present[:, 0], faked[:, 0], tail[of], pcm)
    tail[of] = np.concatenate((tail[of, SLOT:], kept), axis=1)
    work[of] = np.concatenate((work[of, SLOT:], pcm), axis=1)
    return faked[:, 0]


def _conceal(state: MediaState, row: Index, present: Flags, faked: Flags, tail: Pcm, pcm: Pcm) -> Pcm:
    """Fill the ``faked`` slots of ``pcm`` ((A, 80)), and cross over to those ``present`` after a faked one.

    Returns: this slot as the next should take it to be, (A, 80): what was made up is not faded there.
    """
    run = state.faked_run[row]
    kept = pcm.copy()
    made = np.flatnonzero(faked | (present & (run > 0)))
    if made.size:
        ahead = conceal.extrapolate(tail[made], SLOT)
        faded = conceal.fade(ahead, run[made])
        fill = faked[made][:, None]
        crossed = conceal.cross(faded, pcm[made])
        pcm[made] = np.where(fill, faded, crossed)
        kept[made] = np.where(fill, ahead, crossed)
    state.faked_run[row] = np.where(faked, run + 1, 0)
    return kept


def _wanted(state: MediaState, row: Index, due: Flags) -> tuple[Flags, Flags]:
    """Of which rows time is to be taken out in this tick, if it can be, and into which it is to be put."""
    owed = state.owed[row]
    may = due & (state.held[row] < SLOT)
    coming = state.play[row, None] + _MOST
    ready = (state.stamp[row[:, None], coming % SLOTS] == coming).all(axis=1)
    return may & ready & (owed >= _SHORTEST), may & (owed < 0)


def _urgency(owed: Slots) -> Index:
    return (owed >= _MUCH).astype(np.intp) + (owed >= _TOO_MUCH)


def _asked(owed: Slots, turn: Index) -> Likeness:
    """Likeness asked of a joint in the midst of a loud sound, (A,); beyond 1, a better moment is waited for."""
    urgency = np.where(owed < 0, 1, _urgency(owed))
    asked = np.where(turn % _PATIENCE[urgency] == 0, _ALIKE[urgency], np.float32(2))
    return np.where(turn % _FORCED[urgency] == 0, np.float32(-1), asked).astype(np.float32)


def _alike(state: MediaState, row: Index, work: Pcm, tick: int) -> Likeness:
    """Likeness asked of a joint: in pauses, and in what is soft in speech, little; elsewhere that is waited for."""
    sound = work[:, -2 * FRAME :].astype(np.float32)
    soft = np.einsum("as,as->a", sound, sound) < SPEECH_RMS**2 * sound.shape[1]
    return np.where(soft, _ALIKE[-1], _asked(state.owed[row], row + tick)).astype(np.float32)


def _scale(
    state: MediaState, row: Index, work: Pcm, begin: Index, cut: Flags, add: Flags, tick: int
) -> tuple[Pcm, Index]:
    """Pay what can be paid of what is owed."""
    alike = _alike(state, row, work, tick)
    if (of := np.flatnonzero(cut)).size:
        done = timescale.shorten(work[of], begin[of], RATE, state.owed[row[of]], alike[of])
        work[of], begin[of] = done.sound, begin[of] + done.by
        state.owed[row[of]] -= done.by
    if (of := np.flatnonzero(add)).size:
        done = timescale.lengthen(work[of], begin[of], RATE, None, alike[of])
        work[of], begin[of] = done.sound, begin[of] - done.by
        held = work.shape[1] - FRAME - begin[of]
        state.owed[row[of]] = np.minimum(state.owed[row[of]] + held // SLOT * SLOT, 0)
    held = work.shape[1] - FRAME - begin
    little = (held > 0) & (held < SLOT) & (state.owed[row] < _SHORTEST) & (state.owed[row] >= 0) & ~state.speaking[row]
    if (of := np.flatnonzero(little)).size:
        sound = work[of, -FRAME:].astype(np.float32)
        of = of[np.einsum("as,as->a", sound, sound) < SPEECH_RMS**2 * FRAME]
        work[of], begin[of] = timescale.skip(work[of], begin[of], held[of]), begin[of] + held[of]
        state.owed[row[of]] = 0
    return work, begin
