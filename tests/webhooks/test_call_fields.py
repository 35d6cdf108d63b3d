"""The parameters of XML elements' requests and of calls' and conferences' recordings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from mixminus.calls.events import CallEvent, RecordedSound, RecordingEvent
from mixminus.webhooks.fields import callback_fields

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PUBLIC = "https://pbx.example.com/"
URL = "https://pbx.example.com/v1/Account/MA/Recording/r1.wav"


def action(sound: RecordedSound | None = None, **own: str) -> dict[str, str]:
    event = CallEvent(
        name="Redirect",
        at=AT,
        call_uuid="c",
        account="MA",
        from_number="100",
        to_number="200",
        status="in-progress",
        direction="inbound",
        own=own,
        sound=sound,
    )
    return callback_fields(event, PUBLIC)


def recording(**fields: Any) -> dict[str, str]:
    given: dict[str, Any] = {"mpc_uuid": "", "mpc_name": "", "source": "call", "call_uuid": "c", **fields}
    event = RecordingEvent(
        name="Completed",
        at=AT,
        sequence=1,
        recording_id="r1",
        account="MA",
        format="wav",
        started_at=AT,
        ended_at=AT + timedelta(seconds=2),
        samples=12_345,
        **given,
    )
    return callback_fields(event, PUBLIC)


def test_an_elements_parameters_stand_beside_the_standard_ones() -> None:
    fields = action(Digits="12")
    assert (fields["Digits"], fields["CallUUID"], fields["Event"]) == ("12", "c", "Redirect")


def test_a_recorded_sound_is_told_with_its_length() -> None:
    fields = action(RecordedSound(recording_id="r1", format="wav", started_at=AT, ended_at=AT + timedelta(seconds=2.6)))
    assert (fields["RecordUrl"], fields["RecordingID"]) == (URL, "r1")
    assert (fields["RecordingDuration"], fields["RecordingDurationMs"]) == ("3", "2600")
    assert fields["RecordingStartMs"] == str(int(AT.timestamp()) * 1000)


def test_one_that_goes_on_has_no_length_yet() -> None:
    fields = action(RecordedSound(recording_id="r1", format="wav", started_at=AT))
    assert (fields["RecordingDuration"], fields["RecordingDurationMs"], fields["RecordingEndMs"]) == ("-1", "-1", "-1")


def test_a_calls_file_is_told_under_the_names_of_xml_and_api() -> None:
    fields = recording()
    assert fields["RecordUrl"] == fields["record_url"] == URL
    assert fields["RecordingID"] == fields["recording_id"] == "r1"
    assert fields["RecordingDurationMs"] == fields["recording_duration_ms"] == "1543"
    assert fields["call_uuid"] == "c"
    assert "ConferenceName" not in fields


def test_a_conferences_file_names_the_conference() -> None:
    fields = recording(source="conference", mpc_uuid="u", mpc_name="den")
    assert (fields["ConferenceAction"], fields["ConferenceName"], fields["ConferenceUUID"]) == ("record", "den", "u")
    assert "MPCUUID" not in fields
