"""A finished recording, its samples on the world's clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mixminus.media import protocol as media
from mixminus.media.state import TICK_NS
from mixminus.store.rows import RecordingRow
from mixminus.testing.sources import Samples
from mixminus.testing.virtual.audible import Audible, audible
from mixminus.testing.virtual.tape import NS

if TYPE_CHECKING:
    from mixminus.testing.virtual.phones import Phone


@dataclass(frozen=True)
class Recording:
    """``spans``: from when to when it ran, nanoseconds of the virtual clock; time paused is left out."""

    id: str
    path: Path
    row: RecordingRow
    samples: Samples
    spans: tuple[tuple[int, int], ...]
    origin_ns: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) * NS / 1e9

    def between(self, start_ns: int, end_ns: int) -> Samples:
        """What was recorded in that time, silence where it did not run."""
        out = np.zeros(max(0, round((end_ns - start_ns) / NS)), np.int16)
        position = 0
        for begin, end in self.spans:
            count = (end - begin) // NS
            piece = self.samples[position : position + count]
            position += count
            at = round((begin - start_ns) / NS)
            cut = piece[max(0, -at) : max(0, len(out) - at)]
            out[max(0, at) : max(0, at) + len(cut)] = cut
        return out

    def contains(
        self, phone: Phone, *, since: float = 0.0, until: float | None = None, above: float = -60.0
    ) -> Audible:
        """Whether, and when, what the phone said is in it. Times in virtual seconds, level in dBFS."""
        end = self.spans[-1][1] if until is None else self.origin_ns + round(until * 1e9)
        said = phone.line.sound.said.between
        start = self.origin_ns + round(since * 1e9)
        return audible(said, self.between, start, end, origin_ns=self.origin_ns, above=above)


def spans_of(commands: list[tuple[int, media.Command]], tap: str, now_ns: int, begin_ns: int) -> list[tuple[int, int]]:
    """When a tap ran: from the first tick after a start to the last before a pause or the end."""
    spans: list[tuple[int, int]] = []
    since = -1

    def tick_after(at_ns: int) -> int:
        return begin_ns + ((at_ns - begin_ns) // TICK_NS + 1) * TICK_NS

    for at_ns, command in commands:
        if getattr(command, "tap", None) != tap:
            continue
        match command:
            case media.StartTap(paused=False) | media.ResumeTap() if since < 0:
                since = tick_after(at_ns)
            case media.PauseTap() | media.StopTap() if since >= 0:
                spans.append((since, tick_after(at_ns)))
                since = -1
    if since >= 0:
        spans.append((since, tick_after(now_ns)))
    return spans
