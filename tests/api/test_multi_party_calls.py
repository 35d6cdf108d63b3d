from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from api.world import MAIN, PUBLIC_URL, SUB, Browser, World
from mixminus.calls.commands import ActivateMpc, Callback, MpcRef, Requester, StartRecording
from mixminus.store.lists import TimeBounds

NAMES = ["room", "a b", "é日本", "x_y", "name_room", "uuid_room", "a%2Fb", "50%25", "a+b", "Participant"]


async def test_the_vendors_fields(world: World, ask: Browser) -> None:
    row = world.mpc_row("room")
    found = (await ask("GET", f"MultiPartyCall/uuid_{row.id}/")).json
    assert {key: value for key, value in found.items() if key != "api_id"} == {
        "mpc_uuid": row.id,
        "friendly_name": "room",
        "status": "Active",
        "creation_time": "2026-01-01 00:00:00+00:00",
        "start_time": "2026-01-01 00:00:00+00:00",
        "end_time": None,
        "duration": None,
        "billed_duration": None,
        "billed_amount": None,
        "recording": "not-recording",
        "stay_alone": False,
        "sub_account": None,
        "termination_cause": None,
        "termination_cause_code": None,
        "participants": f"/v1/Account/{MAIN}/MultiPartyCall/uuid_{row.id}/Participant/",
        "resource_uri": f"/v1/Account/{MAIN}/MultiPartyCall/uuid_{row.id}/",
    }
    named = (await ask("GET", "MultiPartyCall/name_room/")).json
    assert named["resource_uri"] == f"/v1/Account/{MAIN}/MultiPartyCall/name_room/"


async def test_an_ended_call(world: World, ask: Browser) -> None:
    world.mpc_row("room")
    world.clock.advance(61.5)
    assert (await ask("DELETE", "MultiPartyCall/name_room/")).status == 204
    assert (await ask("GET", "MultiPartyCall/name_room/")).status == 404
    [found] = (await ask("GET", "MultiPartyCall/")).json["objects"]
    assert (found["status"], found["duration"], found["billed_amount"]) == ("Ended", 62, "0.00000")
    assert (found["termination_cause"], found["termination_cause_code"]) == ("Hangup API Triggered", 3000)
    assert found["recording"] is None


@pytest.mark.parametrize("name", NAMES)
async def test_names_are_decoded_once(world: World, ask: Browser, name: str) -> None:
    row = world.mpc_row(name)
    assert (await ask("GET", f"MultiPartyCall/name_{quote(name, safe='')}/")).json["mpc_uuid"] == row.id


async def test_names_with_slashes_work_raw_and_encoded(world: World, ask: Browser) -> None:
    row = world.mpc_row("a/b/")
    for path in ("MultiPartyCall/name_a/b//", "MultiPartyCall/name_a%2Fb%2F", "MultiPartyCall/name_a/b%2F/"):
        assert (await ask("GET", path)).json["mpc_uuid"] == row.id
    assert (await ask("GET", "MultiPartyCall/name_a/b%2F/Participant/")).json["objects"] == []


async def test_a_bare_segment_is_a_uuid_or_else_a_name(world: World, ask: Browser) -> None:
    row = world.mpc_row("room")
    for segment in (row.id, "room"):
        assert (await ask("GET", f"MultiPartyCall/{segment}/")).json["mpc_uuid"] == row.id


@pytest.mark.parametrize("status", ["active", "Active", ["active"], [["ACTIVE"]]])
async def test_activate(world: World, ask: Browser, status: Any) -> None:
    world.mpc_row("room", active=False)
    assert (await ask("POST", "MultiPartyCall/name_room/", {"status": status})).status == 204
    assert world.commands == [ActivateMpc(by=Requester(MAIN), mpc=MpcRef(name="room"))]
    assert (await ask("POST", "MultiPartyCall/name_room/", {"status": status})).status == 404


@pytest.mark.parametrize("fields", [{}, {"status": "ended"}, {"status": None}, {"status": ["active", "active"]}])
async def test_activate_needs_its_status(world: World, ask: Browser, fields: dict[str, Any]) -> None:
    world.mpc_row("room", active=False)
    reply = await ask("POST", "MultiPartyCall/name_room/", fields)
    assert reply.status == 400 and reply.error.startswith("status: ")


async def test_list_pages_and_links(world: World, ask: Browser) -> None:
    rows = [world.mpc_row(f"room {number}") for number in range(45)]
    page = (await ask("GET", "MultiPartyCall/?limit=100&status=active&offset=20")).json
    assert [item["mpc_uuid"] for item in page["objects"]] == [row.id for row in rows[::-1][20:40]]
    base = f"/v1/Account/{MAIN}/MultiPartyCall/?status=active&limit=20"
    assert page["meta"] == {
        "limit": 20,
        "offset": 20,
        "next": f"{base}&offset=40",
        "previous": f"{base}&offset=0",
        "total_count": 45,
        "count": 45,
    }
    last = (await ask("GET", page["meta"]["next"])).json
    assert len(last["objects"]) == 5 and last["meta"]["next"] is None
    empty = (await ask("GET", "MultiPartyCall/?status=ended")).json
    assert empty["objects"] == [] and empty["meta"]["previous"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=-1", "offset=-1", "offset=x", "status=gone"])
async def test_unreadable_filters(ask: Browser, query: str) -> None:
    reply = await ask("GET", f"MultiPartyCall/?{query}")
    assert reply.status == 400 and reply.error.startswith(query.partition("=")[0])


async def test_time_filters_with_one_or_two_underscores(world: World, ask: Browser) -> None:
    query = "creation_time_gt=2026-01-01+00:00&end_time__lte=2026-01-02%2003:04:05.5&end_time=2026-01-02%2000:00"
    assert (await ask("GET", f"MultiPartyCall/?{query}")).status == 200
    filters = world.last_mpc_filter
    assert filters.created == TimeBounds(gt=datetime(2026, 1, 1, tzinfo=UTC))
    assert filters.ended == TimeBounds(
        lte=datetime(2026, 1, 2, 3, 4, 5, 500000, tzinfo=UTC), eq=datetime(2026, 1, 2, tzinfo=UTC)
    )


async def test_a_sub_account_cannot_widen_its_view(world: World) -> None:
    ask = Browser(world.app(), SUB)
    world.mpc_row("main's")
    assert (await ask("GET", f"MultiPartyCall/?sub_account={MAIN}")).json["objects"] == []
    assert world.last_mpc_filter.sub_account == SUB
    assert (await ask("GET", "MultiPartyCall/name_main's/")).status == 404


async def test_a_main_account_finds_its_sub_accounts_calls(world: World, ask: Browser) -> None:
    row = world.mpc_row("room", Requester(MAIN, SUB))
    for segment in (f"uuid_{row.id}", "name_room"):
        assert (await ask("GET", f"MultiPartyCall/{segment}/")).json["mpc_uuid"] == row.id
    own = world.mpc_row("room")
    assert (await ask("GET", "MultiPartyCall/name_room/")).json["mpc_uuid"] == own.id


async def test_start_recording(world: World, ask: Browser) -> None:
    world.mpc_row("room")
    fields = {"file_format": "WAV", "recording_callback_url": "http://localhost:9/r", "record_track_type": ""}
    reply = await ask("POST", "MultiPartyCall/name_room/Record/", fields)
    assert reply.status == 202
    recording_id = reply.json["recording_id"]
    assert reply.json["message"] == "MPC: room record started"
    assert reply.json["recording_url"] == f"{PUBLIC_URL}/v1/Account/{MAIN}/Recording/{recording_id}.wav"
    assert world.commands == [
        StartRecording(
            by=Requester(MAIN),
            mpc=MpcRef(name="room"),
            file_format="wav",
            callback=Callback("http://localhost:9/r", "POST"),
        )
    ]


async def test_start_recording_without_anything(world: World, ask: Browser) -> None:
    world.mpc_row("room")
    assert (await ask("POST", "MultiPartyCall/name_room/Record")).status == 202
    assert world.commands == [StartRecording(by=Requester(MAIN), mpc=MpcRef(name="room"))]


@pytest.mark.parametrize("body", [b"", b"{}", b"null"])
async def test_pause_and_resume_take_any_empty_body(world: World, ask: Browser, body: bytes) -> None:
    world.record(world.mpc_row("room"))
    for step in ("Pause", "Pause", "Resume"):
        headers = {"content-type": "application/json"}
        assert (await ask("POST", f"MultiPartyCall/name_room/Record/{step}/", body=body, headers=headers)).status == 204
    assert (await ask("DELETE", "MultiPartyCall/name_room/Record/", {"friendly_name": "room"})).status == 204
    assert (await ask("DELETE", "MultiPartyCall/name_room/Record/")).status == 404
