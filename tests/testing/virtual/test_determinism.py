"""The same test gives the same bytes: ids, events, recordings, what phones heard; in another process, too."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mixminus.testing.sources import tone, voice
from mixminus.testing.virtual.bank import Bank
from mixminus.testing.virtual.phones import Phone
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add, record


def hold(world: World, phone: Phone, *, on: bool) -> None:
    """As a re-INVITE would: the phone sends nothing, and talks on."""
    sound = phone.line.sound
    assert sound.plan is not None
    plan = replace(sound.plan, send=not on)
    world.do(lambda: sound.change(plan))


def scenario(folder: Path, seed: int = 7) -> dict[str, Any]:
    """Everything of a call with a coach who is held at first, keys, a lossy phone, a retried callback, a recording."""
    with World(folder, seed=seed) as world:
        agent, customer, boss = world.phone("agent"), world.phone("customer", codecs=("PCMA",)), world.phone("boss")
        world.app.fail("/status", times=1)
        add(world, "agent", agent, status_callback_events="participant-digit-input-events,mpc-state-changes")
        add(world, "customer", customer)
        add(world, "supervisor", boss, coach_mode=True)
        record(world)
        hold(world, boss, on=True)
        boss.says(voice("supervisor"))
        customer.loses(0.1)
        customer.says(voice("customer"))
        agent.says(tone(440), seconds=2)
        world.advance(1)
        customer.loses(0)
        world.advance(2)
        hold(world, boss, on=False)
        customer.presses("5#")
        world.advance(7.013)
        world.client.multi_party_calls.stop(friendly_name="room")
        world.until("MPCRecordingCompleted")
        world.advance(minutes=3)
        return world.log()


@pytest.mark.timeout(180)
def test_a_second_run_and_another_process_give_the_same_bytes(tmp_path: Path) -> None:
    first = scenario(tmp_path / "one")
    assert len(first["callbacks"]) > 10 and first["recordings"][0]["samples"] > 70_000
    assert scenario(tmp_path / "two") == first
    program = f"import json, pathlib\nprint(json.dumps(scenario(pathlib.Path({str(tmp_path / 'three')!r}))))"
    code = f"import sys\nsys.path[:0] = {sys.path!r}\nfrom testing.virtual.test_determinism import scenario\n{program}"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(other.stdout.splitlines()[-1]) == json.loads(json.dumps(first))


def test_another_seed_gives_other_ids(tmp_path: Path) -> None:
    first, second = scenario(tmp_path / "one"), scenario(tmp_path / "two", seed=8)
    assert [one["event_id"] for one in first["callbacks"]] != [one["event_id"] for one in second["callbacks"]]


def test_many_ticks_in_one_pass_are_the_same_as_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    stretch = Bank.stretch

    def counted(bank: Bank, *arguments: Any) -> int:
        passes.append(stretch(bank, *arguments))
        return passes[-1]

    monkeypatch.setattr(Bank, "stretch", counted)
    quick = scenario(tmp_path / "quick")
    assert sum(passes) > 300, "the quick way was hardly taken"
    monkeypatch.setattr(Bank, "stretch", lambda *arguments: 0)
    assert scenario(tmp_path / "slow") == quick
