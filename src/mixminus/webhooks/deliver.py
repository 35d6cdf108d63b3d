"""Delivers the owed callbacks: in order within a lane, every lane on its own, at least once.

A receiver sees the same ``X-Mixminus-Event-Id`` whenever the same callback comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import msgspec
import structlog

from mixminus.calls.events import Event
from mixminus.clock import Clock
from mixminus.errors import OutboundError, StorageError
from mixminus.ids import Mint
from mixminus.outbound.fragment import RetryPolicy, parse_fragment
from mixminus.outbound.request import OutboundRequest, OutboundResponse
from mixminus.store.db import Store
from mixminus.store.outbox import Outbox
from mixminus.store.rows import AttemptRow, OutboxRow
from mixminus.webhooks.fairness import DEFAULT_LIMITS, Limits, Turns
from mixminus.webhooks.fields import callback_fields
from mixminus.webhooks.policy import Outcome, after_attempt
from mixminus.webhooks.signing import TokenBook, UnknownAccount, signed_request

log = structlog.get_logger(__name__)

EVENT_ID_HEADER = "X-Mixminus-Event-Id"
KEPT_RESPONSE = 1000
"""Characters of a response that are kept with the attempt."""
_STORAGE_RETRY = timedelta(seconds=2)

T = TypeVar("T")
Wait = Callable[[asyncio.Event, datetime | None], Awaitable[None]]
"""Returns when the event is set or the wall time is reached (``None``: never)."""


class Fetcher(Protocol):
    """The part of :class:`~mixminus.outbound.client.OutboundClient` that is needed here."""

    async def fetch(self, request: OutboundRequest) -> OutboundResponse: ...


@dataclass
class Counts:
    """Since the start of the process, for metrics."""

    attempts: int = 0
    delivered: int = 0
    gave_up: int = 0


class Deliverer:
    """Owns the outbox of a store from :meth:`run` to :meth:`drain`."""

    def __init__(
        self,
        store: Store,
        client: Fetcher,
        *,
        clock: Clock,
        mint: Mint,
        public_url: str,
        retry_hours: float,
        tell_url: Callable[[str, datetime], str] = lambda url, now: url,
        limits: Limits = DEFAULT_LIMITS,
        wait: Wait | None = None,
    ) -> None:
        self._store = store
        self._client = client
        self._clock = clock
        self._mint = mint
        self._public_url = public_url
        self._retry_hours = retry_hours
        self._tell_url = tell_url
        self._wait = self._wait_by_clock if wait is None else wait
        self._outbox = Outbox(store)
        self._tokens = TokenBook(store)
        self._turns = Turns(limits)
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._stopping = False
        self.counts = Counts()

    @property
    def lanes_pending(self) -> int:
        """Lanes that owe at least one callback."""
        return len(self._outbox)

    @property
    def under_way(self) -> int:
        return self._turns.under_way

    async def run(self) -> None:
        """Deliver until :meth:`drain`. Rows committed before this was called are found on disk.

        Raises whatever breaks a delivery beyond the receiver's doing, and
        :class:`~mixminus.errors.StorageError` when what is owed cannot be read at the start.
        """
        if self._stopping:
            return
        self._store.on_outbox(self._added)
        await self._outbox.load()
        while not self._stopping:
            self._wake.clear()
            for lane, url in self._outbox.due(self._clock.now().wall):
                self._turns.offer(lane, url)
            while (taken := self._turns.take()) is not None:
                task = asyncio.create_task(self._deliver(taken), name=f"deliver {taken}")
                self._tasks.add(task)
                task.add_done_callback(self._ended)
            await self._wait(self._wake, self._outbox.next_due)
            if self._broken is not None:
                raise self._broken

    async def drain(self, seconds: float) -> None:
        """Start nothing new, give what is under way ``seconds`` to end, then drop it: it will be sent again."""
        self._stopping = True
        self._wake.set()
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _added(self, rows: tuple[OutboxRow, ...]) -> None:
        self._outbox.add(rows)
        self._wake.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._broken = task.exception()
        self._wake.set()

    async def _deliver(self, lane: str) -> None:
        unreachable = False
        try:
            row = await self._until_stored(lambda: self._outbox.head(lane))
            url, quick = parse_fragment(row.url)
            started = self._clock.now()
            outcome = await self._attempt(row, url, quick)
            ended = self._clock.now()
            unreachable = outcome.unreachable
            attempt = AttemptRow(
                id=f"{row.id}-{row.attempts + 1}",
                outbox_id=row.id,
                started_at=started.wall,
                duration_ms=round((ended.monotonic_ns - started.monotonic_ns) / 1e6),
                status=outcome.status,
                error=outcome.error,
                response=outcome.response,
            )
            settled = after_attempt(row, outcome, ended.wall, quick=quick, retry_hours=self._retry_hours)
            await self._until_stored(lambda: self._outbox.settle(settled, attempt))
            self._count(settled, url, outcome)
        finally:
            self._turns.release(lane, unreachable=unreachable)

    async def _attempt(self, row: OutboxRow, url: str, policy: RetryPolicy) -> Outcome:
        try:
            request = await self._request(row, url, policy)
            response = await self._client.fetch(request)
        except OutboundError as error:
            return Outcome(stage=error.stage, error=str(error))
        except (UnknownAccount, msgspec.MsgspecError) as error:
            return Outcome(error=str(error), hopeless=True)
        text = response.body.decode("utf-8", "replace")[:KEPT_RESPONSE]
        return Outcome(status=response.status, response=text.replace("\x00", "\ufffd"))

    async def _request(self, row: OutboxRow, url: str, policy: RetryPolicy) -> OutboundRequest:
        fields = callback_fields(msgspec.json.decode(row.event, type=Event), self._public_url)
        if "RecordingURL" in fields:
            fields["RecordingURL"] = self._tell_url(fields["RecordingURL"], self._clock.now().wall)
        tokens = await self._until_stored(
            lambda: self._tokens.tokens(row.account, row.sub_account, self._clock.now().wall)
        )
        return signed_request(
            url,
            row.method,
            fields,
            tokens,
            policy=policy,
            nonce=lambda: self._mint.digits(20),
            headers={EVENT_ID_HEADER: row.id},
            limit=4 * KEPT_RESPONSE,
            cut=True,
        )

    async def _until_stored(self, do: Callable[[], Awaitable[T]]) -> T:
        """A full disk must not lose what is known: ask again until the store can."""
        while True:
            try:
                return await do()
            except StorageError as error:
                log.warning("callback.storage", error=str(error))
                await self._wait(asyncio.Event(), self._clock.now().wall + _STORAGE_RETRY)

    def _count(self, row: OutboxRow, url: str, outcome: Outcome) -> None:
        self.counts.attempts += 1
        self.counts.delivered += row.state == "delivered"
        if row.state == "gave_up":
            self.counts.gave_up += 1
            log.warning("callback.gave_up", id=row.id, url=url, attempts=row.attempts, reason=_reason(outcome))

    async def _wait_by_clock(self, wake: asyncio.Event, until: datetime | None) -> None:
        seconds = None if until is None else max((until - self._clock.now().wall).total_seconds(), 0)
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
        except TimeoutError:
            return


def _reason(outcome: Outcome) -> str:
    return outcome.error or f"status {outcome.status}"
