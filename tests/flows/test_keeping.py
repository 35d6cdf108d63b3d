"""Where finished recordings go, and what they are there: sealed, in a store, downloaded again."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixminus.testing.sources import voice
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add, at, download, record


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_a_recording_in_a_store_is_heard_as_it_was_said(tmp_path: Path, sealed: bool) -> None:
    key = tmp_path / "key"
    key.write_text("ab" * 32)
    away = tmp_path / "away"
    storage = {"url": f"file://{away}"} | ({"encryption_key_file": key} if sealed else {})
    with World(tmp_path / "data", storage=storage) as world:
        agent, customer = world.phone("agent"), world.phone("customer")
        add(world, "agent", agent)
        add(world, "customer", customer)
        record(world)
        customer.says(voice("customer"))
        world.advance(5)
        world.client.multi_party_calls.stop(friendly_name="room")
        done = at(world, "/recording", EventName="MPCRecordingCompleted")
        (kept,) = (file for file in away.rglob("*.wav*") if file.is_file())
        assert kept.read_bytes().startswith(b"RIFF") is not sealed
        assert world.seconds == pytest.approx(5, abs=0.1), "nothing of it takes time"
        assert world.recording().contains(customer).seconds > 3
        samples = download(world, done.parameters["RecordingURL"])
        assert samples.tobytes() == world.recording().samples.tobytes()
