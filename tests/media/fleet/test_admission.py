"""The high-water mark of a worker."""

from __future__ import annotations

from typing import cast

import pytest

from mixminus.errors import Overloaded
from mixminus.media.fleet.admission import Gate
from mixminus.media.fleet.client import MediaClient
from mixminus.media.fleet.endpoint import WorkerEndpoint
from mixminus.media.fleet.ports import PortBook
from mixminus.media.protocol import Stats


def stats(load: float, legs: int = 100) -> Stats:
    return Stats(
        legs=legs,
        rooms=1,
        taps=0,
        ticks=1,
        late_ticks=0,
        skipped_ticks=0,
        stranger_packets=0,
        malformed_packets=0,
        load=load,
    )


def test_a_full_worker_takes_calls_again_only_when_it_has_clearly_more_time() -> None:
    gate = Gate(0.8)
    seen = [gate.open(stats(load), 100) for load in (0.1, 0.79, 0.8, 0.79, 0.73, 0.71, 0.79)]
    assert seen == [True, True, False, False, False, True, True]


def test_calls_let_in_since_the_last_count_are_reckoned_with() -> None:
    gate = Gate(0.8)
    assert gate.load(stats(0.6, 100), 120) == pytest.approx(0.72)
    assert gate.open(stats(0.6, 100), 120)
    assert not gate.open(stats(0.6, 100), 134)


def test_a_worker_with_little_to_do_or_no_counters_yet_is_open() -> None:
    assert Gate(0.8).open(None, 10)
    assert Gate(0.8).open(stats(0.05, 1), 50)
    assert Gate(0.8).open(stats(0.0, 0), 50)


class _Bound:
    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 20000


class _Worker:
    """A worker's handle, as far as placing goes."""

    def __init__(self, load: float) -> None:
        self.book = PortBook([20000])
        self.sockets = [_Bound()]
        self.stats = stats(load)


def client(*loads: float) -> MediaClient:
    made = MediaClient(host="127.0.0.1", ports=(20000, 20010), workers=len(loads), on_event=lambda event: None)
    made._handles = [cast(WorkerEndpoint, _Worker(load)) for load in loads]
    return made


def test_new_rooms_go_past_a_full_worker_until_all_are_full() -> None:
    media = client(0.85, 0.7)
    assert media.overloaded() == ""
    assert media.place("room") == 1
    assert "limit" in client(0.85, 0.9).overloaded()


def test_a_room_on_a_full_worker_takes_no_more_legs_and_is_placed_where_it_was() -> None:
    media = client(0.1)
    media.reserve("room", "first", remote=("127.0.0.1", 4000), latchable=False)
    media._handles[0].stats = stats(0.9)
    with pytest.raises(Overloaded, match="room"):
        media.reserve("room", "second", remote=("127.0.0.1", 4002), latchable=False)
    assert media.place("room") == 0
    media._handles[0].stats = stats(0.5)
    media.reserve("room", "second", remote=("127.0.0.1", 4002), latchable=False)
