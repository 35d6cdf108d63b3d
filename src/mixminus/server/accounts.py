"""The main account: given by the settings, or made at the first start and kept."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mixminus.ids import Mint
from mixminus.settings import Settings
from mixminus.store.db import Store, Transaction
from mixminus.store.rows import AccountRow, MetaRow

_META = "main_account"


async def main_account(store: Store, settings: Settings, mint: Mint, now: datetime) -> AccountRow:
    """The main account of this data folder. A given id or token replaces the one that was kept."""
    kept_id = await store.meta(_META) or ""
    auth_id = settings.auth_id or kept_id or mint.auth_id()
    row = await store.account(auth_id)
    if row is None:
        row = AccountRow(id=auth_id, token=settings.auth_token or mint.auth_token(), name="main", created_at=now)
    elif settings.auth_token:
        row = msgspec.structs.replace(row, token=settings.auth_token)
    await store.commit(Transaction(save=(row, MetaRow(id=_META, value=row.id))))
    return row
