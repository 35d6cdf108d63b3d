"""Events in the vendor's words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from mixminus.calls.commands import Callback
from mixminus.calls.events import (
    AsyncResponse,
    CallEvent,
    Event,
    MemberLeftForAction,
    MemberSnapshot,
    MpcEvent,
    RecordingEvent,
)
from mixminus.webhooks.fields import callback_fields, timestamp, whole_seconds

AT = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
PUBLIC = "https://pbx.example.com"
MEMBER = MemberSnapshot(
    member_id="12",
    role="agent",
    call_uuid="c-1",
    coach_mode=False,
    address="sip:alice@h",
    call_from="100",
    call_to="sip:alice@h",
    call_direction="outbound",
)
MPC_KEYS = {
    "EventName", "EventTimestamp", "MPCUUID", "MPCName", "SequenceNumber", "MemberID", "ParticipantRole",
    "ParticipantCallUUID", "ParticipantCoachMode", "MemberAddress", "ParticipantCallFrom", "ParticipantCallTo",
    "ParticipantCallDirection", "DigitInput", "MPCDuration", "MPCBilledDuration", "MPCBilledAmount",
    "MPCTerminationCause", "MPCTerminationCauseCode", "AddParticipantAPIRequestOutcome", "RequestUUID",
}  # fmt: skip
CALL = CallEvent(
    name="Hangup",
    at=AT,
    call_uuid="c-1",
    account="MA",
    from_number="100",
    to_number="200",
    status="completed",
    direction="outbound",
    request_uuid="r-1",
    started_at=AT - timedelta(seconds=100),
    answered_at=AT - timedelta(seconds=61.5),
    ended_at=AT,
    hangup_cause_code=4000,
    hangup_cause_name="Normal Hangup",
    hangup_source="Callee",
    sip_headers={"X-PH-Order": "7", "SIP-H-To": "<sip:a@h>", "CallUUID": "forged"},
)


def test_every_mpc_event_has_every_key() -> None:
    fields = callback_fields(
        MpcEvent(name="MPCInitialized", at=AT, sequence=1, mpc_uuid="m", mpc_name="conf 1"), PUBLIC
    )
    assert set(fields) == MPC_KEYS
    assert {name: value for name, value in fields.items() if value} == {
        "EventName": "MPCInitialized",
        "EventTimestamp": "2026-03-04 05:06:07+00:00",
        "MPCUUID": "m",
        "MPCName": "conf 1",
        "SequenceNumber": "1",
    }


def test_participant_event() -> None:
    event = MpcEvent(
        name="ParticipantDigitInput", at=AT, sequence=2, mpc_uuid="m", mpc_name="n", member=MEMBER, digit="0"
    )
    fields = callback_fields(event, PUBLIC)
    assert fields["MemberID"] == "12"
    assert fields["ParticipantRole"] == "agent"
    assert fields["ParticipantCoachMode"] == "false"
    assert fields["MemberAddress"] == "sip:alice@h"
    assert fields["DigitInput"] == "0"
    assert fields["MPCDuration"] == ""


def test_mpc_end() -> None:
    event = MpcEvent(
        name="MPCEnd",
        at=AT,
        sequence=9,
        mpc_uuid="m",
        mpc_name="n",
        duration=0,
        billed_duration=60,
        billed_amount="0.00000",
        termination_cause="Max Duration Reached",
        termination_cause_code=2000,
    )
    fields = callback_fields(event, PUBLIC)
    assert (fields["MPCDuration"], fields["MPCBilledDuration"], fields["MPCBilledAmount"]) == ("0", "60", "0.00000")
    assert (fields["MPCTerminationCause"], fields["MPCTerminationCauseCode"]) == ("Max Duration Reached", "2000")


def recording(**fields: object) -> RecordingEvent:
    event = RecordingEvent(
        name="Initiated",
        at=AT,
        sequence=1,
        recording_id="rec",
        account="MA123",
        mpc_uuid="m",
        mpc_name="n",
        format="mp3",
        started_at=AT,
    )
    return msgspec.structs.replace(event, **fields)


def test_recording_begins() -> None:
    assert callback_fields(recording(), PUBLIC + "/") == {
        "EventName": "MPCRecordingInitiated",
        "EventTimestamp": "2026-03-04 05:06:07+00:00",
        "MPCName": "n",
        "MPCUUID": "m",
        "RecordingUUID": "rec",
        "RecordingFormat": "mp3",
        "RecordingStartTime": "2026-03-04 05:06:07+00:00",
        "RecordingEndTime": "",
        "RecordingDuration": "",
        "RecordingURL": "https://pbx.example.com/v1/Account/MA123/Recording/rec.mp3",
        "RecordingResourceURL": "https://pbx.example.com/v1/Account/MA123/Recording/rec/",
        "SequenceNumber": "1",
    }


def test_recording_completes() -> None:
    fields = callback_fields(recording(name="Completed", ended_at=AT, samples=98_000, rate=8000), PUBLIC)
    assert fields["EventName"] == "MPCRecordingCompleted"
    assert fields["RecordingDuration"] == "12"
    assert fields["RecordingEndTime"] == "2026-03-04 05:06:07+00:00"


def test_participant_recording_and_failure() -> None:
    fields = callback_fields(recording(name="Failed", member_id="12", reason="disk full"), PUBLIC)
    assert fields["EventName"] == "ParticipantRecordingFailed"
    assert (fields["MemberID"], fields["MPCName"], fields["FailureReason"]) == ("12", "n", "disk full")


@pytest.mark.parametrize(
    ("samples", "rate", "seconds"),
    [(0, 8000, 0), (1, 8000, 1), (3999, 8000, 1), (11_999, 8000, 1), (12_000, 8000, 2), (24_000, 48_000, 1)],
)
def test_duration_rounds_half_up_and_audio_is_never_0(samples: int, rate: int, seconds: int) -> None:
    assert whole_seconds(samples, rate) == seconds


def test_hangup() -> None:
    fields = callback_fields(CALL, PUBLIC)
    assert fields["CallUUID"] == fields["ALegUUID"] == "c-1"
    assert fields["RequestUUID"] == fields["ALegRequestUUID"] == "r-1"
    assert (fields["Duration"], fields["BillDuration"]) == ("61", "120")
    assert fields["SessionStart"] == "2026-03-04 05:04:27.890000"
    assert (fields["HangupCauseCode"], fields["HangupCauseName"], fields["HangupSource"]) == (
        "4000",
        "Normal Hangup",
        "Callee",
    )
    assert (fields["X-PH-Order"], fields["SIP-H-To"]) == ("7", "<sip:a@h>")


def test_a_live_inbound_call_has_no_hangup_keys() -> None:
    event = msgspec.structs.replace(CALL, name="StartApp", direction="inbound", ended_at=None, status="ringing")
    fields = callback_fields(event, PUBLIC)
    assert fields["Event"] == "StartApp" and fields["CallStatus"] == "ringing"
    assert not {"Duration", "HangupCause", "ALegUUID", "RequestUUID"} & set(fields)


def test_on_exit_request_carries_both_names_and_the_call() -> None:
    event = MemberLeftForAction(
        mpc_uuid="m",
        mpc_name="n",
        member=MEMBER,
        joined_at=AT - timedelta(seconds=9),
        left_at=AT,
        callback=Callback("http://h/"),
        call=CALL,
    )
    fields = callback_fields(event, PUBLIC)
    assert fields["MPCFriendlyName"] == fields["MPCName"] == "n"
    assert fields["ParticipantJoinTime"] == "2026-03-04 05:05:58+00:00"
    assert fields["ParticipantEndTime"] == "2026-03-04 05:06:07+00:00"
    assert fields["CallUUID"] == "c-1"
    assert "CallUUID" not in callback_fields(msgspec.structs.replace(event, call=None), PUBLIC)


def test_the_answer_of_an_asynchronous_request() -> None:
    event = AsyncResponse(api_id="a-1", response='{"api_id":"a-1","message":"x"}')
    fields = callback_fields(event, PUBLIC)
    assert (fields["api_id"], fields["response"]) == ("a-1", '{"api_id":"a-1","message":"x"}')


def test_times_are_utc() -> None:
    assert timestamp(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31 23:00:00+00:00"
    assert timestamp(None) == ""


@pytest.mark.parametrize("event", [CALL, recording(), AsyncResponse(api_id="a", response="{}")])
def test_events_survive_the_outbox(event: Event) -> None:
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
