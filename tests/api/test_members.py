from __future__ import annotations

from typing import Any

import pytest

from api.world import Browser, World
from mixminus.calls.commands import StartSound, StopSound
from mixminus.calls.sounds.program import PlayItem, SpeakItem

PLAY = "MultiPartyCall/name_room/Member/{}/Play/"
SPEAK = "MultiPartyCall/name_room/Member/{}/Speak/"


@pytest.fixture
def members(world: World) -> list[str]:
    mpc = world.mpc_row("room")
    return [world.member_row(mpc).id, world.member_row(mpc).id]


async def started(world: World, ask: Browser, path: str, fields: dict[str, Any]) -> StartSound:
    reply = await ask("POST", path, fields)
    assert reply.status == 202, reply.body
    command = world.commands[-1]
    assert isinstance(command, StartSound)
    return command


@pytest.mark.parametrize(
    ("fields", "urls"),
    [
        ({"url": "http://a.test/x.mp3"}, ["http://a.test/x.mp3"]),
        ({"urls": "http://a.test/x.mp3,https://b.test/y.wav"}, ["http://a.test/x.mp3", "https://b.test/y.wav"]),
        ({"urls": ["http://a.test/x,1.mp3", "http://b.test"]}, ["http://a.test/x,1.mp3", "http://b.test"]),
        ({"url": "http://a.test/1", "urls": "http://a.test/2"}, ["http://a.test/1"]),
    ],
)
async def test_play_takes_one_url_or_several(
    world: World, ask: Browser, members: list[str], fields: dict[str, Any], urls: list[str]
) -> None:
    command = await started(world, ask, PLAY.format(members[0]), fields)
    assert command.program == tuple(PlayItem(url) for url in urls)
    assert (command.kind, command.members, command.mix) == ("play", (members[0],), True)


async def test_the_answer_names_the_members(world: World, ask: Browser, members: list[str]) -> None:
    reply = await ask("POST", PLAY.format("all"), {"url": "http://a.test/x.mp3"})
    body = dict(reply.json)
    body.pop("api_id")
    assert body == {"message": "play queued into MPC", "mpcMemberId": body["mpcMemberId"], "mpcName": "room"}
    assert sorted(body["mpcMemberId"]) == sorted(members)
    reply = await ask("POST", SPEAK.format(",".join(members)), {"text": "hello"})
    assert (reply.json["message"], reply.json["mpcMemberId"]) == ("speak queued into MPC", members)


async def test_speak_replaces_unless_mixed_and_takes_what_go_sends(
    world: World, ask: Browser, members: list[str]
) -> None:
    go = {"text": "hi\nthere", "voice": "", "language": "", "mix": False, "callback_url": "http://a.test/spoken"}
    command = await started(world, ask, SPEAK.format(members[0]), go)
    assert (command.program, command.mix) == ((SpeakItem("hi there"),), False)
    fields = {"text": "x", "voice": "Polly.Amy", "language": "en-GB", "mix": "true"}
    command = await started(world, ask, SPEAK.format("all"), fields)
    assert (command.program, command.mix, command.members) == ((SpeakItem("x", "Polly.Amy", "en-GB"),), True, ())
    assert not world.delivered


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        (PLAY, {}, "url: is required"),
        (PLAY, {"url": "x"}, "url: must be an http"),
        (PLAY, {"url": [f"http://a.test/{n}" for n in range(21)]}, "1 to 20"),
        (SPEAK, {}, "text: is required"),
        (SPEAK, {"text": "x" * 10_001}, "at most 10000"),
        (SPEAK, {"text": "x", "voice": "Bob"}, "Polly.Joanna"),
        (SPEAK, {"text": "x", "language": "tlh"}, "cmn-CN"),
    ],
)
async def test_what_is_wrong_is_named(
    world: World, ask: Browser, members: list[str], path: str, fields: dict[str, Any], said: str
) -> None:
    reply = await ask("POST", path.format(members[0]), fields)
    assert reply.status == 400 and said in reply.error


async def test_a_machine_without_a_voice_says_what_to_install(world: World, ask: Browser, members: list[str]) -> None:
    world.speech_missing = "no text-to-speech voice is installed: install espeak-ng"
    reply = await ask("POST", SPEAK.format("all"), {"text": "hello"})
    assert reply.status == 400 and "install espeak-ng" in reply.error


@pytest.mark.parametrize(("path", "kind"), [(PLAY, "play"), (SPEAK, "speak")])
async def test_stop(world: World, ask: Browser, members: list[str], path: str, kind: str) -> None:
    assert (await ask("DELETE", path.format(members[1]), {"member_id": "x"})).status == 204
    command = world.commands[-1]
    assert isinstance(command, StopSound)
    assert (command.kind, command.members) == (kind, (members[1],))
