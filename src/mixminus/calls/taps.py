"""A recording's row → the tap that takes it and the file that is made of it: the one place that decides both. Pure."""

from __future__ import annotations

from mixminus.calls import hearing
from mixminus.media.protocol import StartTap
from mixminus.recording.channels import Spec
from mixminus.recording.timeline import PauseAs
from mixminus.store.rows import RecordingRow

OWN_AND_HEARD = (("own",), ("heard",))
"""Channels of a recording of a participant with ``record_track_type`` ``all``: its voice left, what it hears right."""


def start_tap(row: RecordingRow, room: str, folder: str, *, heard: bool = False) -> StartTap:
    """What to tell the media worker of the room. ``heard``: a leg's recording holds also what it hears."""
    if row.source == "call":
        return StartTap(row.id, room, 0, folder, leg=row.call_uuid, heard=heard)
    if row.source == "conference":
        return StartTap(row.id, room, hearing.TALK | hearing.SOUNDS, folder)
    if row.member_id:
        heard = row.track_type == "all"
        return StartTap(row.id, room, hearing.RECORDED, folder, leg=row.call_uuid, heard=heard, notes=True)
    coaching = row.settings.get("coach_voice", True)
    hear = hearing.recorded(coaching=bool(coaching))
    return StartTap(row.id, room, hear, folder, tracks=row.settings.get("tracks") == "all", notes=True)


def spec_of(row: RecordingRow) -> Spec:
    """What to tell the finisher."""
    asked = row.settings.get("pause_as", "cut")
    pause_as: PauseAs = asked if asked in ("silence", "tone") else "cut"
    both = bool(row.member_id) and row.track_type == "all"
    return Spec(OWN_AND_HEARD if both else (), pause_as)
