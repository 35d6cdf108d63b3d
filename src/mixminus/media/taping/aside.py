"""Work that waits for the disk, done beside whoever must not wait: by one thread as long as that gets on with it.

Threads take turns with the tick, so there are no more of them than it takes. A further one joins only when those at
work have finished nothing between two calls of :meth:`Aside.look`: then the disk is stuck on something, and the rest
need not wait for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeAlias

MOST = 8
"""Threads at work at the same time."""
LOOK_SECONDS = 0.05
"""Between two looks once nobody else looks any more."""

Job: TypeAlias = Callable[[], None]
"""Must not raise."""


class Aside:
    """A queue of jobs, done in the order given as far as none is stuck. Leaving the context waits for all of them."""

    def __init__(self, name: str, most: int = MOST) -> None:
        self._most = most
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        self._at_work = 0
        self._done = 0
        self._seen = 0
        """``_done`` when last looked."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pause = threading.Event()
        while self._jobs:
            self.look()
            pause.wait(LOOK_SECONDS)
        self._pool.shutdown(wait=True)

    def submit(self, job: Job) -> None:
        """Returns at once."""
        with self._lock:
            self._jobs.append(job)
            if not self._at_work:
                self._join()

    def look(self) -> None:
        """Call now and then: lets another thread join if nothing was finished since the last call."""
        with self._lock:
            if self._jobs and self._done == self._seen and self._at_work < self._most:
                self._join()
            self._seen = self._done

    def _join(self) -> None:
        self._at_work += 1
        self._pool.submit(self._work)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._at_work -= 1
                    return
                job = self._jobs.popleft()
            job()
            with self._lock:
                self._done += 1
