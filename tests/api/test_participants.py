from __future__ import annotations

from typing import Any

import pytest

from api.world import MAIN, Browser, Reply, World
from mixminus.api import parameters
from mixminus.calls.commands import (
    AddParticipant,
    Callback,
    DialParameters,
    KickParticipants,
    MpcParameters,
    MpcRef,
    ParticipantParameters,
    Requester,
    UpdateParticipants,
)
from mixminus.calls.model import Role

PATH = "MultiPartyCall/name_room/Participant/"
DIAL = {"role": "agent", "from": "+15551111111", "to": "+15552222222"}


async def add(world: World, ask: Browser, **fields: Any) -> AddParticipant:
    reply = await ask("POST", PATH, {**DIAL, **fields})
    assert reply.status == 201, reply.body
    command = world.commands[-1]
    assert isinstance(command, AddParticipant)
    return command


async def refused(ask: Browser, fields: dict[str, Any]) -> str:
    reply: Reply = await ask("POST", PATH, fields)
    assert reply.status == 400, reply.body
    return reply.error


async def test_defaults(world: World, ask: Browser) -> None:
    assert await add(world, ask) == AddParticipant(
        by=Requester(MAIN),
        mpc=MpcRef(name="room"),
        participant=ParticipantParameters(role=Role.AGENT),
        parameters=MpcParameters(),
        dial=DialParameters(from_="+15551111111", to=("+15552222222",), caller_name="+15551111111"),
    )


async def test_the_answer(world: World, ask: Browser) -> None:
    reply = await ask("POST", PATH, {**DIAL, "to": "+1<+2"})
    calls = reply.json["calls"]
    assert [(call["to"], call["from"]) for call in calls] == [("+1", "+15551111111"), ("+2", "+15551111111")]
    assert reply.json["message"] == "add participant action initiated"
    assert list(reply.json) == ["api_id", "message", "calls", "request_uuid"]


async def test_everything_given(world: World, ask: Browser) -> None:
    command = await add(
        world,
        ask,
        role="Supervisor",
        caller_name="Desk",
        call_status_callback_url="https://a.example/c",
        sip_headers="a=1,b=2,",
        ring_timeout="30",
        delay_dial=2,
        max_duration="300",
        max_participants=10_000,
        record="true",
        record_file_format="wav",
        record_min_member_count=2,
        recording_callback_url="https://a.example/r",
        status_callback_url="https://a.example/s",
        status_callback_method="post",
        status_callback_events="MPC-State-Changes, participant-speak-events",
        stay_alone=True,
        coach_mode="false",
        mute=1,
        hold="False",
        start_mpc_on_enter="false",
        end_mpc_on_exit="true",
        enter_sound="None",
        exit_sound="beep:1",
        on_exit_action_url="https://a.example/x#rc=2",
        send_digits="1w2W#",
        wait_music_url="https://a.example/w",
        transcript=False,
        something_unknown={"deep": [1]},
    )
    assert command.participant == ParticipantParameters(
        role=Role.SUPERVISOR,
        coach_mode=False,
        mute=True,
        start_mpc_on_enter=False,
        end_mpc_on_exit=True,
        enter_sound="none",
        exit_sound="beep:1",
        on_exit_action=Callback("https://a.example/x#rc=2", "POST"),
    )
    assert command.parameters == MpcParameters(
        max_duration=300,
        max_participants=10_000,
        record=True,
        record_file_format="wav",
        record_min_member_count=2,
        recording_callback=Callback("https://a.example/r", "GET"),
        status_callback=Callback("https://a.example/s", "POST"),
        status_callback_events=frozenset({"mpc-state-changes", "participant-speak-events"}),
        stay_alone=True,
        wait_music=Callback("https://a.example/w", "GET"),
        transcript=False,
    )
    assert command.dial == DialParameters(
        from_="+15551111111",
        to=("+15552222222",),
        caller_name="Desk",
        ring_timeouts=(30,),
        delays=(2,),
        sip_headers=(("a", "1"), ("b", "2")),
        call_status_callback=Callback("https://a.example/c", "POST"),
        send_digits="1w2W#",
    )


@pytest.mark.parametrize(
    ("to", "ring_timeout", "expected"),
    [
        ("+1<+2<+3", 20, (20, 20, 20)),
        ("+1<+2<+3", "20<30", (20, 30, 30)),
        ("+1<+2", "20<30", (20, 30)),
        (["+1", "+2"], [20, 30], (20, 30)),
        ("+1<+2", None, (45, 45)),
    ],
)
async def test_values_per_destination(
    world: World, ask: Browser, to: Any, ring_timeout: Any, expected: tuple[int, ...]
) -> None:
    command = await add(world, ask, to=to, ring_timeout=ring_timeout)
    assert command.dial is not None and command.dial.ring_timeouts == expected


async def test_a_live_call_is_moved_in(world: World, ask: Browser) -> None:
    fields = {"role": "Customer", "call_uuid": "0a-1b", "caller_name": None, "from": "", "to": None}
    assert (await ask("POST", PATH, fields)).status == 201
    command = world.commands[-1]
    assert isinstance(command, AddParticipant)
    assert (command.dial, command.call_uuid, command.participant.role) == (None, "0a-1b", Role.CUSTOMER)


async def test_forms_and_escapes_work_as_well(world: World, ask: Browser) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = b"role=agent&from=15551111111&to=%2B1%3C%2B2&record=false"
    assert (await ask("POST", PATH, body=body, headers=form)).status == 201
    escaped = b'{"role":"agent","from":"1","to":"+1\\u003c+2"}'
    assert (await ask("POST", PATH, body=escaped, headers=form)).status == 201
    first, second = world.commands
    assert isinstance(first, AddParticipant) and first.dial and first.dial.to == ("+1", "+2")
    assert first.parameters.record is False
    assert isinstance(second, AddParticipant) and second.dial and second.dial.to == ("+1", "+2")


@pytest.mark.parametrize("role", ["customer", "supervisor"])
async def test_several_destinations_are_for_agents(ask: Browser, role: str) -> None:
    assert "to: several destinations" in await refused(ask, {**DIAL, "role": role, "to": "+1<+2"})


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["role", "to"]),
        ({"role": "agent"}, ["to"]),
        ({"role": "agent", "to": "+1"}, ["from"]),
        ({"role": "agent", "from": "+1"}, ["to"]),
        ({**DIAL, "call_uuid": "x"}, ["call_uuid"]),
        ({**DIAL, "ai_agent_stream_service_url": "wss://x.test"}, ["ai_agent_stream_service_url"]),
        ({**DIAL, "role": "boss"}, ["role"]),
        ({**DIAL, "to": "alice"}, ["to"]),
        ({**DIAL, "to": "sip:a@b\r\nX: y"}, ["to"]),
        ({**DIAL, "to": "<".join(["+1"] * 21)}, ["to"]),
        ({**DIAL, "from": "a\nb"}, ["from"]),
        ({**DIAL, "caller_name": "x" * 51}, ["caller_name"]),
        ({**DIAL, "caller_name": "a\r\nVia: b"}, ["caller_name"]),
        ({**DIAL, "ring_timeout": "1<2"}, ["ring_timeout"]),
        ({**DIAL, "ring_timeout": 0}, ["ring_timeout"]),
        ({**DIAL, "delay_dial": "x"}, ["delay_dial"]),
        ({**DIAL, "confirm_key": "12"}, ["confirm_key"]),
        ({**DIAL, "dial_music": "jazz"}, ["dial_music"]),
        ({**DIAL, "send_digits": "1;2"}, ["send_digits"]),
        ({**DIAL, "sip_headers": "a=b\r\n"}, ["sip_headers"]),
        ({**DIAL, "max_duration": 299}, ["max_duration"]),
        ({**DIAL, "max_duration": 28801}, ["max_duration"]),
        ({**DIAL, "max_participants": 1}, ["max_participants"]),
        ({**DIAL, "record_min_member_count": 3}, ["record_min_member_count"]),
        ({**DIAL, "record_file_format": "ogg"}, ["record_file_format"]),
        ({**DIAL, "record": "maybe"}, ["record"]),
        ({**DIAL, "mute": [True, False]}, ["mute"]),
        ({**DIAL, "status_callback_events": "all"}, ["status_callback_events"]),
        ({**DIAL, "status_callback_method": "PUT"}, ["status_callback_method"]),
        ({**DIAL, "status_callback_url": "ftp://x"}, ["status_callback_url"]),
        ({**DIAL, "max_duration": 1, "mute": "x", "enter_sound": "gong"}, ["max_duration", "mute", "enter_sound"]),
    ],
)
async def test_every_violation_is_named(world: World, ask: Browser, fields: dict[str, Any], names: list[str]) -> None:
    error = await refused(ask, fields)
    assert sorted(part.partition(":")[0] for part in error.split("; ") if ":" in part) == sorted(names)
    assert world.commands == []


async def test_an_ai_agent_is_a_role_without_a_stream(world: World, ask: Browser) -> None:
    assert (await add(world, ask, role="AI-Agent")).participant.role is Role.AI_AGENT
    stream = {**DIAL, "role": "ai-agent", "ai_agent_stream_service_url": "wss://x.test"}
    assert "no audio is streamed" in await refused(ask, stream)


@pytest.mark.parametrize("declared", [*parameters.PARTICIPANT_PARAMETERS, *parameters.MPC_PARAMETERS])
async def test_every_declared_parameter_is_read(world: World, ask: Browser, declared: Any) -> None:
    """A control character is right for none of them, so each must be complained about by its own name."""
    error = await refused(ask, {**DIAL, declared.name: "\x01"})
    assert f"{declared.name}: " in error


async def test_the_vendors_fields(world: World, ask: Browser) -> None:
    mpc = world.mpc_row("room")
    member = world.member_row(mpc, "c-1", "supervisor", coach_mode=True)
    found = (await ask("GET", f"MultiPartyCall/name_room/Participant/{member.id}/")).json
    assert {key: value for key, value in found.items() if key != "api_id"} == {
        "member_id": "1001",
        "mpc_uuid": mpc.id,
        "call_uuid": "c-1",
        "role": "supervisor",
        "member_address": "+15552222222",
        "coach_mode": True,
        "mute": False,
        "hold": False,
        "start_mpc_on_enter": True,
        "end_mpc_on_exit": False,
        "join_time": "2026-01-01 00:00:00+00:00",
        "exit_time": None,
        "exit_cause": None,
        "duration": None,
        "billed_duration": None,
        "billed_amount": None,
        "resource_uri": f"/v1/Account/{MAIN}/MultiPartyCall/name_room/Participant/1001/",
    }


async def test_one_who_left(world: World, ask: Browser) -> None:
    mpc = world.mpc_row("room")
    world.member_row(mpc, coach_mode=True)
    world.clock.advance(61)
    await ask("DELETE", "MultiPartyCall/name_room/Participant/1001/")
    found = (await ask("GET", f"MultiPartyCall/uuid_{mpc.id}/Participant/1001/")).json
    assert (found["mute"], found["hold"], found["coach_mode"]) == (None, None, None)
    assert (found["duration"], found["billed_duration"], found["billed_amount"]) == (61, 120, "0.00000")
    assert found["exit_cause"] == "Kicked Out of Multiparty Call"


async def test_list(world: World, ask: Browser) -> None:
    mpc = world.mpc_row("room")
    for call in ("c-1", "c-2", "c-1"):
        world.member_row(mpc, call)
    found = (await ask("GET", PATH)).json
    assert [item["member_id"] for item in found["objects"]] == ["1003", "1002", "1001"]
    assert found["meta"]["count"] == found["meta"]["total_count"] == 3
    assert found["objects"][0]["coach_mode"] is False
    filtered = (await ask("GET", f"{PATH}?call_uuid=c-1&limit=1")).json
    assert [item["member_id"] for item in filtered["objects"]] == ["1003"]
    assert filtered["meta"]["next"] == f"/v1/Account/{MAIN}/{PATH}?call_uuid=c-1&limit=1&offset=1"


@pytest.mark.parametrize("path", ["name_gone/Participant/", "name_room/Participant/9/", "name_room/Participant/x/"])
async def test_what_is_not_there(world: World, ask: Browser, path: str) -> None:
    world.mpc_row("room")
    assert (await ask("GET", f"MultiPartyCall/{path}")).status == 404


async def test_update(world: World, ask: Browser) -> None:
    world.member_row(world.mpc_row("room"))
    reply = await ask(
        "POST", f"{PATH}1001/", {"mute": "true", "coach_mode": False, "agc": True, "disable_state_change_sound": True}
    )
    assert reply.status == 202
    assert {key: value for key, value in reply.json.items() if key != "api_id"} == {
        "mute": "MPC: room mute/unmute member(s) succeeded",
        "coach_mode": "MPC: room coach_mode enable/disable succeeded",
        "agc": "MPC: room agc enable/disable succeeded",
    }
    assert world.commands == [
        UpdateParticipants(
            by=Requester(MAIN),
            mpc=MpcRef(name="room"),
            members=("1001",),
            mute=True,
            coach_mode=False,
            agc=True,
            sound=False,
        )
    ]


@pytest.mark.parametrize(
    ("member", "fields", "says"),
    [
        ("all", {"coach_mode": True}, "cannot be given for all"),
        ("1001", {}, "at least one of"),
        ("1001", {"mute": None}, "at least one of"),
        ("1001", {"mute": "loud"}, "mute: must be true or false"),
    ],
)
async def test_updates_that_are_refused(
    world: World, ask: Browser, member: str, fields: dict[str, Any], says: str
) -> None:
    world.member_row(world.mpc_row("room"))
    reply = await ask("POST", f"{PATH}{member}/", fields)
    assert reply.status == 400 and says in reply.error


async def test_kick(world: World, ask: Browser) -> None:
    mpc = world.mpc_row("room")
    for _ in range(3):
        world.member_row(mpc)
    assert (await ask("DELETE", f"{PATH}1001%2C1002/", {"participant_id": "1001,1002"})).status == 204
    assert (await ask("DELETE", f"{PATH}all/")).status == 204
    assert [command.members for command in world.commands if isinstance(command, KickParticipants)] == [
        ("1001", "1002"),
        (),
    ]
    assert (await ask("DELETE", f"{PATH}77/")).status == 404
