"""The controls over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mixminus.testing.virtual.controls import Controls
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add, record


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, controls=Controls) as world:
        yield world


def ask(world: World, method: str, path: str, **given: Any) -> tuple[int, Any]:
    request = urllib.request.Request(f"{world.url}/testing/{path}", json.dumps(given).encode() or None, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            status, body = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, error.read().decode()
    return status, json.loads(body) if body.startswith(("{", "[")) else body


def test_a_call_is_driven_over_http(world: World) -> None:
    for name in ("agent", "customer"):
        status, phone = ask(world, "POST", "phones", name=name)
        assert (status, phone["state"]) == (200, "idle")
    agent, customer = world.phones
    add(world, "agent", agent)
    add(world, "customer", customer)
    record(world)
    assert ask(world, "POST", "phones/customer/says", tone=440, seconds=2)[0] == 200
    status, state = ask(world, "POST", "advance", seconds=5)
    assert (status, state["seconds"]) == (200, 5.0)
    assert "MPCStart" in state["events"]
    heard = ask(world, "GET", "phones/agent/heard/customer")[1]
    assert heard["heard"] and heard["level"] == pytest.approx(-12, abs=0.5)
    assert not ask(world, "GET", "phones/agent/heard/customer?since=3")[1]["heard"]
    world.client.multi_party_calls.stop(friendly_name="room")
    assert ask(world, "POST", "until", event="MPCRecordingCompleted")[0] == 200
    assert ask(world, "GET", "recordings")[1][0]["duration"] == 5.0
    assert ask(world, "GET", "recordings/latest/contains/customer")[1]["heard"]
    assert ask(world, "GET", "callbacks")[1][0]["event"] == "MPCInitialized"
    assert "customer said" in ask(world, "GET", "timeline")[1]
    assert ask(world, "GET", "timeline.svg")[1].startswith("<svg")


def test_a_phone_registers_is_called_holds_and_changes_its_codec(world: World) -> None:
    endpoint = world.client.endpoints.create(username="alice", password="secret-1", alias="Alice")
    assert ask(world, "POST", "phones", name="alice", codecs=["opus", "PCMU"])[0] == 200
    told = ask(world, "POST", "phones/alice/registers", username=endpoint.username, password="wrong")[1]
    assert told["refusal"] == 401
    told = ask(world, "POST", "phones/alice/registers", username=endpoint.username, password="secret-1")[1]
    assert told["refusal"] == 0
    add(world, "agent", f"sip:{endpoint.username}@{world.address.sip}", stay_alone=True)
    for action in ("holds", "resumes"):
        assert ask(world, "POST", f"phones/alice/{action}")[1]["refusal"] == 0
    before = ask(world, "GET", "phones/alice")[1]["codec"]
    after = ask(world, "POST", "phones/alice/offers", codecs=["g722"])[1]["codec"]
    assert (before, after) == ("opus", "G722")


def test_things_go_wrong_as_they_are_told_to(world: World) -> None:
    agent, customer = world.phone("agent"), world.phone("customer")
    begin = world.app.url("/")
    assert ask(world, "POST", "unreachable", url=begin)[0] == 200
    add(world, "agent", agent)
    assert ask(world, "POST", "unreachable", url=begin, reason="")[0] == 200
    assert ask(world, "POST", "slow", url=world.app.url("/recording"), seconds=3)[0] == 200
    assert ask(world, "POST", "recordings_fail", reason="the disk is full")[0] == 200
    add(world, "customer", customer)
    record(world)
    ask(world, "POST", "until", event="MPCRecordingInitiated")
    assert world.seconds == pytest.approx(3, abs=0.1)
    world.client.multi_party_calls.stop(friendly_name="room")
    assert ask(world, "POST", "until", event="MPCRecordingFailed")[0] == 200
    attempts = [one["status"] for one in ask(world, "GET", "callbacks")[1] if one["event"] == "MPCInitialized"]
    assert (attempts[0], attempts[-1]) == (0, 200)


@pytest.mark.parametrize(
    ("method", "path", "given", "status", "reason"),
    [
        ("GET", "nothing", {}, 404, "no such control"),
        ("GET", "advance", {}, 404, "no such control"),
        ("POST", "phones", {"name": "a b"}, 400, "name: letters"),
        ("POST", "phones", {}, 400, "name: letters"),
        ("POST", "phones", {"name": "ann", "codecs": ["g729"]}, 400, "codecs: a list of opus, G722, PCMU, PCMA"),
        ("POST", "phones/bob/answers", {}, 404, "no phone 'bob'"),
        ("POST", "advance", {"minutes": "soon"}, 400, "minutes: 'soon' is no number"),
        ("POST", "until", {"event": "MPCEnd", "seconds": 1}, 409, "MPCEnd"),
        ("POST", "until", {}, 400, "event: the name"),
        ("POST", "unreachable", {}, 400, "url: a text is needed"),
        ("POST", "phones/bob/calls", {}, 404, "no phone 'bob'"),
        ("POST", "flow", {"on": 1}, 400, "on: true or false"),
        ("GET", "recordings/latest/contains/bob", {}, 404, "no finished recording"),
    ],
)
def test_what_is_wrong_is_said(
    world: World, method: str, path: str, given: dict[str, Any], status: int, reason: str
) -> None:
    answered, body = ask(world, method, path, **given)
    assert answered == status
    assert reason in body["error"]


def test_without_controls_there_is_nothing_under_testing(mixminus: World) -> None:
    assert ask(mixminus, "GET", "")[0] == 404
