"""The emulated network: what it does is what was asked, and the same again for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from mixminus.testing.netem import MILLISECOND_NS, Link, Weather

TICK = 20 * MILLISECOND_NS


def journey(weather: Weather, packets: int = 5000, seed: int = 1) -> list[tuple[int, int]]:
    """(packet, ms of arrival) in order of arrival."""
    link = Link(weather, seed=seed)
    seen = []
    for number in range(packets):
        link.send(number.to_bytes(4), number * TICK)
    for millisecond in range(packets * 20 + 5000):
        seen += [(int.from_bytes(packet), millisecond) for packet in link.arrived(millisecond * MILLISECOND_NS)]
    return seen


def test_a_good_network_does_nothing() -> None:
    assert journey(Weather(), 50) == [(number, 20 * number) for number in range(50)]


def test_the_same_seed_is_the_same_weather() -> None:
    weather = Weather(loss=0.1, burst=3, jitter_ms=30, reorder=0.05, duplicate=0.05)
    assert journey(weather, 500) == journey(weather, 500)
    assert journey(weather, 500) != journey(weather, 500, seed=2)


@pytest.mark.parametrize(("loss", "burst"), [(0.05, 1), (0.05, 4), (0.3, 2)])
def test_as_much_is_lost_in_runs_as_long_as_asked(loss: float, burst: float) -> None:
    there = {number for number, _ in journey(Weather(loss=loss, burst=burst), 20000)}
    lost = np.array([number not in there for number in range(20000)])
    begins = np.count_nonzero(lost[1:] & ~lost[:-1])
    assert lost.mean() == pytest.approx(loss, rel=0.12)
    expected = burst if burst > 1 else 1 / (1 - loss)
    assert lost.sum() / begins == pytest.approx(expected, rel=0.1)


def test_jitter_keeps_the_order_unless_told_otherwise() -> None:
    weather = Weather(delay_ms=50, jitter_ms=10)
    seen = journey(weather)
    extra = np.array([at - 20 * number - 50 for number, at in seen])
    assert extra.min() >= 0
    assert [number for number, _ in seen] == list(range(5000))
    mixed = [number for number, _ in journey(Weather(jitter_ms=40, in_order=False))]
    assert mixed != sorted(mixed)
    assert sorted(mixed) == list(range(5000))


def test_some_overtake_and_some_come_twice() -> None:
    seen = [number for number, _ in journey(Weather(jitter_ms=60, reorder=0.1))]
    assert np.count_nonzero(np.diff(seen) < 0) > 100
    twice = [number for number, _ in journey(Weather(duplicate=0.1))]
    assert len(twice) - len(set(twice)) == pytest.approx(500, rel=0.15)


def test_a_fast_clock_sends_more_often() -> None:
    seen = journey(Weather(drift_ppm=1000), 5000)
    assert seen[-1][1] == pytest.approx(4999 * 20 / 1.001, abs=1)


@pytest.mark.parametrize(
    "wrong", [{"loss": 1.1}, {"burst": 0.5}, {"loss": 0.9, "burst": 2}, {"jitter_ms": -1}, {"drift_ppm": -1e6}]
)
def test_impossible_weather_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)) if "burst" not in wrong else "burst"):
        Weather(**wrong)  # type: ignore[arg-type]
