"""Who may see what: a main account its own things and its sub-accounts', a sub-account only its own."""

from __future__ import annotations

from typing import Protocol

from mixminus.calls.commands import Requester


class Owned(Protocol):
    @property
    def account(self) -> str: ...

    @property
    def sub_account(self) -> str: ...


def sees(by: Requester, row: Owned) -> bool:
    return by.account == row.account and by.sub_account in ("", row.sub_account)
