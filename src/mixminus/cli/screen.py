"""How the demo looks: a line per happening with a progress display below it on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mixminus.cli.verdicts import Placed, Verdict
from mixminus.testing.sink import Received

_COLOURS = {"agent": "green", "customer": "cyan", "supervisor": "magenta"}
_BAR = 40
"""Characters of a who-spoke-when line."""


class Screen:
    """``seconds`` is about how long everything takes; the progress bar is scaled by it."""

    def __init__(self, seconds: float, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._progress.add_task("", total=seconds)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, text: str, *, at: float) -> None:
        """What is done from now on; ``at`` seconds of the whole have passed by plan."""
        self._progress.update(self._task, description=text, completed=at)
        self.console.print(Text.assemble((f"{_now()}  ", "dim"), (text, "bold")), soft_wrap=True)

    def advance(self, seconds: float) -> None:
        """Move the bar on while a step takes its time."""
        self._progress.advance(self._task, seconds)

    def callback(self, received: Received) -> None:
        """One callback, as it arrives, with the verdict on its signature."""
        valid = received.signature.valid
        sequence = "" if received.sequence is None else f"#{received.sequence}"
        who = received.parameters.get("ParticipantRole") or received.parameters.get("RecordingFormat") or ""
        self.console.print(
            Text.assemble(
                (f"{_now(received.at)}  ", "dim"),
                ("  ← ", "blue"),
                f"{received.event:<28}{sequence:>4}  {who:<11}",
                ("signature valid" if valid else f"signature {received.signature}", "green" if valid else "red"),
            ),
            soft_wrap=True,
        )

    def recording(self, path: Path, seconds: float, latency: float, placed: Sequence[Placed]) -> None:
        """The result: the file, and who spoke when in it."""
        table = Table(title="The recording", title_justify="left", title_style="bold", show_header=True, box=None)
        for column in ("file", "format", "duration", "size", "ready in"):
            table.add_column(column, no_wrap=column == "file")
        size = path.stat().st_size
        table.add_row(
            path.name, path.suffix.lstrip("."), f"{seconds:.3f} s", f"{size / 1000:.0f} kB", f"{latency:.2f} s"
        )
        self.console.print()
        self.console.print(table)
        self.console.print()
        self.console.print(_who_spoke_when(seconds, placed))

    def verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Every claim with its mark and the figure it rests on. Ends the progress display."""
        self._progress.stop()
        self.console.print()
        self.console.print("[bold]Checked[/]")
        for verdict in verdicts:
            mark = ("  ok   ", "green") if verdict.holds else ("  NOT  ", "bold red")
            self.console.print(Text.assemble(mark, verdict.claim, (f"  ({verdict.evidence})", "dim")), soft_wrap=True)

    def failure(self, text: str) -> None:
        self.console.print(Text.assemble(("The demo failed: ", "bold red"), text), soft_wrap=True)


def _who_spoke_when(seconds: float, placed: Sequence[Placed]) -> Table:
    table = Table(title="Who spoke when", title_justify="left", title_style="bold", box=None)
    for column in ("", f"0 s{'':{_BAR - 9}}{seconds:5.1f}s", "from-to"):
        table.add_column(column, no_wrap=True)
    for speaker in dict.fromkeys(one.speaker for one in placed):
        spans = [one.span for one in placed if one.speaker == speaker]
        bar = ["·"] * _BAR
        for start, end in spans:
            first, last = (int(at / max(seconds, 0.001) * (_BAR - 1)) for at in (start, min(end, seconds)))
            bar[first : last + 1] = "█" * (last + 1 - first)
        times = ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in spans)
        table.add_row(speaker, Text("".join(bar), _COLOURS.get(speaker, "")), times)
    return table


def _now(at: datetime | None = None) -> str:
    return (at or datetime.now()).astimezone().strftime("%H:%M:%S.%f")[:-4]
