"""The check catches what a disk or an encoder might do to a file, and nothing that people might do to sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mixminus.recording import verify
from mixminus.recording.rendering import Format
from mixminus.recording.verify import Mismatch

RATE = 8000
T = np.arange(30 * RATE) / RATE
RNG = np.random.default_rng(5)
SOUNDS: dict[str, npt.NDArray[np.floating[Any]]] = {
    "silence": 0 * T,
    "steady offset": 0 * T + 1000,
    "offset and noise": 1000 + RNG.normal(0, 40, len(T)),
    "loud white noise": RNG.normal(0, 15000, len(T)),
    "idle noise of mu-law": RNG.choice([0.0, 8.0, -8.0], len(T)),
    "highest tone": 20000 * (-1.0) ** np.arange(len(T)),
    "high tone": 10000 * np.sin(2 * np.pi * 3900 * T),
    "low tone": 10000 * np.sin(2 * np.pi * 20 * T),
    "keys": 9000 * (np.sin(2 * np.pi * 941 * T) + np.sin(2 * np.pi * 1336 * T)),
    "square": 32767 * np.sign(np.sin(2 * np.pi * 100 * T)),
    "clicks": np.where(RNG.random(len(T)) < 0.0003, 30000.0, 0),
    "steps": np.repeat(RNG.integers(-20000, 20000, 60), 4000).astype(float),
    "talk and pauses": RNG.normal(0, 4000, len(T)) * (np.sin(2 * np.pi * 0.3 * T) > 0.3),
}


def pcm_of(sound: npt.NDArray[np.floating[Any]]) -> bytes:
    return np.clip(np.round(sound), -32768, 32767).astype("<i2").tobytes()


TALK = pcm_of(SOUNDS["talk and pauses"])


@pytest.mark.parametrize("name", SOUNDS)
def test_no_sound_is_taken_for_damage(tmp_path: Path, name: str) -> None:
    pcm = pcm_of(SOUNDS[name])
    rendering, check = verify.start("mp3", tmp_path / "x", RATE)
    for at in range(0, len(pcm), 8000):
        rendering.write(pcm[at : at + 8000])
        check.expect(pcm[at : at + 8000])
        check.advance()
    assert rendering.finish() == check.finish() == len(pcm) // 2
    rendering.close()


@pytest.mark.parametrize("format", ["mp3", "wav"])
@pytest.mark.parametrize("fault", ["zeroed", "cut", "shifted", "swapped"])
def test_damage_is_noticed(tmp_path: Path, format: Format, fault: str) -> None:
    path = tmp_path / "x"
    rendering, check = verify.start(format, path, RATE)
    rendering.write(TALK)
    check.expect({"shifted": bytes(800) + TALK[:-800], "swapped": TALK[240_000:] + TALK[:240_000]}.get(fault, TALK))
    rendering.finish()
    data = path.read_bytes()
    if fault == "zeroed":
        path.write_bytes(data[:16_000] + bytes(4096) + data[20_096:])
    if fault == "cut":
        path.write_bytes(data[:-288])
    with pytest.raises(Mismatch):
        check.finish()
    rendering.close()


def test_another_signal_is_not_alike() -> None:
    one, other = (np.random.default_rng(seed).normal(0, 1000, 8000).astype(np.float32) for seed in (1, 2))
    assert verify.alike(one, one * 0.9, 4000)
    assert not verify.alike(one, other, 4000)
    assert not verify.alike(one * 0, other, 4000)
    assert verify.alike(one[:10], other[:10], 4000)
