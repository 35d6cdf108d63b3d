"""The Conference resource, and numbers bound to applications."""

from __future__ import annotations

from typing import Any

import pytest

from api.world import MAIN, NUMBER, Browser, World
from mixminus.calls.commands import Callback, Requester
from mixminus.calls.conference.commands import (
    Arrive,
    EndConference,
    PlayToMembers,
    RecordConference,
    RemoveMembers,
    SetMembers,
    StopPlayToMembers,
    StopRecordConference,
)
from mixminus.calls.conference.machine import Conference, Member
from mixminus.calls.document.elements import ConferenceElement
from mixminus.calls.leg.door import EndConferences
from mixminus.calls.leg.inputs import CallRecordingStarted
from mixminus.calls.sounds.program import PlayItem, SpeakItem
from mixminus.store.rows import ApplicationRow

BY = Requester(MAIN)
URL = "https://app.test/x.mp3"


def live(world: World) -> Conference:
    arrival = Arrive(
        by=BY,
        call_uuid="c",
        call_from="100",
        call_to="200",
        caller_name="Ann",
        direction="inbound",
        element=ConferenceElement(name="a b"),
    )
    member = Member(id="7", arrival=arrival, joined_at=world.clock.wall, muted=True)
    state = Conference(
        uuid="u", name="a b", account=MAIN, sub_account="", created_at=world.clock.wall, members={"7": member}
    )
    world.conferences = (state,)
    return state


async def test_conferences_are_listed_and_got(world: World, ask: Browser) -> None:
    live(world)
    assert (await ask("GET", "Conference/")).json["conferences"] == ["a b"]
    got = (await ask("GET", "Conference/a%20b/")).json
    assert (got["conference_name"], got["conference_member_count"], got["conference_run_time"]) == ("a b", "1", "0")
    assert got["members"] == [
        {
            "member_id": "7",
            "call_uuid": "c",
            "from": "100",
            "to": "200",
            "caller_name": "Ann",
            "direction": "inbound",
            "join_time": "0",
            "muted": True,
            "deaf": False,
        }
    ]
    assert (await ask("GET", "Conference/none/")).status == 404


@pytest.mark.parametrize(
    ("verb", "path", "fields", "message", "command"),
    [
        ("DELETE", "Conference/", None, None, EndConferences(by=BY)),
        ("DELETE", "Conference/x/", None, None, EndConference(by=BY, name="x")),
        ("DELETE", "Conference/x/Member/7/", None, None, RemoveMembers(by=BY, name="x", members=("7",), hangup=True)),
        ("POST", "Conference/x/Member/7,8/Kick/", {}, "kicked", RemoveMembers(by=BY, name="x", members=("7", "8"))),
        ("POST", "Conference/x/Member/all/Mute/", {}, "muted", SetMembers(by=BY, name="x", muted=True)),
        ("DELETE", "Conference/x/Member/all/Mute/", {}, None, SetMembers(by=BY, name="x", muted=False)),
        ("POST", "Conference/x/Member/7/Deaf/", {}, "deaf", SetMembers(by=BY, name="x", members=("7",), deaf=True)),
        ("DELETE", "Conference/x/Member/7/Deaf/", {}, None, SetMembers(by=BY, name="x", members=("7",), deaf=False)),
        (
            "POST",
            "Conference/x/Member/7/Play/",
            {"url": URL},
            "play queued into conference",
            PlayToMembers(by=BY, name="x", members=("7",), kind="play", program=(PlayItem(URL),)),
        ),
        (
            "DELETE",
            "Conference/x/Member/7/Play/",
            None,
            None,
            StopPlayToMembers(by=BY, name="x", members=("7",), kind="play"),
        ),
        (
            "POST",
            "Conference/x/Member/all/Speak/",
            {"text": "hi"},
            "speak queued into conference",
            PlayToMembers(by=BY, name="x", kind="speak", program=(SpeakItem("hi", "WOMAN", "en-US"),)),
        ),
        ("DELETE", "Conference/x/Member/all/Speak/", None, None, StopPlayToMembers(by=BY, name="x", kind="speak")),
        ("DELETE", "Conference/x/Record/", None, None, StopRecordConference(by=BY, name="x")),
    ],
)
async def test_commands(
    world: World,
    ask: Browser,
    verb: str,
    path: str,
    fields: dict[str, Any] | None,
    message: str | None,
    command: Any,
) -> None:
    world.results[type(command)] = ("7", "8")
    reply = await ask(verb, path, fields)
    assert world.commands == [command]
    if message is None:
        assert reply.status == 204
    else:
        assert (reply.status, reply.json["message"], reply.json["member_id"]) == (202, message, ["7", "8"])


async def test_one_sdk_reads_member_ids_as_text(world: World, ask: Browser) -> None:
    world.results[SetMembers] = ("7",)
    reply = await ask("POST", "Conference/x/Member/7/Mute/", {}, headers={"user-agent": "plivo-dotnet/5.53.0"})
    assert reply.json["member_id"] == "7"


async def test_record(world: World, ask: Browser) -> None:
    world.results[RecordConference] = CallRecordingStarted("r1", "mp3")
    reply = await ask("POST", "Conference/x/Record/", {"callback_url": URL})
    assert (reply.status, reply.json["message"]) == (202, "conference recording started")
    assert reply.json["recording_id"] == "r1"
    assert world.commands == [RecordConference(by=BY, name="x", callback=Callback(URL))]


async def test_a_number_is_bound_to_an_application_and_given_back(world: World, ask: Browser) -> None:
    digits = NUMBER.number.removeprefix("+")
    reply = await ask("POST", f"Number/{digits}/", {"app_id": "123"})
    assert reply.error == "app_id: must be the id of an application of this account"
    world.save(ApplicationRow(id="123", account=MAIN, app_name="a", created_at=world.clock.wall))
    reply = await ask("POST", f"Number/+{digits}/", {"app_id": "123", "alias": "front door"})
    assert (reply.status, reply.json["message"]) == (202, "changed")
    got = (await ask("GET", f"Number/{digits}/")).json
    assert (got["application"], got["alias"]) == (f"/v1/Account/{MAIN}/Application/123/", "front door")
    await ask("POST", f"Number/{digits}/", {"app_id": ""})
    assert (await ask("GET", f"Number/{digits}/")).json["application"] is None
    assert (await ask("POST", "Number/999/", {"app_id": "123"})).status == 404
