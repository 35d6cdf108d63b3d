"""Threads for work that holds no GIL: codecs in C. The tick's own thread works along, and waits for the rest."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Final

from mixminus.media.wide.streams import Work

WORTHWHILE: Final = 4
"""Tasks from which waking others costs less than it gains (some 50 µs a thread, beside some 30 to 200 µs a task)."""


class Crew:
    """``threads`` helpers beside the caller's own thread, begun with the first work that is worth it."""

    def __init__(self, threads: int) -> None:
        self._size = max(0, threads)
        self._orders: SimpleQueue[Work | None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def run(self, work: Work, tasks: int) -> None:
        """Let as many threads as are of use call ``work``, which takes tasks from an iterator until none is left.

        So whoever is quicker does more. Raises what one of the threads raised, after all have ended.
        """
        helpers = min(self._size, tasks // 2 - 1) if tasks >= WORTHWHILE else 0
        if helpers <= 0:
            work()
            return
        if not self._threads:
            self._begin()
        for _ in range(helpers):
            self._orders.put(work)
        failure = self._try(work)
        for _ in range(helpers):
            failure = self._done.get() or failure
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """End the threads."""
        for _ in self._threads:
            self._orders.put(None)
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
        while (work := self._orders.get()) is not None:
            self._done.put(self._try(work))

    def _try(self, work: Work) -> BaseException | None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised by run, on the thread that waits
            return error
        return None
