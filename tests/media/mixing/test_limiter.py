from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.kit import Pcm, Studio, joined, strength, through, tone
from mixminus.media import protocol
from mixminus.media.codecs import g711
from mixminus.media.mixing.layout import CROWD, Layout, lay_out, payload_rows
from mixminus.media.mixing.limiter import BLOCKS, LEAST, MOST, Limiter, bring_under, limit
from mixminus.media.mixing.matrix import Plan, build_plan
from mixminus.media.mixing.mix import Mixer
from mixminus.media.state import FRAME

Sound = NDArray[np.float64]
RELEASE = 1 - np.exp(-2 / 80)


def slow_gains(gain: float, frame: list[int]) -> list[float]:
    """The gain of each sample of one frame of one sum, begun at ``gain``."""
    size = len(frame) // BLOCKS
    parts = [frame[at * size : (at + 1) * size] for at in range(BLOCKS)]
    most = [min(1.0, MOST / max(1, *(max(sample, -1 - sample) for sample in part))) for part in parts]
    gains: list[float] = []
    for at in range(BLOCKS):
        end = min(most[at], most[min(at + 1, BLOCKS - 1)], gain + (1.1 - gain) * RELEASE)
        gains += [gain + (end - gain) * (n + 1) / size for n in range(size)]
        gain = end
    return gains


def slow_limit(gain: float, frame: list[int]) -> tuple[float, list[float]]:
    """One frame of one sum, sample by sample; samples before rounding."""
    gains = slow_gains(gain, frame)
    return gains[-1], [min(max(sample * one, LEAST), MOST) for sample, one in zip(frame, gains, strict=True)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([160, 320, 960]), st.floats(0.1, 1.0), st.integers(1000, 200_000))
def test_it_is_the_obvious_thing_sample_by_sample(seed: int, size: int, gain: float, peak: int) -> None:
    random = np.random.default_rng(seed)
    loudness = random.random((3, BLOCKS, 1))
    total = (random.integers(-peak, peak, (3, BLOCKS, size // BLOCKS)) * loudness).astype(np.int32).reshape(3, size)
    ends, out = limit(np.full(3, gain), total)
    for row in range(3):
        end, expected = slow_limit(gain, total[row].tolist())
        assert ends[row] == pytest.approx(end, rel=1e-5)
        assert np.abs(out[row] - np.array(expected)).max() < 0.5 + 0.02


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 300))
def test_each_sum_is_limited_by_itself(seed: int, rows: int) -> None:
    """Whatever else is in the batch: to the bit."""
    random = np.random.default_rng(seed)
    total = (random.integers(-60000, 60000, (rows, FRAME)) * random.random((rows, 1))).astype(np.int32)
    gain = np.minimum(random.random(rows) * 2, 1)
    together = np.empty((rows, FRAME), np.int16)
    ends = bring_under(gain, total, together)
    alone = np.empty((rows, FRAME), np.int16)
    for row in random.integers(0, rows, 5):
        end = bring_under(gain[row : row + 1], total[row : row + 1], alone[row : row + 1])
        assert end[0] == ends[row]
        assert (alone[row] == together[row]).all()


def test_what_fits_passes_to_the_bit_and_needs_no_gain() -> None:
    total = np.array([[MOST, LEAST] * 80, [0, 1] * 80], np.int32)
    out = np.empty((2, FRAME), np.int16)
    assert (bring_under(np.ones(2), total, out) == 1).all()
    assert (out == total).all()


def limited(sound: Sound) -> tuple[Sound, Sound]:
    """Frame after frame: (N,) samples, and the gain at the end of each frame."""
    gain = np.ones(1)
    out, gains = [], []
    for frame in np.rint(sound).astype(np.int32).reshape(-1, 1, FRAME):
        gain, pcm = limit(gain, frame)
        out.append(pcm[0].astype(np.float64))
        gains.append(float(gain[0]))
    return np.concatenate(out), np.array(gains)


def above(sound: Sound, hertz: float) -> float:
    """dB of what lies above a frequency, to the whole, after the first second."""
    sound = sound[8000:]
    power = np.abs(np.fft.rfft(sound * np.blackman(sound.size))) ** 2
    frequency = np.fft.rfftfreq(sound.size, 1 / 8000)
    return float(10 * np.log10(power[frequency > hertz].sum() / power.sum()))


@pytest.mark.parametrize(("peak", "better"), [(8000, 20), (12000, 20), (16000, 20)])
def test_six_loud_talkers_are_much_cleaner_than_cut_off(peak: float, better: float) -> None:
    """Cutting off spreads the sound over all frequencies; turning down leaves it where it was."""
    t = np.arange(3 * 8000) / 8000
    voices = [peak * np.sin(2 * np.pi * hertz * t + n) for n, hertz in enumerate((203, 331, 457, 613, 811, 1009))]
    sound = np.sum(voices, axis=0)
    out, _ = limited(sound)
    assert above(np.clip(sound, LEAST, MOST), 1300) - above(out, 1300) > better


def test_a_loud_tone_stays_a_tone() -> None:
    tone = 60000 * np.sin(2 * np.pi * 300 / 8000 * np.arange(3 * 8000))
    out, _ = limited(tone)
    assert above(out, 600) < -55
    assert above(np.clip(tone, LEAST, MOST), 600) > -15
    assert np.abs(out[8000:]).max() > 0.95 * MOST


def test_a_step_of_level_makes_no_click() -> None:
    """Up by 12 dB and down again: beside the tone nothing above what the step itself has."""
    t = np.arange(16000)
    level = np.where((t > 5000) & (t < 10000), 60000.0, 15000.0)
    tone = level * np.sin(2 * np.pi * 400 / 8000 * t)
    out, gains = limited(tone)
    steps = np.abs(np.diff(out))
    assert steps.max() <= 1.05 * MOST * 2 * np.sin(np.pi * 400 / 8000) * (60000 / 15000) ** 0.5
    assert gains[20] == 1
    assert gains[50] == pytest.approx(MOST / 60000, rel=0.05)
    assert (gains[-20:] == 1).all()


def test_the_gain_comes_back_within_a_fifth_of_a_second() -> None:
    gain = np.array([0.001])
    quiet = np.full((1, FRAME), 100, np.int32)
    gains = []
    for _ in range(10):
        gain, _ = limit(gain, quiet)
        gains.append(float(gain[0]))
    assert gains == sorted(gains)
    assert gains[2] < 0.7
    assert gains[-1] == 1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(CROWD + 1, CROWD + 9), st.integers(300, 9000))
def test_a_crowd_is_turned_down_alike_for_all_who_are_in_it(seed: int, size: int, peak: int) -> None:
    """Beside a room of three, whose listeners have gains of their own."""
    random = np.random.default_rng(seed)
    ones = np.ones(size + 3, np.uint64)
    plan = build_plan(np.repeat(np.array([0, 1], np.int32), (size, 3)), ones, ones)
    layout = lay_out(plan, ones > 0, np.arange(size + 3), np.zeros(size + 3, np.uint8))
    mixer = Mixer(Limiter(), size + 3)
    gain, gains = 1.0, np.ones(FRAME)
    for _ in range(4):
        frame = random.integers(-peak, peak + 1, (size + 3, FRAME)).astype(np.int16)
        mixer.run(plan, layout, frame, np.zeros((payload_rows(size + 3), FRAME), np.uint8))
        total = frame[:size].sum(axis=0, dtype=np.int64)
        gains = np.array(slow_gains(gain, total.tolist()))
        gain = float(gains[-1])
        for at, row in enumerate(layout.own_row):
            own = frame[row].astype(np.int64)
            if row < size:
                expected = ((total - own) * gains).clip(LEAST, MOST)
            else:
                expected = (frame[size:].sum(axis=0, dtype=np.int64) - own).astype(np.float64)
            assert np.abs(mixer.mix[layout.sums + at] - expected).max() < 0.5 + 0.02


def two_rooms(active: list[int]) -> tuple[Plan, Layout]:
    room = np.array([0, 0, 0, 1, 1, 1], np.int32)
    ones = np.ones(6, np.uint64)
    plan = build_plan(room, ones, ones)
    sounding = np.zeros(6, np.bool_)
    sounding[active] = True
    return plan, lay_out(plan, sounding, np.arange(6), np.zeros(6, np.uint8))


def one_frame(limiter: Limiter, plan: Plan, layout: Layout, level: int) -> Pcm:
    limiter.follow(plan, layout)
    out = np.empty((layout.mixes, FRAME), np.int16)
    limiter.finish(np.full((layout.mixes, FRAME), level, np.int32), 0, out)
    limiter.settle()
    return out


def test_who_goes_on_hearing_something_hears_it_as_loud_as_before() -> None:
    """Somebody begins to talk, so that sums come and go and are numbered anew; all gains go on."""
    limiter = Limiter()
    for _ in range(3):
        one_frame(limiter, *two_rooms([0, 1, 3, 4]), 60000)
    assert limiter.turned_down
    out = one_frame(limiter, *two_rooms([0, 1, 2, 3, 4, 5]), 30000)
    assert (np.abs(out[:, :16] - 30000 * MOST / 60000) < 900).all()


def test_a_new_plan_takes_the_gains_along() -> None:
    limiter = Limiter()
    plan, layout = two_rooms([0, 1, 2])
    one_frame(limiter, plan, layout, 60000)
    other, layout = two_rooms([0, 1, 2])
    assert other is not plan
    assert one_frame(limiter, other, layout, 30000)[0, 0] < 17000


def test_after_silence_nothing_is_left_of_a_gain() -> None:
    limiter = Limiter()
    one_frame(limiter, *two_rooms([0, 1]), 60000)
    one_frame(limiter, *two_rooms([]), 0)
    assert not limiter.turned_down
    assert (one_frame(limiter, *two_rooms([0, 1]), 30000) == 30000).all()


def loud_call(codec: protocol.Codec, rate: int) -> tuple[Pcm, Pcm]:
    """What a listener and the recording get of three full-scale tones in phase with each other."""
    studio = Studio()
    for name in "abc":
        studio.join(name, hear=0, codec=codec)
    listener = studio.join("d", talk=0, codec=codec)
    studio.apply(protocol.StartTap("tape", "room", 1, "spool"))
    for frame in tone(400, 75, peak=20000, rate=rate):
        studio.tick(dict.fromkeys("abc", frame))
    studio.apply(protocol.StopTap("tape"))
    return joined(listener.heard), studio.tapes["tape"].pcm


@pytest.mark.parametrize(("codec", "rate"), [("PCMU", 8000), ("G722", 16000)])
def test_listeners_and_recordings_of_any_rate_are_limited_alike(codec: protocol.Codec, rate: int) -> None:
    heard, tape = loud_call(codec, rate)
    for sound in (heard, tape):
        last = sound[-rate // 2 :]
        whole = np.sqrt(2 * np.mean(last.astype(np.float64) ** 2))
        assert strength(last, 400, rate) > 0.999 * whole if codec == "PCMU" else 0.99 * whole
        assert strength(last, 400, rate) > 29000


def test_a_call_at_the_usual_level_is_never_touched() -> None:
    """Three talkers at once at -20 dBFS."""
    studio = Studio()
    for name in "abc":
        studio.join(name, hear=0)
    studio.apply(protocol.StartTap("tape", "room", 1, "spool"))
    random = np.random.default_rng(1)
    sounds = {name: random.normal(0, 3277, (50, FRAME)).clip(-10000, 10000).astype(np.int16) for name in "abc"}
    for tick in range(50):
        studio.tick({name: sound[tick] for name, sound in sounds.items()})
    studio.run(5)
    studio.apply(protocol.StopTap("tape"))
    plain = np.sum([through(g711.PCMU, sound).astype(np.int32) for sound in sounds.values()], axis=0)
    tape = studio.tapes["tape"].pcm
    begin = int(np.flatnonzero(tape)[0]) // FRAME * FRAME
    assert (tape[begin : begin + plain.size] == plain.reshape(-1)).all()


def test_what_a_leg_that_is_not_sent_to_would_hear_lacks_its_own_voice_however_loud() -> None:
    """Its recording with both sides: the others alone, and both together limited without a wrap."""
    studio = Studio()
    for name in "abc":
        studio.join(name, send=name != "a")
    start = protocol.StartTap("tape", "room", 0, "spool", leg="a", heard=True)
    studio.apply(start)
    hertz = {"a": 300, "b": 500, "c": 700}
    sounds = {name: tone(one, 75, peak=20000) for name, one in hertz.items()}
    for tick in range(75):
        studio.tick({name: sound[tick] for name, sound in sounds.items()})
    studio.apply(protocol.StopTap("tape"))
    tape = studio.tapes["tape"]
    rest, whole = tape.track("heard")[-4800:-800], tape.pcm[-4800:-800]
    assert strength(rest, 300) < 0.02 * strength(rest, 500)
    strengths = [strength(whole, one) for one in hertz.values()]
    assert max(strengths) < 1.3 * min(strengths)
    spread = np.abs(np.fft.rfft(whole * np.blackman(whole.size))) ** 2
    assert spread[int(whole.size * 1500 / 8000) :].sum() < 0.01 * spread.sum()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 40), st.sampled_from([20_000, 40_000, 200_000]))
def test_many_frames_at_once_are_limited_as_one_by_one(seed: int, sums: int, ticks: int, peak: int) -> None:
    """Frames that fit and frames that do not, the very lowest samples among them, begun at any gain: to the bit."""
    random = np.random.default_rng(seed)
    loudness = np.repeat(random.random((sums, ticks)) * (random.random((sums, ticks)) < 0.4), FRAME, axis=1)
    total = (random.integers(-peak, peak + 1, loudness.shape) * loudness).astype(np.int32)
    total[random.random(total.shape) < 0.001] = LEAST
    together, alone, layout = Limiter(), Limiter(), two_rooms([0, 1, 2, 3, 4, 5])
    mix = np.arange(sums) + 1
    before = np.full((layout[1].mixes, FRAME), int(random.integers(30_000, 90_000)), np.int32)
    for limiter in (together, alone):
        limiter.follow(*layout)
        limiter.finish(before, 0, np.empty(before.shape, np.int16))
        limiter.settle()
    out, expected = np.empty((2, *total.shape), np.int16)
    together.finish_ticks(total, mix, out)
    for begin in range(0, total.shape[1], FRAME):
        part = slice(begin, begin + FRAME)
        frame = np.empty((sums, FRAME), np.int16)
        alone.finish(total[:, part].copy(), 1, frame)
        expected[:, part] = frame
        alone.settle()
    together.settle()
    assert (out == expected).all()
    assert together.turned_down == alone.turned_down
    after = [np.empty(before.shape, np.int16) for _ in range(2)]
    together.finish(before, 0, after[0])
    alone.finish(before, 0, after[1])
    assert (after[0] == after[1]).all()
