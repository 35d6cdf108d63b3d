"""One spool with tracks, many files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from mixminus.errors import StorageError
from mixminus.recording import finish
from mixminus.recording.channels import Spec
from mixminus.recording.finish import FinishedFile, Job
from mixminus.recording.rendering import Format
from mixminus.recording.spool import Spool
from mixminus.recording.timeline import PauseAs

RATE = 8000
HALF = RATE // 2
SECOND = 1_000_000_000
FORMATS: tuple[Format, ...] = ("wav", "mp3", "flac", "ogg")
TONES = {"agent": 440, "customer": 620, "coach": 900}

Pcm = npt.NDArray[np.int16]


def tone(hertz: float, start: int, count: int = HALF) -> Pcm:
    wave: Pcm = np.rint(4000 * np.sin(2 * np.pi * hertz * np.arange(start, start + count) / RATE)).astype("<i2")
    return wave


def spool_with_tracks(folder: Path, halves: int = 12) -> None:
    """The agent speaks all the time, the customer from 2 s on, the coach in the last second."""
    spool = Spool.open(folder, rate=RATE, now_ns=0)
    for half in range(halves):
        speaking = ["agent"] + ["customer"] * (half >= 4) + ["coach"] * (half >= halves - 2)
        voices = {name: tone(TONES[name], half * HALF) for name in speaking}
        spool.beside([(name, pcm.tobytes()) for name, pcm in voices.items()], [])
        total: Pcm = np.sum(list(voices.values()), axis=0, dtype=np.int16)
        spool.append(total.tobytes())
    spool.close(halves * SECOND // 2)


def render(folder: Path, format: Format, spec: Spec) -> tuple[FinishedFile, Pcm]:
    target = folder.parent / f"x.{format}"
    file = finish.run(Job(folder, format, target, spec))
    pcm, rate = soundfile.read(str(target), dtype="int16", always_2d=True)
    assert rate == RATE
    return file, pcm


def strength(pcm: Pcm, hertz: float) -> float:
    turn = np.exp(-2j * np.pi * hertz / RATE * np.arange(len(pcm)))
    return float(2 * abs((pcm * turn).mean()))


@pytest.mark.parametrize("format", FORMATS)
def test_stereo_has_customers_left_and_staff_right(tmp_path: Path, format: Format) -> None:
    spool_with_tracks(tmp_path / "spool")
    file, pcm = render(tmp_path / "spool", format, Spec((("customer",), ("agent", "coach"))))
    assert file.samples == len(pcm) == 6 * RATE
    left, right = pcm[3 * RATE : 4 * RATE, 0], pcm[3 * RATE : 4 * RATE, 1]
    assert strength(left, 620) > 3000 and strength(left, 440) < 300
    assert strength(right, 440) > 3000 and strength(right, 620) < 300
    assert np.abs(pcm[: RATE + HALF, 0]).max() < 400
    assert strength(pcm[-RATE // 2 :, 1], 900) > 3000


@pytest.mark.parametrize("format", ("wav", "flac", "ogg"))
def test_stems_are_of_one_length(tmp_path: Path, format: Format) -> None:
    spool_with_tracks(tmp_path / "spool")
    file, pcm = render(tmp_path / "spool", format, Spec((("agent",), ("customer",), ("coach",))))
    assert pcm.shape == (6 * RATE, 3) and file.samples == 6 * RATE
    if format != "ogg":
        assert (pcm[4 * HALF :, 1] == tone(620, 4 * HALF, 8 * HALF)).all() and not pcm[: 4 * HALF, 1].any()


def test_without_the_coach_everything_else_is_there(tmp_path: Path) -> None:
    spool_with_tracks(tmp_path / "spool")
    _, pcm = render(tmp_path / "spool", "wav", Spec((("agent", "customer"),)))
    assert pcm.shape == (6 * RATE, 1)
    assert strength(pcm[-RATE:, 0], 900) < 50 and strength(pcm[-RATE:, 0], 440) > 3900


def test_a_voice_can_be_left_out_for_stretches_to_the_sample(tmp_path: Path) -> None:
    spool_with_tracks(tmp_path / "spool", halves=100)
    stretches = (("agent", 3999, 4001), ("agent", 20 * RATE + 7, 40 * RATE - 7), ("customer", 0, 0))
    _, pcm = render(tmp_path / "spool", "wav", Spec((("agent",), ("customer",)), silent=stretches))
    _, whole = render(tmp_path / "spool", "wav", Spec((("agent",), ("customer",))))
    expected = whole.copy()
    expected[3999:4001, 0] = 0
    expected[20 * RATE + 7 : 40 * RATE - 7, 0] = 0
    assert (pcm == expected).all()


def test_the_mix_is_the_mix(tmp_path: Path) -> None:
    spool_with_tracks(tmp_path / "spool")
    _, mix = render(tmp_path / "spool", "wav", Spec())
    _, stems = render(tmp_path / "spool", "wav", Spec((("agent",), ("customer",), ("coach",))))
    assert (mix[:, 0] == stems.sum(axis=1)).all()


def test_more_channels_than_a_format_holds_are_refused(tmp_path: Path) -> None:
    spool_with_tracks(tmp_path / "spool")
    with pytest.raises(StorageError, match="mp3 holds at most 2 channels, not 3"):
        render(tmp_path / "spool", "mp3", Spec((("agent",), ("customer",), ("coach",))))


def test_a_track_cut_off_by_a_kill_is_no_sample_longer_than_the_mix(tmp_path: Path) -> None:
    spool_with_tracks(tmp_path / "spool")
    (segment,) = (tmp_path / "spool").iterdir()
    whole = segment.read_bytes()
    for cut in range(len(whole) - 9000, len(whole), 97):
        segment.write_bytes(whole[:cut])
        file = finish.run(Job(tmp_path / "spool", "wav", tmp_path / "x.wav", Spec((("agent",), ("coach",)))))
        mix = finish.run(Job(tmp_path / "spool", "wav", tmp_path / "y.wav"))
        assert file.samples == mix.samples >= 11 * HALF - HALF


@pytest.mark.parametrize(("pause_as", "seconds"), [("cut", 2), ("silence", 5), ("tone", 5)])
@pytest.mark.parametrize("resumed", [True, False])
def test_a_pause_as_it_was_asked_for(tmp_path: Path, pause_as: PauseAs, seconds: int, resumed: bool) -> None:
    spool = Spool.open(tmp_path / "spool", rate=RATE, now_ns=0)
    spool.append(tone(440, 0, RATE).tobytes())
    spool.pause(SECOND)
    if resumed:
        spool.resume(4 * SECOND)
        spool.append(tone(440, 0, RATE).tobytes())
        spool.close(5 * SECOND)
    else:
        spool.close(5 * SECOND)
    file, pcm = render(tmp_path / "spool", "wav", Spec(pause_as=pause_as))
    expected = seconds if resumed else {"cut": 1}.get(pause_as, 5)
    assert len(pcm) == expected * RATE
    (marker,) = file.markers
    assert (marker.kind, marker.at) == ("pause", RATE)
    assert marker.samples == (0 if pause_as == "cut" else (3 if resumed else 4) * RATE)
    filled = pcm[RATE : RATE + marker.samples]
    if pause_as != "cut":
        assert bool(filled.any()) == (pause_as == "tone")


@pytest.mark.parametrize("format", ("flac", "ogg"))
def test_a_file_garbled_behind_our_back_is_found(tmp_path: Path, format: Format) -> None:
    spool_with_tracks(tmp_path / "spool")
    job = Job(tmp_path / "spool", format, tmp_path / f"x.{format}")
    turns = job.finish()
    next(turns)
    assert job._rendering is not None and job._check is not None
    job._rendering.write(b"\1\0" * 100)
    with pytest.raises(StorageError):
        job._rendering.finish()
        job._check.finish()
    job.abandon()
