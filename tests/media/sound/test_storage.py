from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from mixminus.errors import MediaError
from mixminus.media.sound.storage import LONGEST_SECONDS, load_wav, load_wide


def write(path: Path, pcm: bytes, channels: int = 1, width: int = 2, rate: int = 8000) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(pcm)
    return str(path)


def test_samples_come_back_as_written(tmp_path: Path) -> None:
    pcm = np.arange(-500, 500, dtype="<i2")
    loaded = load_wav(write(tmp_path / "a.wav", pcm.tobytes()))
    assert loaded.dtype == np.int16
    assert (loaded == pcm).all()


@pytest.mark.parametrize(("channels", "width", "rate"), [(2, 2, 8000), (1, 1, 8000), (1, 2, 16000)])
def test_what_the_engine_cannot_play_is_refused(tmp_path: Path, channels: int, width: int, rate: int) -> None:
    path = write(tmp_path / "a.wav", bytes(channels * width * 100), channels, width, rate)
    with pytest.raises(MediaError, match=f"{channels} channels of {8 * width} bits at {rate} Hz; must be mono"):
        load_wav(path)


def test_what_is_no_prompt_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "junk.wav").write_bytes(b"RIFF\0\0\0\0WAVEjunk")
    (tmp_path / "empty.wav").write_bytes(b"")
    for name in ("junk.wav", "empty.wav", "missing.wav"):
        with pytest.raises(MediaError, match=name):
            load_wav(str(tmp_path / name))
    with pytest.raises(MediaError, match="longer than"):
        load_wav(write(tmp_path / "long.wav", bytes(2 * 8000 * LONGEST_SECONDS + 2)))


def test_a_wide_file_beside_the_narrow_one_is_found_by_its_rate(tmp_path: Path) -> None:
    narrow = write(tmp_path / "a-8000.wav", bytes(2 * 100))
    pcm = np.arange(-300, 300, dtype="<i2")
    write(tmp_path / "a-48000.wav", pcm.tobytes(), rate=48_000)
    wide = load_wide(narrow, 48_000, 600)
    assert wide is not None and wide.dtype == np.int16
    (tmp_path / "a-48000.wav").unlink()
    assert (wide == pcm).all(), "what plays it is not disturbed when the file goes"
    assert load_wide(narrow, 48_000, 600) is None
    assert load_wide(narrow, 16_000, 200) is None
    assert load_wide(write(tmp_path / "b.wav", bytes(2 * 100)), 48_000, 600) is None


@pytest.mark.parametrize("content", [b"", b"RIFF\0\0\0\0WAVEjunk", b"short", b"cut", b"narrow"])
def test_a_wide_file_that_does_not_fit_is_told_of_and_not_played(tmp_path: Path, content: bytes) -> None:
    narrow, beside = write(tmp_path / "a-8000.wav", bytes(2 * 100)), tmp_path / "a-48000.wav"
    if content == b"short":
        write(beside, bytes(2 * 599), rate=48_000)
    elif content == b"cut":
        write(beside, bytes(2 * 600), rate=48_000)
        beside.write_bytes(beside.read_bytes()[:-10])
    elif content == b"narrow":
        write(beside, bytes(2 * 600))
    else:
        beside.write_bytes(content)
    with capture_logs() as logs:
        assert load_wide(narrow, 48_000, 600) is None
    assert [entry["path"] for entry in logs] == [str(beside)]
