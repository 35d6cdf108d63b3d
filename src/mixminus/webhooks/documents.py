"""Fetches call-control XML from customers: answer, fallback, action and on-exit URLs (API reference 4.1, 4.7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mixminus.calls.commands import Callback
from mixminus.calls.events import DocumentRequest
from mixminus.clock import Clock
from mixminus.errors import OutboundError, StorageError
from mixminus.ids import Mint
from mixminus.outbound.fragment import RetryPolicy, parse_fragment
from mixminus.outbound.request import DOCUMENT_LIMIT, OutboundRequest
from mixminus.webhooks.deliver import Fetcher
from mixminus.webhooks.fields import callback_fields
from mixminus.webhooks.signing import TokenBook, UnknownAccount, signed_request

DOCUMENT_POLICY = RetryPolicy(read_timeout=15.0, total_timeout=20.0, retries=2, retry_on=frozenset({"ct", "rt", "5xx"}))
"""Three attempts unless the URL's fragment says otherwise; an answer is expected within 15 s."""
IN_ALL = 60.0
"""Seconds for all attempts at one URL."""
PAUSE = 0.5
"""Seconds between attempts."""
_XML_TYPES = "application/xml, text/xml;q=0.9"
_SOUND_TYPES = "application/xml, text/xml;q=0.9, audio/*;q=0.8"


class Documents:
    """Call-control documents, fetched with retries and signed like callbacks. ``sleep`` takes seconds."""

    def __init__(
        self,
        client: Fetcher,
        tokens: TokenBook,
        *,
        clock: Clock,
        mint: Mint,
        public_url: str,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._clock = clock
        self._mint = mint
        self._public_url = public_url
        self._sleep = sleep

    async def fetch(
        self, callback: Callback, request: DocumentRequest, *, account: str, sub_account: str, fallback: Callback
    ) -> bytes:
        """The body of the first 2xx answer, at most 100 KB; ``fallback`` is asked when ``callback`` has failed.

        Raises :class:`~mixminus.errors.OutboundError` of the last attempt; stage ``status`` for an answer other than
        2xx, ``address`` also when there is no account to sign for.
        """
        try:
            return await self._fetch(callback, request, account, sub_account)
        except OutboundError:
            if not fallback.url:
                raise
        return await self._fetch(fallback, request, account, sub_account)

    async def fetch_sound(
        self, callback: Callback, request: DocumentRequest, *, account: str, sub_account: str, limit: int
    ) -> bytes:
        """XML or audio of at most ``limit`` bytes, from a music or sound URL. Raises OutboundError."""
        return await self._fetch(callback, request, account, sub_account, _SOUND_TYPES, limit)

    async def _fetch(
        self,
        callback: Callback,
        request: DocumentRequest,
        account: str,
        sub_account: str,
        accept: str = _XML_TYPES,
        limit: int = DOCUMENT_LIMIT,
    ) -> bytes:
        bare, policy = parse_fragment(callback.url, DOCUMENT_POLICY)
        try:
            tokens = await self._tokens.tokens(account, sub_account, self._clock.now().wall)
        except (UnknownAccount, StorageError) as error:
            raise OutboundError("address", f"{bare}: {error}") from error
        outbound = signed_request(
            bare,
            callback.method,
            callback_fields(request, self._public_url),
            tokens,
            policy=policy,
            nonce=lambda: self._mint.digits(20),
            headers={"Accept": accept},
            limit=limit,
            cut=False,
        )
        deadline_ns = self._clock.now().monotonic_ns + round(IN_ALL * 1e9)
        for retries_left in range(policy.retries, -1, -1):
            try:
                return await self._once(outbound)
            except OutboundError as error:
                spent = self._clock.now().monotonic_ns + round(PAUSE * 1e9) >= deadline_ns
                if not retries_left or spent or not policy.covers(stage=error.stage, status=error.status):
                    raise
            await self._sleep(PAUSE)
        raise AssertionError("the last attempt returns or raises")

    async def _once(self, outbound: OutboundRequest) -> bytes:
        response = await self._client.fetch(outbound)
        if not response.ok:
            raise OutboundError("status", f"{outbound.url}: answered {response.status}", status=response.status)
        return response.body
