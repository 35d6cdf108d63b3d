"""The API over the real database and the real file store: that the two speak the same language."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from api.world import MAIN, PUBLIC_URL, SUB, Browser, World
from mixminus.api.app import create_app
from mixminus.api.ports import Ports
from mixminus.recording.storage import DiskStorage, key_of
from mixminus.store.db import Store
from mixminus.store.rows import CallRow
from mixminus.store.transaction import Transaction

AUDIO = bytes(range(256)) * 1000


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path)
    yield store
    await store.close()


@pytest.fixture
def ask(world: World, store: Store, tmp_path: Path) -> Browser:
    app = create_app(
        Ports(
            apply=world.apply,
            store=store,
            files=DiskStorage(tmp_path / "recordings"),
            deliver_async=world.deliver,
            public_url=PUBLIC_URL,
            sip_domain="sip.example.com",
            clock=world.clock,
            mint=world.mint,
        )
    )
    return Browser(app)


async def put(world: World, store: Store) -> None:
    """Everything of the world into the store."""
    rows = itertools.chain.from_iterable(table.values() for table in world.rows.values())
    await store.commit(Transaction(save=tuple(rows)))


async def ids(ask: Browser, path: str, key: str) -> list[Any]:
    reply = await ask("GET", path)
    assert reply.status == 200, reply.body
    assert reply.json["meta"]["total_count"] == len(reply.json["objects"])
    return [item[key] for item in reply.json["objects"]]


async def test_multiparty_calls(world: World, store: Store, ask: Browser) -> None:
    old = world.mpc_row("old")
    world.clock.advance(60)
    new = world.mpc_row("new", active=False)
    member = world.member_row(new, "c-1")
    await put(world, store)
    assert await ids(ask, "MultiPartyCall/", "mpc_uuid") == [new.id, old.id]
    assert await ids(ask, "MultiPartyCall/?status=initialized", "mpc_uuid") == [new.id]
    assert await ids(ask, "MultiPartyCall/?friendly_name=old", "mpc_uuid") == [old.id]
    assert await ids(ask, "MultiPartyCall/?creation_time_gt=2026-01-01+00:00:30", "mpc_uuid") == [new.id]
    assert await ids(ask, f"MultiPartyCall/?sub_account={SUB}", "mpc_uuid") == []
    assert await ids(ask, "MultiPartyCall/?end_time__lt=1970-01-01+00:00", "mpc_uuid") == []
    assert await ids(ask, "MultiPartyCall/?end_time__gt=2999-12-31+23:59", "mpc_uuid") == []
    assert await ids(ask, "MultiPartyCall/name_new/Participant/?call_uuid=c-1", "member_id") == [member.id]
    assert (await ask("GET", f"MultiPartyCall/uuid_{new.id}/Participant/{member.id}/")).json["role"] == "agent"
    assert (await ask("GET", "MultiPartyCall/?offset=2147483648")).json["objects"] == []


async def test_recordings_and_their_files(world: World, store: Store, ask: Browser, tmp_path: Path) -> None:
    row = world.record(world.mpc_row("room"), "wav", state="ready", sha256="cd" * 32, size=len(AUDIO))
    key = key_of(MAIN, row.created_at, row.id, "wav")
    world.save(msgspec.structs.replace(row, file=key))
    path = tmp_path / "recordings" / key
    path.parent.mkdir(parents=True)
    path.write_bytes(AUDIO)
    await put(world, store)
    assert await ids(ask, "Recording/?mpc_name=room", "recording_id") == [row.id]
    assert await ids(ask, "Recording/?recording_storage_duration=100000", "recording_id") == []
    assert await ids(ask, "Recording/?recording_storage_duration_gte=0", "recording_id") == [row.id]
    assert await ids(ask, "Recording/?add_time__lte=1970-01-01+00:00", "recording_id") == []
    reply = await ask("GET", f"Recording/{row.id}.wav")
    assert reply.body == AUDIO
    part = await ask("GET", f"Recording/{row.id}.wav", headers={"range": "bytes=100000-100009"})
    assert (part.status, part.body) == (206, AUDIO[100000:100010])


async def test_applications_and_endpoints(world: World, store: Store, ask: Browser) -> None:
    await put(world, store)
    app_id = (await ask("POST", "Application/", {"app_name": "a_b", "default_endpoint_app": True})).json["app_id"]
    await ask("POST", "Application/", {"app_name": "axb"})
    assert await ids(ask, "Application/?app_name=a_", "app_id") == [app_id]
    made = await ask("POST", "Endpoint/", {"username": "alice", "password": "secret", "app_id": app_id})
    assert await ids(ask, "Endpoint/", "endpoint_id") == [made.json["endpoint_id"]]
    assert (await ask("DELETE", f"Application/{app_id}/")).status == 204
    assert await ids(ask, "Endpoint/", "endpoint_id") == []


async def test_a_sub_account_over_the_real_store(world: World, store: Store, ask: Browser) -> None:
    world.mpc_row("main's")
    await put(world, store)
    sub = Browser(ask.application, SUB)
    assert await ids(sub, "MultiPartyCall/", "mpc_uuid") == []
    assert (await sub("GET", "MultiPartyCall/name_main's/")).status == 404
    made = (await sub("POST", "Application/", {"app_name": "mine"})).json["app_id"]
    assert await ids(ask, f"Application/?subaccount={SUB}", "app_id") == [made]


def ended_call(world: World) -> CallRow:
    now = world.clock.wall
    row = CallRow(
        id=world.mint.uuid(),
        account=MAIN,
        direction="inbound",
        from_number="100",
        to_number="200",
        status="completed",
        initiated_at=now,
        ended_at=now,
    )
    world.save(row)
    return row


async def test_lists_of_recordings_and_calls_are_walked_by_cursor(world: World, store: Store, ask: Browser) -> None:
    room = world.mpc_row("room")
    listed: dict[str, list[str]] = {"Recording": [], "Call": []}
    for _ in range(5):
        world.clock.advance(1)
        listed["Recording"].insert(0, world.record(room, state="ready").id)
        listed["Call"].insert(0, ended_call(world).id)
    await put(world, store)
    for resource, key in (("Recording", "recording_id"), ("Call", "call_uuid")):
        pages = [(await ask("GET", f"{resource}/?subaccount=&limit=2&offset=0")).json]
        world.clock.advance(1)
        late = ended_call(world)
        await store.commit(Transaction(save=(late, world.record(room, state="ready"))))
        while (link := pages[-1]["meta"]["next"]) is not None:
            assert "&limit=2&offset=" in link and "&cursor=" in link
            pages.append((await ask("GET", link)).json)
        assert [item[key] for page in pages for item in page["objects"]] == listed[resource]
        listed["Call"].insert(0, late.id)
        assert [page["meta"]["offset"] for page in pages] == [0, 2, 4]
        assert "cursor" not in pages[1]["meta"]["previous"]


@pytest.mark.parametrize("cursor", ["x", "!!", "k8D_", "a" * 301, "%C3%A9", "kwEC"])
async def test_a_cursor_that_no_list_gave_is_refused(world: World, store: Store, ask: Browser, cursor: str) -> None:
    await put(world, store)
    reply = await ask("GET", f"Recording/?cursor={cursor}")
    assert reply.status == 400
    assert reply.json["error"].startswith("cursor: ")
