"""How a live participant's line is."""

from __future__ import annotations

from api.test_participants import PATH
from api.world import Browser, World
from mixminus.media.protocol import LegStats

LINE = LegStats(
    "c-1", received=500, lost=5, jitter_ms=3.2, delay_ms=40, remote=("192.0.2.1", 4000), mos=4.1, agc=True, gain_db=-3.5
)


async def test_the_line_of_a_live_participant(world: World, ask: Browser) -> None:
    member = world.member_row(world.mpc_row("room"), "c-1")
    world.lines["c-1"] = LINE
    found = (await ask("GET", f"{PATH}{member.id}/debug/")).json
    assert (found["member_id"], found["call_uuid"], found["remote"]) == (member.id, "c-1", "192.0.2.1:4000")
    assert (found["received"], found["lost"], found["jitter_ms"], found["mos"]) == (500, 5, 3.2, 4.1)
    assert (found["agc"], found["gain_db"]) == (True, -3.5)
    assert found["round_trip_ms"] is None
    assert "leg" not in found


async def test_one_without_media_or_who_is_not_there(world: World, ask: Browser) -> None:
    member = world.member_row(world.mpc_row("room"), "c-1")
    refused = await ask("GET", f"{PATH}{member.id}/debug/")
    assert (refused.status, refused.error) == (400, "this participant has no media yet")
    assert (await ask("GET", f"{PATH}77/debug/")).status == 404
