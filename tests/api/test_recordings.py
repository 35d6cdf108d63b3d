from __future__ import annotations

import pytest

from api.world import MAIN, PUBLIC_URL, STRANGER, SUB, TOKENS, Browser, Reply, World, basic
from api.world import ask as ask_raw
from mixminus.calls.commands import DeleteRecording, Requester
from mixminus.store.lists import DayBounds

AUDIO = bytes(range(100))
ETAG = '"' + "ab" * 32 + '"'


async def test_the_vendors_fields_and_types(world: World, ask: Browser) -> None:
    row = world.ready(world.mpc_row("room"), AUDIO)
    world.clock.advance(3 * 86400 + 5)
    found = (await ask("GET", f"Recording/{row.id}/")).json
    assert found["recording_url"] == f"{PUBLIC_URL}/v1/Account/{MAIN}/Recording/{row.id}.mp3"
    assert found["resource_uri"] == f"/v1/Account/{MAIN}/Recording/{row.id}/"
    assert found["add_time"] == "2026-01-01 00:00:00.000000+00:00"
    assert found["recording_duration_ms"] == "61000.12500"
    assert found["recording_start_ms"] == "1767225600000.00000"
    assert found["rounded_recording_duration"] == 120
    assert found["recording_storage_duration"] == 3
    assert isinstance(found["recording_storage_rate"], float)
    assert (found["mpc_name"], found["conference_name"], found["recording_type"]) == ("room", "room", "conference")


async def test_what_is_known_of_the_file_is_told(world: World, ask: Browser) -> None:
    row = world.ready(world.mpc_row("room"), AUDIO)
    found = (await ask("GET", f"Recording/{row.id}/")).json
    assert (found["state"], found["sha256"], found["size"]) == ("ready", "ab" * 32, len(AUDIO))
    assert (found["complete"], found["not_rendered"], found["failure"]) == (True, {}, "")
    reasons = {"wav:stereo": "this recording kept the mix only"}
    cut_off = world.record(
        world.mpc_row("other"), state="ready", verified=True, report={"complete": False, "not_rendered": reasons}
    )
    found = (await ask("GET", f"Recording/{cut_off.id}/")).json
    assert (found["verified"], found["complete"], found["not_rendered"]) == (True, False, reasons)
    failed = world.record(world.mpc_row("third"), state="failed", failure="disk full while writing")
    found = (await ask("GET", f"Recording/{failed.id}/")).json
    assert (found["state"], found["failure"], found["verified"]) == ("failed", "disk full while writing", False)


async def test_list_filters(world: World, ask: Browser) -> None:
    first, second = world.mpc_row("a"), world.mpc_row("b")
    kept = world.ready(first, AUDIO)
    world.ready(second, AUDIO)
    found = (await ask("GET", f"Recording/?mpc_uuid={first.id}&mpc_name=a&recording_storage_duration_lte=3")).json
    assert [item["recording_id"] for item in found["objects"]] == [kept.id]
    assert world.last_recording_filter.mpc_name == "a"
    assert world.last_recording_filter.stored_days == DayBounds(lte=3)
    bad = await ask("GET", "Recording/?add_time__gt=yesterday&recording_storage_duration=x")
    assert bad.status == 400 and "add_time__gt" in bad.error and "recording_storage_duration" in bad.error


async def test_delete(world: World, ask: Browser) -> None:
    row = world.ready(world.mpc_row(), AUDIO)
    assert (await ask("DELETE", f"Recording/{row.id}/")).status == 204
    assert world.commands == [DeleteRecording(by=Requester(MAIN), recording_id=row.id)]
    for method, path in (
        ("GET", f"Recording/{row.id}/"),
        ("DELETE", f"Recording/{row.id}/"),
        ("GET", f"Recording/{row.id}.mp3"),
    ):
        assert (await ask(method, path)).status == 404


async def test_the_file(world: World, ask: Browser) -> None:
    row = world.ready(world.mpc_row(), AUDIO, "wav")
    reply = await ask("GET", f"Recording/{row.id}.wav")
    assert (reply.status, reply.body) == (200, AUDIO)
    assert reply.headers["content-type"] == "audio/wav"
    assert (reply.headers["content-length"], reply.headers["etag"]) == ("100", ETAG)
    head = await ask("HEAD", f"Recording/{row.id}.wav")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "100")


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=90-", 206, 90, 100),
        ("bytes=90-500", 206, 90, 100),
        ("bytes=-10", 206, 90, 100),
        ("bytes=-500", 206, 0, 100),
        ("bytes=0-0", 206, 0, 1),
        ("bytes=9-3", 200, 0, 100),
        ("bytes=0-1,5-6", 200, 0, 100),
        ("lines=0-1", 200, 0, 100),
        ("bytes=-", 200, 0, 100),
    ],
)
async def test_ranges(world: World, ask: Browser, asked: str, status: int, start: int, end: int) -> None:
    row = world.ready(world.mpc_row(), AUDIO)
    reply = await ask("GET", f"Recording/{row.id}.mp3", headers={"range": asked})
    assert (reply.status, reply.body) == (status, AUDIO[start:end])
    assert reply.headers["content-length"] == str(end - start)
    assert reply.headers.get("content-range") == (f"bytes {start}-{end - 1}/100" if status == 206 else None)


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=999-1000", "bytes=-0"])
async def test_ranges_behind_the_end(world: World, ask: Browser, asked: str) -> None:
    row = world.ready(world.mpc_row(), AUDIO)
    reply = await ask("GET", f"Recording/{row.id}.mp3", headers={"range": asked})
    assert (reply.status, reply.headers["content-range"]) == (416, "bytes */100") and "100 bytes" in reply.error


async def test_conditions(world: World, ask: Browser) -> None:
    row = world.ready(world.mpc_row(), AUDIO)
    path = f"Recording/{row.id}.mp3"

    async def status(**headers: str) -> int:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        reply: Reply = await ask("GET", path, headers=sent)
        return reply.status

    assert await status(if_none_match=f'"other", {ETAG}') == 304
    assert await status(if_none_match='"other"') == 200
    assert await status(range="bytes=0-1", if_range=ETAG) == 206
    assert await status(range="bytes=0-1", if_range='"other"') == 200


@pytest.mark.parametrize("state", ["recording", "paused", "finishing"])
async def test_no_file_before_it_is_ready(world: World, ask: Browser, state: str) -> None:
    row = world.record(world.mpc_row(), state=state)
    reply = await ask("GET", f"Recording/{row.id}.mp3")
    assert reply.status == 404 and f"its state is {state}" in reply.error


async def test_why_there_is_no_file(world: World, ask: Browser) -> None:
    failed = world.record(world.mpc_row(), state="failed", failure="the disk is full")
    assert "the disk is full" in (await ask("GET", f"Recording/{failed.id}.mp3")).error
    row = world.ready(world.mpc_row("other"), AUDIO)
    assert "is a mp3 file" in (await ask("GET", f"Recording/{row.id}.wav")).error
    world.contents.clear()
    assert "gone from the storage" in (await ask("GET", f"Recording/{row.id}.mp3")).error
    assert (await ask("GET", "Recording/unknown.mp3")).status == 404


@pytest.mark.parametrize(
    ("who", "path_id", "status"),
    [
        (MAIN, MAIN, 200),
        (MAIN, SUB, 200),
        (SUB, SUB, 200),
        (SUB, MAIN, 200),
        (STRANGER, MAIN, 401),
        (STRANGER, STRANGER, 404),
    ],
)
async def test_who_may_hear_a_sub_accounts_recording(world: World, who: str, path_id: str, status: int) -> None:
    row = world.ready(world.mpc_row("room", Requester(MAIN, SUB)), AUDIO)
    path = f"/v1/Account/{path_id}/Recording/{row.id}.mp3"
    reply = await ask_raw(world.app(), "GET", path, {"authorization": basic(who, TOKENS[who])})
    assert reply.status == status


async def test_a_sub_account_does_not_hear_its_main_accounts_recordings(world: World) -> None:
    row = world.ready(world.mpc_row(), AUDIO)
    for path_id in (MAIN, SUB):
        reply = await Browser(world.app(), SUB)("GET", f"/v1/Account/{path_id}/Recording/{row.id}.mp3")
        assert reply.status == 404
