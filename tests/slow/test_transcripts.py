"""A real engine with a real model on synthesised speech over the telephone: PocketSphinx on espeak-ng."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from mixminus.recording.spool import Spool
from mixminus.recording.transcribe import BUNDLED, POCKETSPHINX, load, transcript, why_not
from slow.support import program

pytestmark = pytest.mark.slow

RATE = 8000
BLOCK = RATE // 2


def speech(folder: Path, text: str) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """(S,) int16 at 8 kHz."""
    subprocess.run([program("espeak-ng"), "-v", "en-us", "-s", "130", "-w", str(folder / "said.wav"), text], check=True)
    samples, rate = soundfile.read(folder / "said.wav", dtype="float32")
    narrow = soxr.resample(samples, rate, RATE)
    return np.asarray(np.clip(narrow, -1, 1) * 20_000, np.int16)


def test_who_said_something_when_and_roughly_what(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    assert why_not(POCKETSPHINX, BUNDLED) == ""
    said = [("agent", speech(tmp_path, "good morning. can i help you")), ("customer", speech(tmp_path, "five one two"))]
    silence = np.random.default_rng(1).integers(-3, 4, 3 * RATE).astype(np.int16)
    spool, at, spans = Spool.open(tmp_path / "spool", rate=RATE, now_ns=0), 0, {}
    for name, samples in said:
        whole = np.concatenate((silence, samples, silence))
        whole = whole[: len(whole) // BLOCK * BLOCK]
        spans[name] = (at + 3 * RATE, at + 3 * RATE + len(samples))
        at += len(whole)
        for block in whole.reshape(-1, BLOCK).astype("<i2"):
            spool.beside([(name, block.tobytes())], [])
            spool.append(block.tobytes())
    spool.close(0)
    told = transcript(tmp_path / "spool", load(POCKETSPHINX, BUNDLED))["utterances"]
    print(*told, sep="\n")  # noqa: T201
    assert {one["call_uuid"] for one in told} == {"agent", "customer"}
    for one in told:
        start, end = spans[one["call_uuid"]]
        assert start / RATE - 0.6 <= one["start_ms"] / 1000 < one["end_ms"] / 1000 <= end / RATE + 1.0
    words = {name: " ".join(one["text"] for one in told if one["call_uuid"] == name).split() for name in spans}
    assert all(len(words[name]) >= 2 for name in spans)
