"""Recordings of one leg: begun by ``Record``, by the API, by nobody else. Pure."""

from __future__ import annotations

from typing import Literal

from mixminus.calls import recording
from mixminus.calls.commands import Callback
from mixminus.calls.effects import BeginTap, EndTap
from mixminus.calls.events import RecordedSound
from mixminus.calls.leg.inputs import LegRecordingBroke
from mixminus.calls.leg.state import Draft, Taking
from mixminus.store.rows import RecordingRow


def begin(draft: Draft, file_format: Literal["mp3", "wav"], callback: Callback, *, heard: bool) -> RecordingRow:
    """Record the far end's voice, and with ``heard`` what it hears too."""
    call = draft.leg.row
    new = RecordingRow(
        id=draft.mint.uuid(),
        account=call.account,
        sub_account=call.sub_account,
        call_uuid=call.id,
        recording_type="call",
        source="call",
        format=file_format,
        state="recording",
        callback_url=callback.url,
        callback_method=callback.method,
        from_number=call.from_number,
        to_number=call.to_number,
        created_at=draft.now,
    )
    row = recording.begin(new, draft.ledger)
    draft.change(recordings=(*draft.leg.recordings, row))
    draft.do(BeginTap(row, draft.leg.room, heard=heard))
    return row


def stop(draft: Draft, row: RecordingRow) -> RecordedSound:
    """No more of it; its file is finished and announced."""
    stopped = recording.stop(row, draft.ledger)
    draft.change(recordings=tuple(other for other in draft.leg.recordings if other.id != row.id))
    draft.do(EndTap(stopped))
    return sound_of(stopped)


def sound_of(row: RecordingRow) -> RecordedSound:
    assert row.started_at is not None
    return RecordedSound(recording_id=row.id, format=row.format, started_at=row.started_at, ended_at=row.ended_at)


def broke(draft: Draft, command: LegRecordingBroke) -> None:
    """One recording can no longer be written: it ends, the call goes on."""
    row = next((row for row in draft.leg.recordings if row.id == command.recording_id), None)
    if row is None:
        return
    draft.change(recordings=tuple(other for other in draft.leg.recordings if other.id != row.id))
    draft.do(recording.broken(row, command.reason, draft.ledger, begun=command.begun))
    task = draft.leg.task
    if isinstance(task, Taking) and task.row is not None and task.row.id == row.id:
        draft.wake("element", None)
        draft.wake("silence", None)
        draft.next()
