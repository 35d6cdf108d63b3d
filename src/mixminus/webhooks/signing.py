"""Whose tokens sign a request, and the request itself: what callbacks and documents have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, Protocol

from mixminus.errors import MixminusError
from mixminus.outbound.fragment import RetryPolicy
from mixminus.outbound.request import OutboundRequest
from mixminus.outbound.signature import Tokens, signature_headers
from mixminus.outbound.url import form_body, request_url, with_query
from mixminus.store.rows import AccountRow

_REMEMBERED_FOR = timedelta(seconds=30)


class AccountReader(Protocol):
    """The part of the store that is needed here."""

    async def account(self, account_id: str) -> AccountRow | None: ...


class UnknownAccount(MixminusError):
    """The account to sign for does not exist (any more)."""


class TokenBook:
    """The tokens of accounts, read at most every 30 s."""

    def __init__(self, accounts: AccountReader) -> None:
        self._accounts = accounts
        self._known: dict[str, tuple[datetime, str]] = {}

    async def tokens(self, account: str, sub_account: str, now: datetime) -> Tokens:
        """Raises :class:`UnknownAccount`."""
        main = await self._token(account, now)
        return Tokens(own=await self._token(sub_account, now) if sub_account else main, main=main)

    async def _token(self, account_id: str, now: datetime) -> str:
        read_at, token = self._known.get(account_id, (None, ""))
        if read_at is not None and now - read_at < _REMEMBERED_FOR:
            return token
        row = await self._accounts.account(account_id)
        if row is None:
            self._known.pop(account_id, None)
            raise UnknownAccount(f"account {account_id} does not exist; nothing can be signed for it")
        self._known[account_id] = (now, row.token)
        return row.token


def signed_request(
    url: str,
    method: str,
    fields: Mapping[str, str],
    tokens: Tokens,
    *,
    policy: RetryPolicy,
    nonce: Callable[[], str],
    headers: Mapping[str, str],
    limit: int,
    cut: bool,
) -> OutboundRequest:
    """``fields`` in the body (POST) or behind the query (GET) of ``url``, which carries no fragment any more.

    Raises :class:`~mixminus.errors.OutboundError` for an impossible URL.
    """
    if method == "GET":
        verb: Literal["GET", "POST"] = "GET"
        target, form = request_url(with_query(url, fields)), dict[str, str]()
    else:
        verb, target, form = "POST", request_url(url), dict(fields)
        headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    return OutboundRequest(
        verb,
        target,
        body=form_body(form),
        headers=headers,
        sign=partial(_headers, verb, form, tokens, nonce),
        connect_timeout=policy.connect_timeout,
        read_timeout=policy.read_timeout,
        total_timeout=policy.total_timeout,
        limit=limit,
        cut=cut,
    )


def _headers(
    method: str, form: Mapping[str, str], tokens: Tokens, nonce: Callable[[], str], url: str
) -> Mapping[str, str]:
    return signature_headers(method, url, form, tokens, nonce())
