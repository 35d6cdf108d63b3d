"""Rows → the vendor's JSON. Field names, their order and their types live here and nowhere else (API reference,
sections 3 and 6).

The classes double as the schemas of the OpenAPI document. ``api_id`` stands only in answers about one object.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType, field

from mixminus.calls.model import Role, Termination
from mixminus.store.rows import AccountRow, ApplicationRow, EndpointRow, MemberRow, MpcRow, NumberRow, RecordingRow

MEDIA_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg"}


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every JSON answer."""

    api_id: str | UnsetType = UNSET


class Error(Body, frozen=True, kw_only=True):
    error: str


class Message(Body, frozen=True, kw_only=True):
    message: str


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    limit: int
    offset: int
    next: str | None
    previous: str | None
    total_count: int
    count: int


class MultiPartyCall(Body, frozen=True, kw_only=True):
    mpc_uuid: str
    friendly_name: str
    status: str
    creation_time: str
    start_time: str | None
    end_time: str | None
    duration: int | None
    billed_duration: int | None
    billed_amount: str | None
    recording: str | None
    stay_alone: bool
    sub_account: str | None
    termination_cause: str | None
    termination_cause_code: int | None
    participants: str
    resource_uri: str


class Participant(Body, frozen=True, kw_only=True):
    member_id: str
    mpc_uuid: str
    call_uuid: str
    role: str
    member_address: str
    coach_mode: bool | None
    mute: bool | None
    hold: bool | None
    start_mpc_on_enter: bool
    end_mpc_on_exit: bool
    join_time: str | None
    exit_time: str | None
    exit_cause: str | None
    duration: int | None
    billed_duration: int | None
    billed_amount: str | None
    resource_uri: str


class PlacedCall(msgspec.Struct, frozen=True, kw_only=True):
    to: str
    from_: str = field(name="from")
    call_uuid: str


class ParticipantAdded(Message, frozen=True, kw_only=True):
    calls: list[PlacedCall]
    request_uuid: str


class ParticipantUpdated(Body, frozen=True, kw_only=True):
    mute: str | UnsetType = UNSET
    hold: str | UnsetType = UNSET
    coach_mode: str | UnsetType = UNSET
    agc: str | UnsetType = UNSET


class SoundQueued(Message, frozen=True, kw_only=True):
    mpcMemberId: list[str]
    mpcName: str


class RecordingBegun(Message, frozen=True, kw_only=True):
    recording_id: str
    recording_url: str


class ParticipantRecordingBegun(RecordingBegun, frozen=True, kw_only=True):
    """The last two with ``record_track_type`` ``both`` only: the recording of the voice alone."""

    participant_recording_id: str | UnsetType = UNSET
    participant_recording_url: str | UnsetType = UNSET


class Recording(Body, frozen=True, kw_only=True):
    recording_id: str
    call_uuid: str
    conference_name: str
    conference_uuid: str
    mpc_name: str
    mpc_uuid: str
    recording_type: str
    recording_format: str
    recording_url: str
    resource_uri: str
    add_time: str
    recording_start_ms: str
    recording_end_ms: str
    recording_duration_ms: str
    rounded_recording_duration: int
    recording_storage_duration: int
    recording_storage_rate: float
    monthly_recording_storage_amount: float
    from_number: str
    to_number: str
    sub_account: str | None
    state: str
    """``recording``, ``paused``, ``finishing``, ``ready`` or ``failed``. This and what follows is ours."""
    failure: str
    """Why there is no file, or why it ends too early, and whose fault it is."""
    sha256: str
    """Of the file, as it is downloaded; empty before it is ready. So is ``size``, in bytes."""
    size: int
    verified: bool
    """The file was read back and holds exactly the samples that were mixed."""
    complete: bool
    """False: something was killed or cut off while it was recorded, and up to a second is missing there."""
    not_rendered: dict[str, str]
    """Of what the setting ``renderings`` asks for: what cannot be made of this recording, and why."""


class Application(Body, frozen=True, kw_only=True):
    app_id: str
    app_name: str
    answer_url: str
    answer_method: str
    hangup_url: str
    hangup_method: str
    fallback_answer_url: str
    fallback_method: str
    message_url: str
    message_method: str
    default_app: bool
    default_endpoint_app: bool
    enabled: bool
    public_uri: bool
    log_incoming_messages: bool
    sip_uri: str
    sub_account: str | None
    resource_uri: str


class ApplicationCreated(Message, frozen=True, kw_only=True):
    app_id: str


class Subaccount(Body, frozen=True, kw_only=True):
    account: str
    auth_id: str
    auth_token: str
    created: str
    enabled: bool
    modified: None
    name: str
    new_auth_token: str
    resource_uri: str


class SubaccountCreated(Message, frozen=True, kw_only=True):
    auth_id: str
    auth_token: str


class Endpoint(Body, frozen=True, kw_only=True):
    endpoint_id: str
    username: str
    alias: str
    application: str | None
    sip_uri: str
    sip_registered: str
    sip_contact: str | UnsetType = UNSET
    sip_expires: str | UnsetType = UNSET
    sip_user_agent: str | UnsetType = UNSET
    sub_account: str | None
    resource_uri: str


class EndpointCreated(Message, frozen=True, kw_only=True):
    endpoint_id: str
    username: str
    alias: str


class Number(Body, frozen=True, kw_only=True):
    number: str
    alias: str | None
    application: str | None
    number_type: str
    region: str | None
    country: str | None
    carrier: str
    voice_enabled: bool
    sms_enabled: bool
    mms_enabled: bool
    voice_rate: str
    sms_rate: str
    monthly_rental_rate: str
    added_on: str | None
    sub_account: str | None
    active: bool
    resource_uri: str


class MultiPartyCallList(Body, frozen=True, kw_only=True):
    meta: Meta
    objects: list[MultiPartyCall]


class ParticipantList(Body, frozen=True, kw_only=True):
    meta: Meta
    objects: list[Participant]


class RecordingList(Body, frozen=True, kw_only=True):
    meta: Meta
    objects: list[Recording]


class ApplicationList(Body, frozen=True, kw_only=True):
    meta: Meta
    objects: list[Application]


class SubaccountList(Body, frozen=True, kw_only=True):
    meta: Meta
    objects: list[Subaccount]


class EndpointList(Body, frozen=True, kw_only=True):
    meta: Meta
    objects: list[Endpoint]


class NumberList(Body, frozen=True, kw_only=True):
    meta: Meta
    objects: list[Number]


def moment(value: datetime | None) -> str | None:
    """``2026-01-01 00:00:00+00:00``; ``None`` stays ``None``."""
    return None if value is None else value.strftime("%Y-%m-%d %H:%M:%S+00:00")


def resource(auth_id: str, *segments: str) -> str:
    """``/v1/Account/{auth_id}/a/b/``, each segment percent-encoded."""
    return "/".join(["/v1/Account", auth_id, *(quote(segment, safe="") for segment in segments), ""])


def sub_account_uri(account: str, sub_account: str) -> str | None:
    return resource(account, "Subaccount", sub_account) if sub_account else None


def recording_url(public_url: str, auth_id: str, recording_id: str, file_format: str) -> str:
    """Where the finished file is; the very text callbacks carry."""
    return f"{public_url.rstrip('/')}/v1/Account/{auth_id}/Recording/{recording_id}.{file_format}"


def multi_party_call(row: MpcRow, auth_id: str, *, by_name: bool = False) -> MultiPartyCall:
    address = f"name_{row.friendly_name}" if by_name else f"uuid_{row.id}"
    ended = row.ended_at is not None
    code = row.termination_cause_code
    return MultiPartyCall(
        mpc_uuid=row.id,
        friendly_name=row.friendly_name,
        status=row.status,
        creation_time=row.created_at.strftime("%Y-%m-%d %H:%M:%S+00:00"),
        start_time=moment(row.started_at),
        end_time=moment(row.ended_at),
        duration=seconds_between(row.started_at or row.ended_at, row.ended_at),
        billed_duration=(row.billed_duration or 0) if ended else None,
        billed_amount="0.00000" if ended else None,
        recording=None if ended else row.recording,
        stay_alone=row.stay_alone,
        sub_account=sub_account_uri(row.account, row.sub_account),
        termination_cause=None if code is None else Termination(code).text,
        termination_cause_code=code,
        participants=resource(auth_id, "MultiPartyCall", address, "Participant"),
        resource_uri=resource(auth_id, "MultiPartyCall", address),
    )


def participant(row: MemberRow, auth_id: str, mpc_segment: str) -> Participant:
    """``mpc_segment``: the call as the request named it, ``name_…`` or ``uuid_…``."""
    left = row.left_at is not None
    duration = seconds_between(row.joined_at, row.left_at)
    return Participant(
        member_id=row.id,
        mpc_uuid=row.mpc_uuid,
        call_uuid=row.call_uuid,
        role=row.role,
        member_address=row.address,
        coach_mode=None if left else row.coach_mode and row.role == Role.SUPERVISOR,
        mute=None if left else row.mute,
        hold=None if left else row.hold,
        start_mpc_on_enter=row.start_mpc_on_enter,
        end_mpc_on_exit=row.end_mpc_on_exit,
        join_time=moment(row.joined_at),
        exit_time=moment(row.left_at),
        exit_cause=row.exit_cause if left else None,
        duration=duration,
        billed_duration=None if duration is None else up_to_minutes(duration),
        billed_amount="0.00000" if left else None,
        resource_uri=resource(auth_id, "MultiPartyCall", mpc_segment, "Participant", row.id),
    )


def recording(row: RecordingRow, account: str, auth_id: str, public_url: str, now: datetime) -> Recording:
    """``account`` is the main account: the file's URL is the same whoever asks."""
    milliseconds = row.samples * 1000 / row.rate
    begun = row.started_at or row.created_at
    return Recording(
        recording_id=row.id,
        call_uuid=row.call_uuid,
        conference_name=row.mpc_name,
        conference_uuid=row.mpc_uuid,
        mpc_name="" if row.source else row.mpc_name,
        mpc_uuid="" if row.source else row.mpc_uuid,
        recording_type=row.recording_type,
        recording_format=row.format,
        recording_url=recording_url(public_url, account, row.id, row.format),
        resource_uri=resource(auth_id, "Recording", row.id),
        add_time=row.created_at.strftime("%Y-%m-%d %H:%M:%S.%f+00:00"),
        recording_start_ms=_epoch_ms(begun),
        recording_end_ms=_epoch_ms(row.ended_at or begun),
        recording_duration_ms=f"{milliseconds:.5f}",
        rounded_recording_duration=up_to_minutes(-(-row.samples // row.rate)),
        recording_storage_duration=max((now - row.created_at).days, 0),
        recording_storage_rate=0.0,
        monthly_recording_storage_amount=0.0,
        from_number=row.from_number,
        to_number=row.to_number,
        sub_account=sub_account_uri(row.account, row.sub_account),
        state=row.state,
        failure=row.failure,
        sha256=row.sha256,
        size=row.size,
        verified=row.verified,
        complete=row.report.get("complete", row.state == "ready"),
        not_rendered=row.report.get("not_rendered", {}),
    )


def application(row: ApplicationRow, auth_id: str, sip_domain: str) -> Application:
    return Application(
        app_id=row.id,
        app_name=row.app_name,
        answer_url=row.answer_url,
        answer_method=row.answer_method,
        hangup_url=row.hangup_url,
        hangup_method=row.hangup_method,
        fallback_answer_url=row.fallback_answer_url,
        fallback_method=row.fallback_method,
        message_url=row.message_url,
        message_method=row.message_method,
        default_app=row.default_number_app,
        default_endpoint_app=row.default_endpoint_app,
        enabled=True,
        public_uri=row.public_uri,
        log_incoming_messages=row.log_incoming_messages,
        sip_uri=f"sip:{row.id}@{sip_domain}",
        sub_account=sub_account_uri(row.account, row.sub_account),
        resource_uri=resource(auth_id, "Application", row.id),
    )


def subaccount(row: AccountRow) -> Subaccount:
    return Subaccount(
        account=f"/v1/Account/{row.parent}/",
        auth_id=row.id,
        auth_token=row.token,
        created=row.created_at.astimezone(UTC).strftime("%Y-%m-%d"),
        enabled=row.enabled,
        modified=None,
        name=row.name,
        new_auth_token=row.token,
        resource_uri=sub_account_uri(row.parent, row.id) or "",
    )


def endpoint(row: EndpointRow, auth_id: str, sip_domain: str, **registration: str) -> Endpoint:
    """``registration``: ``sip_contact``, ``sip_expires``, ``sip_user_agent``; none while not registered."""
    fields: dict[str, Any] = dict(registration)
    return Endpoint(
        endpoint_id=row.id,
        username=row.username,
        alias=row.alias,
        application=resource(auth_id, "Application", row.app_id) if row.app_id else None,
        sip_uri=f"sip:{row.username}@{sip_domain}",
        sip_registered="true" if registration else "false",
        sub_account=sub_account_uri(row.account, row.sub_account),
        resource_uri=resource(auth_id, "Endpoint", row.id),
        **fields,
    )


def number(row: NumberRow, auth_id: str) -> Number:
    """A number of the settings, and what is bound to it."""
    return Number(
        number=row.id,
        alias=row.alias or None,
        application=resource(auth_id, "Application", row.app_id) if row.app_id else None,
        number_type="local",
        region=None,
        country=None,
        carrier="",
        voice_enabled=True,
        sms_enabled=False,
        mms_enabled=False,
        voice_rate="0.00000",
        sms_rate="0.00000",
        monthly_rental_rate="0.00000",
        added_on=None,
        sub_account=sub_account_uri(row.account, row.sub_account),
        active=True,
        resource_uri=resource(auth_id, "Number", row.id),
    )


def seconds_between(start: datetime | None, end: datetime | None) -> int | None:
    """Whole seconds, rounded half up; ``None`` while ``end`` is unknown."""
    if end is None or start is None:
        return None
    return max(int((end - start).total_seconds() + 0.5), 0)


def up_to_minutes(seconds: int) -> int:
    """Seconds, rounded up to full minutes."""
    return -(-seconds // 60) * 60


def _epoch_ms(value: datetime) -> str:
    return f"{value.timestamp() * 1000:.5f}"
