"""After everybody has left, nothing of them is kept: not in the engine, the spool writer or the books of the ports."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixminus.testing.soak import VirtualSoak
from mixminus.testing.tables import grown

TICKS = 700
POOLS = ("._free", ".names")
"""Tables of rows that are not in use: as large as there ever were rows."""


def test_the_engine_keeps_nothing_of_those_who_left(tmp_path: Path) -> None:
    soak = VirtualSoak(tmp_path, peers=24)
    soak.run(TICKS)
    soak.empty()
    first = soak.sizes()
    asked = soak.churn.asked
    soak.run(TICKS)
    busy = soak.stats()
    assert busy.legs and busy.rooms and busy.taps
    soak.empty()
    assert soak.churn.asked - asked >= TICKS // 3
    assert soak.failed == []
    after = soak.sizes()
    assert {path: change for path, change in grown(first, after).items() if not path.endswith(POOLS)} == {}
    assert after["engine._state._free"] == after["engine._state.names"]
    stats = soak.stats()
    assert (stats.legs, stats.rooms, stats.taps, stats.leg_stats) == (0, 0, 0, ())
    assert soak.backlog == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("table", ["_members", "_rooms"])
def test_a_table_that_is_not_emptied_is_noticed_and_named(tmp_path: Path, table: str) -> None:
    soak = VirtualSoak(tmp_path, peers=4)
    first = soak.sizes()
    getattr(soak._engine._control, table)["forgotten"] = 1
    assert list(grown(first, soak.sizes())) == [f"engine._control.{table}"]
