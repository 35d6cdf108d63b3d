"""``mixminus doctor``: show what :mod:`mixminus.cli.checks` finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mixminus import settings
from mixminus.cli import checks

_MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warning[/]", "block": "[red]in the way[/]"}


def doctor(overrides: dict[str, Any], file: Path | None) -> int:
    """Print the findings; 1 if something would keep a server from running, else 0."""
    findings = list(checks.examine(settings.load(overrides, file=file)))
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("check", "", "found"):
        table.add_column(column)
    for finding in findings:
        table.add_row(finding.what, _MARKS[finding.verdict], finding.detail)
        if finding.advice:
            table.add_row("", "", f"[bold]→ {finding.advice}[/]")
    console.print(table)
    blocked = sum(finding.verdict == "block" for finding in findings)
    warned = sum(finding.verdict == "warn" for finding in findings)
    if blocked:
        console.print(f"\n[red]A server cannot run here yet: {blocked} thing(s) in the way.[/]")
    else:
        console.print("\n[green]A server can run here[/]" + (f", with {warned} warning(s)." if warned else "."))
    return 1 if blocked else 0
