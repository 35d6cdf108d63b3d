"""MP3 files are as long as what went in, to the sample, for every reader."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixminus.errors import StorageError
from mixminus.recording import mp3
from mixminus.recording.mp3 import Mp3Rendering, parse_frame, parse_info


def noise(samples: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).normal(0, 3000, samples).astype("<i2").tobytes()


def render(path: Path, pcm: bytes, rate: int, step: int = 16000) -> None:
    rendering = Mp3Rendering(path, rate)
    for at in range(0, len(pcm), step):
        rendering.write(pcm[at : at + step])
    assert rendering.finish() == len(pcm) // 2
    rendering.close()


@pytest.mark.parametrize("samples", [1, 2, 47, 48, 527, 528, 529, 575, 576, 577, 1151, 1152, 1153, 8000, 12345, 80_001])
def test_length_is_exact(tmp_path: Path, samples: int) -> None:
    path = tmp_path / "x.mp3"
    render(path, noise(samples), 8000)
    decoded, rate = soundfile.read(path)
    assert (len(decoded), rate) == (samples, 8000)


def test_length_is_exact_for_every_remainder(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    for samples in range(1000, 1577, 5):
        render(path, noise(samples), 8000)
        assert len(soundfile.read(path)[0]) == soundfile.info(path).frames == samples


@pytest.mark.parametrize("rate", sorted(mp3.SAMPLE_RATES))
def test_every_rate(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "x.mp3"
    samples = rate + 77
    tone = (8000 * np.sin(np.arange(samples) * 2 * np.pi * 400 / rate)).astype("<i2")
    render(path, tone.tobytes(), rate)
    decoded, found = soundfile.read(path, dtype="int16")
    assert (len(decoded), found) == (samples, rate)
    middle = slice(rate // 4, 3 * rate // 4)
    assert np.corrcoef(decoded[middle], tone[middle])[0, 1] > 0.999  # in its place to the sample


def test_a_rate_mp3_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="mp3 cannot hold 8001 Hz; it can 8000, 11025"):
        Mp3Rendering(tmp_path / "x.mp3", 8001)


def test_how_it_is_cut_up_changes_nothing(tmp_path: Path) -> None:
    files = []
    for step in (320, 318, 16000, 100_000):
        path = tmp_path / f"{step}.mp3"
        render(path, noise(50_001), 8000, step)
        files.append(path.read_bytes())
    assert len(set(files)) == 1


def test_the_info_frame_follows_the_tag_format(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    render(path, noise(10_000), 8000)
    data = path.read_bytes()
    frame = parse_frame(data)
    assert frame == (288, 576, 8000, True)
    tag = data[4 + 9 :]
    frames, size = int.from_bytes(tag[8:12], "big"), int.from_bytes(tag[12:16], "big")
    assert tag[:8] == b"Info\0\0\0\x0f"
    assert (frames, size) == (len(data) // 288 - 1, len(data))
    assert tag[120:129] == b"LAME3.100"
    delays = int.from_bytes(tag[141:144], "big")
    assert delays >> 12 == 576
    assert frames * 576 - 576 - (delays & 0xFFF) == 10_000


@pytest.mark.parametrize("data", [b"", b"\xff\xe3\x48", b"\0\0\0\0", b"\xff\xe3\xf8\xc4", b"\xff\xeb\x48\xc4"])
def test_what_is_no_frame_header_is_none(data: bytes) -> None:
    assert parse_frame(data) is None


def test_the_info_frame_is_read_back_and_its_checksum_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    render(path, noise(10_000), 8000)
    data = path.read_bytes()
    assert parse_info(data) == (len(data) // 288 - 1, len(data), 10_000)
    for place in (0, 20, 100, 155, 168):
        assert parse_info(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]) is None
    assert parse_info(data[:160]) is None
    assert parse_info(data[288:]) is None


@pytest.mark.slow
@pytest.mark.parametrize("samples", [575, 8000, 12345, 80_001])
def test_ffmpeg_agrees(tmp_path: Path, samples: int) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    path = tmp_path / "x.mp3"
    pcm = noise(samples)
    render(path, pcm, 8000)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "s16le", "-"]
    decoded = subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert decoded.stderr == b""
    assert len(decoded.stdout) == len(pcm)
