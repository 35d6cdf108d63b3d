"""How the engine's cost grows: ``python -m bench.scaling [--plot docs/scaling.svg]``.

CPU per participant and tick of the engine alone (no sockets, no disk), everyone talking and every room recorded: for
rooms of four from 40 to 8,000 participants, for everybody in one room, and for rooms in which few or none talk. And the
memory that a participant takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench.engine import ROOM_SIZE, WARM_UP, build, run
from rich.console import Console
from rich.table import Table

SIZES = (40, 100, 200, 400, 1000, 2000, 4000, 8000)
PASSES = 5
"""The least of so many counts: other work on the machine only ever adds."""


class Series(NamedTuple):
    name: str
    talking: float
    in_one_room: bool


SERIES = (
    Series("rooms of 4, all talk", 1.0, False),
    Series("one room, all talk", 1.0, True),
    Series("one room, 1 % talk", 0.01, True),
    Series("rooms of 4, 30 % talk", 0.3, False),
    Series("rooms of 4, silence", 0.0, False),
)


def cost(participants: int, series: Series) -> float:
    """Microseconds per participant and tick."""
    engine, batch = build(participants, series.talking, participants if series.in_one_room else ROOM_SIZE)
    run(engine, batch, WARM_UP, 0)
    ticks = max(10, 40_000 // participants)
    spent = [run(engine, batch, ticks, WARM_UP + turn * ticks) for turn in range(PASSES)]
    return min(spent) / 1000 / ticks / participants


def line(costs: Sequence[float]) -> tuple[float, float, float]:
    """Fixed cost of a tick, cost of each further participant, both µs, and the worst deviation from that straight line
    from 400 participants on, as a share.
    """
    sizes = np.array(SIZES, float)
    ticks = sizes * costs
    slope, fixed = np.polyfit(sizes, ticks, 1, w=1 / ticks)  # every size counts the same, as a share of its cost
    large = sizes >= 400
    return float(fixed), float(slope), float(np.abs(ticks / (fixed + slope * sizes) - 1)[large].max())


def bytes_per_participant() -> int:
    """Of the engine's arrays: what grows with the rows, and is there whether they are used or not."""
    small, large = (build(size, 0.0, ROOM_SIZE)[0] for size in (256, 1024))
    rows = large._state.capacity - small._state.capacity
    return (large._state.nbytes() - small._state.nbytes()) // rows


def plot(found: dict[Series, list[float]], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for series, costs in found.items():
        axes.plot(SIZES, costs, marker="o", label=series.name)
    axes.set_xscale("log")
    axes.set_xticks(SIZES, [str(size) for size in SIZES])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("participants")
    axes.set_ylabel("engine, µs CPU per participant and tick")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(file)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--plot", type=Path, help="SVG to write")
    options = parser.parse_args(arguments)
    found = {series: [cost(size, series) for size in SIZES] for series in SERIES}
    table = Table(title="engine, µs CPU per participant and tick")
    table.add_column("participants", justify="right")
    for series in SERIES:
        table.add_column(series.name, justify="right")
    for index, size in enumerate(SIZES):
        table.add_row(str(size), *(f"{found[series][index]:.2f}" for series in SERIES))
    console = Console(width=120)
    console.print(table)
    for series, costs in found.items():
        fixed, slope, off = line(costs)
        console.print(
            f"{series.name}: {fixed:.0f} µs a tick and {slope:.2f} µs for each participant; from 400 on at most "
            f"{off:.0%} off that line"
        )
    console.print(
        f"memory of a participant in the engine: {bytes_per_participant() / 1024:.1f} KiB; NumPy {np.__version__}"
    )
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
