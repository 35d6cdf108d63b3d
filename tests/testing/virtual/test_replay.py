"""A run frozen to a file runs again without its test and application, to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixminus.cli.app import run
from mixminus.testing.sources import voice
from mixminus.testing.virtual.replay import Differs, freeze, replay, thaw
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add, members, record, wav


def _run(world: World) -> bytes:
    agent, customer = world.phone("agent"), world.phone("customer", codecs=("PCMA",))
    world.app.fail("/status", times=1)
    world.app.answer("/answer", '<Response><MultiPartyCall role="customer">room</MultiPartyCall></Response>')
    add(world, "agent", agent)
    customer.calls("5000")
    record(world, "mp3")
    customer.says(voice("customer"))
    world.advance(5.5)
    agent.presses("1")
    world.advance(minutes=1)
    world.client.multi_party_calls.stop(friendly_name="room")
    world.until("MPCRecordingCompleted")
    return freeze(world)


def test_a_run_is_repeated_from_its_file(mixminus: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "it.run"
    file.write_bytes(_run(mixminus))
    assert run(["replay", str(file), "--picture", str(tmp_path / "it.svg")]) == 0
    out = capsys.readouterr().out
    assert "customer said" in out and "the same as then, to the byte" in out
    assert (tmp_path / "it.svg").read_text().startswith("<svg")
    assert run(["replay", str(file), "--picture", str(tmp_path / "it.png")]) == 0
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_goes_otherwise_is_told(mixminus: World, tmp_path: Path) -> None:
    kept = thaw(_run(mixminus))
    kept.log["phones"]["agent"] = "0" * 64
    with pytest.raises(Differs, match="phones"):
        replay(kept, tmp_path / "again")


def test_sounds_and_codecs_with_a_memory_are_repeated_too(mixminus: World, tmp_path: Path) -> None:
    """A fetched prompt, a spoken one if there is a voice, holds, and phones of Opus and G.722."""
    agent, customer = mixminus.phone("agent", codecs=("opus", "PCMU")), mixminus.phone("customer", codecs=("G722",))
    mixminus.app.answer("/prompt.wav", wav(900, 1))
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    record(mixminus)
    calls = mixminus.client.multi_party_calls
    calls.start_play_audio(friendly_name="room", participant_id="all", url=mixminus.app.url("/prompt.wav"))
    customer.says(voice("customer"))
    mixminus.advance(2)
    if not mixminus.server.speaker.missing:
        path = ("MultiPartyCall", "name_room", "Member", members(mixminus)["agent"], "Speak")
        mixminus.client.request("POST", path, {"text": "Please hold the line."})
    agent.holds()
    mixminus.advance(0.5)
    agent.resumes()
    agent.offers(["PCMU"])
    mixminus.advance(3)
    calls.stop(friendly_name="room")
    mixminus.until("MPCRecordingCompleted")
    assert agent.heard(customer, since=3)
    again = replay(thaw(freeze(mixminus)), tmp_path / "again")
    try:
        assert again.log() == mixminus.log()
    finally:
        again.stop()


def test_what_is_no_frozen_run_is_refused() -> None:
    with pytest.raises(ValueError, match="not a frozen run"):
        thaw(b"hello")
