"""Recording a multiparty call: the part of its state machine that starts, pauses, resumes and stops (M10-M13). Pure."""

from __future__ import annotations

from typing import Literal

from mixminus.calls import recording
from mixminus.calls.commands import (
    Callback,
    Done,
    PauseRecording,
    RecordingStarted,
    ResumeRecording,
    StartRecording,
    StopRecording,
)
from mixminus.calls.effects import AbandonTap, BeginTap, EndTap, PauseTap, ResumeTap
from mixminus.calls.inputs import RecordingBroke
from mixminus.calls.mpc.draft import Draft, MpcDecision
from mixminus.errors import NotFound
from mixminus.store.rows import RecordingRow


def start(draft: Draft, command: StartRecording) -> MpcDecision:
    """While one runs, that one is the answer: a request sent twice makes one recording."""
    if draft.recording is None:
        _begin(draft, command.file_format, command.callback)
    assert draft.recording is not None
    row = draft.recording
    return draft.finish(RecordingStarted(row.id, row.format, draft.row.id, draft.row.friendly_name))


def begin_when_due(draft: Draft) -> None:
    """``record``: begin by itself once the call is active and has enough members."""
    parameters = draft.parameters
    enough = len(draft.members) >= (parameters.record_min_member_count or 1)
    if parameters.record and draft.active and enough and draft.recording is None and not draft.auto_recorded:
        draft.auto_recorded = True
        _begin(draft, parameters.record_file_format or "mp3", parameters.recording_callback or Callback())


def _begin(draft: Draft, file_format: Literal["mp3", "wav"], callback: Callback) -> None:
    first = next(iter(draft.members.values()), None)
    row = RecordingRow(
        id=draft.context.mint.uuid(),
        account=draft.row.account,
        sub_account=draft.row.sub_account,
        mpc_uuid=draft.row.id,
        mpc_name=draft.row.friendly_name,
        call_uuid=first.call_uuid if first else "",
        format=file_format,
        state="recording",
        callback_url=callback.url,
        callback_method=callback.method,
        from_number=first.row.call_from if first else "",
        to_number=first.row.call_to if first else "",
        created_at=draft.context.now,
    )
    draft.recording = recording.begin(row, draft.ledger)
    draft.change(recording="recording")
    draft.do(BeginTap(draft.recording, draft.room))


def _running(draft: Draft) -> RecordingRow:
    if draft.recording is None:
        raise NotFound(f"multiparty call {draft.row.friendly_name!r} is not being recorded")
    return draft.recording


def pause(draft: Draft, command: PauseRecording) -> MpcDecision:
    row = _running(draft)
    if row.state == "recording":
        draft.recording = recording.pause(row, draft.ledger)
        draft.change(recording="paused")
        draft.do(PauseTap(row.id))
    return draft.finish(Done(draft.row.id, draft.row.friendly_name))


def resume(draft: Draft, command: ResumeRecording) -> MpcDecision:
    row = _running(draft)
    if row.state == "paused":
        draft.recording = recording.resume(row, draft.ledger)
        draft.change(recording="recording")
        draft.do(ResumeTap(row.id))
    return draft.finish(Done(draft.row.id, draft.row.friendly_name))


def stop(draft: Draft, command: StopRecording) -> MpcDecision:
    _running(draft)
    stop_if_running(draft)
    return draft.finish(Done(draft.row.id, draft.row.friendly_name))


def stop_if_running(draft: Draft) -> None:
    """Also when the call ends and nobody stopped it."""
    if draft.recording is not None:
        draft.do(EndTap(recording.stop(draft.recording, draft.ledger)))
        draft.recording = None
        draft.change(recording="not-recording")


def broke(draft: Draft, command: RecordingBroke) -> MpcDecision:
    """The spool cannot be written: said at once, and the call goes on."""
    row = draft.recording
    if row is not None and row.id == command.recording_id:
        recording.fail(row, command.reason, draft.ledger, samples=command.samples)
        draft.do(AbandonTap(row.id))
        draft.recording = None
        draft.change(recording="not-recording")
    return draft.finish()
