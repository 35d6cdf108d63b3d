from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mixminus.cli import transcribe as command
from mixminus.errors import StorageError
from mixminus.recording.sidecar import NOTES_FILE
from mixminus.recording.spool import Spool
from mixminus.recording.transcribe import (
    FASTER_WHISPER,
    POCKETSPHINX,
    RATE,
    Engine,
    Utterance,
    load,
    transcript,
    why_not,
)


def loudness(model: str) -> Engine:
    """An engine for tests: says how many half seconds are not silent, and where the first begins."""

    def say(samples: npt.NDArray[np.float32]) -> Iterable[Utterance]:
        halves = samples[: len(samples) // (RATE // 2) * (RATE // 2)].reshape(-1, RATE // 2)
        loud = np.flatnonzero(np.abs(halves).max(axis=1) > 0.05)
        if loud.size:
            yield Utterance(loud[0] / 2, (loud[-1] + 1) / 2, f"{model} {loud.size}")

    return say


def make_spool(folder: Path, *, tracks: bool) -> None:
    wave = (8000 * np.sin(np.arange(4000) * 0.3)).astype("<i2").tobytes()
    spool = Spool.open(folder, rate=8000, now_ns=0)
    for half in range(6):
        speaking = ["a"] if half < 2 else ["b"] if half > 3 else []
        if tracks:
            spool.beside([(name, wave) for name in speaking], [])
        spool.append(wave if speaking else bytes(8000))
    spool.close(0)
    note = {"at_ns": 1, "kind": "present", "call_uuid": "a", "member_id": "7", "role": "agent"}
    (folder / NOTES_FILE).write_text(json.dumps(note) + "\n")


def test_each_voice_by_itself(tmp_path: Path) -> None:
    make_spool(tmp_path / "s", tracks=True)
    told = transcript(tmp_path / "s", loudness("loud"))
    assert [(one["call_uuid"], one["role"], one["start_ms"], one["text"]) for one in told["utterances"]] == [
        ("a", "agent", 0, "loud 2"),
        ("b", "", 2000, "loud 2"),
    ]
    assert told["text"] == "loud 2\nloud 2"


def test_without_tracks_nobody_is_named(tmp_path: Path) -> None:
    make_spool(tmp_path / "s", tracks=False)
    (one,) = transcript(tmp_path / "s", loudness("x"))["utterances"]
    assert (one["call_uuid"], one["end_ms"]) == ("", 3000)


def test_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_spool(tmp_path / "s", tracks=True)
    monkeypatch.setattr("mixminus.recording.finisher.be_humble", lambda: None)
    monkeypatch.setattr("mixminus.recording.transcribe.loudness", loudness, raising=False)
    out = tmp_path / "x.transcript.json"
    engine = "mixminus.recording.transcribe:loudness"
    arguments = ["--folder", str(tmp_path / "s"), "--out", str(out), "--engine", engine, "--model", "m"]
    assert command.main(arguments) == 0
    assert json.loads(out.read_text())["utterances"][0]["member_id"] == "7"


def test_what_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "set transcribe_model" in why_not(FASTER_WHISPER, "")
    assert "transcribe" in why_not(FASTER_WHISPER, str(tmp_path / "nowhere"))
    assert why_not("my.module:engine", "m") == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "transcribe-small" in why_not(POCKETSPHINX, "en-us")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert "en-us, not de" in why_not(POCKETSPHINX, "de") and why_not(POCKETSPHINX, "en-us") == ""
    with pytest.raises(StorageError, match=r"engine no\.such:thing cannot be used"):
        load("no.such:thing", "m")
