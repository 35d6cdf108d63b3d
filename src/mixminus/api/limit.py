"""How many requests an account may make: at most ``limit`` in any ``window`` seconds. Pure; time is an argument."""

from __future__ import annotations

from collections import deque

from mixminus.errors import RequestError


class TooManyRequests(RequestError):
    """The account's rate limit is reached (429); ``retry_after`` is in whole seconds, at least 1."""

    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimit:
    """A sliding window per account; exact, at the price of one number per recent request. ``limit`` 0 means none."""

    def __init__(self, limit: int = 300, window: float = 5.0) -> None:
        self._limit = limit
        self._window = window
        self._window_ns = round(window * 1e9)
        self._recent: dict[str, deque[int]] = {}

    def admit(self, account: str, now_ns: int) -> None:
        """Count one request at monotonic ``now_ns``; raises :class:`TooManyRequests` instead when there are too many.

        A refused request is not counted, so that a client that keeps asking is let in again as the window moves on.
        """
        if not self._limit:
            return
        recent = self._recent.setdefault(account, deque())
        while recent and recent[0] <= now_ns - self._window_ns:
            recent.popleft()
        if len(recent) >= self._limit:
            wait = max(1, -((now_ns - self._window_ns - recent[0]) // 1_000_000_000))
            raise TooManyRequests(
                f"too many requests: at most {self._limit} in {self._window:g} seconds per account", wait
            )
        recent.append(now_ns)
