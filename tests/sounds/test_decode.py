from __future__ import annotations

import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from mixminus.errors import SoundError
from mixminus.sounds.decode import decode, decode_at

HERTZ = 440


def tone(rate: int, seconds: float, channels: int = 1) -> NDArray[np.float32]:
    mono = (0.5 * np.sin(2 * np.pi * HERTZ * np.arange(round(rate * seconds)) / rate)).astype(np.float32)
    return np.repeat(mono[:, None], channels, axis=1)


def loudest_hertz(pcm: NDArray[np.int16], rate: int) -> float:
    return float(np.abs(np.fft.rfft(pcm)).argmax() * rate / pcm.size)


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize(
    ("name", "source_rate", "channels"),
    [("a.wav", 44_100, 2), ("a.mp3", 22_050, 1), ("a.ogg", 48_000, 2), ("a.flac", 96_000, 6), ("b.wav", 8_000, 1)],
)
def test_every_format_keeps_pitch_level_and_length(
    tmp_path: Path, name: str, source_rate: int, channels: int, rate: int
) -> None:
    soundfile.write(tmp_path / name, tone(source_rate, 2.5, channels), source_rate)
    pcm = decode(tmp_path / name, rate=rate, longest_seconds=10)
    assert pcm.dtype == np.int16 and pcm.ndim == 1
    assert pcm.size == pytest.approx(2.5 * rate, rel=0.03)
    middle = pcm[rate // 2 : 2 * rate]
    assert np.abs(middle.reshape(-1, rate // 10)).max(axis=1).min() > 14_000, "no gap"
    assert loudest_hertz(middle, rate) == pytest.approx(HERTZ, abs=2)
    assert np.sqrt(np.mean(middle.astype(float) ** 2)) == pytest.approx(0.5 * 32767 / np.sqrt(2), rel=0.05)


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.stack([np.full(8000, 0.5), np.full(8000, -0.25)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 8000)
    assert np.abs(decode(tmp_path / "a.wav", rate=8000, longest_seconds=5) - 4096).max() <= 2


def test_a_sound_that_is_too_long_is_refused_with_its_limit(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(8000 * 30), 8000)
    with pytest.raises(SoundError, match="longer than 20 s"):
        decode(tmp_path / "a.flac", rate=8000, longest_seconds=20)


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>", b"RIFF\x00\x00\x00\x00WAVEfmt ", b"ID3" + bytes(99)]
)
def test_what_is_no_audio_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SoundError):
        decode(tmp_path / "a", rate=8000, longest_seconds=20)


def test_damaged_files_never_crash(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.ogg", tone(16_000, 1), 16_000)
    whole = (tmp_path / "whole.ogg").read_bytes()
    random = np.random.default_rng(1)
    for _ in range(40):
        damaged = bytearray(whole)
        for at in random.integers(0, len(whole), 30):
            damaged[at] = int(random.integers(256))
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            assert decode(tmp_path / "damaged", rate=8000, longest_seconds=20).dtype == np.int16
        except SoundError as error:
            assert str(error)


def test_an_empty_wav_holds_no_audio(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 8000)
    with pytest.raises(SoundError, match="no audio"):
        decode(tmp_path / "a.wav", rate=8000, longest_seconds=20)


def test_the_process_writes_a_wav_or_says_why_not(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", tone(44_100, 1), 44_100)
    command = [sys.executable, "-m", "mixminus.sounds.decoder"]
    arguments = [str(tmp_path / "a.mp3"), str(tmp_path / "a.wav"), "8000", "10"]
    subprocess.run([*command, *arguments], check=True)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:3] == (1, 2, 8000)
    arguments[2] = "8000,48000"
    arguments[1] = str(tmp_path / "b-8000.wav")
    subprocess.run([*command, *arguments], check=True)
    with wave.open(str(tmp_path / "b-48000.wav")) as file:
        assert file.getparams()[:3] == (1, 2, 48_000)
    arguments[3] = "0.5"
    failed = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert (failed.returncode, failed.stderr) == (1, "longer than 0.5 s")


RATES = (8_000, 16_000, 48_000)


@pytest.mark.parametrize("source_rate", [11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_all_rates_of_a_wide_sound_agree_to_the_sample(tmp_path: Path, source_rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(source_rate, 1.2345), source_rate, subtype="FLOAT")
    found = decode_at(tmp_path / "a.wav", rates=RATES, longest_seconds=5)
    assert tuple(found) == RATES
    for rate in RATES[1:]:
        assert found[rate].size == found[8000].size * rate // 8000
        apart = found[rate][:: rate // 8000].astype(int) - found[8000]
        assert np.abs(apart[400:-400]).max() <= 3, "same place, same level"


def test_what_is_above_8_khz_is_kept_where_it_can_be(tmp_path: Path) -> None:
    high = 0.5 * np.sin(2 * np.pi * 5_000 * np.arange(48_000) / 48_000)
    soundfile.write(tmp_path / "a.wav", high, 48_000)
    found = decode_at(tmp_path / "a.wav", rates=RATES, longest_seconds=5)
    for rate in RATES[1:]:
        assert loudest_hertz(found[rate], rate) == pytest.approx(5_000, abs=2)
        assert np.abs(found[rate]).max() > 16_000
    assert np.abs(found[8000][800:-800]).max() <= 2


@pytest.mark.parametrize("source_rate", [4_000, 8_000])
def test_a_narrow_sound_is_made_at_one_rate_only(tmp_path: Path, source_rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(source_rate, 0.5), source_rate)
    assert tuple(decode_at(tmp_path / "a.wav", rates=RATES, longest_seconds=5)) == (8000,)


@pytest.mark.parametrize("samples", [1, 2, 7])
def test_the_shortest_sounds_have_all_rates(tmp_path: Path, samples: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(samples, 0.5), 48_000)
    found = decode_at(tmp_path / "a.wav", rates=RATES, longest_seconds=5)
    assert [pcm.size // found[8000].size for pcm in found.values()] == [1, 2, 6]
