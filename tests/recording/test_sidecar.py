from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mixminus.recording import finish
from mixminus.recording.finish import Job
from mixminus.recording.layouts import channels_of, coached
from mixminus.recording.sidecar import NOTES_FILE, Peaks, SampleClock, read_notes, speech_of, webvtt
from mixminus.recording.spool import Spool
from mixminus.recording.timeline import Anchor, Happening

RATE = 8000
SECOND = 1_000_000_000
AGENT = {"member_id": "1", "call_uuid": "call-a", "role": "agent", "address": "sip:a@x", "coach_mode": False}
COACH = {"member_id": "2", "call_uuid": "call-c", "role": "supervisor", "address": "sip:c@x", "coach_mode": True}
CUSTOMER = {"member_id": "3", "call_uuid": "call-b", "role": "customer", "address": "14155550100", "coach_mode": False}


def second(value: int) -> bytes:
    return value.to_bytes(2, "little", signed=True) * RATE


def note(at: float, kind: str, **facts: object) -> bytes:
    return json.dumps({"at_ns": round(at * SECOND), "kind": kind, **facts}).encode() + b"\n"


def test_everything_is_on_the_samples_clock(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool.open(folder, rate=RATE, now_ns=100 * SECOND)
    spool.beside([], [[800, "speech", "call-a", 0]])
    spool.append(second(100))
    spool.beside([], [[-80, "silence", "call-a", 0], [3900, "loss", "call-a", 120]])
    spool.append(second(-200))
    spool.pause(102 * SECOND)
    spool.resume(107 * SECOND)
    spool.append(second(300))
    spool.close(108 * SECOND)
    notes = [
        note(100.001, "present", **AGENT),
        note(101.5, "ParticipantMute", **AGENT),
        note(102, "paused", by="MA1"),
        note(104, "ParticipantDigitInput", digit="*", **AGENT),
        note(107, "resumed", by="MA2"),
        note(107.25, "ParticipantExit", **AGENT),
    ]
    (folder / NOTES_FILE).write_bytes(b"".join(notes) + b'{"at_ns": 1, "ki')
    file = finish.run(Job(folder, "wav", tmp_path / "rec.wav", None, "rec"))
    assert file.sidecar_trouble == ""
    told = msgspec.json.decode((tmp_path / "rec.timeline.json").read_bytes())
    assert (told["recording_id"], told["samples"], told["duration_ms"]) == ("rec", 3 * RATE, 3000)
    assert told["participants"] == [{"call_uuid": "call-a", "member_id": "1", "role": "agent", "address": "sip:a@x"}]
    (spoken,) = told["speech"]
    assert (spoken["start"], spoken["end"], spoken["member_id"]) == (800, RATE - 80, "1")
    assert [(entry["type"], entry["sample"]) for entry in told["events"]] == [
        ("present", 8),
        ("loss", RATE + 3900),
        ("mute", RATE + RATE // 2),
        ("pause", 2 * RATE),
        ("digit", 2 * RATE),
        ("leave", 2 * RATE + RATE // 4),
    ]
    pause = told["events"][3]
    assert (pause["by"], pause["resumed_by"], pause["elapsed_ms"]) == ("MA1", "MA2", 5000)
    assert told["events"][4]["digit"] == "*"
    subtitles = (tmp_path / "rec.vtt").read_text()
    assert subtitles.startswith("WEBVTT\n\n00:00:00.100 --> 00:00:00.990\n<v agent 1>agent 1\n")
    peaks = json.loads((tmp_path / "rec.peaks.json").read_bytes())
    assert peaks["length"] == 60 and len(peaks["data"]) == 120
    assert peaks["data"][:2] == [0, 0] and peaks["data"][40:42] == [-1, -1] and peaks["data"][80:82] == [1, 1]


def test_a_wall_clock_that_jumps_moves_nothing() -> None:
    clock = SampleClock((Anchor(0, 5 * SECOND, True), Anchor(8000, 9 * SECOND, False)), RATE, 8000)
    assert [clock.at(round(at * SECOND)) for at in (1, 5, 5.5, 8, 9, 50)] == [0, 0, 4000, 8000, 8000, 8000]


def test_speech_without_an_end_goes_on_to_the_end() -> None:
    happenings = [Happening(100, "speech", "a", 0), Happening(50, "silence", "b", 0), Happening(120, "speech", "b", 0)]
    assert speech_of(happenings, 1000) == [("a", 100, 1000), ("b", 120, 1000)]


def test_notes_cut_off_or_foreign_are_left_out() -> None:
    assert read_notes(b'{"at_ns":2,"kind":"b"}\nrubbish\n[1]\n{"at_ns":1,"kind":"a"}\n{"at_ns":"x","kind":"c"}') == [
        {"at_ns": 1, "kind": "a"},
        {"at_ns": 2, "kind": "b"},
    ]


def test_no_speech_is_an_empty_file_of_subtitles() -> None:
    assert webvtt({"speech": []}) == "WEBVTT\n"


def test_peaks_come_out_the_same_in_pieces_and_of_the_loudest_channel() -> None:
    pcm = np.random.default_rng(1).integers(-32768, 32767, 10_001).astype("<i2").tobytes()
    whole, parts = Peaks(RATE), Peaks(RATE)
    whole.add(pcm, 1)
    for start in range(0, len(pcm), 1234):
        parts.add(pcm[start : start + 1234], 1)
    assert whole.document() == parts.document()
    stereo = Peaks(RATE)
    stereo.add(np.array([[1, -700], [900, 3]] * 200, "<i2").tobytes(), 2)
    assert json.loads(stereo.document())["data"] == [-3, 3]


def test_layouts() -> None:
    notes = [{"at_ns": at, "kind": "present", **facts} for at, facts in enumerate((AGENT, COACH, CUSTOMER))]
    tracks = ("call-a", "sounds", "call-b", "call-c")
    layout = {
        (name, coach): channels_of(name, coach=coach, tracks=tracks, notes=notes)
        for name in ("mono", "stereo", "stems")
        for coach in (True, False)
    }
    assert layout["mono", True] == ()
    assert layout["mono", False] == (("call-a", "sounds", "call-b"),)
    assert layout["stereo", True] == (("sounds", "call-b"), ("call-a", "sounds", "call-c"))
    assert layout["stereo", False] == (("sounds", "call-b"), ("call-a", "sounds"))
    assert layout["stems", True] == (("call-a",), ("call-b",), ("call-c",), ("sounds",))
    assert channels_of("mono", coach=False, tracks=tracks, notes=notes, partly={"call-c"}) == (tracks,)
    assert channels_of("stereo", coach=True, tracks=("own", "heard"), notes=[]) == (("own",), ("heard",))


def test_when_a_supervisor_coached() -> None:
    def event(call: str, sample: int, coach_mode: bool, role: str = "supervisor") -> dict[str, Any]:
        return {"call_uuid": call, "sample": sample, "role": role, "coach_mode": coach_mode, "type": "any"}

    events = [
        event("always", 0, True),
        event("some", 0, False),
        event("agent", 0, False, "agent"),
        {"sample": 3, "type": "pause"},
        event("some", 16_000, True),
        event("some", 16_400, True),
        event("some", 24_000, False),
        event("always", 25_000, True),
        event("late", 30_000, True),
        event("late", 31_000, False),
        event("some", 39_500, True),
    ]
    assert coached({"rate": 8000, "samples": 40_000, "events": events}) == (
        ("some", 14_400, 25_600),
        ("late", 28_400, 32_600),
        ("some", 37_900, 40_000),
    )
