"""What recordings of a call and of single participants have in common. Pure."""

from __future__ import annotations

from typing import Any

from mixminus.calls import recording
from mixminus.calls.commands import RecordingWishes, Requester
from mixminus.calls.effects import PauseTap, ResumeTap
from mixminus.calls.mpc.draft import Draft
from mixminus.store.rows import RecordingRow


def settings_of(draft: Draft, wishes: RecordingWishes) -> dict[str, Any]:
    """What the row keeps of how it is taken: what was asked for, else what the operator has set."""
    asked = {"tracks": wishes.tracks, "pause_as": wishes.pause_as}
    settings = {**draft.context.recording_defaults, **{name: value for name, value in asked.items() if value}}
    if draft.parameters.record_coach_voice is False:
        settings["coach_voice"] = False
    if wishes.transcript:
        settings |= {"transcript": True, "transcription_url": wishes.transcription_url}
    return settings


def paused(draft: Draft, row: RecordingRow, by: Requester) -> RecordingRow:
    draft.do(PauseTap(row.id, by.sub_account or by.account))
    return recording.pause(row, draft.ledger)


def resumed(draft: Draft, row: RecordingRow, by: Requester) -> RecordingRow:
    draft.do(ResumeTap(row.id, by.sub_account or by.account))
    return recording.resume(row, draft.ledger)
