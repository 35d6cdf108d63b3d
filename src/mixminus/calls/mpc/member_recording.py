"""Recording single participants (M14-M17): each recording has its own row, spool and events. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from mixminus.calls import recording
from mixminus.calls.commands import (
    Callback,
    Done,
    PauseParticipantRecording,
    RecordingStarted,
    RecordingWishes,
    ResumeParticipantRecording,
    StartParticipantRecording,
    StopParticipantRecording,
    TrackType,
)
from mixminus.calls.effects import BeginTap, EndTap
from mixminus.calls.inputs import RecordingBroke
from mixminus.calls.mpc import tapes
from mixminus.calls.mpc.draft import Draft, MpcDecision
from mixminus.calls.mpc.participant import Participant, facts_of
from mixminus.errors import NotFound
from mixminus.store.rows import RecordingRow

OWN: Literal["participant"] = "participant"
ALL: Literal["all"] = "all"

_Change = Callable[[Draft, RecordingRow], RecordingRow | None]


def start(draft: Draft, command: StartParticipantRecording) -> MpcDecision:
    """What runs already is the answer: a request sent twice makes one recording of each kind."""
    member = _member(draft, command.member)
    wanted = (ALL, OWN) if command.track_type == "both" else (command.track_type,)
    rows = [
        draft.member_recordings.get(f"{member.id}/{kind}")
        or _begin(draft, member, kind, command.file_format, command.callback, command.wishes)
        for kind in wanted
    ]
    also = rows[1].id if len(rows) > 1 else ""
    return draft.finish(RecordingStarted(rows[0].id, rows[0].format, draft.row.id, draft.row.friendly_name, also))


def begin_tracks(draft: Draft, file_format: Literal["mp3", "wav"], callback: Callback) -> None:
    """``record_participant_track``: the voice alone, from entry or the call's start on."""
    for member in draft.members.values():
        if member.parameters.record_participant_track and member.id not in draft.tracked:
            draft.tracked |= {member.id}
            _begin(draft, member, OWN, file_format, callback, RecordingWishes())


def _begin(
    draft: Draft,
    member: Participant,
    kind: Literal["participant", "all"],
    file_format: Literal["mp3", "wav"],
    callback: Callback,
    wishes: RecordingWishes,
) -> RecordingRow:
    row = RecordingRow(
        id=draft.context.mint.uuid(),
        account=draft.row.account,
        sub_account=draft.row.sub_account,
        mpc_uuid=draft.row.id,
        mpc_name=draft.row.friendly_name,
        call_uuid=member.call_uuid,
        member_id=member.id,
        track_type=kind,
        format=file_format,
        state="recording",
        callback_url=callback.url,
        callback_method=callback.method,
        from_number=member.row.call_from,
        to_number=member.row.call_to,
        created_at=draft.context.now,
        settings=tapes.settings_of(draft, wishes),
    )
    row = recording.begin(row, draft.ledger)
    draft.member_recordings[f"{member.id}/{kind}"] = row
    draft.do(BeginTap(row, draft.room, (facts_of(member),)))
    return row


def _member(draft: Draft, member_id: str) -> Participant:
    member = draft.members.get(member_id)
    if member is None:
        raise NotFound(f"no such participant in {draft.row.friendly_name!r}: {member_id}")
    return member


def _meant(draft: Draft, member_id: str, track_type: TrackType) -> list[str]:
    """Keys of the running recordings that a request means."""
    _member(draft, member_id)
    running = [key for key in draft.member_recordings if key.startswith(f"{member_id}/")]
    exact = [key for key in running if track_type == "both" or key == f"{member_id}/{track_type}"]
    meant = exact or (running if track_type == ALL else [])
    if not meant:
        kind = "" if track_type in (ALL, "both") else f" with record_track_type {track_type}"
        raise NotFound(f"participant {member_id} is not being recorded{kind}")
    return meant


def _change(draft: Draft, keys: list[str], change: _Change) -> Done:
    for key in keys:
        changed = change(draft, draft.member_recordings[key])
        if changed is None:
            del draft.member_recordings[key]
        else:
            draft.member_recordings[key] = changed
    return Done(draft.row.id, draft.row.friendly_name)


def _stop(draft: Draft, row: RecordingRow) -> None:
    draft.do(EndTap(recording.stop(row, draft.ledger)))


def stop(draft: Draft, command: StopParticipantRecording) -> MpcDecision:
    return draft.finish(_change(draft, _meant(draft, command.member, command.track_type), _stop))


def pause(draft: Draft, command: PauseParticipantRecording) -> MpcDecision:
    def one(draft: Draft, row: RecordingRow) -> RecordingRow:
        return tapes.paused(draft, row, command.by) if row.state == "recording" else row

    return draft.finish(_change(draft, _meant(draft, command.member, command.track_type), one))


def resume(draft: Draft, command: ResumeParticipantRecording) -> MpcDecision:
    def one(draft: Draft, row: RecordingRow) -> RecordingRow:
        return tapes.resumed(draft, row, command.by) if row.state == "paused" else row

    return draft.finish(_change(draft, _meant(draft, command.member, command.track_type), one))


def stop_of(draft: Draft, member_id: str) -> None:
    """The member has left."""
    _change(draft, [key for key in draft.member_recordings if key.startswith(f"{member_id}/")], _stop)


def stop_all(draft: Draft) -> None:
    _change(draft, list(draft.member_recordings), _stop)


def broke(draft: Draft, command: RecordingBroke) -> None:
    for key, row in list(draft.member_recordings.items()):
        if row.id == command.recording_id:
            draft.do(recording.broken(row, command.reason, draft.ledger, begun=command.begun))
            del draft.member_recordings[key]
