"""A timeline as PNG, for reports that show no SVG. Needs Pillow, which ``mixminus[testing]`` brings."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from mixminus.testing.virtual.timeline import COLOUR, Mark, Timeline, title

WIDTH: Final = 1400
_LEFT, _RIGHT, _TOP, _ROW, _LINE = 240, 30, 62, 28, 20
_MOST_TEXT: Final = 170
"""Characters of a mark's line."""
_TAIL: Final = 16
"""Of these the last, where the outcome stands."""
_INK, _FAINT, _GRID, _BAND = "#1a202c", "#718096", "#e2e8f0", "#f7fafc"
_MARK: Final = {"api": "#805ad5", "callback": "#dd6b20"}
_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
_MOST_STEPS: Final = 12


def png(timeline: Timeline) -> bytes:
    """Lanes over a ruler of seconds; below it what happened, numbered as the flags above."""
    lanes_end = _TOP + _ROW * len(timeline.lanes)
    height = lanes_end + 34 + _LINE * len(timeline.marks) + 14
    image = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(image)
    font, small = ImageFont.load_default(15), ImageFont.load_default(12)
    draw.text((14, 8), f"virtual time {timeline.begin:.2f} to {timeline.end:.2f} s", _INK, font)
    _rows(draw, timeline, font)
    _ruler(draw, timeline, lanes_end, small)
    _lanes(draw, timeline)
    _flags(draw, timeline, lanes_end, small)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _x(timeline: Timeline, at: float) -> float:
    share = (at - timeline.begin) / max(timeline.end - timeline.begin, 0.02)
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, share))


def _rows(draw: ImageDraw.ImageDraw, timeline: Timeline, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> None:
    for number, lane in enumerate(timeline.lanes):
        top = _TOP + _ROW * number
        if number % 2 == 0:
            draw.rectangle((0, top, WIDTH, top + _ROW - 1), _BAND)
        draw.text((14, top + 5), title(lane), _FAINT if lane.kind == "heard" else _INK, font)


def _ruler(
    draw: ImageDraw.ImageDraw, timeline: Timeline, bottom: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    length = timeline.end - timeline.begin
    step = next((step for step in _STEPS if length / step <= _MOST_STEPS), 3600)
    number = int(-(-timeline.begin // step))
    while number * step <= timeline.end:
        x = _x(timeline, number * step)
        draw.line((x, _TOP - 4, x, bottom), _GRID)
        draw.text((x, _TOP - 20), f"{number * step:g} s", _FAINT, font, anchor="ma")
        number += 1


def _lanes(draw: ImageDraw.ImageDraw, timeline: Timeline) -> None:
    for number, lane in enumerate(timeline.lanes):
        top = _TOP + _ROW * number
        for span in lane.spans:
            begin, end = _x(timeline, span.start), _x(timeline, span.end)
            draw.rounded_rectangle((begin, top + 5, max(begin + 2, end), top + _ROW - 6), 3, COLOUR[lane.kind])


def _flags(
    draw: ImageDraw.ImageDraw, timeline: Timeline, bottom: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    """A thin line at the instant of each mark, and the list of them."""
    for mark in timeline.marks:
        x = _x(timeline, mark.at)
        draw.line((x, _TOP - 4, x, bottom + 6), _MARK[mark.kind])
    for number, mark in enumerate(timeline.marks):
        top = bottom + 24 + _LINE * number
        draw.rounded_rectangle((14, top + 3, 24, top + 13), 2, _MARK[mark.kind])
        draw.text((34, top), f"{mark.at:.2f} s", _FAINT, font)
        draw.text((110, top), _line(mark), _INK, font)


def _line(mark: Mark) -> str:
    text = f"{mark.kind}  {mark.text}".replace("\n", " ")
    text = text.encode("latin-1", "replace").decode("latin-1")  # what the font has
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - _TAIL]} ... {text[-_TAIL:]}"
