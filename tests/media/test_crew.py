"""The threads of codecs: all jobs are done, failures reach the caller."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from mixminus.media.crew import WORTHWHILE, Crew
from mixminus.media.wideband import Job


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew(2)
    yield crew
    crew.stop()


@pytest.mark.parametrize("count", [0, 1, WORTHWHILE - 1, WORTHWHILE, 9, 50])
def test_every_job_is_done_once_before_run_returns(crew: Crew, count: int) -> None:
    for _ in range(3):
        done: list[int] = []
        crew.run([partial(done.append, number) for number in range(count)])
        assert sorted(done) == list(range(count))


def test_jobs_run_side_by_side(crew: Crew) -> None:
    """All three must be at the barrier at once for any to pass it."""
    barrier = threading.Barrier(3, timeout=10)

    def meet() -> None:
        barrier.wait()

    crew.run([meet] * 3 + [partial(list[int].sort, []) for _ in range(3)])


def test_a_failure_is_raised_after_all_have_ended(crew: Crew) -> None:
    done: list[int] = []

    def fail() -> None:
        raise ValueError("no")

    for place in (0, 1):
        jobs: list[Job] = [partial(done.append, number) for number in range(8)]
        jobs.insert(place, fail)
        with pytest.raises(ValueError, match="no"):
            crew.run(jobs)
    crew.run([partial(done.append, 99)] * 6)
    assert done.count(99) == 6


def test_without_threads_the_caller_does_it_all() -> None:
    crew = Crew(0)
    done: list[int] = []
    crew.run([partial(done.append, number) for number in range(20)])
    assert done == list(range(20))
    crew.stop()
