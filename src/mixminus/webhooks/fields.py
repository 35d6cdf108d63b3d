"""Events in the vendor's words: the parameters of every callback (API reference 4.3-4.8). All values are text."""

from __future__ import annotations

from datetime import UTC, datetime

from mixminus.calls.events import (
    AsyncResponse,
    CallEvent,
    DocumentRequest,
    Event,
    MemberLeftForAction,
    MpcEvent,
    RecordingEvent,
    SoundRequest,
    Transcribed,
)

NO_CHARGE = "0.00000"


def callback_fields(event: Event | DocumentRequest, public_url: str) -> dict[str, str]:
    """The parameters of one callback or document request, in the order of the reference.

    ``public_url`` is how the outside reaches the API, no slash at its end needed.
    """
    match event:
        case MpcEvent():
            return _mpc(event)
        case RecordingEvent():
            return _recording(event, public_url.rstrip("/"))
        case CallEvent():
            return _call(event) | _recorded(event, public_url.rstrip("/"))
        case MemberLeftForAction():
            return _member_left(event)
        case SoundRequest():
            return _sound(event)
        case AsyncResponse():
            return {"api_id": event.api_id, "response": event.response}
        case Transcribed():
            return {
                "transcription": event.text,
                "transcription_charge": NO_CHARGE,
                "transcription_rate": NO_CHARGE,
                "duration": str(event.seconds),
                "call_uuid": event.call_uuid,
                "recording_id": event.recording_id,
                "error": event.error,
            }


def timestamp(moment: datetime | None) -> str:
    """``YYYY-MM-DD HH:mm:ss+00:00``; empty for ``None``."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S+00:00")


def whole_seconds(samples: int, rate: int) -> int:
    """Length in seconds, halves up, and never 0 when there is audio."""
    return max((2 * samples + rate) // (2 * rate), min(samples, 1))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _mpc(event: MpcEvent) -> dict[str, str]:
    member = event.member
    return {
        "EventName": event.name,
        "EventTimestamp": timestamp(event.at),
        "MPCUUID": event.mpc_uuid,
        "MPCName": event.mpc_name,
        "SequenceNumber": str(event.sequence),
        "MemberID": member.member_id,
        "ParticipantRole": member.role,
        "ParticipantCallUUID": member.call_uuid,
        "ParticipantCoachMode": _text(member.coach_mode) if member.role else "",
        "MemberAddress": member.address,
        "ParticipantCallFrom": member.call_from,
        "ParticipantCallTo": member.call_to,
        "ParticipantCallDirection": member.call_direction,
        "DigitInput": event.digit,
        "MPCDuration": _text(event.duration),
        "MPCBilledDuration": _text(event.billed_duration),
        "MPCBilledAmount": _text(event.billed_amount),
        "MPCTerminationCause": event.termination_cause,
        "MPCTerminationCauseCode": _text(event.termination_cause_code),
        "AddParticipantAPIRequestOutcome": event.outcome,
        "RequestUUID": event.request_uuid,
    }


def _recorded(event: CallEvent, public_url: str) -> dict[str, str]:
    """Of the recording an XML element made; durations are -1 while it goes on."""
    sound = event.sound
    if sound is None:
        return {}
    seconds = None if sound.ended_at is None else max((sound.ended_at - sound.started_at).total_seconds(), 0.0)
    return {
        "RecordUrl": f"{public_url}/v1/Account/{event.account}/Recording/{sound.recording_id}.{sound.format}",
        "RecordingID": sound.recording_id,
        "RecordFile": f"{sound.recording_id}.{sound.format}",
        "RecordingDuration": "-1" if seconds is None else str(round(seconds)),
        "RecordingDurationMs": "-1" if seconds is None else str(round(seconds * 1000)),
        "RecordingStartMs": _epoch_ms(sound.started_at),
        "RecordingEndMs": "-1" if sound.ended_at is None else _epoch_ms(sound.ended_at),
    }


def _epoch_ms(moment: datetime) -> str:
    return str(round(moment.timestamp() * 1000))


def _call_recording(event: RecordingEvent, public_url: str) -> dict[str, str]:
    """The file of a call or conference is ready, under the names of the XML callback and of the API's (5.6, 6.1)."""
    milliseconds = round(event.samples * 1000 / event.rate)
    url = f"{public_url}/v1/Account/{event.account}/Recording/{event.recording_id}.{event.format}"
    started, ended = _epoch_ms(event.started_at), _epoch_ms(event.ended_at or event.started_at)
    fields = {
        "Event": "Record",
        "CallUUID": event.call_uuid,
        "RecordUrl": url,
        "RecordingID": event.recording_id,
        "RecordingDuration": str(whole_seconds(event.samples, event.rate)),
        "RecordingDurationMs": str(milliseconds),
        "RecordingStartMs": started,
        "RecordingEndMs": ended,
        "call_uuid": event.call_uuid,
        "record_url": url,
        "recording_id": event.recording_id,
        "recording_duration": str(whole_seconds(event.samples, event.rate)),
        "recording_duration_ms": str(milliseconds),
        "recording_start_ms": started,
        "recording_end_ms": ended,
    }
    if event.source == "conference":
        fields |= {"ConferenceAction": "record", "ConferenceName": event.mpc_name, "ConferenceUUID": event.mpc_uuid}
    if event.reason:
        fields["FailureReason"] = event.reason
    return fields


def _recording(event: RecordingEvent, public_url: str) -> dict[str, str]:
    if event.source:
        return _call_recording(event, public_url)
    finished = event.name == "Completed"
    resource = f"{public_url}/v1/Account/{event.account}/Recording/{event.recording_id}"
    fields = {
        "EventName": ("ParticipantRecording" if event.member_id else "MPCRecording") + event.name,
        "EventTimestamp": timestamp(event.at),
        "MPCName": event.mpc_name,
        "MPCUUID": event.mpc_uuid,
        "RecordingUUID": event.recording_id,
        "RecordingFormat": event.format,
        "RecordingStartTime": timestamp(event.started_at),
        "RecordingEndTime": timestamp(event.ended_at),
        "RecordingDuration": str(whole_seconds(event.samples, event.rate)) if finished else "",
        "RecordingURL": f"{resource}.{event.format}",
        "RecordingResourceURL": f"{resource}/",
        "SequenceNumber": str(event.sequence),
    }
    if event.member_id:
        fields["MemberID"] = event.member_id
    if event.reason:
        fields["FailureReason"] = event.reason
    return fields


def _call(event: CallEvent) -> dict[str, str]:
    fields = {
        "CallUUID": event.call_uuid,
        "From": event.from_number,
        "To": event.to_number,
        "CallStatus": event.status,
        "Direction": event.direction,
        "Event": "" if event.name == "StatusChange" else event.name,
        "ParentAuthID": event.account,
        "BillRate": NO_CHARGE,
        "SessionStart": "" if event.started_at is None else f"{event.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}",
    }
    if event.direction == "outbound":
        fields |= {
            "ALegUUID": event.call_uuid,
            "ALegRequestUUID": event.request_uuid,
            "RequestUUID": event.request_uuid,
        }
    else:
        fields["ForwardedFrom"] = ""
    fields |= {
        name: value for name, value in event.sip_headers.items() if name.startswith("X-PH-") or name == "SIP-H-To"
    }
    fields |= event.own
    return fields if event.ended_at is None else fields | _hangup(event, event.ended_at)


def _hangup(event: CallEvent, ended_at: datetime) -> dict[str, str]:
    talked = 0 if event.answered_at is None else max(int((ended_at - event.answered_at).total_seconds()), 0)
    return {
        "StartTime": timestamp(event.started_at),
        "AnswerTime": timestamp(event.answered_at),
        "EndTime": timestamp(ended_at),
        "Duration": str(talked),
        "BillDuration": str(-(-talked // 60) * 60),
        "TotalCost": NO_CHARGE,
        "HangupCause": event.hangup_cause_name,
        "HangupCauseName": event.hangup_cause_name,
        "HangupCauseCode": _text(event.hangup_cause_code),
        "HangupSource": event.hangup_source,
    }


def _member_left(event: MemberLeftForAction) -> dict[str, str]:
    return ({} if event.call is None else _call(event.call)) | {
        "MPCUUID": event.mpc_uuid,
        "MPCName": event.mpc_name,
        "MPCFriendlyName": event.mpc_name,
        "MemberID": event.member.member_id,
        "ParticipantCallUUID": event.member.call_uuid,
        "ParticipantRole": event.member.role,
        "ParticipantJoinTime": timestamp(event.joined_at),
        "ParticipantEndTime": timestamp(event.left_at),
    }


def _sound(event: SoundRequest) -> dict[str, str]:
    return ({} if event.call is None else _call(event.call)) | {
        "MPCUUID": event.mpc_uuid,
        "MPCName": event.mpc_name,
        "MemberID": event.member.member_id,
        "ParticipantCallUUID": event.member.call_uuid,
        "ParticipantRole": event.member.role,
    }
