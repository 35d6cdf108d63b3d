"""Threads for work that holds no GIL: codecs in C. The tick's own thread works along, and waits for the rest."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Final

from mixminus.media.wideband import Job, in_turn

WORTHWHILE: Final = 4
"""Jobs from which waking others costs less than it gains (some 50 µs a thread, beside some 50 to 200 µs a job)."""


class Crew:
    """``threads`` helpers beside the caller's own thread, begun with the first work that is worth it."""

    def __init__(self, threads: int) -> None:
        self._size = max(0, threads)
        self._work: SimpleQueue[Sequence[Job] | None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def run(self, jobs: Sequence[Job]) -> None:
        """Do all jobs; raises what one of them raised, after all have ended."""
        if not self._size or len(jobs) < WORTHWHILE:
            in_turn(jobs)
            return
        if not self._threads:
            self._begin()
        shares = min(self._size + 1, len(jobs) // 2)
        for share in range(1, shares):
            self._work.put(jobs[share::shares])
        failure = self._try(jobs[0::shares])
        for _ in range(1, shares):
            failure = self._done.get() or failure
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """End the threads."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _begin(self) -> None:
        self._threads = [
            threading.Thread(target=self._serve, name=f"codecs-{number}", daemon=True) for number in range(self._size)
        ]
        for thread in self._threads:
            thread.start()

    def _serve(self) -> None:
        while (jobs := self._work.get()) is not None:
            self._done.put(self._try(jobs))

    def _try(self, jobs: Sequence[Job]) -> BaseException | None:
        try:
            in_turn(jobs)
        except BaseException as error:  # noqa: BLE001 - raised by run, on the thread that waits
            return error
        return None
