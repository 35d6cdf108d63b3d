from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mixminus.cli.screen import Screen
from mixminus.cli.verdicts import Speech, Stretch, judge_callbacks, judge_hearing, judge_recording, place
from mixminus.testing import sources
from mixminus.testing.signature import Verdict as Signature
from mixminus.testing.sink import Received

S = 1_000_000_000
AGENT = Speech("agent", "agent", 0, 10 * S)
CUSTOMER = Speech("customer", "customer", 10 * S, 21 * S)
COACH = Speech("supervisor", "supervisor", 21 * S, 30 * S)
CARD = Speech("customer", "card", 30 * S, 35 * S)


def _timeline(*speeches: Speech, seconds: int = 36) -> sources.Samples:
    out = sources.silence(seconds)
    for speech in speeches:
        sound = sources.voice(speech.voice)
        start = speech.start_ns // S * sources.RATE
        out[start : start + len(sound)] += sound
    return out


def _received(path: str, sequence: int, signature: Signature) -> Received:
    return Received(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        method="POST",
        url=path,
        path=path,
        parameters={"SequenceNumber": str(sequence), "EventName": "MPCStart"},
        headers={},
        signature=signature,
        answered=200,
    )


def test_a_good_recording_passes() -> None:
    recording = _timeline(AGENT, CUSTOMER, COACH, seconds=30)
    assert all(one.holds for one in judge_recording(recording, 30.1, 0.2, [AGENT, CUSTOMER, COACH], CARD))


@pytest.mark.parametrize(
    ("recording", "expected", "broken"),
    [
        (_timeline(AGENT, COACH, seconds=30), 30.0, "the customer is in the recording"),
        (_timeline(AGENT, CUSTOMER, COACH, CARD), 36.0, "the card number said in the pause is not in the recording"),
        (_timeline(AGENT, CUSTOMER, COACH, seconds=30), 31.0, "the recording is as long as the call less its pause"),
    ],
)
def test_each_fault_of_a_recording_is_told(recording: sources.Samples, expected: float, broken: str) -> None:
    verdicts = judge_recording(recording, expected, 0.2, [AGENT, CUSTOMER, COACH], CARD)
    assert [one.claim for one in verdicts if not one.holds] == [broken]


def test_a_late_announcement_is_told() -> None:
    verdicts = judge_recording(_timeline(AGENT, seconds=10), 10.0, 1.2, [AGENT], CARD)
    assert [one.evidence for one in verdicts if not one.holds] == ["after 1.20 s"]


def test_a_supervisor_heard_by_the_customer_is_told() -> None:
    heard = {
        "agent": Stretch(_timeline(CUSTOMER, COACH, CARD), 0),
        "customer": Stretch(_timeline(AGENT), 0),
        "supervisor": Stretch(_timeline(AGENT, CUSTOMER), 0),
    }
    assert all(one.holds for one in judge_hearing(heard, COACH, [AGENT, CUSTOMER, CARD]))
    heard["customer"] = Stretch(_timeline(AGENT, COACH) // 10, 0)
    broken = [one.claim for one in judge_hearing(heard, COACH, [AGENT, CUSTOMER, CARD]) if not one.holds]
    assert broken == ["the supervisor is not in what the customer heard"]


def test_a_stretch_is_cut_by_the_clock() -> None:
    stretch = Stretch(np.arange(8000, dtype=np.int16), 5 * S)
    cut = stretch.during(Speech("agent", "agent", 5 * S + S // 4, 5 * S + S // 4))
    assert cut.tolist() == list(range(2000, 6000))


def test_utterances_are_placed_in_the_recording() -> None:
    placed = place([CARD, COACH, AGENT], _timeline(AGENT, COACH))
    assert [(one.speaker, round(one.span.start, 2)) for one in placed] == [("agent", 0.0), ("supervisor", 21.0)]


def test_bad_signatures_and_gaps_are_told() -> None:
    valid, wrong = Signature("valid", "valid"), Signature("valid", "invalid")
    good = [_received("/a", 1, valid), _received("/b", 7, valid), _received("/a", 2, valid)]
    assert all(one.holds for one in judge_callbacks(good))
    assert [one.holds for one in judge_callbacks([*good, _received("/a", 4, wrong)])] == [False, False]
    assert not any(one.holds for one in judge_callbacks([]))


def test_the_screen_reads_well_without_a_terminal(tmp_path: Path) -> None:
    out = StringIO()
    file = tmp_path / "a.mp3"
    file.write_bytes(b"x" * 4321)
    with Screen(10, Console(file=out, width=120)) as screen:
        screen.step("Adding the agent", at=1)
        screen.callback(_received("/a", 1, Signature("valid", "valid")))
        screen.callback(_received("/a", 2, Signature("missing", "missing")))
        screen.recording(file, 30.0, 0.2, place([AGENT, COACH], _timeline(AGENT, COACH, seconds=30)))
        screen.verdicts(judge_callbacks([]))
    shown = out.getvalue()
    assert "\x1b" not in shown
    for part in ("Adding the agent", "signature valid", "signature missing", "30.000 s", "4 kB", "0.0-9.6 s", "NOT"):
        assert part in shown
