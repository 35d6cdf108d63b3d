from __future__ import annotations

import pytest

from api.world import MAIN, SUB, Browser, World


@pytest.mark.parametrize(("query", "count"), [("", 1), ("?number_startswith=1555", 1), ("?number_startswith=44", 0)])
async def test_list(ask: Browser, query: str, count: int) -> None:
    found = (await ask("GET", f"Number/{query}")).json
    assert len(found["objects"]) == found["meta"]["total_count"] == count


@pytest.mark.parametrize("segment", ["15557654321", "+15557654321", "%2B15557654321"])
async def test_get(ask: Browser, segment: str) -> None:
    found = (await ask("GET", f"Number/{segment}/")).json
    assert found["resource_uri"] == f"/v1/Account/{MAIN}/Number/15557654321/"


async def test_numbers_are_the_main_accounts(world: World, ask: Browser) -> None:
    assert (await ask("GET", "Number/44/")).status == 404
    sub = Browser(world.app(), SUB)
    assert (await sub("GET", "Number/15557654321/")).status == 404
    assert (await sub("GET", "Number/")).json["objects"] == []
