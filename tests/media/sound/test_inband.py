from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.kit import Pcm, Studio, through, voice
from mixminus.media import protocol
from mixminus.media.codecs import g711
from mixminus.media.sound.dtmf import Press
from mixminus.media.sound.inband import HIGH_HZ, HOP, KEYPAD, LOW_HZ, WINDOW, InbandKeys, windows
from mixminus.media.state import FRAME

Sound = NDArray[np.float64]
PAIRS = [(key, low, high) for (low, high), key in zip(((a, b) for a in LOW_HZ for b in HIGH_HZ), KEYPAD, strict=True)]
FULL_DBM0 = 3.14
"""Of the largest sine of µ-law."""


def peak(dbm0: float) -> float:
    return float(32124 * 10 ** ((dbm0 - FULL_DBM0) / 20))


def dual(ms: float, low: float, high: float, dbm0: float = -10.0, twist: float = 0.0, phase: float = 0.0) -> Sound:
    """Two tones; ``twist`` dB is the high one's level over the low one's, the weaker of them at ``dbm0``."""
    t = np.arange(round(ms * 8)) / 8000
    a, b = peak(dbm0 - min(twist, 0)), peak(dbm0 + max(twist, 0))
    return a * np.sin(2 * np.pi * low * t + phase) + b * np.sin(2 * np.pi * high * t + 2 * phase)


def silence(ms: float) -> Sound:
    return np.zeros(round(ms * 8))


def presses(*parts: Sound, noise: float = 0.0, keys: InbandKeys | None = None) -> list[Press]:
    """What is heard of sounds one after the other, through µ-law."""
    sound = np.concatenate((*parts, silence(100)))
    sound = sound + np.random.default_rng(1).normal(0, noise, sound.size) if noise else sound
    pcm = np.rint(np.pad(sound, (0, -sound.size % FRAME))).clip(-32768, 32767).astype(np.int16)
    keys = keys or InbandKeys()
    keys.open(3)
    row = np.array([1, 3])
    told = []
    for frame in through(g711.PCMU, pcm).reshape(-1, FRAME):
        told += keys.hear(row, np.stack((np.zeros_like(frame), frame)))
    assert all(leg == 3 for leg, _ in told)
    return [press for _, press in told]


def names(*parts: Sound, noise: float = 0.0) -> str:
    return "".join(press.key for press in presses(*parts, noise=noise))


def test_every_key_is_heard_and_how_long_it_was() -> None:
    for key, low, high in PAIRS:
        for ms in (50, 100, 400):
            (press,) = presses(silence(33), dual(ms, low, high))
            assert press.key == key
            assert abs(press.duration_ms - ms) <= 12


@pytest.mark.parametrize("begin", [20, 23.5, 27, 31, 36.5])
@pytest.mark.parametrize("off", [(0.0, 0.0), (0.015, 0.015), (0.015, -0.015), (-0.015, 0.015), (-0.015, -0.015)])
@pytest.mark.parametrize(("dbm0", "twist"), [(-10, 0), (-25, 0), (-25, 4), (-25, -8), (-3, 0)])
def test_all_that_q24_wants_taken_is_taken(begin: float, off: tuple[float, float], dbm0: float, twist: float) -> None:
    """40 ms, 1.5 % off, -25 dBm0, twist of 4 dB and -8 dB, wherever it begins."""
    for n, (key, low, high) in enumerate(PAIRS):
        sound = dual(40, low * (1 + off[0]), high * (1 + off[1]), dbm0, twist, phase=n)
        assert names(silence(begin), sound) == key


@pytest.mark.parametrize("off", [(0.035, 0), (-0.035, 0), (0, 0.035), (0, -0.035), (0.05, 0.05), (0.05, 0)])
def test_frequencies_3_5_percent_off_are_not_taken(off: tuple[float, float]) -> None:
    for n, (_, low, high) in enumerate(PAIRS):
        assert names(silence(20), dual(500, low * (1 + off[0]), high * (1 + off[1]), phase=n)) == ""


@pytest.mark.parametrize("twist", [7.0, -12.0])
def test_too_much_twist_is_not_taken(twist: float) -> None:
    assert all(names(dual(200, low, high, -15, twist)) == "" for _, low, high in PAIRS)


def test_too_quiet_is_not_taken() -> None:
    assert all(names(dual(200, low, high, -36)) == "" for _, low, high in PAIRS)


def test_a_tone_of_23_ms_is_not_taken() -> None:
    for begin in np.arange(20, 40, 2.5):
        assert all(names(silence(begin), dual(23, low, high, phase=begin)) == "" for _, low, high in PAIRS)


@pytest.mark.parametrize("begin", [20, 24, 29, 33, 38])
def test_a_gap_of_40_ms_parts_two_presses_and_one_of_10_ms_does_not(begin: float) -> None:
    for key, low, high in PAIRS:
        tone = dual(50, low, high)
        assert names(silence(begin), tone, silence(40), tone) == 2 * key
        assert names(silence(begin), tone, silence(10), tone) == key


def test_a_number_dialled_fast() -> None:
    sound = [part for _, low, high in PAIRS for part in (dual(45, low, high, -18, 2), silence(42))]
    assert names(*sound) == KEYPAD


def test_keys_without_a_pause_between_them_are_two() -> None:
    assert names(dual(80, 697, 1209), dual(80, 852, 1477)) == "19"


@pytest.mark.parametrize("snr", [24, 15])
def test_noise_does_not_hide_a_key(snr: float) -> None:
    level = peak(-15)
    for key, low, high in PAIRS:
        assert names(silence(30), dual(60, low, high, -15), noise=level * 10 ** (-snr / 20)) == key


def test_one_tone_alone_or_three_are_no_key() -> None:
    t = np.arange(8000) / 8000
    for hertz in (*LOW_HZ, *HIGH_HZ, 440.0, 1000.0):
        assert names(8000 * np.sin(2 * np.pi * hertz * t)) == ""
    chord = dual(500, 697, 1209)
    assert names(chord + 4000 * np.sin(2 * np.pi * 1000 * t[: chord.size])) == ""


def test_noise_is_no_key() -> None:
    noise = np.random.default_rng(2).normal(0, 4000, 60 * 8000)
    assert names(noise) == ""


def test_a_voice_is_no_key() -> None:
    """Harmonics that glide through all frequencies, some of each group at once."""
    for seed, pitch in enumerate((90.0, 115.0, 140.0, 175.0, 210.0, 260.0)):
        sound = voice(10, seed, pitch).reshape(-1, 6).mean(axis=1)
        assert names(sound) == ""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_half_an_hour_of_speech_is_no_key() -> None:
    text = " ".join(f"{n} people said that number {n * 7} is {n % 9} more than they had seen." for n in range(40))
    sounds = []
    for speaker in ("en", "en+f3", "en+m7", "de", "de+f2", "fr", "es+m3", "it+f4", "pl", "tr+f1"):
        for pitch in ("20", "50", "80"):
            command = ["espeak-ng", "-v", speaker, "-p", pitch, "--stdout", text]
            wav = subprocess.run(command, capture_output=True, check=True).stdout
            pcm = np.frombuffer(wav[44 : len(wav) // 2 * 2], np.int16)
            sounds.append(np.interp(np.arange(0, pcm.size - 1, 22050 / 8000), np.arange(pcm.size), pcm))
    assert sum(sound.size for sound in sounds) > 1800 * 8000
    most = max(sound.size for sound in sounds) // FRAME * FRAME
    speech = np.stack([np.resize(sound, most) for sound in sounds]).astype(np.int16)
    row = np.arange(len(speech))
    keys = InbandKeys()
    for leg in row.tolist():
        keys.open(leg)
    assert [keys.hear(row, speech[:, at : at + FRAME]) for at in range(0, most, FRAME)] == [[]] * (most // FRAME)


def slow_window(before: list[float], now: list[float]) -> int:
    """The key of one window, tone by tone, with sine and cosine sums."""

    def tone(sound: list[float], hertz: float) -> complex:
        shape = [0.5 - 0.5 * np.cos(2 * np.pi * (n + 1) / (WINDOW + 1)) for n in range(WINDOW)]
        return sum(
            (w * x * np.exp(-2j * np.pi * hertz * n / 8000) for n, (w, x) in enumerate(zip(shape, sound, strict=True))),
            0j,
        )

    shape = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, WINDOW + 1) / (WINDOW + 1))
    found = []
    for group in (LOW_HZ, HIGH_HZ):
        sums = [tone(now, hertz) for hertz in group]
        best = int(np.argmax(np.abs(sums)))
        turn = np.angle(
            sums[best] * np.conj(tone(before, group[best])) * np.exp(-2j * np.pi * group[best] * HOP / 8000)
        )
        off = abs(turn) * 8000 / (2 * np.pi * HOP)
        time = np.arange(WINDOW) - (WINDOW - 1) / 2
        left = abs(np.sum(shape * np.exp(-2j * np.pi * min(off, 60) * time / 8000))) / shape.sum()
        found.append((best, off / group[best], (2 * abs(sums[best]) / shape.sum() / left) ** 2))
    (low, low_off, low_power), (high, high_off, high_power) = found
    twist = 10 * np.log10(high_power / low_power)
    share = (low_power + high_power) / 2 * np.sum(shape**2) / np.sum((shape * np.array(now)) ** 2)
    if max(low_off, high_off) > 0.025 or min(low_power, high_power) < 600**2 or share < 0.88:
        return -1
    return 4 * low + high if -9.5 < twist < 5.5 else -1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 15), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05), st.floats(-14, 8), st.integers(0, 10**6))
def test_a_window_is_judged_as_the_obvious_way_does(
    key: int, low_off: float, high_off: float, twist: float, seed: int
) -> None:
    _, low, high = PAIRS[key]
    sound = dual(40, low * (1 + low_off), high * (1 + high_off), -18, twist, phase=seed % 7)
    sound = sound + np.random.default_rng(seed).normal(0, seed % 400, sound.size)
    pcm: Pcm = np.rint(sound).astype(np.int16)
    at = seed % 4
    found = windows(pcm[None])[0, at]
    before, now = (pcm[hop * HOP :][:WINDOW].tolist() for hop in (at, at + 1))
    expected = slow_window(before, now)
    near = [abs(abs(off) - 0.025) < 1e-3 for off in (low_off, high_off)]
    if not any(near) and min(abs(twist - 5.5), abs(twist + 9.5)) > 0.1:
        assert found == expected


def test_legs_are_listened_to_each_by_itself() -> None:
    keys = InbandKeys()
    for row in (4, 2, 9):
        keys.open(row)
    keys.open(2)
    assert keys.rows.tolist() == [4, 2, 9]
    one = np.rint(np.concatenate((dual(60, 697, 1209), silence(60)))).astype(np.int16).reshape(-1, FRAME)
    nine = np.rint(np.concatenate((silence(20), dual(60, 852, 1477), silence(40)))).astype(np.int16).reshape(-1, FRAME)
    told = []
    for first, second in zip(one, nine, strict=True):
        told += keys.hear(np.array([2, 7, 9]), np.stack((first, first, second)))
    told += keys.hear(np.array([2]), np.zeros((1, FRAME), np.int16))
    assert [(row, press.key) for row, press in told] == [(2, "1"), (9, "9")]


def test_who_is_closed_while_a_key_is_down_is_told_nothing_of() -> None:
    keys = InbandKeys()
    keys.open(1)
    keys.open(5)
    for frame in np.rint(dual(100, 697, 1209)).astype(np.int16).reshape(-1, FRAME):
        keys.hear(np.array([1, 5]), np.stack((frame, frame)))
    keys.close([1])
    told = [press for _ in range(5) for press in keys.hear(np.zeros(0, np.intp), np.zeros((0, FRAME), np.int16))]
    assert [row for row, _ in told] == [5]


def dial(studio: Studio, leg: str, sound: Sound, rate: int = 8000) -> None:
    pcm = np.rint(np.pad(sound, (0, -sound.size % (rate // 50)))).astype(np.int16)
    for frame in pcm.reshape(-1, rate // 50):
        studio.tick({leg: frame})
    studio.run(6)


def digits(studio: Studio) -> str:
    return "".join(event.key for event in studio.told(protocol.Digit) if isinstance(event, protocol.Digit))


def listening(codec: protocol.Codec = "PCMU", talk: int = 1) -> Studio:
    studio = Studio()
    peer = studio.join("a", codec=codec, talk=talk)
    studio.join("b")
    number = {"PCMU": 0, "PCMA": 8, "G722": 9}[codec]
    studio.apply(protocol.UpdateLeg("a", peer.address, codec, number, 101, inband_keys=True))
    return studio


@pytest.mark.parametrize("talk", [0, 1])
def test_a_leg_is_listened_to_also_when_nobody_else_hears_it(talk: int) -> None:
    studio = listening(talk=talk)
    dial(studio, "a", np.concatenate((dual(60, 770, 1336), silence(60), dual(60, 941, 1209), silence(60))))
    assert digits(studio) == "5*"
    assert bool(studio.told(protocol.SpeakStart)) == bool(talk)


def test_wide_legs_too() -> None:
    studio = listening("G722")
    t = np.arange(16000 * 3 // 50) / 16000
    tone = 5000 * np.sin(2 * np.pi * 852 * t) + 5000 * np.sin(2 * np.pi * 1477 * t)
    dial(studio, "a", np.concatenate((np.zeros(3200), tone, np.zeros(3200))), 16000)
    assert digits(studio) == "9"


def test_without_it_tones_are_only_sound() -> None:
    studio = Studio()
    studio.join("a")
    dial(studio, "a", np.concatenate((dual(60, 770, 1336), silence(60))))
    assert digits(studio) == ""


def test_a_key_that_also_comes_as_an_event_is_told_once() -> None:
    """The tone is heard, and the event says it too: from then on events are what counts."""
    studio = listening()
    peer = studio.peers["a"]
    for number, frame in enumerate(np.rint(dual(100, 770, 1336)).astype(np.int16).reshape(-1, FRAME)):
        end = 0x80 if number == 4 else 0
        event = bytes([5, end | 10, *((number + 1) * FRAME).to_bytes(2, "big")])
        held, peer.timestamp = peer.timestamp, 5000 + 7 * FRAME
        studio.deliver(peer, peer.raw(event, payload_type=101))
        peer.timestamp = held
        studio.tick({"a": frame})
    studio.run(10)
    dial(studio, "a", np.concatenate((dual(100, 697, 1209), silence(60))))
    assert digits(studio) == "5"
    studio.apply(protocol.UpdateLeg("a", peer.address, dtmf_payload_type=101, inband_keys=True))
    dial(studio, "a", np.concatenate((dual(100, 697, 1209), silence(60))))
    assert digits(studio) == "5"
