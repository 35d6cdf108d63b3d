"""SIP accounts by user name, in memory: digest must be answered without waiting for the database."""

from __future__ import annotations

from typing import Any

from mixminus.sip.auth import Account
from mixminus.store.db import Store, Transaction
from mixminus.store.lists import Page
from mixminus.store.rows import EndpointRow

_PAGE = 1000


class EndpointBook:
    """Loaded at the start, kept current by looking at what the API commits."""

    def __init__(self, rows: list[EndpointRow]) -> None:
        self._by_id = {row.id: row for row in rows}
        self._by_username = {row.username: row for row in rows}

    @classmethod
    async def load(cls, store: Store, account: str) -> EndpointBook:
        rows: list[EndpointRow] = []
        while True:
            page = await store.endpoints(account, page=Page(limit=_PAGE, offset=len(rows)))
            rows.extend(page.rows)
            if not page.rows or len(rows) >= page.total:
                return cls(rows)

    def account(self, username: str) -> Account | None:
        row = self._by_username.get(username)
        return Account(row.username, row.password) if row else None

    def committed(self, transaction: Transaction) -> None:
        """Take over what a transaction changed about endpoints."""
        for kind, gone in transaction.delete:
            if kind is EndpointRow and gone in self._by_id:
                self._by_username.pop(self._by_id.pop(gone).username, None)
        for row in transaction.save:
            if isinstance(row, EndpointRow):
                self._by_id[row.id] = self._by_username[row.username] = row

    def watching(self, store: Store) -> Any:
        """The store, with this book told of every commit that goes through it."""
        return _Watched(store, self)


class _Watched:
    def __init__(self, store: Store, book: EndpointBook) -> None:
        self._store = store
        self._book = book

    async def commit(self, transaction: Transaction) -> None:
        await self._store.commit(transaction)
        self._book.committed(transaction)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
