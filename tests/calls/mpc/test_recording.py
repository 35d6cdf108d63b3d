from __future__ import annotations

import pytest

from calls.kit import BY, MPC, REF, Driver
from mixminus.calls import effects
from mixminus.calls.commands import (
    Callback,
    EndMpc,
    MpcParameters,
    PauseRecording,
    RecordingStarted,
    ResumeRecording,
    StartRecording,
    StopRecording,
)
from mixminus.calls.effects import AbandonTap, EndTap
from mixminus.calls.events import RecordingEvent
from mixminus.calls.inputs import RecordingBroke
from mixminus.errors import NotFound
from mixminus.store.rows import MpcRow, RecordingRow

START = StartRecording(by=BY, mpc=REF, file_format="wav", callback=Callback("http://app.test/rec", "POST"))
STOP, PAUSE = StopRecording(by=BY, mpc=REF), PauseRecording(by=BY, mpc=REF)
RESUME = ResumeRecording(by=BY, mpc=REF)


def started() -> tuple[Driver, RecordingStarted]:
    driver = Driver(MpcParameters(stay_alone=True))
    driver.enter("a")
    driver.effects.clear()
    result = driver.do(START).result
    assert isinstance(result, RecordingStarted)
    return driver, result


def recording_row(driver: Driver) -> RecordingRow:
    return next(row for row in driver.rows.values() if isinstance(row, RecordingRow))


def mpc_recording(driver: Driver) -> str:
    row = driver.rows[(MpcRow, MPC)]
    assert isinstance(row, MpcRow)
    return row.recording


def test_start_pause_resume_stop() -> None:
    driver, result = started()
    assert (result.file_format, result.mpc_name, mpc_recording(driver)) == ("wav", "room", "recording")
    driver.do(PAUSE)
    assert mpc_recording(driver) == "paused"
    driver.do(RESUME)
    driver.wait(9)
    driver.do(STOP)
    assert mpc_recording(driver) == "not-recording"
    assert recording_row(driver).state == "finishing"
    told = [(event.name, event.sequence) for event in driver.events if isinstance(event, RecordingEvent)]
    assert told == [("Initiated", 1), ("Paused", 2), ("Resumed", 3)]
    kinds = [type(effect) for effect in driver.effects]
    assert kinds == [effects.BeginTap, effects.PauseTap, effects.ResumeTap, effects.EndTap]


def test_starting_twice_answers_the_running_one() -> None:
    driver, first = started()
    again = driver.do(StartRecording(by=BY, mpc=REF, file_format="mp3")).result
    assert again == first
    assert len(driver.take(effects.BeginTap)) == 1


def test_pausing_and_resuming_twice_change_nothing() -> None:
    driver, _ = started()
    driver.do(RESUME)
    driver.do(PAUSE)
    driver.do(PAUSE)
    assert [event.name for event in driver.events] == ["Initiated", "Paused"]


@pytest.mark.parametrize("command", [STOP, PAUSE, RESUME], ids=["stop", "pause", "resume"])
def test_without_a_recording_there_is_nothing_to_change(command: object) -> None:
    driver = Driver()
    driver.enter("a")
    with pytest.raises(NotFound, match="not being recorded"):
        driver.do(command)


def test_a_second_recording_is_another_one() -> None:
    driver, first = started()
    driver.do(STOP)
    second = driver.do(START).result
    assert isinstance(second, RecordingStarted)
    assert second.recording_id != first.recording_id


def test_the_recording_ends_with_the_call() -> None:
    driver, _ = started()
    driver.do(EndMpc(by=BY, mpc=REF))
    assert recording_row(driver).state == "finishing"
    assert len(driver.take(effects.EndTap)) == 1


def test_record_begins_with_enough_members_once() -> None:
    parameters = MpcParameters(record=True, record_min_member_count=2, record_file_format="wav", stay_alone=True)
    driver = Driver(parameters)
    driver.enter("a")
    assert driver.take(effects.BeginTap) == []
    driver.enter("b")
    assert driver.take(effects.BeginTap)[0].recording.format == "wav"
    driver.do(STOP)
    driver.enter("c")
    assert driver.take(effects.BeginTap) == []


@pytest.mark.parametrize("begun", [True, False])
def test_a_broken_spool_ends_the_recording_and_the_call_goes_on(begun: bool) -> None:
    driver, result = started()
    driver.do(RecordingBroke(result.recording_id, "the disk is full", begun))
    event = driver.events[-1]
    assert isinstance(event, RecordingEvent)
    if begun:
        (ended,) = driver.take(EndTap)
        assert (ended.recording.state, ended.recording.failure) == ("finishing", "the disk is full")
        assert event.name == "Initiated", "the file is announced once it is made"
    else:
        assert driver.take(AbandonTap) == [AbandonTap(result.recording_id)]
        assert (event.name, event.reason) == ("Failed", "the disk is full")
    assert driver.state is not None
    assert mpc_recording(driver) == "not-recording"
    assert isinstance(driver.do(START).result, RecordingStarted)
