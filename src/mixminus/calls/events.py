"""What has happened, as values: the payload of every callback owed. Past tense.

They are stored as JSON in the outbox in the transaction of the change they report; :mod:`mixminus.webhooks.fields`
turns
them into the API's field names when they are delivered. Times are aware UTC datetimes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from mixminus.calls.commands import Callback

MpcEventName: TypeAlias = Literal[
    "MPCInitialized",
    "MPCStart",
    "MPCEnd",
    "ParticipantJoin",
    "ParticipantExit",
    "ParticipantMute",
    "ParticipantUnmute",
    "ParticipantHold",
    "ParticipantUnhold",
    "ParticipantCoachModeStart",
    "ParticipantCoachModeStop",
    "ParticipantSpeakStart",
    "ParticipantSpeakStop",
    "ParticipantDigitInput",
    "AddParticipantByAPIActionInitiated",
    "AddParticipantByAPIActionCompleted",
]

EVENT_GROUPS: dict[str, frozenset[str]] = {
    "mpc-state-changes": frozenset({"MPCInitialized", "MPCStart", "MPCEnd"}),
    "participant-state-changes": frozenset(
        {
            "ParticipantJoin",
            "ParticipantExit",
            "ParticipantMute",
            "ParticipantUnmute",
            "ParticipantHold",
            "ParticipantUnhold",
            "ParticipantCoachModeStart",
            "ParticipantCoachModeStop",
        }
    ),
    "participant-speak-events": frozenset({"ParticipantSpeakStart", "ParticipantSpeakStop"}),
    "participant-digit-input-events": frozenset({"ParticipantDigitInput"}),
    "add-participant-api-events": frozenset(
        {"AddParticipantByAPIActionInitiated", "AddParticipantByAPIActionCompleted"}
    ),
    "participant-audio-events": frozenset(),
}
"""``status_callback_events`` group → the events it switches on."""

DEFAULT_EVENT_GROUPS = frozenset({"mpc-state-changes", "participant-state-changes"})


class MemberSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The participant an event is about, as it was then. Times only once known."""

    member_id: str = ""
    role: str = ""
    call_uuid: str = ""
    coach_mode: bool = False
    address: str = ""
    call_from: str = ""
    call_to: str = ""
    call_direction: str = ""


class MpcEvent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One status callback of a multiparty call. ``sequence`` rises by one per callback of the call."""

    name: MpcEventName
    at: datetime
    sequence: int
    mpc_uuid: str
    mpc_name: str
    member: MemberSnapshot = MemberSnapshot()
    digit: str = ""
    duration: int | None = None
    """Seconds; MPCEnd only, as are the next four."""
    billed_duration: int | None = None
    billed_amount: str | None = None
    termination_cause: str = ""
    termination_cause_code: int | None = None
    request_uuid: str = ""
    """Add-participant events only, as is ``outcome``: ``success`` or ``failed``."""
    outcome: str = ""


class RecordingEvent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One recording callback. ``sequence`` rises by one per callback of the recording.

    With ``member_id`` it is a participant recording, and the names begin ``ParticipantRecording`` instead of
    ``MPCRecording``.
    """

    name: Literal["Initiated", "Paused", "Resumed", "Completed", "Failed"]
    at: datetime
    sequence: int
    recording_id: str
    account: str
    mpc_uuid: str
    mpc_name: str
    format: str
    started_at: datetime
    member_id: str = ""
    ended_at: datetime | None = None
    samples: int = 0
    rate: int = 8000
    reason: str = ""
    """Failed only: what went wrong and whose fault it is."""
    source: str = ""
    """``call`` or ``conference``; empty: a multiparty call."""
    call_uuid: str = ""


class RecordedSound(msgspec.Struct, frozen=True, kw_only=True):
    """The recording an XML element made."""

    recording_id: str
    format: str
    started_at: datetime
    ended_at: datetime | None = None
    """None while it goes on (``recordSession``)."""


class CallEvent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A change of a call's status, for ``call_status_callback_url``, ``hangup_url`` and ``ring_url``."""

    name: Literal["StartApp", "Ring", "StatusChange", "Hangup", "Redirect"]
    at: datetime
    call_uuid: str
    account: str
    from_number: str
    to_number: str
    status: str
    direction: str
    request_uuid: str = ""
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    hangup_cause_code: int | None = None
    hangup_cause_name: str = ""
    hangup_source: str = ""
    sip_headers: dict[str, str] = {}
    """Custom headers of the call: ``X-PH-Name`` → value; and ``SIP-H-To``."""
    own: dict[str, str] = {}
    """Parameters of the XML element behind the request, under the API's names (API reference 5.6)."""
    sound: RecordedSound | None = None


class MemberLeftForAction(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The parameters of an ``on_exit_action_url`` request; fetched, not queued."""

    mpc_uuid: str
    mpc_name: str
    member: MemberSnapshot
    joined_at: datetime
    left_at: datetime
    callback: Callback
    call: CallEvent | None = None
    """The leg's own values, filled in when the request is made."""


class SoundRequest(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The parameters of a request for music, a prompt or another sound (API reference 4.7); fetched, not queued."""

    mpc_uuid: str = ""
    mpc_name: str = ""
    member: MemberSnapshot = MemberSnapshot()
    call: CallEvent | None = None


class AsyncResponse(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The real answer of an API request that asked for one at a ``callback_url`` (asynchronous mode)."""

    api_id: str
    response: str
    """The body that a synchronous request would have got, as JSON text."""


class Transcribed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What was said in a recording, for ``transcription_url``; or ``error``, why that is not known."""

    recording_id: str
    call_uuid: str = ""
    text: str = ""
    seconds: int = 0
    error: str = ""


Event: TypeAlias = MpcEvent | RecordingEvent | CallEvent | AsyncResponse | Transcribed
"""What an outbox row can hold."""

DocumentRequest: TypeAlias = CallEvent | MemberLeftForAction | SoundRequest
"""What a fetch of call-control XML can carry."""
