"""Recordings' URLs by setting, signed URLs, legal holds and receipts."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from api.world import MAIN, PUBLIC_URL, STRANGER, SUB, Browser, Reply, World
from api.world import ask as ask_raw
from mixminus.api.limit import RateLimit
from mixminus.calls.commands import Requester
from mixminus.recording.retention import receipt
from mixminus.recording.signed_urls import UrlSigner
from mixminus.store.rows import HoldRow

AUDIO = bytes(range(100))


async def without_credentials(world: World, url: str, method: str = "GET") -> Reply:
    return await ask_raw(world.app(), method, url.removeprefix(PUBLIC_URL), {})


async def test_by_default_a_url_alone_opens_nothing(world: World) -> None:
    row = world.ready(world.mpc_row(), AUDIO)
    assert (await without_credentials(world, f"/v1/Account/{MAIN}/Recording/{row.id}.mp3")).status == 401


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_unguessable_url_opens_its_file_and_nothing_else(world: World, method: str) -> None:
    world.urls = "unguessable"
    row = world.ready(world.mpc_row(), AUDIO)
    path = f"/v1/Account/{MAIN}/Recording/{row.id}"
    reply = await without_credentials(world, f"{path}.mp3", method)
    assert (reply.status, reply.body) == (200, AUDIO if method == "GET" else b"")
    for other in (f"{path}/", f"/v1/Account/{MAIN}/Recording/", f"/v1/Account/{STRANGER}/Recording/{row.id}.mp3"):
        assert (await without_credentials(world, other, method)).status in (401, 404)
    assert (await without_credentials(world, f"{path}.mp3", "DELETE")).status == 401


async def test_a_signed_url_opens_one_file_for_a_while(world: World, ask: Browser) -> None:
    mpc = world.mpc_row()
    row, other = world.ready(mpc, AUDIO), world.ready(mpc, AUDIO)
    made = (await ask("POST", f"Recording/{row.id}/SignedUrl/", {"expires_in": 60})).json
    assert made["expires_at"] == "2026-01-01 00:01:00+00:00"
    assert (await without_credentials(world, made["url"])).body == AUDIO
    for wrong in (
        made["url"].replace(row.id, other.id),
        made["url"].replace("Expires=1", "Expires=2"),
        made["url"].partition("?")[0],
        made["url"][:-1],
        made["url"] + "x",
        made["url"].replace("Signature", "signature"),
        made["url"].partition("?")[0] + "?Expires=99999999999999999999&Signature=x",
        made["url"].partition("?")[0] + "?Expires=%D9%A1&Signature=é",
    ):
        assert (await without_credentials(world, wrong)).status == 401, wrong
    world.clock.advance(60)
    assert (await without_credentials(world, made["url"])).status == 401


async def test_told_urls_are_signed_when_the_setting_says_so(world: World) -> None:
    world.urls = "signed"
    ask = Browser(world.app())
    row = world.ready(world.mpc_row(), AUDIO)
    url = (await ask("GET", f"Recording/{row.id}/")).json["recording_url"]
    assert dict(parse_qsl(urlsplit(url).query)).keys() == {"Expires", "Signature"}
    assert (await without_credentials(world, url)).body == AUDIO
    assert (await ask("GET", "Recording/")).json["objects"][0]["recording_url"] == url


async def test_a_recording_without_a_file_gets_no_url(world: World, ask: Browser) -> None:
    row = world.record(world.mpc_row())
    assert "its state is recording" in (await ask("POST", f"Recording/{row.id}/SignedUrl/")).error
    bad = await ask("POST", f"Recording/{world.ready(world.mpc_row('b'), AUDIO).id}/SignedUrl/", {"expires_in": 0})
    assert bad.status == 400 and "expires_in" in bad.error


async def test_requests_without_credentials_have_a_limit_of_their_own(world: World) -> None:
    world.urls = "unguessable"
    row = world.ready(world.mpc_row(), AUDIO)
    application = world.app(RateLimit(2))
    path = f"/v1/Account/{MAIN}/Recording/{row.id}.mp3"
    assert [(await ask_raw(application, "GET", path, {})).status for _ in range(3)] == [200, 200, 429]
    assert (await Browser(application)("GET", path)).status == 200


async def test_a_legal_hold_begins_shows_and_ends(world: World, ask: Browser) -> None:
    row = world.ready(world.mpc_row(), AUDIO)
    path = f"Recording/{row.id}/LegalHold/"
    assert (await ask("GET", path)).json["held"] is False
    for _ in range(2):
        held = (await ask("POST", path)).json
        assert (held["held"], held["since"], held["by"]) == (True, "2026-01-01 00:00:00+00:00", MAIN)
        world.clock.advance(5)
    assert (await ask("DELETE", path)).status == 204
    assert (await ask("GET", path)).json["held"] is False and world.all(HoldRow) == []


async def test_a_sub_account_holds_but_does_not_release(world: World) -> None:
    row = world.ready(world.mpc_row(by=Requester(MAIN, SUB)), AUDIO)
    ask = Browser(world.app(), SUB)
    assert (await ask("POST", f"Recording/{row.id}/LegalHold/")).json["by"] == SUB
    refused = await ask("DELETE", f"Recording/{row.id}/LegalHold/")
    assert refused.status == 400 and "main account" in refused.error


async def test_a_deleted_recording_leaves_its_receipt(world: World, ask: Browser) -> None:
    row = world.ready(world.mpc_row(), AUDIO)
    assert (await ask("GET", f"Recording/{row.id}/Receipt/")).status == 404
    world.save(receipt(row, world.clock.wall, "request", MAIN))
    found = (await ask("GET", f"Recording/{row.id}/Receipt/")).json
    assert (found["sha256"], found["reason"], found["deleted_by"], found["removed_at"]) == (
        row.sha256,
        "request",
        MAIN,
        "",
    )
    assert (await Browser(world.app(), STRANGER)("GET", f"Recording/{row.id}/Receipt/")).status == 404


def test_a_signature_binds_path_and_time(world: World) -> None:
    signer, other = (UrlSigner(secret * 32, lasting=timedelta(hours=1)) for secret in ("00", "01"))
    url = signer.sign("https://x/v1/a.mp3", world.clock.wall)
    query = dict(parse_qsl(urlsplit(url).query))
    assert signer.opens("/v1/a.mp3", query, world.clock.wall)
    assert not other.opens("/v1/a.mp3", query, world.clock.wall)
    assert not signer.opens("/v1/b.mp3", query, world.clock.wall)
    assert not signer.opens("/v1/a.mp3", query, world.clock.wall + timedelta(hours=1))
