"""Which tracks go into which channel of a rendering. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from mixminus.recording.rendering import Format
from mixminus.recording.sidecar import members_of

Layout: TypeAlias = Literal["mono", "stereo", "stems"]
LAYOUTS: tuple[Layout, ...] = ("mono", "stereo", "stems")
SOUNDS = "sounds"
"""Track of prompts, beeps and announcements."""
MARGIN = 0.2
"""Seconds around coaching that are left out too: its begin and end are noted beside the media, not in it."""
_OWN_HEARD = ("own", "heard")

Channels: TypeAlias = tuple[tuple[str, ...], ...]


class Wanted(NamedTuple):
    """Another file of a recording."""

    format: Format
    layout: Layout
    coach: bool = True

    def __str__(self) -> str:
        return f"{self.format}:{self.layout}" + ("" if self.coach else ":nocoach")


def wanted(text: str) -> Wanted:
    """Of ``flac:stereo`` or ``wav:stems:nocoach``, as the setting ``renderings`` has them. Raises ValueError."""
    parts = text.split(":")
    for format in get_args(Format):
        for layout in LAYOUTS:
            if parts in ([format, layout], [format, layout, "nocoach"]):
                return Wanted(format, layout, len(parts) == 2)
    raise ValueError(f"{text!r} is not FORMAT:LAYOUT or FORMAT:LAYOUT:nocoach, such as flac:stereo")


def channels_of(
    layout: Layout,
    *,
    coach: bool,
    tracks: Sequence[str],
    notes: Sequence[Mapping[str, Any]],
    partly: Collection[str] = (),
) -> Channels:
    """The channels of a rendering, each the tracks that are added up in it; none at all stands for the mix.

    ``tracks``: names in the spool, in order of first sound. ``notes``: of the control process, which know the roles.
    ``coach`` False leaves out the voice of everybody who has coached, but for those of ``partly``. Stereo has customers
    left, staff right and sounds on both sides; of one participant it has the own voice left and what was heard right.
    Stems are a channel for each voice, then one for the sounds.
    """
    left_out = frozenset() if coach else coaches(notes) - frozenset(partly)
    kept = tuple(name for name in tracks if name not in left_out)
    if layout == "mono":
        return () if coach else (kept,)
    voices = tuple(name for name in kept if name != SOUNDS)
    if layout == "stems":
        return tuple((name,) for name in (*voices, *(name for name in kept if name == SOUNDS)))
    if set(voices) <= set(_OWN_HEARD):
        return tuple((name,) for name in _OWN_HEARD)
    customers = {call for call, facts in members_of(notes).items() if facts["role"] == "customer"}
    left = tuple(name for name in kept if name == SOUNDS or name in customers)
    right = tuple(name for name in kept if name == SOUNDS or name not in customers)
    return left, right


def coaches(notes: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Call uuids of those who coached at some time."""
    return frozenset(
        str(note.get("call_uuid", ""))
        for note in notes
        if note.get("role") == "supervisor" and note.get("coach_mode") is True
    )


def coached(timeline: Mapping[str, Any]) -> tuple[tuple[str, int, int], ...]:
    """(call uuid, from, to) in samples: when supervisors coached, by the events of a timeline, with :data:`MARGIN` on
    both sides. One that did so from the first event to the end of the file is not told.
    """
    events, samples = timeline["events"], int(timeline["samples"])
    margin = round(MARGIN * int(timeline["rate"]))
    found: list[tuple[str, int, int]] = []
    since: dict[str, int] = {}
    free: set[str] = set()
    for event in events:
        call = str(event.get("call_uuid", ""))
        at = 0 if event.get("type") == "present" else int(event["sample"])
        if event.get("role") != "supervisor" or "coach_mode" not in event:
            continue
        if event["coach_mode"] is True:
            since.setdefault(call, max(0, at - margin))
        else:
            free.add(call)
            if call in since:
                found.append((call, since.pop(call), min(samples, at + margin)))
    found += [(call, begin, samples) for call, begin in since.items()]
    return tuple(stretch for stretch in found if stretch[0] in free)
