"""The rows of the database as values: one frozen class per table, a field per column.

The state machines return these; the store writes them (insert or replace by ``id``), and queries give them back.
Times are
aware UTC datetimes, durations whole seconds unless a unit is named.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every row. ``id`` is the primary key."""

    id: str


class AccountRow(Row, frozen=True, kw_only=True):
    """``id`` is the auth id. ``parent`` is empty for the main account, else the main account's id."""

    token: str
    name: str = ""
    parent: str = ""
    enabled: bool = True
    created_at: datetime


class ApplicationRow(Row, frozen=True, kw_only=True):
    """``id`` is the 17-digit app id."""

    account: str
    app_name: str
    answer_url: str = ""
    answer_method: str = "POST"
    hangup_url: str = ""
    hangup_method: str = "POST"
    fallback_answer_url: str = ""
    fallback_method: str = "POST"
    message_url: str = ""
    message_method: str = "POST"
    default_number_app: bool = False
    default_endpoint_app: bool = False
    log_incoming_messages: bool = True
    public_uri: bool = False
    sub_account: str = ""
    created_at: datetime


class EndpointRow(Row, frozen=True, kw_only=True):
    """A SIP account. ``id`` is the endpoint id (digits). ``password`` is kept so that any digest algorithm can be
    answered.
    """

    account: str
    username: str
    password: str
    alias: str = ""
    app_id: str = ""
    sub_account: str = ""
    created_at: datetime


class NumberRow(Row, frozen=True, kw_only=True):
    """What was bound to a number of the configuration. ``id`` is the number, digits without ``+``."""

    account: str
    sub_account: str = ""
    app_id: str = ""
    alias: str = ""


class CallRow(Row, frozen=True, kw_only=True):
    """One call leg. ``id`` is the call uuid."""

    account: str
    sub_account: str = ""
    request_uuid: str = ""
    direction: str
    """``inbound`` or ``outbound``, seen from here."""
    from_number: str
    to_number: str
    caller_name: str = ""
    status: str
    """``queued``, ``ringing``, ``in-progress``, ``completed``, ``busy``, ``failed``, ``timeout``, ``no-answer``,
    ``cancel``.
    """
    initiated_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    hangup_cause_code: int | None = None
    hangup_cause_name: str = ""
    hangup_source: str = ""
    sip_call_id: str = ""
    parent_call_uuid: str = ""
    """Of the call that dialled this one, if one did."""
    conference_uuid: str = ""
    """Of the conference it was in last."""


class MpcRow(Row, frozen=True, kw_only=True):
    """One multiparty call. ``id`` is the MPC uuid. ``settings`` are its MPC-level parameters as the API names them."""

    account: str
    sub_account: str = ""
    friendly_name: str
    status: str
    """``Initialized``, ``Active``, ``Ended``."""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    recording: str = "not-recording"
    """``recording``, ``paused``, ``not-recording``."""
    stay_alone: bool = False
    termination_cause_code: int | None = None
    sequence: int = 0
    """Sequence number of the last status callback."""
    billed_duration: int | None = None
    settings: dict[str, Any] = {}


class MemberRow(Row, frozen=True, kw_only=True):
    """One entry of a call into a multiparty call. ``id`` is the member id (digits); a re-entry is a new row."""

    account: str
    mpc_uuid: str
    call_uuid: str
    role: str
    """``agent``, ``customer``, ``supervisor``; lower case."""
    address: str
    """Number or ``sip:`` address of the member."""
    call_from: str = ""
    call_to: str = ""
    call_direction: str = ""
    coach_mode: bool = False
    mute: bool = False
    hold: bool = False
    start_mpc_on_enter: bool = True
    end_mpc_on_exit: bool = False
    joined_at: datetime
    left_at: datetime | None = None
    exit_cause: str = ""
    settings: dict[str, Any] = {}


class RecordingRow(Row, frozen=True, kw_only=True):
    """One recording. ``id`` is the recording id (``RecordingUUID``).

    ``state`` climbs one way: ``recording`` ⇄ ``paused`` → ``finishing`` → ``ready`` or ``failed``.
    """

    account: str
    sub_account: str = ""
    mpc_uuid: str = ""
    mpc_name: str = ""
    call_uuid: str = ""
    member_id: str = ""
    track_type: str = ""
    recording_type: str = "conference"
    """``conference`` or ``call``."""
    format: str = "mp3"
    state: str
    callback_url: str = ""
    callback_method: str = "POST"
    sequence: int = 0
    """Sequence number of the last event."""
    from_number: str = ""
    to_number: str = ""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    samples: int = 0
    rate: int = 8000
    """Hz."""
    size: int = 0
    """Bytes of the finished file."""
    sha256: str = ""
    verified: bool = False
    file: str = ""
    """Key of the finished file in the store, empty before."""
    failure: str = ""
    deleted_at: datetime | None = None
    source: str = ""
    """``call`` or ``conference``; empty: a multiparty call."""
    settings: dict[str, Any] = {}
    """How it is taken: ``tracks``, ``pause_as``, ``transcript``, ``transcription_url``; absent: the default."""
    report: dict[str, Any] = {}
    """What the finisher found: ``markers``, ``damage``, ``complete``, ``tracks``; empty before."""


class ReceiptRow(Row, frozen=True, kw_only=True):
    """What is left of a deleted recording. ``id`` is the recording id."""

    account: str
    sub_account: str = ""
    file: str = ""
    """Key its file had; empty when there was none."""
    format: str = ""
    samples: int = 0
    rate: int = 8000
    size: int = 0
    sha256: str = ""
    recorded_at: datetime
    deleted_at: datetime
    reason: str
    """``request`` or ``retention``."""
    by: str = ""
    """Auth id that asked for it."""
    removed_at: datetime | None = None
    """When the last of its files was gone; ``None`` while one may be left."""
    files: int = 0
    """Files removed: renderings and sidecars too."""


class HoldRow(Row, frozen=True, kw_only=True):
    """A legal hold on one recording: it is not deleted while this row exists. ``id`` is the recording id."""

    account: str
    since: datetime
    by: str = ""


class OutboxRow(Row, frozen=True, kw_only=True):
    """A callback that is owed. Delivered in order of ``number`` within a ``lane``; committed with the change it
    reports.

    ``event`` is a :mod:`mixminus.calls.events` value as JSON; the vendor's field names are made of it at delivery.
    """

    number: int = 0
    """Assigned by the store: rises over all rows."""
    lane: str
    """Rows of one lane go out one after the other; lanes never wait for each other. Call or MPC uuid + URL."""
    account: str
    sub_account: str = ""
    url: str
    """As configured, fragment included."""
    method: str
    event: bytes
    created_at: datetime
    state: str = "pending"
    """``pending``, ``delivered``, ``gave_up``."""
    attempts: int = 0
    next_at: datetime | None = None
    done_at: datetime | None = None


class AttemptRow(Row, frozen=True, kw_only=True):
    """One try to deliver an :class:`OutboxRow`."""

    outbox_id: str
    started_at: datetime
    duration_ms: int
    status: int | None = None
    error: str = ""
    response: str = ""
    """Start of the response body, at most 1,000 characters."""


class MetaRow(Row, frozen=True, kw_only=True):
    """One fact about the whole installation: ``id`` is its name."""

    value: str
