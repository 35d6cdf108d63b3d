"""``calls`` and ``webhooks`` on the command line, over HTTP, against a server with a live call."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mixminus.cli.app import run
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add


@pytest.fixture
def told(mixminus: World, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command writes, if it ends as it should."""

    def told(command: str, *words: str, status: int = 0) -> str:
        capsys.readouterr()
        assert run([command, *words, "--data", str(mixminus.server.settings.data)]) == status
        shown = capsys.readouterr()
        return shown.err if status else shown.out

    return told


def test_the_views_show_a_live_call_and_what_was_said_of_it(mixminus: World, told: Callable[..., str]) -> None:
    def ask(*words: str) -> Any:
        return json.loads(told(*words, "--json"))

    assert "No multiparty call is live." in told("calls")
    add(mixminus, "agent", mixminus.phone("agent"), name="sales", stay_alone=True)

    ((live),) = ask("calls")
    assert (live["friendly_name"], live["status"]) == ("sales", "Active")
    assert [one["role"] for one in live["members"]] == ["agent"]

    (joined,) = (one for one in ask("webhooks", "--state", "delivered") if one["name"] == "ParticipantJoin")
    assert joined["tries"][0]["status"] == 200 and joined["tries"][0]["duration_ms"] >= 0
    assert "ParticipantJoin" in told("webhooks")
    assert "PLIVO_AUTH_ID" in told("calls", "--http", "nonsense", status=2)


def test_a_callback_is_delivered_again_under_its_old_id(mixminus: World, told: Callable[..., str]) -> None:
    add(mixminus, "agent", mixminus.phone("agent"), stay_alone=True)
    listed = json.loads(told("webhooks", "--json"))
    callback = next(one["callback_id"] for one in listed if one["name"] == "ParticipantJoin")
    told("webhooks", "redeliver", callback)
    mixminus.until("ParticipantJoin", count=2)
    again = [one for one in mixminus.received if one.event == "ParticipantJoin"][1]
    assert again.headers["X-Mixminus-Event-Id"] == callback
    assert again.signature.valid
    assert len(json.loads(told("webhooks", "show", callback, "--json"))["tries"]) == 2
