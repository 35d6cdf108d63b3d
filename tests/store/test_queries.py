"""Filters, windows, paging, order and recovery."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mixminus.store.db import Store
from mixminus.store.lists import Bounds, DayBounds, MpcFilter, Page, Place, RecordingFilter, TimeBounds
from mixminus.store.rows import (
    AccountRow,
    ApplicationRow,
    CallRow,
    EndpointRow,
    MemberRow,
    MpcRow,
    RecordingRow,
    Row,
)
from mixminus.store.transaction import Transaction

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path)
    yield opened
    await opened.close()


async def put(store: Store, *rows: Row) -> None:
    await store.commit(Transaction(save=rows))


def mpc(mpc_uuid: str, age: timedelta = timedelta(0), ended: timedelta | None = None, **fields: Any) -> MpcRow:
    defaults: dict[str, Any] = {
        "account": "MA",
        "friendly_name": "room",
        "status": "Active" if ended is None else "Ended",
        "created_at": NOW - age,
        "ended_at": None if ended is None else NOW - ended,
    }
    return MpcRow(id=mpc_uuid, **(defaults | fields))


def recording(recording_id: str, age: timedelta = timedelta(0), **fields: Any) -> RecordingRow:
    defaults: dict[str, Any] = {"account": "MA", "state": "ready", "created_at": NOW - age}
    return RecordingRow(id=recording_id, **(defaults | fields))


async def mpc_ids(store: Store, **filters: Any) -> str:
    found = await store.mpcs("MA", NOW, MpcFilter(**filters))
    assert found.total == len(found.rows)
    return " ".join(row.id for row in found.rows)


async def recording_ids(store: Store, **filters: Any) -> str:
    found = await store.recordings("MA", NOW, RecordingFilter(**filters))
    assert found.total == len(found.rows)
    return " ".join(row.id for row in found.rows)


async def test_mpcs_newest_first_and_of_one_account(store: Store) -> None:
    await put(store, mpc("old", 2 * DAY), mpc("new"), mpc("middle", DAY), mpc("foreign", account="MB"))
    assert await mpc_ids(store) == "new middle old"


async def test_mpc_filters(store: Store) -> None:
    await put(
        store,
        mpc("live", 40 * DAY, friendly_name="a", sub_account="SA"),
        mpc("recent", 2 * DAY, DAY, friendly_name="b", termination_cause_code=3000),
        mpc("week", 9 * DAY, 8 * DAY, friendly_name="a", termination_cause_code=1000),
        mpc("ancient", 50 * DAY, 45 * DAY),
    )
    assert await mpc_ids(store) == "recent live"
    assert await mpc_ids(store, sub_account="SA") == "live"
    assert await mpc_ids(store, friendly_name="b") == "recent"
    assert await mpc_ids(store, status="eNDED") == "recent"
    assert await mpc_ids(store, status="active") == "live"
    assert await mpc_ids(store, termination_cause_code=3000) == "recent"
    assert await mpc_ids(store, created=TimeBounds(gte=NOW - 3 * DAY)) == "recent"
    assert await mpc_ids(store, created=TimeBounds(lt=NOW - 3 * DAY)) == "live"
    assert await mpc_ids(store, created=TimeBounds(eq=NOW - 2 * DAY)) == "recent"


async def test_mpc_end_windows(store: Store) -> None:
    await put(store, mpc("live"), mpc("a", DAY, DAY), mpc("b", 20 * DAY, 20 * DAY), mpc("c", 50 * DAY, 50 * DAY))
    assert await mpc_ids(store, ended=TimeBounds(gt=NOW - 50 * DAY)) == "b"
    assert await mpc_ids(store, ended=TimeBounds(gte=NOW - 50 * DAY)) == "b c"
    assert await mpc_ids(store, ended=TimeBounds(lt=NOW)) == "a b"
    assert await mpc_ids(store, ended=TimeBounds(lte=NOW - DAY, gt=NOW - 60 * DAY)) == "a b c"
    assert await mpc_ids(store, ended=TimeBounds(lte=datetime.max.replace(tzinfo=UTC))) == ""
    assert await mpc_ids(store, ended=TimeBounds(gte=datetime.max.replace(tzinfo=UTC))) == ""


async def test_pages_carry_the_total_of_all_pages(store: Store) -> None:
    await put(store, *(mpc(f"{i:02}", timedelta(minutes=i)) for i in range(25)))
    first = await store.mpcs("MA", NOW, page=Page(limit=10))
    last = await store.mpcs("MA", NOW, page=Page(limit=10, offset=20))
    beyond = await store.mpcs("MA", NOW, page=Page(limit=10, offset=10**30))
    assert [row.id for row in first.rows] == [f"{i:02}" for i in range(10)]
    assert [row.id for row in last.rows] == [f"{i:02}" for i in range(20, 25)]
    assert (first.total, last.total, beyond.total, beyond.rows) == (25, 25, 25, ())


async def test_the_live_call_of_a_name(store: Store) -> None:
    await put(store, mpc("gone", DAY, ended=DAY), mpc("here", sub_account="SA"), mpc("other", account="MB"))
    found = await store.live_mpc_by_name("MA", "room")
    assert found is not None and found.id == "here"
    assert await store.live_mpc_by_name("MA", "room", sub_account="SB") is None
    assert await store.live_mpc_by_name("MA", "roo") is None


async def test_members(store: Store) -> None:
    def member(member_id: str, **fields: Any) -> MemberRow:
        defaults = {"account": "MA", "mpc_uuid": "m", "call_uuid": "c", "role": "agent", "address": "1"}
        return MemberRow(id=member_id, joined_at=NOW, **(defaults | fields))

    await put(
        store, member("9"), member("10", call_uuid="d"), member("11", left_at=NOW), member("12", mpc_uuid="other")
    )
    assert [row.id for row in (await store.members("m")).rows] == ["11", "10", "9"]
    assert [row.id for row in (await store.members("m", call_uuid="d")).rows] == ["10"]
    assert [row.id for row in await store.members_present()] == ["9", "10", "12"]
    found = await store.member("m", "10")
    assert found is not None and found.call_uuid == "d"
    assert await store.member("m", "12") is None


async def test_recording_filters(store: Store) -> None:
    await put(
        store,
        recording("a", mpc_name="room", mpc_uuid="m1", from_number="1", to_number="2"),
        recording("b", DAY, mpc_name="hall", mpc_uuid="m2", call_uuid="c", sub_account="SA", state="recording"),
        recording("gone", deleted_at=NOW),
        recording("foreign", account="MB"),
    )
    assert await recording_ids(store) == "a b"
    assert await recording_ids(store, mpc_name="room") == "a"
    assert await recording_ids(store, mpc_uuid="m2") == "b"
    assert await recording_ids(store, conference_name="room") == "a"
    assert await recording_ids(store, conference_uuid="m2", mpc_uuid="m1") == ""
    assert await recording_ids(store, call_uuid="c") == "b"
    assert await recording_ids(store, from_number="1", to_number="2") == "a"
    assert await recording_ids(store, sub_account="SA") == "b"
    assert await recording_ids(store, states=frozenset({"ready"})) == "a"
    assert await store.recording("gone") is None
    assert await store.recording("a") is not None


async def test_recording_windows(store: Store) -> None:
    await put(store, recording("a"), recording("b", 10 * DAY), recording("c", 60 * DAY))
    assert await recording_ids(store) == "a"
    assert await recording_ids(store, added=TimeBounds(gte=NOW - 20 * DAY)) == "a b"
    assert await recording_ids(store, added=TimeBounds(lt=NOW - 40 * DAY)) == "c"
    assert await recording_ids(store, added=TimeBounds(lt=NOW)) == "b"


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        (DayBounds(eq=10), "ten almost-11"),
        (DayBounds(gt=10), "eleven"),
        (DayBounds(gte=10), "ten almost-11 eleven"),
        (DayBounds(lt=10), "zero nine"),
        (DayBounds(lte=10), "zero nine ten almost-11"),
        (DayBounds(gt=10**12), ""),
        (DayBounds(lt=10**12), "zero nine ten almost-11 eleven"),
    ],
)
async def test_storage_duration_is_in_whole_days(store: Store, bounds: Bounds[int], expected: str) -> None:
    await put(
        store,
        recording("zero", timedelta(hours=1)),
        recording("nine", timedelta(days=9, hours=23)),
        recording("ten", 10 * DAY),
        recording("almost-11", timedelta(days=10, hours=23)),
        recording("eleven", 11 * DAY),
    )
    assert await recording_ids(store, stored_days=bounds) == expected


async def test_accounts_applications_endpoints(store: Store) -> None:
    await put(
        store,
        AccountRow(id="MA", token="t", created_at=NOW),
        AccountRow(id="SA", token="t", parent="MA", created_at=NOW),
        ApplicationRow(id="1", account="MA", app_name="shop_a", created_at=NOW),
        ApplicationRow(id="2", account="MA", app_name="shopxb", sub_account="SA", created_at=NOW),
        EndpointRow(id="3", account="MA", username="alice", password="p", app_id="1", created_at=NOW),
    )
    assert [row.id for row in (await store.sub_accounts("MA")).rows] == ["SA"]
    assert (await store.applications("MA")).total == 2
    assert [row.id for row in (await store.applications("MA", app_name="shop_")).rows] == ["1"]
    assert [row.id for row in (await store.applications("MA", sub_account="SA")).rows] == ["2"]
    assert (await store.endpoints("MA", app_id="1")).total == 1
    assert (await store.endpoints("MB")).total == 0
    alice = await store.endpoint_by_username("alice")
    assert alice is not None and alice == await store.endpoint("3")


async def test_what_recovery_asks_for(store: Store) -> None:
    def call(call_uuid: str, ended: datetime | None = None) -> CallRow:
        return CallRow(
            id=call_uuid,
            account="MA",
            direction="inbound",
            from_number="1",
            to_number="2",
            status="x",
            initiated_at=NOW,
            ended_at=ended,
        )

    states = ("recording", "paused", "finishing", "ready", "failed")
    await put(store, mpc("live"), mpc("ended", ended=DAY), call("up"), call("down", NOW))
    await put(store, *(recording(state, timedelta(minutes=-i), state=state) for i, state in enumerate(states)))
    assert [row.id for row in await store.live_mpcs()] == ["live"]
    assert [row.id for row in await store.live_calls()] == ["up"]
    assert [row.id for row in await store.unfinished_recordings()] == ["recording", "paused", "finishing"]
    assert (await store.calls("MA", live=True)).total == 1
    assert (await store.calls("MA")).total == 2


async def test_a_walk_by_place_lists_every_row_once_whatever_comes_in_meanwhile(store: Store) -> None:
    ages = [0, 1, 1, 1, 2, 3, 3]
    await put(store, *(recording(f"r{number}", timedelta(minutes=age)) for number, age in enumerate(ages)))
    walked: list[str] = []
    page = Page(limit=2)
    for step in range(10):
        found = await store.recordings("MA", NOW, page=page)
        assert found.total == len(ages) + step
        assert len(found.rows) == (2 if found.more else 1)
        walked += [row.id for row in found.rows]
        if not found.more:
            break
        last = found.rows[-1]
        page = Page(limit=2, offset=999, after=Place(last.created_at, last.id))
        await put(store, recording(f"late{step}", -DAY))
    assert walked == ["r0", "r3", "r2", "r1", "r4", "r6", "r5"]
    behind_all = await store.recordings("MA", NOW, page=Page(after=Place(NOW - 9 * DAY, "r")))
    assert (behind_all.rows, behind_all.total, behind_all.more) == ((), len(ages) + 3, False)


async def test_a_page_by_offset_says_whether_rows_follow(store: Store) -> None:
    await put(store, *(recording(f"r{number}", timedelta(minutes=number)) for number in range(4)))
    more = [(await store.recordings("MA", NOW, page=Page(2, offset))).more for offset in (0, 1, 2, 3, 4)]
    assert more == [True, True, False, False, False]
