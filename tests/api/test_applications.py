from __future__ import annotations

from typing import Any

import pytest

from api.world import MAIN, OTHER_SUB, SUB, Browser, World
from mixminus.store.rows import ApplicationRow, EndpointRow


async def create(ask: Browser, **fields: Any) -> str:
    reply = await ask("POST", "Application/", {"app_name": "ivr", "answer_url": "https://a.example/a", **fields})
    assert reply.status == 201, reply.body
    return str(reply.json["app_id"])


async def test_create_and_get(ask: Browser) -> None:
    app_id = await create(ask, answer_method="get", public_uri="true")
    found = (await ask("GET", f"Application/{app_id}/")).json
    assert len(app_id) == 17 and app_id.isdigit()
    assert {key: value for key, value in found.items() if key != "api_id"} == {
        "app_id": app_id,
        "app_name": "ivr",
        "answer_url": "https://a.example/a",
        "answer_method": "GET",
        "hangup_url": "https://a.example/a",
        "hangup_method": "POST",
        "fallback_answer_url": "",
        "fallback_method": "POST",
        "message_url": "",
        "message_method": "POST",
        "default_app": False,
        "default_endpoint_app": False,
        "enabled": True,
        "public_uri": True,
        "log_incoming_messages": True,
        "sip_uri": f"sip:{app_id}@sip.example.com",
        "sub_account": None,
        "resource_uri": f"/v1/Account/{MAIN}/Application/{app_id}/",
    }


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "app_name: is required"),
        ({"app_name": "a b"}, "app_name: must be"),
        ({"app_name": "a", "answer_url": "x"}, "answer_url: must be"),
        ({"app_name": "a", "answer_method": "PUT"}, "answer_method: must be GET or POST"),
        ({"app_name": "a", "subaccount": "SA1"}, "subaccount: must be SA"),
        ({"app_name": "a", "subaccount": "SA" + "Q" * 18}, "subaccount: must be a sub-account of this account"),
    ],
)
async def test_create_refused(world: World, ask: Browser, fields: dict[str, Any], says: str) -> None:
    reply = await ask("POST", "Application/", fields)
    assert reply.status == 400 and says in reply.error
    assert world.all(ApplicationRow) == []


async def test_update_changes_what_is_given(ask: Browser) -> None:
    app_id = await create(ask)
    reply = await ask("POST", f"Application/{app_id}/", {"answer_url": "https://a.example/b", "hangup_url": ""})
    assert reply.status == 202 and reply.json["message"] == "changed"
    found = (await ask("GET", f"Application/{app_id}/")).json
    assert (found["answer_url"], found["hangup_url"], found["app_name"]) == ("https://a.example/b", "", "ivr")


async def test_one_default_at_a_time(ask: Browser) -> None:
    first = await create(ask, default_number_app=True, default_endpoint_app=True)
    second = await create(ask, default_endpoint_app=True)
    found = (await ask("GET", f"Application/{first}/")).json
    assert (found["default_app"], found["default_endpoint_app"]) == (True, False)
    await ask("POST", f"Application/{second}/", {"default_number_app": True})
    assert (await ask("GET", f"Application/{first}/")).json["default_app"] is False


async def test_list_by_prefix(ask: Browser) -> None:
    ids = [await create(ask, app_name=name) for name in ("sales", "sales2", "help")]
    found = (await ask("GET", "Application/?app_name=sales")).json
    assert [item["app_id"] for item in found["objects"]] == [ids[1], ids[0]]
    assert found["meta"]["total_count"] == 2


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({}, None),
        ({"cascade": True}, None),
        ({"cascade": "false"}, ""),
        ({"cascade": False, "new_endpoint_application": "HEIR"}, "HEIR"),
        ({"new_endpoint_application": "HEIR"}, "HEIR"),
    ],
)
async def test_delete_and_its_endpoints(world: World, ask: Browser, fields: dict[str, Any], left: str | None) -> None:
    app_id, heir = await create(ask), await create(ask)
    await ask("POST", "Endpoint/", {"username": "alice", "password": "secret", "app_id": app_id})
    sent = {name: heir if value == "HEIR" else value for name, value in fields.items()}
    assert (await ask("DELETE", f"Application/{app_id}/", sent)).status == 204
    assert (await ask("GET", f"Application/{app_id}/")).status == 404
    endpoints = [row.app_id for row in world.all(EndpointRow)]
    assert endpoints == ([] if left is None else [heir if left == "HEIR" else left])


async def test_a_heir_must_exist(ask: Browser) -> None:
    app_id = await create(ask)
    for heir in ("123", app_id):
        reply = await ask("DELETE", f"Application/{app_id}/?new_endpoint_application={heir}")
        assert reply.status == 400 and "new_endpoint_application" in reply.error


async def test_sub_accounts_keep_to_themselves(world: World, ask: Browser) -> None:
    sub = Browser(world.app(), SUB)
    mine, given = await create(sub), await create(ask, subaccount=SUB)
    mains = await create(ask)
    assert {item["app_id"] for item in (await sub("GET", "Application/")).json["objects"]} == {mine, given}
    for method in ("GET", "POST", "DELETE"):
        assert (await sub(method, f"Application/{mains}/")).status == 404
    assert (await sub("POST", f"Application/{mine}/", {"subaccount": OTHER_SUB})).status == 400
    assert (await ask("GET", f"Application/{mine}/")).json["sub_account"] == f"/v1/Account/{MAIN}/Subaccount/{SUB}/"
