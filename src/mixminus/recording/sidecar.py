"""What happened in a recording, on its own sample clock: JSON for programs, WebVTT and peaks for players. Pure.

Two sources: what the media worker noted in the spool, exact to the tick, and what the control process noted beside it
(:data:`NOTES_FILE`: one JSON object a line, with the ``at_ns`` of CLOCK_MONOTONIC at which it happened), placed by the
spool's own anchors, so that a wall clock that is set in the middle of a call moves nothing.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from mixminus.recording.encryption import KeyRing
from mixminus.recording.sealing import open_notes
from mixminus.recording.timeline import Anchor, Happening, Marker

NOTES_FILE = "events.jsonl"
VERSION = 1
PEAKS_PER_SECOND = 20
_NAMES = {
    "ParticipantJoin": "join",
    "ParticipantExit": "leave",
    "ParticipantMute": "mute",
    "ParticipantUnmute": "unmute",
    "ParticipantHold": "hold",
    "ParticipantUnhold": "unhold",
    "ParticipantCoachModeStart": "coach_start",
    "ParticipantCoachModeStop": "coach_stop",
    "ParticipantDigitInput": "digit",
}


def read_notes(data: bytes, ring: KeyRing | None = None) -> list[dict[str, Any]]:
    """The control process's notes in order of time; a line cut off by a crash is left out. ``ring`` opens sealed ones;
    raises :class:`~mixminus.recording.encryption.Sealed` when it has no key for them.
    """
    found = []
    for line in open_notes(data, ring or KeyRing()).splitlines():
        try:
            note = json.loads(line)
        except ValueError:
            continue
        if isinstance(note, dict) and isinstance(note.get("at_ns"), int) and isinstance(note.get("kind"), str):
            found.append(note)
    return sorted(found, key=lambda note: int(note["at_ns"]))


class SampleClock:
    """Moments of CLOCK_MONOTONIC → samples of the finished file."""

    def __init__(self, anchors: Sequence[Anchor], rate: int, samples: int) -> None:
        self._anchors = sorted(anchors, key=lambda anchor: anchor.monotonic_ns)
        self._times = [anchor.monotonic_ns for anchor in self._anchors]
        self._rate, self._samples = rate, samples

    def at(self, monotonic_ns: int) -> int:
        """A moment within a pause is the sample at which it begins; before the first sample it is 0."""
        index = bisect_right(self._times, monotonic_ns) - 1
        if index < 0:
            return 0
        anchor = self._anchors[index]
        if not anchor.running:
            return min(anchor.at, self._samples)
        after = (monotonic_ns - anchor.monotonic_ns) * self._rate // 1_000_000_000
        following = self._anchors[index + 1].at if index + 1 < len(self._anchors) else self._samples
        return max(0, min(anchor.at + after, following, self._samples))


def members_of(notes: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Call uuid (the name of a track) → who that is, as first told."""
    found: dict[str, dict[str, Any]] = {}
    for note in notes:
        call = note.get("call_uuid")
        if isinstance(call, str) and call and call not in found:
            found[call] = {name: note.get(name, "") for name in ("member_id", "role", "address")}
    return found


def build(
    *,
    recording_id: str,
    rate: int,
    samples: int,
    begun: datetime | None,
    anchors: Sequence[Anchor],
    markers: Sequence[Marker],
    happenings: Sequence[Happening],
    tracks: Sequence[str],
    notes: Sequence[Mapping[str, Any]],
    complete: bool,
    damage: int,
) -> dict[str, Any]:
    """The sidecar. Every entry has ``sample`` and ``ms`` from the begin of the file."""
    clock, members = SampleClock(anchors, rate, samples), members_of(notes)
    pauses, notes = _pauses(notes, sum(marker.kind == "pause" for marker in markers))
    entries = [_marked(marker, pauses) for marker in markers]
    entries += [_noted(note, clock.at(int(note["at_ns"]))) for note in notes]
    entries += [
        {"sample": h.at, "type": "loss", **_who(h.leg, members), "concealed_ms": h.value}
        for h in happenings
        if h.kind == "loss"
    ]
    speech = speech_of(happenings, samples)
    return {
        "version": VERSION,
        "recording_id": recording_id,
        "rate": rate,
        "samples": samples,
        "duration_ms": round(1000 * samples / rate),
        "started_at": None if begun is None else begun.astimezone(UTC).isoformat(timespec="microseconds"),
        "complete": complete,
        "damage": damage,
        "tracks": [{"name": name, **_who(name, members)} for name in tracks],
        "participants": [{"call_uuid": call, **facts} for call, facts in members.items()],
        "speech": [{**_who(leg, members), **_span(start, end, rate)} for leg, start, end in speech],
        "events": [{**entry, "ms": _ms(entry["sample"], rate)} for entry in sorted(entries, key=_by_sample)],
    }


def speech_of(happenings: Iterable[Happening], samples: int) -> list[tuple[str, int, int]]:
    """Who spoke from where to where, in order of begin. Who never stopped spoke to the end."""
    open_: dict[str, int] = {}
    spans = []
    for happening in happenings:
        at = min(happening.at, samples)
        if happening.kind == "speech":
            open_.setdefault(happening.leg, at)
        elif happening.kind == "silence" and happening.leg in open_:
            spans.append((happening.leg, open_.pop(happening.leg), at))
    spans += [(leg, start, samples) for leg, start in open_.items()]
    return sorted(((leg, start, end) for leg, start, end in spans if end > start), key=lambda span: span[1:])


def webvtt(sidecar: Mapping[str, Any]) -> str:
    """Who speaks, as subtitles (W3C WebVTT): one cue for each stretch of speech."""
    lines = ["WEBVTT", ""]
    for span in sidecar["speech"]:
        lines += [f"{_stamp(span['start_ms'])} --> {_stamp(span['end_ms'])}", f"<v {_voice(span)}>{_voice(span)}", ""]
    return "\n".join(lines)


class Peaks:
    """Lowest and highest sample of every twentieth of a second of the mixdown, for drawing a waveform."""

    def __init__(self, rate: int) -> None:
        self._per = rate // PEAKS_PER_SECOND
        self._rate = rate
        self._rest = np.empty(0, np.int16)
        self._length = 0
        self._text: list[bytes] = []
        """Written along the way, so that little is left to do at the end of a long recording."""

    def add(self, pcm: bytes, channels: int) -> None:
        """int16 little-endian, interleaved; of several channels the loudest counts."""
        frames = np.frombuffer(pcm, "<i2").reshape(-1, channels)
        loudest = frames[:, 0]
        if channels > 1:
            loudest = frames[np.arange(len(frames)), np.abs(frames.astype(np.int32)).argmax(axis=1)]
        samples = np.concatenate((self._rest, loudest))
        whole = len(samples) // self._per * self._per
        self._rest = samples[whole:].copy()
        self._take(samples[:whole].reshape(-1, self._per))

    def _take(self, rows: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        if rows.size:
            pairs = np.stack((rows.min(axis=1), rows.max(axis=1)), axis=1) >> 8
            self._length += len(pairs)
            self._text.append(msgspec.json.encode(pairs.reshape(-1).tolist())[1:-1])

    def document(self) -> bytes:
        """As BBC audiowaveform's JSON, version 2, 8 bits."""
        self._take(self._rest[None, :])
        self._rest = self._rest[:0]
        head = (
            f'{{"version":2,"channels":1,"sample_rate":{self._rate},"samples_per_pixel":{self._per},'
            f'"bits":8,"length":{self._length},"data":['
        )
        return head.encode() + b",".join(self._text) + b"]}"


def _by_sample(entry: Mapping[str, Any]) -> int:
    return int(entry["sample"])


def _ms(sample: int, rate: int) -> int:
    return round(1000 * sample / rate)


def _span(start: int, end: int, rate: int) -> dict[str, int]:
    return {"start": start, "end": end, "start_ms": _ms(start, rate), "end_ms": _ms(end, rate)}


def _who(leg: str, members: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    known = members.get(leg, {})
    return {"call_uuid": leg, "member_id": known.get("member_id", ""), "role": known.get("role", "")}


def _pauses(
    notes: Sequence[Mapping[str, Any]], count: int
) -> tuple[deque[dict[str, Any]], Sequence[Mapping[str, Any]]]:
    """Who paused and who resumed, pause by pause, and the other notes. Unless every pause has its note, none has."""
    paused = [note.get("by", "") for note in notes if note["kind"] == "paused"]
    resumed = [note.get("by", "") for note in notes if note["kind"] == "resumed"]
    if len(paused) != count:
        return deque(), notes
    rest = [note for note in notes if note["kind"] not in ("paused", "resumed")]
    resumed += [""] * (count - len(resumed))
    return deque({"by": by, "resumed_by": then} for by, then in zip(paused, resumed, strict=False)), rest


def _marked(marker: Marker, pauses: deque[dict[str, Any]]) -> dict[str, Any]:
    entry = {
        "sample": marker.at,
        "type": marker.kind,
        "samples": marker.samples,
        "elapsed_ms": marker.elapsed_ns // 1_000_000,
    }
    return {**entry, **pauses.popleft()} if marker.kind == "pause" and pauses else entry


def _noted(note: Mapping[str, Any], sample: int) -> dict[str, Any]:
    kind = str(note["kind"])
    rest = {name: value for name, value in note.items() if name not in ("at_ns", "kind")}
    return {"sample": sample, "type": _NAMES.get(kind, kind), **rest}


def _voice(span: Mapping[str, Any]) -> str:
    """A cue's voice: role and member, else the track."""
    named = " ".join(part for part in (str(span["role"]), str(span["member_id"])) if part)
    return named or str(span["call_uuid"])


def _stamp(ms: int) -> str:
    seconds, thousandths = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{thousandths:03}"
