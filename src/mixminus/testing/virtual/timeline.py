"""What happened in a world, for people: who spoke when, to whom it was audible, what was recorded, what was told."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from mixminus.testing import ear
from mixminus.testing.ear import Span
from mixminus.testing.virtual.audible import SPOKEN
from mixminus.testing.virtual.server import PUBLIC

if TYPE_CHECKING:
    from mixminus.testing.virtual.phones import Phone
    from mixminus.testing.virtual.world import World

COLUMNS = 72
LONGEST = 3600.0
"""Seconds looked at, the last ones: a picture of more shows nothing."""
_LEFT, _RIGHT, _ROW = 190, 20, 22
_WIDTH = 1100
_LONGEST_BODY = 100


@dataclass(frozen=True)
class Lane:
    """One row: ``kind`` is ``said``, ``heard`` or ``recorded``."""

    name: str
    kind: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Mark:
    """Something that happened at an instant: ``api`` (a request to us) or ``callback`` (one from us)."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True)
class Timeline:
    begin: float
    end: float
    lanes: tuple[Lane, ...]
    marks: tuple[Mark, ...]

    def text(self) -> str:
        """For a terminal."""
        per = max(self.end - self.begin, 0.02) / COLUMNS
        width = max((len(title(lane)) for lane in self.lanes), default=0)
        lines = [f"virtual time {self.begin:.2f} to {self.end:.2f} s, one column is {per:.2f} s"]
        for lane in self.lanes:
            cells = ["."] * COLUMNS
            for span in lane.spans:
                first = int((span.start - self.begin) / per)
                last = max(first + 1, int(np.ceil((span.end - self.begin) / per - 1e-6)))
                for column in range(max(0, first), min(COLUMNS, last)):
                    cells[column] = _CELL[lane.kind]
            lines.append(f"{title(lane):<{width}} |{''.join(cells)}|")
        lines += [f"{mark.at:9.2f} s  {mark.kind:<8} {mark.text}" for mark in self.marks]
        return "\n".join(lines)

    def png(self) -> bytes:
        """For anything that shows pictures."""
        from mixminus.testing.virtual.picture import png

        return png(self)

    def svg(self) -> str:
        """For a browser."""
        height = 60 + _ROW * len(self.lanes) + 16 * len(self.marks)
        scale = (_WIDTH - _LEFT - _RIGHT) / max(self.end - self.begin, 0.02)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif" '
            f'font-size="12"><rect width="100%" height="100%" fill="white"/>',
            f'<text x="10" y="20">virtual time {self.begin:.2f} to {self.end:.2f} s</text>',
        ]
        for number, lane in enumerate(self.lanes):
            top = 34 + _ROW * number
            parts.append(f'<text x="10" y="{top + 12}">{escape(title(lane))}</text>')
            parts += [
                f'<rect x="{_LEFT + scale * (span.start - self.begin):.1f}" y="{top}" height="14" '
                f'width="{max(1.0, scale * span.seconds):.1f}" fill="{COLOUR[lane.kind]}"/>'
                for span in lane.spans
            ]
        top = 34 + _ROW * len(self.lanes)
        for number, mark in enumerate(self.marks):
            x = _LEFT + scale * (mark.at - self.begin)
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="28" y2="{top}" stroke="#bbb" stroke-width="0.5"/>')
            text = escape(f"{mark.at:.2f} s  {mark.kind}  {mark.text}")
            parts.append(f'<text x="10" y="{top + 16 * (number + 1)}" font-size="11">{text}</text>')
        return "\n".join([*parts, "</svg>"]) + "\n"


_CELL = {"said": "#", "heard": "=", "recorded": "R"}
COLOUR = {"said": "#2b6cb0", "heard": "#68a063", "recorded": "#c53030"}


def title(lane: Lane) -> str:
    return lane.name if lane.kind == "recorded" else f"{lane.name} {lane.kind}" if lane.kind == "said" else lane.name


def timeline(world: World) -> Timeline:
    """Of the last hour at most."""
    end = world.seconds
    begin = max(0.0, end - LONGEST)
    lanes: list[Lane] = []
    for phone in world.phones:
        lanes.append(Lane(phone.name, "said", _said(world, phone, begin)))
        for other in world.phones:
            if other is not phone:
                heard = other.heard(phone, since=begin)
                if heard:
                    lanes.append(Lane(f"  heard by {other.name}", "heard", heard.spans))
    for number, spans in enumerate(world.recorded_spans):
        lanes.append(Lane(f"recording {number + 1}", "recorded", tuple(spans)))
    return Timeline(begin, end, tuple(lanes), _marks(world, begin))


def _said(world: World, phone: Phone, begin: float) -> tuple[Span, ...]:
    start_ns, end_ns = world.span(begin, None)
    samples = phone.line.sound.said.between(start_ns, end_ns)
    found = ear.sound_spans(samples, above=SPOKEN) if len(samples) else []
    return tuple(Span(begin + span.start, begin + span.end) for span in found)


def _marks(world: World, begin: float) -> tuple[Mark, ...]:
    marks = [
        Mark(
            world.since_begin(request.at), "api", f"{request.method} {request.path} {request.body} -> {request.status}"
        )
        for request in world.requests
    ]
    for exchange in world.callbacks:
        what = exchange.event or exchange.method
        who = exchange.fields.get("ParticipantCallTo") or exchange.fields.get("To") or ""
        outcome = str(exchange.status) if exchange.status else exchange.answer
        where = exchange.url.removeprefix(PUBLIC)
        marks.append(Mark(world.since_begin(exchange.at), "callback", f"{what} {who} to {where} -> {outcome}"))
    order = sorted(marks, key=lambda mark: mark.at)
    return tuple(mark for mark in order if mark.at >= begin)
