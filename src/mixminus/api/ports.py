"""What the API needs of the rest of the server, as protocols: tests hand in fakes, ``server`` the real things."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from mixminus.api.limit import RateLimit
from mixminus.calls.commands import Requester
from mixminus.calls.conference.machine import Conference
from mixminus.clock import Clock, SystemClock
from mixminus.errors import NotFound
from mixminus.ids import Mint
from mixminus.media.protocol import LegStats
from mixminus.recording.layouts import Layout
from mixminus.recording.rendering import Format
from mixminus.recording.signed_urls import RecordingUrls, UrlSigner, new_secret
from mixminus.settings import Number
from mixminus.store.lists import CallFilter, Found, MpcFilter, Page, RecordingFilter
from mixminus.store.rows import (
    AccountRow,
    ApplicationRow,
    AttemptRow,
    CallRow,
    EndpointRow,
    HoldRow,
    MemberRow,
    MpcRow,
    NumberRow,
    OutboxRow,
    ReceiptRow,
    RecordingRow,
)
from mixminus.store.transaction import Transaction

Apply = Callable[[Any], Awaitable[Any]]
"""The one door of :mod:`mixminus.calls.service`."""

DeliverAsync = Callable[[str, str, dict[str, Any], Requester], Awaitable[None]]
"""``(url, method, body, requester)``: owe ``body``, the real answer of an asynchronous request, to ``url``."""


class Store(Protocol):
    """The part of :class:`mixminus.store.db.Store` that the API uses."""

    async def commit(self, transaction: Transaction) -> object: ...

    async def account(self, account_id: str) -> AccountRow | None: ...

    async def sub_accounts(self, parent: str, page: Page = ...) -> Found[AccountRow]: ...

    async def application(self, app_id: str) -> ApplicationRow | None: ...

    async def applications(
        self, account: str, *, sub_account: str | None = None, app_name: str = "", page: Page
    ) -> Found[ApplicationRow]: ...

    async def endpoint(self, endpoint_id: str) -> EndpointRow | None: ...

    async def endpoint_by_username(self, username: str) -> EndpointRow | None: ...

    async def endpoints(
        self, account: str, *, sub_account: str | None = None, app_id: str | None = None, page: Page
    ) -> Found[EndpointRow]: ...

    async def call(self, call_uuid: str) -> CallRow | None: ...

    async def calls(
        self, account: str, *, sub_account: str | None = None, filters: CallFilter, page: Page
    ) -> Found[CallRow]: ...

    async def number(self, digits: str) -> NumberRow | None: ...

    async def mpc(self, mpc_uuid: str) -> MpcRow | None: ...

    async def live_mpc_by_name(self, account: str, name: str, *, sub_account: str | None = None) -> MpcRow | None: ...

    async def mpcs(self, account: str, now: datetime, filters: MpcFilter, page: Page) -> Found[MpcRow]: ...

    async def member(self, mpc_uuid: str, member_id: str) -> MemberRow | None: ...

    async def members(self, mpc_uuid: str, *, call_uuid: str | None = None, page: Page) -> Found[MemberRow]: ...

    async def recording(self, recording_id: str) -> RecordingRow | None: ...

    async def hold(self, recording_id: str) -> HoldRow | None: ...

    async def receipt(self, recording_id: str) -> ReceiptRow | None: ...

    async def recordings(
        self, account: str, now: datetime, filters: RecordingFilter, page: Page
    ) -> Found[RecordingRow]: ...


class Files(Protocol):
    """Finished recordings, as :class:`mixminus.recording.storage.Storage`. Both methods block: threads call them."""

    def size(self, key: str) -> int | None:
        """Bytes of the file ``RecordingRow.file`` names; ``None`` when it is not there."""

    def read(self, key: str, start: int, length: int) -> Iterator[bytes]:
        """``length`` bytes of it from ``start``, in pieces."""


class CallbackLog(Protocol):
    """What was told to customers, and how that went; :class:`mixminus.store.db.Store` keeps it."""

    async def callbacks(
        self, account: str, *, sub_account: str | None = None, state: str | None = None, page: Page
    ) -> Found[OutboxRow]: ...

    async def outbox_row(self, row_id: str) -> OutboxRow | None: ...

    async def attempts(self, outbox_id: str) -> tuple[AttemptRow, ...]: ...


@dataclass(frozen=True)
class Registration:
    """Where an endpoint is registered now. ``expires`` is in whole seconds from now."""

    contact: str
    expires: int
    user_agent: str = ""


async def _no_line(call_uuid: str) -> LegStats | None:
    return None


def _no_conferences(by: Requester) -> tuple[Conference, ...]:
    return ()


class Render(Protocol):
    """:meth:`mixminus.calls.renderings.Renderings.key`."""

    async def __call__(self, row: RecordingRow, format: Format, layout: Layout, *, coach: bool) -> str | None: ...


async def _no_renderings(row: RecordingRow, format: Format, layout: Layout, *, coach: bool) -> str | None:
    raise NotFound(f"this recording is a {row.format} file, and other renderings are not made here")


def _not_registered(username: str) -> Registration | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Everything the handlers reach for."""

    apply: Apply
    store: Store
    files: Files
    deliver_async: DeliverAsync
    public_url: str
    """How the outside reaches this server: what recording URLs begin with."""
    sip_domain: str
    registration: Callable[[str], Registration | None] = _not_registered
    """User name of an endpoint → its registration, if any."""
    speech_missing: Callable[[], str] = lambda: ""
    """Why no text can be spoken; empty when it can."""
    line_of: Callable[[str], Awaitable[LegStats | None]] = _no_line
    """Call → the counters of its media, if it has any."""
    numbers: tuple[Number, ...] = ()
    callbacks: CallbackLog | None = None
    """``None``: nothing is kept of them."""
    conferences: Callable[[Requester], tuple[Conference, ...]] = _no_conferences
    """Those live conferences that somebody may see."""
    clock: Clock = field(default_factory=SystemClock)
    mint: Mint = field(default_factory=Mint)
    rate_limit: RateLimit = field(default_factory=RateLimit)
    rendering: Render = _no_renderings
    """Another format or layout of a recording → its key, ``None`` while it is being made."""
    no_transcripts: str = "recordings cannot be transcribed here; see the setting transcribe_model"
    """Why there are none, and what to do about it; empty: there are."""
    recording_urls: RecordingUrls = field(
        default_factory=lambda: RecordingUrls(UrlSigner(new_secret(), lasting=timedelta(hours=24)))
    )
