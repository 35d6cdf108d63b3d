"""Calls and conferences in the vendor's JSON (API reference 6.1, 6.6)."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import field

from mixminus.api.render import Body, Message, Meta, moment, resource, up_to_minutes
from mixminus.calls.conference.machine import Conference as LiveConference
from mixminus.calls.conference.machine import Member
from mixminus.store.rows import CallRow

NO_CHARGE = "0.00000"


class CallsFired(Message, frozen=True, kw_only=True):
    """One destination: a text; several: a list."""

    request_uuid: str | list[str]


class Call(Body, frozen=True, kw_only=True):
    call_uuid: str
    parent_call_uuid: str | None
    from_number: str
    to_number: str
    call_direction: str
    initiation_time: str | None
    answer_time: str | None
    end_time: str | None
    call_duration: int
    bill_duration: int
    billed_duration: int
    total_amount: str
    total_rate: str
    hangup_cause_code: int | None
    hangup_cause_name: str
    hangup_source: str
    call_state: str
    conference_uuid: str
    stir_verification: str
    stir_attestation: str
    voice_network_group: str
    source_ip: str
    cnam_lookup: str
    resource_uri: str


class CallList(Body, frozen=True, kw_only=True):
    meta: Meta
    objects: list[Call]


class LiveCalls(Body, frozen=True, kw_only=True):
    calls: list[str]


class LiveCall(Body, frozen=True, kw_only=True):
    call_uuid: str
    request_uuid: str
    from_: str = field(name="from")
    to: str
    direction: str
    call_status: str
    caller_name: str
    session_start: str
    stir_verification: str = ""
    stir_attestation: str = ""


class CallRecordingBegun(Message, frozen=True, kw_only=True):
    recording_id: str
    url: str


class Conferences(Body, frozen=True, kw_only=True):
    conferences: list[str]


class ConferenceMember(msgspec.Struct, frozen=True, kw_only=True):
    member_id: str
    call_uuid: str
    from_: str = field(name="from")
    to: str
    caller_name: str
    direction: str
    join_time: str
    muted: bool
    deaf: bool


class Conference(Body, frozen=True, kw_only=True):
    conference_name: str
    conference_run_time: str
    conference_member_count: str
    members: list[ConferenceMember]


class MembersChanged(Message, frozen=True, kw_only=True):
    """``member_id`` is a list; a text for the one SDK that reads no list."""

    member_id: str | list[str]


def call(row: CallRow, auth_id: str) -> Call:
    """A call that has ended."""
    talked = _seconds(row.answered_at, row.ended_at)
    return Call(
        call_uuid=row.id,
        parent_call_uuid=row.parent_call_uuid or None,
        from_number=row.from_number,
        to_number=row.to_number,
        call_direction=row.direction,
        initiation_time=moment(row.initiated_at),
        answer_time=moment(row.answered_at),
        end_time=moment(row.ended_at),
        call_duration=talked,
        bill_duration=talked,
        billed_duration=up_to_minutes(talked),
        total_amount=NO_CHARGE,
        total_rate=NO_CHARGE,
        hangup_cause_code=row.hangup_cause_code,
        hangup_cause_name=row.hangup_cause_name,
        hangup_source=row.hangup_source,
        call_state="ANSWER" if row.answered_at else row.status.upper(),
        conference_uuid=row.conference_uuid,
        stir_verification="",
        stir_attestation="",
        voice_network_group="",
        source_ip="",
        cnam_lookup="",
        resource_uri=resource(auth_id, "Call", row.id),
    )


def live_call(row: CallRow) -> LiveCall:
    return LiveCall(
        call_uuid=row.id,
        request_uuid=row.request_uuid,
        from_=row.from_number,
        to=row.to_number,
        direction=row.direction,
        call_status=row.status,
        caller_name=row.caller_name,
        session_start=row.initiated_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    )


def conference(state: LiveConference, now: datetime) -> Conference:
    return Conference(
        conference_name=state.name,
        conference_run_time=str(_seconds(state.created_at, now)),
        conference_member_count=str(len(state.members)),
        members=[_member(member, now) for member in state.members.values()],
    )


def _member(member: Member, now: datetime) -> ConferenceMember:
    arrival = member.arrival
    return ConferenceMember(
        member_id=member.id,
        call_uuid=arrival.call_uuid,
        from_=arrival.call_from,
        to=arrival.call_to,
        caller_name=arrival.caller_name,
        direction=arrival.direction,
        join_time=str(_seconds(member.joined_at, now)),
        muted=member.muted,
        deaf=member.deaf,
    )


def _seconds(start: datetime | None, end: datetime | None) -> int:
    return 0 if start is None or end is None else max(0, int((end - start).total_seconds()))
