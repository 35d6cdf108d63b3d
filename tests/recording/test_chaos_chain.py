"""From the mixer to the callback, with death at every step."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from recording.chaos import HEADING, suite

TRIALS = int(os.environ.get("CHAOS", "25"))
FIRST = int(os.environ.get("CHAOS_SEED", "0"))


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of syncs."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None, prefix="mixminus-chaos-") as name:
        yield Path(name)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.timeout(60 + TRIALS)
async def test_no_death_costs_more_than_a_second_or_a_word(memory: Path) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    try:
        totals = await suite(memory, range(FIRST, FIRST + TRIALS))
    finally:
        structlog.reset_defaults()
    print(*totals.problems, sep="\n")  # noqa: T201
    print(f"\n{HEADING}\n{totals.markdown('the whole chain, virtual time')}")  # noqa: T201
    assert totals.problems == []
    assert totals.deaths > 0 and totals.recordings > 0
