"""The operations of tests/interop/README.md with the official Python SDK, its endpoint unmodified."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import plivo
from plivo import plivoxml
from plivo.exceptions import AuthenticationError, ResourceNotFoundError, ValidationError
from plivo.utils import validate_signature, validate_v3_signature

GIVEN = json.loads(os.environ["INTEROP"])
NAME = {"friendly_name": GIVEN["name"]}
client = plivo.RestClient()
calls = client.multi_party_calls


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def operation(name: str, action: Callable[[], object]) -> None:
    """One line: passed if ``action`` raises nothing."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is the result
        say(op=name, ok=False, detail=f"{type(error).__name__}: {error}"[:500])
    else:
        say(op=name, ok=True)


def expect(condition: object, text: object) -> None:
    if not condition:
        raise AssertionError(text)


def until(condition: Callable[[], object]) -> Any:
    deadline = time.monotonic() + 10
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError("nothing after 10 s")
        time.sleep(0.1)
    return found


def refused(kind: type[Exception], action: Callable[[], object]) -> None:
    try:
        action()
    except kind as error:
        expect(str(error), "the error has no text")
    else:
        raise AssertionError(f"no {kind.__name__}")


def add(role: str, to: str, **more: object) -> None:
    added = calls.add_participant(
        role=role,
        from_="14155550100",
        to_=to,
        enter_sound="none",
        exit_sound="none",
        status_callback_url=GIVEN["sink"] + "/status.xml?b=2&a=1",
        status_callback_method="POST",
        **{**NAME, **more},
    )
    expect(added.calls[0]["call_uuid"] == added.request_uuid, added)


def members(count: int) -> Any:
    found = until(lambda: (o := calls.list_participants(**NAME).objects) and len(o) == count and o)
    return {one.role: one for one in found}


def participants() -> None:
    operation("add participant: agent", lambda: add("agent", GIVEN["agent"]))
    operation("add participant: customer", lambda: add("customer", GIVEN["customer"], sip_headers="Ticket=42"))
    operation("add participant: supervisor", lambda: add("supervisor", GIVEN["supervisor"], coach_mode=True))
    present = members(3)
    agent, coach = present["agent"].member_id, present["supervisor"].member_id
    operation("list participants", lambda: expect(len(present) == 3, present))
    operation("get participant", lambda: expect(calls.get_participant(agent, **NAME).role == "agent", agent))
    operation("update: mute", lambda: expect("succeeded" in calls.update_participant(agent, mute=True, **NAME).mute, 0))
    operation("update: unmute all", lambda: calls.update_participant("all", mute=False, **NAME))
    operation("update: hold", lambda: calls.update_participant(agent, hold=True, **NAME))
    operation("update: unhold", lambda: calls.update_participant(agent, hold=False, **NAME))
    operation("update: coach mode", lambda: calls.update_participant(coach, coach_mode=False, **NAME))
    mpc = calls.get(**NAME)
    operation("get by name", lambda: expect(mpc.status == "Active", mpc))
    operation("get by uuid", lambda: expect(calls.get(uuid=mpc.mpc_uuid).friendly_name == GIVEN["name"], mpc))
    operation("list", lambda: expect(len(calls.list(**NAME, status="active", limit=5).objects) == 1, "not one"))
    recordings(agent)
    sounds(agent)
    operation("kick", lambda: calls.kick_participant(coach, **NAME))
    operation("kick: gone", lambda: until(lambda: len(calls.list_participants(**NAME).objects) >= 2))


def recordings(agent: str) -> None:
    started: dict[str, Any] = {}
    callback = {"recording_callback_url": GIVEN["sink"] + "/recording.xml", "recording_callback_method": "GET"}
    operation(
        "start recording", lambda: started.update(mpc=calls.start_recording(file_format="wav", **callback, **NAME))
    )
    operation("pause recording", lambda: calls.pause_recording(**NAME))
    operation("resume recording", lambda: calls.resume_recording(**NAME))
    operation(
        "start participant recording",
        lambda: started.update(one=calls.start_participant_recording(agent, file_format="mp3", **callback, **NAME)),
    )
    operation("pause participant recording", lambda: calls.pause_participant_recording(agent, **NAME))
    operation("resume participant recording", lambda: calls.resume_participant_recording(agent, **NAME))
    operation("stop participant recording", lambda: calls.stop_participant_recording(agent, **NAME))
    operation("stop recording", lambda: calls.stop_recording(**NAME))
    until_there = lambda: until(lambda: client.recordings.list(mpc_name=GIVEN["name"]).objects)  # noqa: E731
    operation("list recordings", until_there)
    identity = started["mpc"].recording_id
    operation("get recording", lambda: until(lambda: found(lambda: client.recordings.get(identity).recording_url)))


def found(get: Callable[[], object]) -> object:
    try:
        return get()
    except ResourceNotFoundError:
        return None


def sounds(agent: str) -> None:
    operation("play", lambda: expect(calls.start_play_audio(agent, url=GIVEN["audio"], **NAME).message, "no message"))
    operation("stop play", lambda: calls.stop_play_audio(agent, **NAME))


def activation() -> None:
    waiting = {"friendly_name": GIVEN["name"] + "-waiting"}
    add("agent", GIVEN["waiting"], start_mpc_on_enter=False, **waiting)
    until(lambda: calls.list_participants(**waiting).objects)
    operation("start", lambda: calls.start(**waiting))
    operation("start: active", lambda: expect(calls.get(**waiting).status == "Active", "not active"))
    operation("stop", lambda: calls.stop(**waiting))


def errors() -> None:
    stranger = plivo.RestClient(os.environ["PLIVO_AUTH_ID"], "wrong")
    path = ("MultiPartyCall", "name_x", "Participant")
    body = {"role": "agent", "from": "1", "to": "2", "max_participants": 1}
    operation(
        "error 400",
        lambda: refused(ValidationError, lambda: client.request("POST", path, body, is_voice_request=True)),
    )
    operation("error 401", lambda: refused(AuthenticationError, lambda: stranger.multi_party_calls.get(**NAME)))
    operation("error 404", lambda: refused(ResourceNotFoundError, lambda: calls.get(friendly_name="nobody")))


def applications() -> None:
    made: dict[str, Any] = {}
    url = "https://app.example.com/answer"
    operation("create application", lambda: made.update(app=client.applications.create("interop", answer_url=url)))
    app_id = made["app"].app_id
    operation("get application", lambda: expect(client.applications.get(app_id).answer_url == url, app_id))
    operation("update application", lambda: client.applications.update(app_id, answer_url=url + "2"))
    operation("list applications", lambda: expect(client.applications.list().objects, "none"))
    operation(
        "create endpoint",
        lambda: made.update(endpoint=client.endpoints.create("interop", "secret1", "Interop", app_id=app_id)),
    )
    endpoint_id = made["endpoint"].endpoint_id
    operation("get endpoint", lambda: expect(client.endpoints.get(endpoint_id).alias == "Interop", endpoint_id))
    operation("update endpoint", lambda: client.endpoints.update(endpoint_id, alias="Changed"))
    operation("list endpoints", lambda: expect(client.endpoints.list().objects, "none"))
    operation("delete endpoint", lambda: client.endpoints.delete(endpoint_id))
    operation("delete application", lambda: client.applications.delete(app_id))


def single_call() -> None:
    made: dict[str, Any] = {}
    answer = GIVEN["sink"] + "/wait.xml"
    operation(
        "create call",
        lambda: made.update(call=client.calls.create("14155550100", GIVEN["single"], answer, answer_method="POST")),
    )
    if not made:
        return
    uuid = until(lambda: client.live_calls.list_ids().calls)[0]
    operation("list live calls", lambda: expect(uuid, "none"))
    operation("get live call", lambda: expect(client.live_calls.get(uuid).call_uuid == uuid, uuid))
    operation("hang up call", lambda: client.calls.delete(uuid))
    operation("get call", lambda: until(lambda: found(lambda: client.calls.get(uuid).call_uuid == uuid)))


def xml() -> None:
    response = plivoxml.ResponseElement()
    element = plivoxml.MultiPartyCallElement(
        GIVEN["name"] + "-xml", role="customer", status_callback_url=GIVEN["sink"] + "/status.xml", enter_sound="none"
    )
    text = response.add(element).to_string()
    say(op="XML of the SDK", ask="xml", xml=text)


def judge(one: dict[str, Any]) -> None:
    token = os.environ["PLIVO_AUTH_TOKEN"]
    right = validate_v3_signature(one["method"], one["url"], one["v3Nonce"], token, one["v3"], one["form"])
    expect(right, f"V3 of {one['method']} {one['url']}")
    expect(validate_signature(one["url"], one["v2Nonce"], one["v2"], token), f"V2 of {one['url']}")


def signatures() -> None:
    say(op="signatures of callbacks", ask="callbacks")
    received = json.loads(sys.stdin.readline())

    def judge_all() -> None:
        expect(received, "none came")
        for one in received:
            judge(one)

    operation("signatures of callbacks", judge_all)


say(sdk="Python", package="plivo", version=plivo.version.__version__)
participants()
activation()
operation("end", lambda: calls.stop(**NAME))
errors()
applications()
single_call()
xml()
signatures()
