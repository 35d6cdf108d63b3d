"""The Call resource: what is asked of the calls, and what is answered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api.world import MAIN, PUBLIC_URL, SUB, Browser, World
from mixminus.calls.commands import Callback, Requester
from mixminus.calls.leg.door import CallsCreated, CancelRequest, CreateCalls
from mixminus.calls.leg.inputs import (
    CallRecordingStarted,
    HangUpCall,
    PlayOnCall,
    RecordCall,
    SendDigitsOnCall,
    StopPlayOnCall,
    StopRecordCall,
    TransferCall,
)
from mixminus.calls.sounds.program import PlayItem, SpeakItem
from mixminus.store.rows import CallRow

ANSWER = "https://app.test/answer"
BY = Requester(MAIN)
URL = "https://app.test/x"


def call_row(world: World, name: str, *, talked: int | None = None, **columns: Any) -> CallRow:
    """A live call; with ``talked`` one that ended after so many seconds."""
    now = world.clock.wall
    given: dict[str, Any] = {"status": "in-progress", "answered_at": now, "sub_account": "", **columns}
    if talked is not None:
        given |= {"status": "completed", "ended_at": now + timedelta(seconds=talked), "hangup_cause_code": 4000}
    row = CallRow(
        id=name,
        account=MAIN,
        request_uuid=name,
        direction="outbound",
        from_number="100",
        to_number="200",
        initiated_at=now,
        **given,
    )
    world.save(row)
    return row


async def test_create_reads_every_parameter(world: World, ask: Browser) -> None:
    world.results[CreateCalls] = CallsCreated(("c1",))
    reply = await ask(
        "POST",
        "Call/",
        {
            "from": "100",
            "to": "sip:a@b.test",
            "answer_url": ANSWER,
            "answer_method": "GET",
            "ring_url": URL,
            "fallback_url": URL,
            "caller_name": "Shop",
            "time_limit": 60,
            "hangup_on_ring": 5,
            "ring_timeout": "30",
            "sip_headers": "a=1,",
            "send_digits": "12",
            "machine_detection": "true",
            "machine_detection_time": 5000,
        },
    )
    assert reply.status == 201
    assert reply.json["request_uuid"] == "c1"
    assert reply.json["message"] == "call fired"
    assert world.commands == [
        CreateCalls(
            by=BY,
            from_="100",
            to=("sip:a@b.test",),
            answer=Callback(ANSWER, "GET"),
            caller_name="Shop",
            ring=Callback(URL),
            hangup=Callback(ANSWER),
            fallback=Callback(URL),
            ring_timeout=30,
            time_limit=60,
            hangup_on_ring=5,
            sip_headers=(("a", "1"),),
            send_digits="12",
        )
    ]


async def test_several_destinations_have_several_requests(world: World, ask: Browser) -> None:
    world.results[CreateCalls] = CallsCreated(("c1", "c2"))
    reply = await ask("POST", "Call/", {"from": "100", "to": "1<2", "answer_url": ANSWER})
    assert reply.json["request_uuid"] == ["c1", "c2"]


async def test_create_names_everything_that_is_wrong(ask: Browser) -> None:
    reply = await ask("POST", "Call/", {"to": "bob", "time_limit": 0})
    assert reply.status == 400
    for word in ("from: is required", "to: must be digits", "answer_url: is required", "time_limit: must be"):
        assert word in reply.error


async def test_a_parent_that_must_be_live(world: World, ask: Browser) -> None:
    fields = {"from": "1", "to": "2", "answer_url": ANSWER, "parent_call_uuid": "p", "error_if_parent_not_found": True}
    reply = await ask("POST", "Call/", fields)
    assert reply.error == "parent_call_uuid: must be the uuid of a live call"
    call_row(world, "p")
    world.results[CreateCalls] = CallsCreated(("c1",))
    assert (await ask("POST", "Call/", fields)).status == 201


async def test_ended_calls_are_listed_and_got(world: World, ask: Browser) -> None:
    call_row(world, "old", talked=61, parent_call_uuid="p")
    call_row(world, "live")
    listed = await ask("GET", "Call/?bill_duration__gte=60&end_time__lt=2030-01-01 00:00&hangup_cause_code=4000")
    assert [one["call_uuid"] for one in listed.json["objects"]] == ["old"]
    assert world.last_call_filter.billed.gte == 60
    assert world.last_call_filter.hangup_cause_code == 4000
    got = (await ask("GET", "Call/old/")).json
    assert (got["bill_duration"], got["billed_duration"], got["parent_call_uuid"]) == (61, 120, "p")
    assert got["resource_uri"] == f"/v1/Account/{MAIN}/Call/old/"
    reply = await ask("GET", "Call/live/")
    assert (reply.status, reply.error) == (404, "the call is still live; ask with status=live")


async def test_live_and_queued_calls(world: World, ask: Browser) -> None:
    call_row(world, "talking")
    call_row(world, "waiting", status="queued", answered_at=None)
    call_row(world, "old", talked=1)
    assert set((await ask("GET", "Call/?status=live")).json["calls"]) == {"talking", "waiting"}
    assert (await ask("GET", "Call/?status=queued")).json["calls"] == ["waiting"]
    got = (await ask("GET", "Call/talking/?status=live")).json
    assert (got["from"], got["to"], got["call_status"], got["direction"]) == ("100", "200", "in-progress", "outbound")
    assert (await ask("GET", "Call/talking/?status=queued")).status == 404
    assert (await ask("GET", "Call/old/?status=live")).status == 404


async def test_a_sub_account_sees_its_own_only(world: World) -> None:
    call_row(world, "main")
    call_row(world, "sub", sub_account=SUB)
    ask = Browser(world.app(), SUB)
    assert (await ask("GET", "Call/?status=live")).json["calls"] == ["sub"]
    assert (await ask("GET", "Call/main/?status=live")).status == 404


@pytest.mark.parametrize(
    ("verb", "path", "fields", "message", "command"),
    [
        (
            "POST",
            "Call/c/",
            {"legs": "both", "aleg_url": URL, "bleg_url": URL, "bleg_method": "GET"},
            "call transfered",
            TransferCall(by=BY, call_uuid="c", legs="both", aleg=Callback(URL), bleg=Callback(URL, "GET")),
        ),
        ("DELETE", "Call/c/", None, None, HangUpCall(by=BY, call_uuid="c")),
        ("DELETE", "Request/r/", None, None, CancelRequest(by=BY, request_uuid="r")),
        (
            "POST",
            "Call/c/Play/",
            {"urls": f"{URL},{URL}", "legs": "bleg", "loop": "true", "mix": False, "length": 9},
            "play started",
            PlayOnCall(
                by=BY,
                call_uuid="c",
                kind="play",
                program=(PlayItem(URL), PlayItem(URL)),
                legs="bleg",
                loop=True,
                mix=False,
                length=9,
            ),
        ),
        (
            "POST",
            "Call/c/Play/",
            {"urls": [URL]},
            "play started",
            PlayOnCall(by=BY, call_uuid="c", kind="play", program=(PlayItem(URL),)),
        ),
        ("DELETE", "Call/c/Play/", {}, None, StopPlayOnCall(by=BY, call_uuid="c", kind="play")),
        (
            "POST",
            "Call/c/Speak/",
            {"text": "hi", "length": "MAN", "language": "de-DE"},
            "speak started",
            PlayOnCall(by=BY, call_uuid="c", kind="speak", program=(SpeakItem("hi", "MAN", "de-DE"),)),
        ),
        ("DELETE", "Call/c/Speak/", {}, None, StopPlayOnCall(by=BY, call_uuid="c", kind="speak")),
        (
            "POST",
            "Call/c/DTMF/",
            {"digits": "12w#", "leg": "bleg"},
            "digits sent",
            SendDigitsOnCall(by=BY, call_uuid="c", digits="12w#", legs="bleg"),
        ),
        (
            "DELETE",
            "Call/c/Record/",
            {"URL": f"{PUBLIC_URL}/v1/Account/{MAIN}/Recording/r1.mp3"},
            None,
            StopRecordCall(by=BY, call_uuid="c", recording_id="r1"),
        ),
    ],
)
async def test_commands_to_a_live_call(
    world: World,
    ask: Browser,
    verb: str,
    path: str,
    fields: dict[str, Any] | None,
    message: str | None,
    command: Any,
) -> None:
    world.results[type(command)] = True
    reply = await ask(verb, path, fields)
    assert reply.status == (204 if message is None else 202)
    assert message is None or reply.json["message"] == message
    assert world.commands == [command]


async def test_record_answers_where_the_file_will_be(world: World, ask: Browser) -> None:
    world.results[RecordCall] = CallRecordingStarted("r1", "wav")
    fields = {"file_format": "wav", "time_limit": 9, "callback_url": URL, "callback_method": "GET"}
    reply = await ask("POST", "Call/c/Record/", fields)
    assert (reply.status, reply.json["message"]) == (202, "call recording started")
    assert reply.json["url"] == f"{PUBLIC_URL}/v1/Account/{MAIN}/Recording/r1.wav"
    command = RecordCall(by=BY, call_uuid="c", file_format="wav", time_limit=9, callback=Callback(URL, "GET"))
    assert world.commands == [command]


@pytest.mark.parametrize(
    ("path", "fields", "error"),
    [
        ("Call/c/", {}, "aleg_url: is required"),
        ("Call/c/", {"legs": "bleg"}, "bleg_url: is required"),
        ("Call/c/Play/", {"urls": "ftp://x"}, "urls: must be"),
        ("Call/c/Speak/", {}, "text: is required"),
        ("Call/c/DTMF/", {"digits": "x"}, "digits: must be"),
        ("Call/c/Record/", {"file_format": "ogg"}, "file_format: must be"),
        ("Call/c/Stream/", {"service_url": "wss://x"}, "not implemented"),
    ],
)
async def test_what_is_wrong_is_named(ask: Browser, path: str, fields: dict[str, Any], error: str) -> None:
    reply = await ask("POST", path, fields)
    assert reply.status in (400, 404)
    assert error in reply.error
