from __future__ import annotations

from typing import Any

import pytest

from api.world import MAIN, SUB, Browser, World
from mixminus.api.ports import Registration
from mixminus.store.rows import EndpointRow

ALICE = {"username": "alice", "password": "secret", "alias": "Alice"}


async def test_create_and_get(world: World, ask: Browser) -> None:
    made = (await ask("POST", "Endpoint/", ALICE)).json
    assert made["message"] == "created" and made["alias"] == "Alice"
    username = made["username"]
    assert username.startswith("alice") and username[5:].isdigit() and len(username) == 17
    found = (await ask("GET", f"Endpoint/{made['endpoint_id']}/")).json
    assert {key: value for key, value in found.items() if key != "api_id"} == {
        "endpoint_id": made["endpoint_id"],
        "username": username,
        "alias": "Alice",
        "application": None,
        "sip_uri": f"sip:{username}@sip.example.com",
        "sip_registered": "false",
        "sub_account": None,
        "resource_uri": f"/v1/Account/{MAIN}/Endpoint/{made['endpoint_id']}/",
    }
    world.registrations[username] = Registration("sip:alice@10.0.0.9:5060", 300, "phone 1.0")
    found = (await ask("GET", f"Endpoint/{made['endpoint_id']}/")).json
    assert (found["sip_registered"], found["sip_contact"]) == ("true", "sip:alice@10.0.0.9:5060")
    assert (found["sip_expires"], found["sip_user_agent"]) == ("300", "phone 1.0")


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["username", "password"]),
        ({**ALICE, "username": "al ice"}, ["username"]),
        ({**ALICE, "password": "1234"}, ["password"]),
        ({**ALICE, "app_id": "12345678901234567"}, ["app_id"]),
        ({**ALICE, "app_id": "x"}, ["app_id"]),
    ],
)
async def test_create_refused(world: World, ask: Browser, fields: dict[str, Any], names: list[str]) -> None:
    reply = await ask("POST", "Endpoint/", fields)
    assert reply.status == 400 and all(f"{name}: " in reply.error for name in names)
    assert world.all(EndpointRow) == []


async def test_update_and_delete(world: World, ask: Browser) -> None:
    app_id = (await ask("POST", "Application/", {"app_name": "ivr"})).json["app_id"]
    endpoint_id = (await ask("POST", "Endpoint/", ALICE)).json["endpoint_id"]
    path = f"Endpoint/{endpoint_id}/"
    assert (await ask("POST", path, {"password": "changed", "app_id": app_id})).status == 202
    [row] = world.all(EndpointRow)
    assert (row.password, row.alias, row.app_id) == ("changed", "Alice", app_id)
    assert (await ask("POST", path, {"app_id": ""})).status == 202
    assert world.all(EndpointRow)[0].app_id == ""
    assert (await ask("DELETE", path)).status == 204
    assert (await ask("GET", path)).status == 404


async def test_sub_accounts_keep_to_themselves(world: World, ask: Browser) -> None:
    sub = Browser(world.app(), SUB)
    mine = (await sub("POST", "Endpoint/", ALICE)).json["endpoint_id"]
    mains = (await ask("POST", "Endpoint/", ALICE)).json["endpoint_id"]
    assert [item["endpoint_id"] for item in (await sub("GET", "Endpoint/")).json["objects"]] == [mine]
    for method in ("GET", "POST", "DELETE"):
        assert (await sub(method, f"Endpoint/{mains}/")).status == 404
    assert len((await ask("GET", "Endpoint/")).json["objects"]) == 2
