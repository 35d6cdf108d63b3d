from __future__ import annotations

import pytest

from calls.kit import BY, MPC, REF, Driver
from mixminus.calls import effects, taps
from mixminus.calls.commands import (
    Callback,
    EndMpc,
    KickParticipants,
    MpcParameters,
    PauseParticipantRecording,
    PauseRecording,
    RecordingStarted,
    RecordingWishes,
    ResumeParticipantRecording,
    ResumeRecording,
    StartParticipantRecording,
    StartRecording,
    StopParticipantRecording,
    StopRecording,
    TrackType,
    UpdateParticipants,
)
from mixminus.calls.events import RecordingEvent
from mixminus.calls.inputs import KeyPressed, RecordingAnnounced, RecordingBroke
from mixminus.calls.model import Role
from mixminus.errors import NotFound
from mixminus.store.rows import MpcRow, RecordingRow

APP = Callback("http://app.test/rec", "POST")


def start(member: str = "1", track_type: TrackType = "all") -> StartParticipantRecording:
    return StartParticipantRecording(by=BY, mpc=REF, member=member, track_type=track_type, callback=APP)


def stop(member: str = "1", track_type: TrackType = "all") -> StopParticipantRecording:
    return StopParticipantRecording(by=BY, mpc=REF, member=member, track_type=track_type)


def in_call(parameters: MpcParameters | None = None) -> Driver:
    driver = Driver(parameters or MpcParameters(stay_alone=True))
    driver.enter("a")
    driver.enter("b", Role.CUSTOMER)
    driver.effects.clear()
    return driver


def started(driver: Driver, command: object) -> RecordingStarted:
    result = driver.do(command).result
    assert isinstance(result, RecordingStarted)
    return result


def rows(driver: Driver) -> dict[str, RecordingRow]:
    return {row.id: row for row in driver.rows.values() if isinstance(row, RecordingRow)}


def told(driver: Driver) -> list[tuple[str, str, int]]:
    return [
        (event.name, event.member_id, event.sequence) for event in driver.events if isinstance(event, RecordingEvent)
    ]


def test_a_participant_is_recorded_beside_the_call() -> None:
    driver = in_call()
    whole = started(driver, StartRecording(by=BY, mpc=REF))
    own = started(driver, start("1", "participant"))
    both = started(driver, start("2", "all"))
    assert len({whole.recording_id, own.recording_id, both.recording_id}) == 3
    row = rows(driver)[own.recording_id]
    assert (row.member_id, row.call_uuid, row.track_type) == ("1", "a", "participant")
    taken = {tap.recording.id: taps.start_tap(tap.recording, tap.room, "f") for tap in driver.take(effects.BeginTap)}
    assert (taken[whole.recording_id].leg, taken[whole.recording_id].notes) == ("", True)
    assert (taken[own.recording_id].leg, taken[own.recording_id].heard) == ("a", False)
    assert (taken[both.recording_id].leg, taken[both.recording_id].heard) == ("b", True)
    assert taps.spec_of(rows(driver)[both.recording_id]).channels == (("own",), ("heard",))
    driver.do(StopRecording(by=BY, mpc=REF))
    assert rows(driver)[own.recording_id].state == "recording"


def test_both_are_two_recordings_with_sequences_of_their_own() -> None:
    driver = in_call()
    result = started(driver, start("1", "both"))
    assert {rows(driver)[result.recording_id].track_type, rows(driver)[result.also].track_type} == {
        "all",
        "participant",
    }
    driver.do(PauseParticipantRecording(by=BY, mpc=REF, member="1", track_type="both"))
    driver.do(ResumeParticipantRecording(by=BY, mpc=REF, member="1", track_type="participant"))
    driver.do(stop("1", "both"))
    assert [row.state for row in rows(driver).values()] == ["finishing", "finishing"]
    assert sorted(told(driver)) == sorted(
        [("Initiated", "1", 1)] * 2 + [("Paused", "1", 2)] * 2 + [("Resumed", "1", 3)]
    )


def test_starting_twice_answers_the_running_one() -> None:
    driver = in_call()
    assert started(driver, start()) == started(driver, start())
    assert len(driver.take(effects.BeginTap)) == 1


def test_the_default_track_type_stops_whatever_runs_and_a_named_one_only_itself() -> None:
    driver = in_call()
    driver.do(start("1", "participant"))
    with pytest.raises(NotFound, match="participant 2 is not being recorded"):
        driver.do(stop("2"))
    driver.do(stop("1", "all"))
    assert len(driver.take(effects.EndTap)) == 1
    driver.do(start("1", "all"))
    with pytest.raises(NotFound, match="record_track_type participant"):
        driver.do(stop("1", "participant"))


def test_an_unknown_member_is_named() -> None:
    with pytest.raises(NotFound, match="no such participant in 'room': 99"):
        in_call().do(start("99"))


@pytest.mark.parametrize("how", ["hangup", "kick", "end"])
def test_the_recording_ends_with_its_member(how: str) -> None:
    driver = in_call()
    driver.enter("c")
    driver.do(start("1", "both"))
    driver.do(start("2"))
    driver.effects.clear()
    if how == "hangup":
        driver.leave("a")
    elif how == "kick":
        driver.do(KickParticipants(by=BY, mpc=REF, members=("1",)))
    else:
        driver.do(EndMpc(by=BY, mpc=REF))
    ended = driver.take(effects.EndTap)
    assert len(ended) == (3 if how == "end" else 2)


def test_a_broken_spool_fails_its_own_recording_only() -> None:
    driver = in_call()
    result = started(driver, start("1", "both"))
    driver.do(RecordingBroke(result.also, "the disk is full", False))
    states = {row.track_type: row.state for row in rows(driver).values()}
    assert states == {"all": "recording", "participant": "failed"}


def test_record_participant_track_begins_by_itself_and_once() -> None:
    driver = Driver(MpcParameters(stay_alone=True, recording_callback=APP, record_file_format="wav"))
    driver.enter("a", start_mpc_on_enter=False, record_participant_track=True)
    assert driver.take(effects.BeginTap) == []
    driver.enter("b", Role.CUSTOMER)
    (tap,) = driver.take(effects.BeginTap)
    assert (tap.recording.member_id, tap.recording.track_type, tap.recording.format) == ("1", "participant", "wav")
    driver.do(stop("1"))
    driver.enter("c")
    assert driver.take(effects.BeginTap) == []


def test_wishes_are_kept_with_the_recording() -> None:
    driver = in_call()
    wishes = RecordingWishes(tracks="all", pause_as="tone")
    result = started(driver, StartRecording(by=BY, mpc=REF, wishes=wishes))
    row = rows(driver)[result.recording_id]
    assert row.settings == {"tracks": "all", "pause_as": "tone"}
    assert taps.start_tap(row, "room", "f").tracks
    assert taps.spec_of(row).pause_as == "tone"


def test_no_sample_is_taken_before_the_announcement_is_over() -> None:
    parameters = MpcParameters(stay_alone=True, start_recording_audio=Callback("http://app.test/hello.mp3", "GET"))
    driver = in_call(parameters)
    result = started(driver, StartRecording(by=BY, mpc=REF, callback=APP))
    assert [type(effect) for effect in driver.effects] == [effects.AnnounceRecording]
    assert told(driver) == []
    mpc = driver.rows[(MpcRow, MPC)]
    assert isinstance(mpc, MpcRow) and mpc.recording == "recording"
    driver.do(RecordingAnnounced(result.recording_id))
    assert len(driver.take(effects.BeginTap)) == 1
    assert told(driver) == [("Initiated", "", 1)]
    driver.do(RecordingAnnounced(result.recording_id))
    assert driver.take(effects.BeginTap) == []


def test_a_recording_paused_during_its_announcement_begins_paused() -> None:
    parameters = MpcParameters(stay_alone=True, start_recording_audio=Callback("http://app.test/hello.mp3", "GET"))
    driver = in_call(parameters)
    result = started(driver, StartRecording(by=BY, mpc=REF, callback=APP))
    driver.do(PauseRecording(by=BY, mpc=REF))
    driver.effects.clear()
    driver.do(RecordingAnnounced(result.recording_id))
    assert [type(effect) for effect in driver.effects] == [effects.BeginTap, effects.PauseTap]
    driver.do(ResumeRecording(by=BY, mpc=REF))
    assert [name for name, _, _ in told(driver)] == ["Initiated", "Paused", "Resumed"]


def test_a_recording_stopped_during_its_announcement_has_failed_for_a_reason() -> None:
    audio = Callback("http://app.test/hello.mp3", "GET")
    driver = in_call(MpcParameters(stay_alone=True, start_recording_audio=audio, stop_recording_audio=audio))
    result = started(driver, StartRecording(by=BY, mpc=REF, callback=APP))
    driver.do(StopRecording(by=BY, mpc=REF))
    row = rows(driver)[result.recording_id]
    assert row.state == "failed" and "announcement" in row.failure
    assert len(driver.take(effects.AnnounceStop)) == 1
    driver.do(RecordingAnnounced(result.recording_id))
    assert driver.take(effects.BeginTap) == []


def test_what_happens_is_noted_and_keys_are_masked_while_paused() -> None:
    driver = in_call()
    whole = started(driver, StartRecording(by=BY, mpc=REF))
    own = started(driver, start("2"))
    driver.effects.clear()
    driver.do(UpdateParticipants(by=BY, mpc=REF, members=("1",), mute=True))
    driver.do(KeyPressed("b", "7"))
    driver.do(PauseRecording(by=BY, mpc=REF))
    driver.do(KeyPressed("b", "8"))
    noted = [(note.recording_ids, note.kind, note.facts.get("digit")) for note in driver.take(effects.Annotate)]
    assert (((whole.recording_id,), "ParticipantMute", None)) in noted
    assert ((own.recording_id, whole.recording_id), "ParticipantDigitInput", "7") in noted
    assert ((own.recording_id,), "ParticipantDigitInput", "8") in noted
    assert ((whole.recording_id,), "ParticipantDigitInput", "*") in noted
