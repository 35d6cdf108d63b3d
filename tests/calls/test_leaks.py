"""After everybody has hung up, nothing of a call is kept in memory by any part of the server."""

from __future__ import annotations

import re

import pytest

from mixminus.testing.sources import tone
from mixminus.testing.tables import grown, table_sizes
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add, record

ROUNDS = 4
KEPT = re.compile(
    r"\.(exchanges|requests|answers|memory|_journal|bank|_virtual|_http|_serving)\b"  # what the virtual world remembers
    r"|\.media\._worker\.commands"
)
"""Tables that are a record of the test's own."""


def one_round(world: World, number: int) -> None:
    """A recorded call of three with every kind of end, a caller who is refused, and one who only calls in."""
    agent, customer, boss = world.phones[:3]
    add(world, "agent", agent)
    add(world, "customer", customer)
    add(world, "supervisor", boss, coach_mode=True)
    world.advance(1)
    record(world)
    customer.says(tone(440), seconds=1)
    world.advance(2)
    calls = world.client.multi_party_calls
    if number % 2:
        customer.hangs_up()
        world.advance(1)
        calls.stop(friendly_name="room")
    else:
        calls.stop_recording(friendly_name="room")
        boss.hangs_up()
        agent.hangs_up()
        customer.hangs_up()
    world.until("MPCEnd", count=number + 1)
    world.app.answer("/answer", "<Response><GetDigits timeout='1'/><Hangup/></Response>")
    customer.calls("sip:5000@" + world.server.sip_address)
    world.advance(5)
    world.advance(minutes=5)


@pytest.mark.timeout(120)
def test_no_part_of_the_server_keeps_anything_of_calls_that_are_over(mixminus: World) -> None:
    for name in ("agent", "customer", "boss"):
        mixminus.phone(name)
    one_round(mixminus, 0)
    one_round(mixminus, 1)
    sizes = mixminus.do(lambda: table_sizes(mixminus.server))
    for number in range(2, 2 + ROUNDS):
        one_round(mixminus, number)
    after = mixminus.do(lambda: table_sizes(mixminus.server))
    told = {path: change for path, change in grown(sizes, after).items() if not KEPT.search(path)}
    assert told == {}
    assert len(sizes) > 100
