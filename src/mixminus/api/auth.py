"""Who asks: HTTP Basic credentials → :class:`~mixminus.calls.commands.Requester`."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Awaitable, Callable

from mixminus.calls.commands import Requester
from mixminus.errors import Unauthorized
from mixminus.store.rows import AccountRow

FindAccount = Callable[[str], Awaitable[AccountRow | None]]


def read_basic(header: str) -> tuple[str, str]:
    """``Basic …`` → (auth id, token); raises :class:`~mixminus.errors.Unauthorized`."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise Unauthorized("authentication is required: HTTP Basic with auth id and auth token")
    try:
        auth_id, colon, token = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        raise Unauthorized("the Authorization header cannot be read") from None
    if not colon:
        raise Unauthorized("the Authorization header cannot be read")
    return auth_id, token


async def authenticate(header: str, path_auth_id: str, find: FindAccount, *, is_file: bool = False) -> Requester:
    """The requester, allowed to use ``path_auth_id``: its own id, or that of one of its sub-accounts.

    A main account that names its sub-account in the path acts as that sub-account. With ``is_file`` a sub-account
    may also name its main account, whose id is part of the recording URLs it is told.
    """
    auth_id, token = read_basic(header)
    account = await find(auth_id)
    known = account.token if account is not None else ""
    matches = secrets.compare_digest(token.encode(), known.encode())
    if account is None or not known or not matches or not account.enabled:
        raise Unauthorized("wrong auth id or auth token")
    if account.parent:
        parent = await find(account.parent)
        if parent is None or not parent.enabled:
            raise Unauthorized("the main account of this sub-account is disabled")
    if path_auth_id == auth_id or (is_file and path_auth_id == account.parent):
        return _requester(account)
    child = await find(path_auth_id) if not account.parent else None
    if child is None or child.parent != auth_id:
        raise Unauthorized("the auth id in the path is not that of these credentials")
    return _requester(child)


def _requester(account: AccountRow) -> Requester:
    return Requester(account.parent or account.id, account.id if account.parent else "")
