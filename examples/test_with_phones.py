"""Test your own contact centre with phones made of software: ``pytest test_with_phones.py``.

Needs ``pip install 'mixminus[demo]' pytest pytest-asyncio`` and takes about three seconds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall, hears
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink

AGENT, CUSTOMER, COACH = 440, 620, 880  # Hz: everybody hums a tone of their own
TONES = (AGENT, CUSTOMER, COACH)


@pytest.mark.asyncio
async def test_only_the_agent_hears_the_coach(tmp_path: Path) -> None:
    async with (
        CallbackSink() as sink,
        ServerProcess(tmp_path) as server,
        VirtualPhone("agent") as agent,
        VirtualPhone("customer") as customer,
        VirtualPhone("coach") as coach,
    ):
        sink.auth_token = server.address.auth_token
        for phone, hz in ((agent, AGENT), (customer, CUSTOMER), (coach, COACH)):
            phone.says(sources.tone(hz), loop=True)

        call = MultiPartyCall(server.plivo_client(), sink, "support")
        await call.add("agent", agent)
        await call.add("customer", customer)
        await call.add("supervisor", coach, coach_mode=True)

        await hears(agent, {CUSTOMER, COACH}, TONES)
        await hears(customer, {AGENT}, TONES)

        await call("stop")
        ended = await sink.wait_for("MPCEnd")
        assert ended.signature.valid
        assert not ear.tone_spans(customer.heard.all(), COACH, above=-30)
