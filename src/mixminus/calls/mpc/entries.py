"""Entering a multiparty call, and its start. Part of its machine. Pure."""

from __future__ import annotations

from mixminus.calls.commands import (
    ActivateMpc,
    AddParticipant,
)
from mixminus.calls.effects import Admit, ArmTimer, ArmWait, CancelDials
from mixminus.calls.inputs import (
    Enter,
    Entered,
)
from mixminus.calls.model import HangupCause
from mixminus.calls.mpc import music
from mixminus.calls.mpc import recording as mpc_recording
from mixminus.calls.mpc.draft import AGENTS, DEFAULT_MAX_DURATION, Context, Draft, MpcDecision, given
from mixminus.calls.mpc.members import done, rehear_those_waiting_for_an_agent
from mixminus.calls.mpc.participant import enter
from mixminus.errors import NotFound
from mixminus.store.rows import MpcRow


def create(command: Enter | AddParticipant, context: Context) -> Draft:
    name = command.name if isinstance(command, Enter) else command.mpc.name or command.mpc.either
    uuid = command.mpc_uuid if isinstance(command, Enter) else command.mpc.uuid
    row = MpcRow(
        id=uuid,
        account=command.by.account,
        sub_account=command.by.sub_account,
        friendly_name=name,
        status="Initialized",
        created_at=context.now,
        stay_alone=bool(command.parameters.stay_alone),
        settings=given(command.parameters),
    )
    draft = Draft(context, row, command.parameters, {})
    first = enter("", uuid, command, context.now) if isinstance(command, Enter) else None
    draft.emit("MPCInitialized", first)
    draft.do(ArmTimer(float(command.parameters.max_duration or DEFAULT_MAX_DURATION)))
    return draft


def enter_asked(draft: Draft, command: Enter) -> MpcDecision:
    request = command.request_uuid
    if request and command.call_uuid not in draft.dials.get(request, ()):
        return draft.finish(Entered(False, reason="another destination of the request answered first"))
    draft.take_parameters(command.parameters)
    limit = draft.max_participants
    if len(draft.members) >= limit:
        return draft.finish(Entered(False, reason=f"the multiparty call is full: max_participants is {limit}"))
    member = enter(draft.context.new_member_id(), draft.row.id, command, draft.context.now)
    draft.put(member)
    draft.emit("ParticipantJoin", member)
    if not draft.active and _may_start(draft):
        _activate_draft(draft)
    if member.row.role in AGENTS:
        rehear_those_waiting_for_an_agent(draft)
    draft.rehear.discard(member.id)
    draft.do(Admit(member.call_uuid, draft.room, draft.masks(member)))
    if member.parameters.wait_time is not None and draft.waits(member):
        draft.do(ArmWait(member.id, float(member.parameters.wait_time)))
    music.sound(draft, command.participant.enter_sound, command.participant.enter_sound_method, member)
    if request:
        _settle_request(draft, request, command.call_uuid)
    music.tune(draft)
    mpc_recording.begin_when_due(draft)
    return draft.finish(Entered(True, member.id))


def _settle_request(draft: Draft, request: str, winner: str) -> None:
    losers = tuple(uuid for uuid in draft.dials.pop(request) if uuid != winner)
    music.end_dialling(draft, request)
    if losers:
        draft.do(CancelDials(losers, HangupCause.LOST_RACE))
    draft.emit("AddParticipantByAPIActionCompleted", request_uuid=request, outcome="success")


def _activate_draft(draft: Draft) -> None:
    draft.change(status="Active", started_at=draft.context.now)
    draft.emit("MPCStart")
    draft.rehear.update(draft.members)


def activate(draft: Draft, command: ActivateMpc) -> MpcDecision:
    if draft.active:
        raise NotFound("the multiparty call is already Active; only an Initialized one can be activated")
    _activate_draft(draft)
    music.tune(draft)
    mpc_recording.begin_when_due(draft)
    return draft.finish(done(draft))


def _may_start(draft: Draft) -> bool:
    """Somebody who starts the call is in it, and it is not one person's call that waits for a second."""
    enough = len(draft.members) > 1 or draft.parameters.create_mpc_with_single_participant is not False
    return enough and any(member.row.start_mpc_on_enter for member in draft.members.values())
