"""WAV files hold exactly what went in, and say so at any size."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixminus.recording.wav import HEADER_BYTES, WavRendering, header


@pytest.mark.parametrize("samples", [0, 1, 7, 8000])
def test_every_reader_finds_the_samples(tmp_path: Path, samples: int) -> None:
    pcm = np.arange(samples, dtype="<i2").tobytes()
    path = tmp_path / "x.wav"
    rendering = WavRendering(path, 8000)
    rendering.write(pcm[:5000])
    rendering.write(pcm[5000:])
    assert rendering.finish() == samples
    rendering.close()
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (1, 2, 8000, samples)
        assert file.readframes(samples) == pcm
    assert soundfile.read(path, dtype="int16")[0].tobytes() == pcm


def test_past_the_limit_it_is_rf64() -> None:
    pcm = np.arange(1000, dtype="<i2").tobytes()
    data = header(1000, 8000, limit=2000) + pcm
    assert data[:4] == b"RF64"
    assert soundfile.read(io.BytesIO(data), dtype="int16")[0].tobytes() == pcm


def test_four_gibibytes_need_rf64() -> None:
    most = (2**32 - 1 - (HEADER_BYTES - 8)) // 2
    assert header(most, 8000)[:4] == b"RIFF"
    assert header(most + 1, 8000)[:4] == b"RF64"
    assert len(header(most, 8000)) == len(header(2**40, 8000)) == HEADER_BYTES


def test_a_sparse_file_past_four_gibibytes_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    samples = 2**31 + 100
    with path.open("wb") as file:
        file.write(header(samples, 48000))
        file.seek(HEADER_BYTES + 2 * samples - 2)
        file.write(b"\x39\x05")
    with soundfile.SoundFile(path) as file:
        assert file.frames == samples
        file.seek(samples - 1)
        assert file.read(1, dtype="int16").tolist() == [1337]
