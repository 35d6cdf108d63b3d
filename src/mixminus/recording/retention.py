"""How long recordings are kept, and what is left of those that are deleted. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from mixminus.recording.storage.keys import stem_of
from mixminus.store.rows import ReceiptRow, RecordingRow

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.ASCII)


@dataclass(frozen=True)
class Retention:
    """``days`` for everybody but ``accounts`` (by auth id; a sub-account's own goes before its account's); 0 keeps for
    ever. Recordings of an account or sub-account in ``holds`` are never deleted.
    """

    days: int = 0
    accounts: Mapping[str, int] = field(default_factory=dict)
    holds: frozenset[str] = frozenset()

    @property
    def ends_ever(self) -> bool:
        """Whether anything is ever deleted for its age."""
        return self.days > 0 or any(days > 0 for days in self.accounts.values())

    def before(self, account: str, sub_account: str, now: datetime) -> datetime | None:
        """Recordings made before this moment are to go; ``None``: none are."""
        if self.held(account, sub_account):
            return None
        days = self.accounts.get(sub_account, self.accounts.get(account, self.days)) if sub_account else None
        days = self.accounts.get(account, self.days) if days is None else days
        return now - timedelta(days=days) if days > 0 else None

    def held(self, account: str, sub_account: str) -> bool:
        return account in self.holds or (sub_account != "" and sub_account in self.holds)


def receipt(row: RecordingRow, at: datetime, reason: Literal["request", "retention"], by: str = "") -> ReceiptRow:
    """What is left of ``row``, deleted at ``at``."""
    return ReceiptRow(
        id=row.id,
        account=row.account,
        sub_account=row.sub_account,
        file=row.file,
        format=row.format,
        samples=row.samples,
        rate=row.rate,
        size=row.size,
        sha256=row.sha256,
        recorded_at=row.created_at,
        deleted_at=at,
        reason=reason,
        by=by,
    )


def recording_id_of(key: str) -> str:
    """The recording that a file belongs to: file names end in its id, before the first dot."""
    name = stem_of(key).rpartition("/")[2]
    found = _UUID.search(name)
    return found.group() if found else name
