"""A participant: one entry of a call into a multiparty call, from join to exit. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mixminus.calls.commands import ParticipantParameters
from mixminus.calls.decision import whole_seconds
from mixminus.calls.events import MemberSnapshot, MpcEventName
from mixminus.calls.hearing import Standing
from mixminus.calls.inputs import Enter
from mixminus.calls.model import ExitCause, Role
from mixminus.store.rows import MemberRow


class Participant(msgspec.Struct, frozen=True):
    """A member in the call: its row, and the parameters it came with."""

    row: MemberRow
    parameters: ParticipantParameters

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def call_uuid(self) -> str:
        return self.row.call_uuid


def enter(member_id: str, mpc_uuid: str, request: Enter, now: datetime) -> Participant:
    """A new member with the flags its parameters ask for; coach mode means something for supervisors only."""
    parameters = request.participant
    row = MemberRow(
        id=member_id,
        account=request.by.account,
        mpc_uuid=mpc_uuid,
        call_uuid=request.call_uuid,
        role=parameters.role.value,
        address=request.address,
        call_from=request.call_from,
        call_to=request.call_to,
        call_direction=request.call_direction,
        coach_mode=parameters.coach_mode and parameters.role is Role.SUPERVISOR,
        mute=parameters.mute,
        hold=parameters.hold,
        start_mpc_on_enter=parameters.start_mpc_on_enter,
        end_mpc_on_exit=parameters.end_mpc_on_exit,
        joined_at=now,
    )
    return Participant(row, parameters)


def leave(member: Participant, cause: ExitCause, now: datetime) -> Participant:
    row = msgspec.structs.replace(member.row, left_at=now, exit_cause=cause.value)
    return msgspec.structs.replace(member, row=row)


def with_flags(
    member: Participant, *, mute: bool | None, hold: bool | None, coach_mode: bool | None
) -> tuple[Participant, tuple[MpcEventName, ...]]:
    """The member with these flags set (``None`` leaves one alone) and the names of the events that this causes.

    Setting a flag to the value it has causes none; coach mode of agents and customers cannot change.
    """
    row = member.row
    events: list[MpcEventName] = []
    if mute is not None and mute != row.mute:
        events.append("ParticipantMute" if mute else "ParticipantUnmute")
        row = msgspec.structs.replace(row, mute=mute)
    if hold is not None and hold != row.hold:
        events.append("ParticipantHold" if hold else "ParticipantUnhold")
        row = msgspec.structs.replace(row, hold=hold)
    if coach_mode is not None and row.role == Role.SUPERVISOR and coach_mode != row.coach_mode:
        events.append("ParticipantCoachModeStart" if coach_mode else "ParticipantCoachModeStop")
        row = msgspec.structs.replace(row, coach_mode=coach_mode)
    return msgspec.structs.replace(member, row=row), tuple(events)


def standing(member: Participant, *, waiting: bool, prompts: int = 0, alone: bool = False) -> Standing:
    """What decides this member's hearing, given whether it waits and which prompts play to it."""
    row = member.row
    return Standing(
        role=Role(row.role),
        coach_mode=row.coach_mode,
        mute=row.mute,
        hold=row.hold,
        waiting=waiting,
        prompts=prompts,
        alone=alone,
    )


def snapshot(member: Participant) -> MemberSnapshot:
    row = member.row
    return MemberSnapshot(
        member_id=row.id,
        role=row.role,
        call_uuid=row.call_uuid,
        coach_mode=row.coach_mode,
        address=row.address,
        call_from=row.call_from,
        call_to=row.call_to,
        call_direction=row.call_direction,
    )


def facts_of(member: Participant) -> dict[str, str | bool]:
    """Who and how a member is, for the notes of a recording."""
    row = member.row
    return {
        "member_id": row.id,
        "call_uuid": row.call_uuid,
        "role": row.role,
        "address": row.address,
        "mute": row.mute,
        "hold": row.hold,
        "coach_mode": row.coach_mode,
    }


def seconds_in(member: Participant) -> int:
    """Whole seconds between join and exit; 0 while still in."""
    return whole_seconds(member.row.joined_at, member.row.left_at)
