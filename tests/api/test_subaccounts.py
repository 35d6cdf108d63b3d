from __future__ import annotations

from dataclasses import replace

from api.world import MAIN, SUB, Browser, World
from mixminus.calls.commands import Requester
from mixminus.store.rows import AccountRow, ApplicationRow


async def test_a_subaccount_is_made_found_renamed_disabled_and_deleted(world: World, ask: Browser) -> None:
    made = await ask("POST", "Subaccount/", {"name": "support", "enabled": True})
    assert (made.status, made.json["message"]) == (201, "created")
    auth_id = made.json["auth_id"]
    assert auth_id.startswith("SA") and len(auth_id) == 20
    found = (await ask("GET", f"Subaccount/{auth_id}/")).json
    assert (found["name"], found["enabled"], found["auth_token"]) == ("support", True, made.json["auth_token"])
    assert found["account"] == f"/v1/Account/{MAIN}/"
    assert found["resource_uri"] == f"/v1/Account/{MAIN}/Subaccount/{auth_id}/"
    assert (await ask("POST", f"Subaccount/{auth_id}/", {"name": "sales", "enabled": "false"})).status == 202
    found = (await ask("GET", f"Subaccount/{auth_id}/")).json
    assert (found["name"], found["enabled"]) == ("sales", False)
    assert (await ask("DELETE", f"Subaccount/{auth_id}/")).status == 204
    assert (await ask("GET", f"Subaccount/{auth_id}/")).status == 404


async def test_they_are_listed_with_meta(world: World, ask: Browser) -> None:
    listed = (await ask("GET", "Subaccount/?limit=1")).json
    assert (len(listed["objects"]), listed["meta"]["total_count"]) == (1, 2)
    assert listed["objects"][0]["auth_id"].startswith("SA")


async def test_a_subaccount_manages_none(world: World, ask: Browser) -> None:
    for method, path in (("GET", "Subaccount/"), ("POST", "Subaccount/"), ("GET", f"Subaccount/{SUB}/")):
        reply = await replace(ask, auth_id=SUB)(method, path, {"name": "x"} if method == "POST" else None)
        assert reply.status == 404 and "main account" in reply.error


async def test_what_is_wrong_or_not_there_is_named(world: World, ask: Browser) -> None:
    assert "name: is required" in (await ask("POST", "Subaccount/", {})).error
    assert "enabled: must be true or false" in (await ask("POST", "Subaccount/", {"name": "a", "enabled": 7})).error
    for auth_id in (MAIN, "SA" + "Q" * 18):
        assert (await ask("GET", f"Subaccount/{auth_id}/")).status == 404


async def test_a_subaccount_with_live_calls_stays(world: World, ask: Browser) -> None:
    world.mpc_row("room", Requester(MAIN, SUB))
    reply = await ask("DELETE", f"Subaccount/{SUB}/")
    assert reply.status == 400 and "end them first" in reply.error
    assert world.all(AccountRow, lambda row: row.id == SUB)


async def test_its_applications_go_with_it_or_to_the_main_account(world: World, ask: Browser) -> None:
    def application(app_id: str) -> None:
        world.save(ApplicationRow(id=app_id, account=MAIN, sub_account=SUB, app_name="a", created_at=world.clock.wall))

    application("1")
    assert (await ask("DELETE", f"Subaccount/{SUB}/", {"cascade": False})).status == 204
    assert [row.sub_account for row in world.all(ApplicationRow)] == [""]
    world.save(AccountRow(id=SUB, token="t", parent=MAIN, created_at=world.clock.wall))
    application("1")
    assert (await ask("DELETE", f"Subaccount/{SUB}/", {"cascade": True})).status == 204
    assert not world.all(ApplicationRow)
