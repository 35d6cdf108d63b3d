"""Add Participant: place calls for a multiparty call, or move a live one into it (M5). Pure."""

from __future__ import annotations

from mixminus.calls.commands import Added, AddedCall, AddParticipant
from mixminus.calls.effects import CreateLeg, MoveHere
from mixminus.calls.mpc.draft import Draft, MpcDecision
from mixminus.calls.mpc.music import begin_dialling
from mixminus.errors import Conflict


def add_participant(draft: Draft, command: AddParticipant) -> MpcDecision:
    """One call per destination, all under one request; the first to answer joins.

    Raises:
        Conflict: the multiparty call is full.
    """
    draft.take_parameters(command.parameters)
    limit = draft.max_participants
    if len(draft.members) >= limit:
        raise Conflict(f"multiparty call {draft.row.friendly_name!r} is full: max_participants is {limit}")
    return _move(draft, command) if command.dial is None else _dial(draft, command)


def _move(draft: Draft, command: AddParticipant) -> MpcDecision:
    request = draft.context.mint.uuid()
    draft.dials[request] = (command.call_uuid,)
    draft.emit("AddParticipantByAPIActionInitiated", request_uuid=request)
    draft.do(
        MoveHere(
            call_uuid=command.call_uuid,
            request_uuid=request,
            mpc_uuid=draft.row.id,
            mpc_name=draft.row.friendly_name,
            participant=command.participant,
        )
    )
    return draft.finish(Added(request, (AddedCall("", "", command.call_uuid),)))


def _dial(draft: Draft, command: AddParticipant) -> MpcDecision:
    assert command.dial is not None
    uuids = tuple(draft.context.mint.uuid() for _ in command.dial.to)
    request = uuids[0] if len(uuids) == 1 else draft.context.mint.uuid()
    draft.dials[request] = uuids
    draft.emit("AddParticipantByAPIActionInitiated", request_uuid=request)
    begin_dialling(draft, request, command.dial.dial_music, command.dial.dial_music_method)
    for index, (uuid, to) in enumerate(zip(uuids, command.dial.to, strict=True)):
        draft.do(
            CreateLeg(
                call_uuid=uuid,
                request_uuid=request,
                by=command.by,
                mpc_uuid=draft.row.id,
                mpc_name=draft.row.friendly_name,
                to=to,
                index=index,
                dial=command.dial,
                participant=command.participant,
            )
        )
    calls = tuple(AddedCall(to, command.dial.from_, uuid) for uuid, to in zip(uuids, command.dial.to, strict=True))
    return draft.finish(Added(request, calls))
