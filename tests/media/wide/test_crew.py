"""The threads of codecs: all tasks are done, failures reach the caller."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mixminus.media.wide.crew import WORTHWHILE, Crew
from mixminus.media.wide.streams import Work


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew(2)
    yield crew
    crew.stop()


def counting(tasks: Iterator[int], done: list[int]) -> Work:
    """Takes numbers, and puts them to those that are done."""

    def work() -> None:
        done.extend(tasks)

    return work


@pytest.mark.parametrize("count", [0, 1, WORTHWHILE - 1, WORTHWHILE, 9, 50])
def test_every_task_is_done_once_before_run_returns(crew: Crew, count: int) -> None:
    for _ in range(3):
        done: list[int] = []
        crew.run(counting(iter(range(count)), done), count)
        assert sorted(done) == list(range(count))


def test_tasks_run_side_by_side(crew: Crew) -> None:
    """All three must be at the barrier at once for any to pass it."""
    barrier = threading.Barrier(3, timeout=10)
    tasks = iter(range(6))

    def work() -> None:
        for _ in tasks:
            barrier.wait()

    crew.run(work, 6)


def test_a_failure_is_raised_after_all_have_ended(crew: Crew) -> None:
    for fatal in (0, 5):
        done: list[int] = []
        tasks = iter(range(8))

        def work(fatal: int = fatal, tasks: Iterator[int] = tasks, done: list[int] = done) -> None:
            for number in tasks:
                if number == fatal:
                    raise ValueError("no")
                done.append(number)

        with pytest.raises(ValueError, match="no"):
            crew.run(work, 8)
    done = []
    crew.run(counting(iter(range(6)), done), 6)
    assert sorted(done) == list(range(6))


def test_without_threads_the_caller_does_it_all() -> None:
    crew = Crew(0)
    done: list[int] = []
    crew.run(counting(iter(range(20)), done), 20)
    assert done == list(range(20))
    crew.stop()
