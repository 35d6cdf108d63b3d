"""Every question asked of the database, each under a name.

Lists come newest first as a :class:`Found`: one page of rows and how many there are in all. A getter answers ``None``
for what does not exist. ``account`` is always the main account; ``sub_account`` narrows to one sub-account, and
``None`` means no narrowing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from mixminus.store import tables
from mixminus.store.lists import (
    ANY_CALL,
    ANY_MPC,
    ANY_RECORDING,
    FIRST_PAGE,
    CallFilter,
    Found,
    MpcFilter,
    Page,
    RecordingFilter,
)
from mixminus.store.rows import (
    AccountRow,
    ApplicationRow,
    AttemptRow,
    CallRow,
    EndpointRow,
    HoldRow,
    MemberRow,
    MetaRow,
    MpcRow,
    NumberRow,
    OutboxRow,
    ReceiptRow,
    RecordingRow,
    Row,
)
from mixminus.store.where import DEFAULT_WINDOW, equal, follows, stored_for, widen, within

R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class PendingLane:
    """A lane of the outbox that owes something: its oldest pending row, and the number of its newest."""

    head: OutboxRow
    newest: int


class Queries(ABC):
    """The named queries over whatever runs the statements; :class:`~mixminus.store.db.Store` does."""

    @abstractmethod
    async def _execute(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Run ``statement`` on a reader; raise :class:`~mixminus.errors.StorageError` when that fails."""

    async def account(self, account_id: str) -> AccountRow | None:
        return await self._get(AccountRow, account_id)

    async def sub_accounts(self, parent: str, page: Page = FIRST_PAGE) -> Found[AccountRow]:
        table = tables.accounts
        return await self._page(AccountRow, [table.c.parent == parent], table.c.created_at, page)

    async def application(self, app_id: str) -> ApplicationRow | None:
        return await self._get(ApplicationRow, app_id)

    async def applications(
        self, account: str, *, sub_account: str | None = None, app_name: str = "", page: Page = FIRST_PAGE
    ) -> Found[ApplicationRow]:
        """``app_name`` is a prefix."""
        table = tables.applications
        where = [table.c.account == account, *equal(table, sub_account=sub_account)]
        if app_name:
            where.append(table.c.app_name.startswith(app_name, autoescape=True))
        return await self._page(ApplicationRow, where, table.c.created_at, page)

    async def endpoint(self, endpoint_id: str) -> EndpointRow | None:
        return await self._get(EndpointRow, endpoint_id)

    async def endpoint_by_username(self, username: str) -> EndpointRow | None:
        table = tables.endpoints
        return await self._first(EndpointRow, sa.select(table).where(table.c.username == username))

    async def endpoints(
        self, account: str, *, sub_account: str | None = None, app_id: str | None = None, page: Page = FIRST_PAGE
    ) -> Found[EndpointRow]:
        table = tables.endpoints
        where = [table.c.account == account, *equal(table, sub_account=sub_account, app_id=app_id)]
        return await self._page(EndpointRow, where, table.c.created_at, page)

    async def call(self, call_uuid: str) -> CallRow | None:
        return await self._get(CallRow, call_uuid)

    async def calls(
        self,
        account: str,
        *,
        sub_account: str | None = None,
        live: bool | None = None,
        filters: CallFilter = ANY_CALL,
        page: Page = FIRST_PAGE,
    ) -> Found[CallRow]:
        """``live``: only calls that have not ended, or only those that have; ``filters`` says the same and more."""
        table = tables.calls
        live = filters.live if live is None else live
        where = [
            table.c.account == account,
            *equal(
                table,
                sub_account=sub_account,
                status=filters.status,
                direction=filters.direction,
                from_number=filters.from_number,
                to_number=filters.to_number,
                parent_call_uuid=filters.parent_call_uuid,
                hangup_cause_code=filters.hangup_cause_code,
                hangup_source=filters.hangup_source,
            ),
            *within(table.c.ended_at, filters.ended),
        ]
        if filters.billed.given:
            talked = sa.extract("epoch", table.c.ended_at) - sa.extract("epoch", table.c.answered_at)
            where.extend(within(sa.func.coalesce(talked, 0), filters.billed))
        if live is not None:
            where.append(table.c.ended_at.is_(None) if live else table.c.ended_at.is_not(None))
        return await self._page(CallRow, where, table.c.initiated_at, page)

    async def number(self, digits: str) -> NumberRow | None:
        """What was bound to a number of the configuration."""
        return await self._get(NumberRow, digits)

    async def mpc(self, mpc_uuid: str) -> MpcRow | None:
        return await self._get(MpcRow, mpc_uuid)

    async def live_mpc_by_name(self, account: str, name: str, *, sub_account: str | None = None) -> MpcRow | None:
        """The live call of that name; the newest, should sub-accounts share the name."""
        table = tables.mpcs
        statement = sa.select(table).where(
            table.c.account == account,
            table.c.friendly_name == name,
            table.c.ended_at.is_(None),
            *equal(table, sub_account=sub_account),
        )
        return await self._first(MpcRow, statement.order_by(table.c.created_at.desc()))

    async def mpcs(
        self, account: str, now: datetime, filters: MpcFilter = ANY_MPC, page: Page = FIRST_PAGE
    ) -> Found[MpcRow]:
        table = tables.mpcs
        where = [
            table.c.account == account,
            *equal(
                table,
                sub_account=filters.sub_account,
                friendly_name=filters.friendly_name,
                termination_cause_code=filters.termination_cause_code,
            ),
            *within(table.c.created_at, filters.created),
        ]
        if filters.status is not None:
            where.append(sa.func.lower(table.c.status) == filters.status.lower())
        if filters.ended.given:
            where.extend(within(table.c.ended_at, widen(filters.ended)))
        else:
            where.append(sa.or_(table.c.ended_at.is_(None), table.c.ended_at >= now - DEFAULT_WINDOW))
        return await self._page(MpcRow, where, table.c.created_at, page)

    async def member(self, mpc_uuid: str, member_id: str) -> MemberRow | None:
        row = await self._get(MemberRow, member_id)
        return row if row is not None and row.mpc_uuid == mpc_uuid else None

    async def members(
        self, mpc_uuid: str, *, call_uuid: str | None = None, page: Page = FIRST_PAGE
    ) -> Found[MemberRow]:
        table = tables.members
        where = [table.c.mpc_uuid == mpc_uuid, *equal(table, call_uuid=call_uuid)]
        return await self._page(MemberRow, where, table.c.joined_at, page)

    async def recording(self, recording_id: str) -> RecordingRow | None:
        """A deleted recording is ``None``."""
        row = await self._get(RecordingRow, recording_id)
        return row if row is not None and row.deleted_at is None else None

    async def recordings(
        self, account: str, now: datetime, filters: RecordingFilter = ANY_RECORDING, page: Page = FIRST_PAGE
    ) -> Found[RecordingRow]:
        table = tables.recordings
        where = [
            table.c.account == account,
            table.c.deleted_at.is_(None),
            *equal(
                table,
                sub_account=filters.sub_account,
                call_uuid=filters.call_uuid,
                from_number=filters.from_number,
                to_number=filters.to_number,
                mpc_name=filters.mpc_name,
                mpc_uuid=filters.mpc_uuid,
            ),
            *equal(table, mpc_name=filters.conference_name, mpc_uuid=filters.conference_uuid),
            *stored_for(table.c.created_at, filters.stored_days, now),
        ]
        if filters.states is not None:
            where.append(table.c.state.in_(sorted(filters.states)))
        if filters.added.given:
            where.extend(within(table.c.created_at, widen(filters.added)))
        elif not filters.stored_days.given:
            where.append(table.c.created_at >= now - DEFAULT_WINDOW)
        return await self._page(RecordingRow, where, table.c.created_at, page)

    async def live_mpcs(self) -> tuple[MpcRow, ...]:
        """For recovery: every multiparty call that has not ended, oldest first."""
        table = tables.mpcs
        return await self._all(MpcRow, table.c.ended_at.is_(None), table.c.created_at)

    async def members_present(self) -> tuple[MemberRow, ...]:
        """For recovery: everybody who has not left, oldest first."""
        table = tables.members
        return await self._all(MemberRow, table.c.left_at.is_(None), table.c.joined_at)

    async def unfinished_recordings(self) -> tuple[RecordingRow, ...]:
        """For recovery: recordings neither ready nor failed, oldest first."""
        table = tables.recordings
        open_states = table.c.state.in_(("recording", "paused", "finishing"))
        return await self._all(RecordingRow, open_states, table.c.created_at)

    async def receipt(self, recording_id: str) -> ReceiptRow | None:
        """What is left of a deleted recording."""
        return await self._get(ReceiptRow, recording_id)

    async def receipts(self, account: str | None = None, page: Page = FIRST_PAGE) -> Found[ReceiptRow]:
        """Newest first; of every account for ``None``."""
        table = tables.receipts
        return await self._page(ReceiptRow, equal(table, account=account), table.c.deleted_at, page)

    async def unremoved_receipts(self) -> tuple[ReceiptRow, ...]:
        """Deleted recordings of which a file may be left, oldest first."""
        table = tables.receipts
        return await self._all(ReceiptRow, table.c.removed_at.is_(None), table.c.deleted_at)

    async def hold(self, recording_id: str) -> HoldRow | None:
        return await self._get(HoldRow, recording_id)

    async def expired_recordings(self, account: str, sub_account: str, before: datetime) -> tuple[RecordingRow, ...]:
        """Recordings that are over, older than ``before`` and not held, oldest first."""
        table = tables.recordings
        where = sa.and_(
            table.c.account == account,
            table.c.sub_account == sub_account,
            table.c.deleted_at.is_(None),
            table.c.state.in_(("ready", "failed")),
            table.c.created_at < before,
            table.c.id.not_in(sa.select(tables.holds.c.id)),
        )
        return await self._all(RecordingRow, where, table.c.created_at)

    async def recording_owners(self) -> tuple[tuple[str, str], ...]:
        """(account, sub-account) of everybody who has recordings that are not deleted."""
        table = tables.recordings
        statement = sa.select(table.c.account, table.c.sub_account).where(table.c.deleted_at.is_(None)).distinct()
        return tuple((row.account, row.sub_account) for row in await self._execute(statement))

    async def kept_recordings(self, account: str | None = None) -> tuple[RecordingRow, ...]:
        """Every recording that is not deleted, oldest first; of every account for ``None``."""
        table = tables.recordings
        where = sa.and_(table.c.deleted_at.is_(None), *equal(table, account=account))
        return await self._all(RecordingRow, where, table.c.created_at)

    async def live_calls(self) -> tuple[CallRow, ...]:
        """For recovery: call legs that have not ended, oldest first."""
        table = tables.calls
        return await self._all(CallRow, table.c.ended_at.is_(None), table.c.initiated_at)

    async def meta(self, name: str) -> str | None:
        """A fact about the installation; write it as a :class:`~mixminus.store.rows.MetaRow`."""
        row = await self._get(MetaRow, name)
        return None if row is None else row.value

    async def pending_lanes(self) -> tuple[PendingLane, ...]:
        """Every lane that owes something, by the age of its oldest row."""
        table = tables.outbox
        ends = (
            sa.select(sa.func.min(table.c.number).label("oldest"), sa.func.max(table.c.number).label("newest"))
            .where(table.c.state == "pending")
            .group_by(table.c.lane)
            .subquery()
        )
        joined = sa.select(table, ends.c.newest).join(ends, table.c.number == ends.c.oldest).order_by(table.c.number)
        return tuple(PendingLane(_row(OutboxRow, found[:-1]), found[-1]) for found in await self._execute(joined))

    async def pending_of_lane(self, lane: str, *, after: int, limit: int) -> tuple[OutboxRow, ...]:
        """The next owed rows of one lane, in order, numbers above ``after``."""
        table = tables.outbox
        statement = (
            sa.select(table)
            .where(table.c.state == "pending", table.c.lane == lane, table.c.number > after)
            .order_by(table.c.number)
            .limit(limit)
        )
        return tuple(_row(OutboxRow, found) for found in await self._execute(statement))

    async def callbacks(
        self, account: str, *, sub_account: str | None = None, state: str | None = None, page: Page = FIRST_PAGE
    ) -> Found[OutboxRow]:
        """Callbacks of an account, owed and done, in one ``state`` or in any."""
        table = tables.outbox
        where = [table.c.account == account, *equal(table, sub_account=sub_account, state=state)]
        return await self._page(OutboxRow, where, table.c.number, page)

    async def outbox_row(self, row_id: str) -> OutboxRow | None:
        return await self._get(OutboxRow, row_id)

    async def attempts(self, outbox_id: str) -> tuple[AttemptRow, ...]:
        """What was tried for one owed callback, oldest first."""
        table = tables.attempts
        return await self._all(AttemptRow, table.c.outbox_id == outbox_id, table.c.started_at)

    async def settled_callbacks(self, before: datetime, limit: int) -> tuple[str, ...]:
        """Ids among the oldest ``limit`` callbacks that were settled before then; never the newest callback of all.

        Rows are numbered as they are made, so that the old ones are found without an index of their own.
        """
        table = tables.outbox
        newest = sa.select(sa.func.max(table.c.number)).scalar_subquery()
        oldest = (
            sa.select(table.c.id, table.c.done_at, table.c.state)
            .where(table.c.number < newest)
            .order_by(table.c.number)
            .limit(limit)
            .subquery()
        )
        statement = sa.select(oldest.c.id).where(oldest.c.state != "pending", oldest.c.done_at < before)
        return tuple(row_id for (row_id,) in await self._execute(statement))

    async def attempts_of(self, outbox_ids: Sequence[str]) -> tuple[str, ...]:
        """Ids of all attempts at these callbacks."""
        table = tables.attempts
        statement = sa.select(table.c.id).where(table.c.outbox_id.in_(outbox_ids))
        return tuple(row_id for (row_id,) in await self._execute(statement))

    async def _get(self, row_class: type[R], row_id: str) -> R | None:
        table = tables.TABLES[row_class]
        return await self._first(row_class, sa.select(table).where(table.c.id == row_id))

    async def _first(self, row_class: type[R], statement: sa.Select[Any]) -> R | None:
        found = await self._execute(statement.limit(1))
        return _row(row_class, found[0]) if found else None

    async def _all(
        self, row_class: type[R], where: sa.ColumnElement[bool], oldest_first: sa.Column[Any]
    ) -> tuple[R, ...]:
        table = tables.TABLES[row_class]
        statement = sa.select(table).where(where).order_by(oldest_first, sa.func.length(table.c.id), table.c.id)
        return tuple(_row(row_class, found) for found in await self._execute(statement))

    async def _page(
        self, row_class: type[R], where: Sequence[sa.ColumnElement[bool]], time: sa.Column[Any], page: Page
    ) -> Found[R]:
        """Rows and total in one statement, so that they are of one moment; an empty page costs a second one.

        Ids of equal time that are numbers (members) fall in order of value: longer first, then by text.
        """
        table = tables.TABLES[row_class]
        order = (time.desc(), sa.func.length(table.c.id).desc(), table.c.id.desc())
        count = sa.select(sa.func.count()).select_from(table).where(*where)
        if page.after is None:
            statement, skipped = sa.select(table, sa.func.count().over(), sa.null()).where(*where), page.offset
        else:
            rest = sa.select(table, sa.func.count().over(), count.scalar_subquery())
            statement, skipped = rest.where(*where, follows(time, table.c.id, page.after)), 0
        found = await self._execute(statement.order_by(*order).limit(page.limit).offset(min(skipped, 2**62)))
        if not found:
            ((total,),) = await self._execute(count)
            return Found((), total)
        listed, total = tuple(found[0])[-2:]
        rows = tuple(_row(row_class, row[:-2]) for row in found)
        return Found(rows, listed if total is None else total, more=skipped + len(rows) < listed)


def _row(row_class: type[R], values: Sequence[Any]) -> R:
    return row_class(**dict(zip(row_class.__struct_fields__, values, strict=True)))
