"""Recording a multiparty call: the part of its state machine that starts, pauses, resumes and stops (M10-M13). Pure."""

from __future__ import annotations

from typing import Literal

from mixminus.calls import recording
from mixminus.calls.commands import (
    Callback,
    Done,
    PauseRecording,
    RecordingStarted,
    RecordingWishes,
    ResumeRecording,
    StartRecording,
    StopRecording,
)
from mixminus.calls.effects import (
    AnnounceRecording,
    AnnounceStop,
    BeginTap,
    EndTap,
    PauseTap,
)
from mixminus.calls.inputs import RecordingAnnounced, RecordingBroke
from mixminus.calls.mpc import member_recording, tapes
from mixminus.calls.mpc.draft import Draft, MpcDecision
from mixminus.calls.mpc.participant import facts_of
from mixminus.errors import NotFound
from mixminus.store.rows import RecordingRow

_CUT_SHORT = "it was stopped before its announcement had ended; nothing had been recorded"


def start(draft: Draft, command: StartRecording) -> MpcDecision:
    """While one runs, that one is the answer: a request sent twice makes one recording."""
    if draft.recording is None:
        _begin(draft, command.file_format, command.callback, command.wishes)
    assert draft.recording is not None
    row = draft.recording
    return draft.finish(RecordingStarted(row.id, row.format, draft.row.id, draft.row.friendly_name))


def begin_when_due(draft: Draft) -> None:
    """``record``: begin by itself once the call is active and has enough members; so does what
    ``record_participant_track`` asks for.
    """
    parameters = draft.parameters
    enough = len(draft.members) >= (parameters.record_min_member_count or 1)
    file_format = parameters.record_file_format or "mp3"
    callback = parameters.recording_callback or Callback()
    if parameters.record and draft.active and enough and draft.recording is None and not draft.auto_recorded:
        draft.auto_recorded = True
        wishes = RecordingWishes(
            transcript=bool(parameters.transcript), transcription_url=parameters.transcription_url or ""
        )
        _begin(draft, file_format, callback, wishes)
    if draft.active:
        member_recording.begin_tracks(draft, file_format, callback)


def _begin(draft: Draft, file_format: Literal["mp3", "wav"], callback: Callback, wishes: RecordingWishes) -> None:
    first = next(iter(draft.members.values()), None)
    draft.recording = RecordingRow(
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
        settings=tapes.settings_of(draft, wishes),
    )
    draft.change(recording="recording")
    audio = draft.parameters.start_recording_audio
    if audio is not None and audio.url and draft.members:
        draft.announced = False
        draft.ledger.save(draft.recording)
        draft.do(AnnounceRecording(draft.recording.id, draft.room, audio))
    else:
        _take(draft, draft.recording)


def _take(draft: Draft, row: RecordingRow) -> None:
    """From now on samples are taken."""
    draft.announced = True
    paused = row.state == "paused"
    draft.recording = recording.begin(row, draft.ledger)
    draft.do(BeginTap(draft.recording, draft.room, tuple(facts_of(member) for member in draft.members.values())))
    if paused:
        draft.recording = recording.pause(draft.recording, draft.ledger)
        draft.do(PauseTap(row.id))


def announced(draft: Draft, command: RecordingAnnounced) -> MpcDecision:
    row = draft.recording
    if row is not None and row.id == command.recording_id and not draft.announced:
        _take(draft, row)
    return draft.finish()


def _running(draft: Draft) -> RecordingRow:
    if draft.recording is None:
        raise NotFound(f"multiparty call {draft.row.friendly_name!r} is not being recorded")
    return draft.recording


def pause(draft: Draft, command: PauseRecording) -> MpcDecision:
    row = _running(draft)
    if row.state == "recording":
        draft.recording = tapes.paused(draft, row, command.by) if draft.announced else recording.still(row, "paused")
        draft.ledger.save(draft.recording)
        draft.change(recording="paused")
    return draft.finish(Done(draft.row.id, draft.row.friendly_name))


def resume(draft: Draft, command: ResumeRecording) -> MpcDecision:
    row = _running(draft)
    if row.state == "paused":
        draft.recording = (
            tapes.resumed(draft, row, command.by) if draft.announced else recording.still(row, "recording")
        )
        draft.ledger.save(draft.recording)
        draft.change(recording="recording")
    return draft.finish(Done(draft.row.id, draft.row.friendly_name))


def stop(draft: Draft, command: StopRecording) -> MpcDecision:
    _running(draft)
    _stop(draft)
    audio = draft.parameters.stop_recording_audio
    if audio is not None and audio.url and draft.members:
        draft.do(AnnounceStop(draft.room, audio))
    return draft.finish(Done(draft.row.id, draft.row.friendly_name))


def _stop(draft: Draft) -> None:
    if draft.recording is not None:
        if draft.announced:
            draft.do(EndTap(recording.stop(draft.recording, draft.ledger)))
        else:
            recording.fail(draft.recording, _CUT_SHORT, draft.ledger)
            draft.announced = True
        draft.recording = None
        draft.change(recording="not-recording")


def stop_if_running(draft: Draft) -> None:
    """All of them, when the call ends and nobody stopped them."""
    _stop(draft)
    member_recording.stop_all(draft)


def broke(draft: Draft, command: RecordingBroke) -> MpcDecision:
    """The spool cannot be written: the recording ends, and the call goes on."""
    row = draft.recording
    if row is not None and row.id == command.recording_id:
        draft.do(recording.broken(row, command.reason, draft.ledger, begun=command.begun))
        draft.recording = None
        draft.change(recording="not-recording")
    member_recording.broke(draft, command)
    return draft.finish()
