"""The envelope: what holds for every request, whatever it is about."""

from __future__ import annotations

import string
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from api.world import MAIN, OTHER_SUB, STRANGER, SUB, TOKENS, Browser, World, basic
from api.world import ask as ask_raw
from mixminus.api.app import OPERATIONS
from mixminus.api.limit import RateLimit
from mixminus.calls.commands import AddParticipant, EndMpc, MpcRef, Requester
from mixminus.errors import MediaError, StorageError

ADD = {"role": "agent", "from": "+15551111111", "to": "+15552222222"}


async def test_every_answer_has_an_api_id_of_its_own(ask: Browser) -> None:
    first, second = await ask("GET", "MultiPartyCall/"), await ask("GET", "MultiPartyCall/")
    assert first.status == 200 and first.headers["content-type"] == "application/json"
    assert UUID(first.json["api_id"]) != UUID(second.json["api_id"])
    assert next(iter(first.json)) == "api_id"


async def test_204_is_json_by_type_and_empty(world: World, ask: Browser) -> None:
    world.mpc_row("room")
    reply = await ask("DELETE", "MultiPartyCall/name_room/")
    assert reply.status == 204 and reply.body == b""
    assert reply.headers["content-type"] == "application/json"
    assert "content-length" not in reply.headers


@pytest.mark.parametrize("path", ["MultiPartyCall", "MultiPartyCall/", "MultiPartyCall/name_room", "Application"])
async def test_a_trailing_slash_makes_no_difference(world: World, ask: Browser, path: str) -> None:
    world.mpc_row("room")
    assert (await ask("GET", path)).status == 200


async def test_head_is_get(world: World, ask: Browser) -> None:
    world.mpc_row("room")
    assert (await ask("HEAD", "MultiPartyCall/name_room/")).status == 200


async def test_a_wrong_verb_on_a_known_path_says_what_it_takes(ask: Browser) -> None:
    reply = await ask("PUT", "MultiPartyCall/name_room/")
    assert reply.status == 405
    assert reply.headers["allow"] == "DELETE, GET, POST"
    assert "DELETE, GET, POST" in reply.error


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "Message/"),
        ("POST", "Call/0815/Stream/"),
        ("DELETE", "Call/0815/Stream/1/"),
        ("GET", ""),
    ],
)
async def test_what_is_not_served_says_so(ask: Browser, method: str, path: str) -> None:
    reply = await ask(method, path)
    assert reply.status == 404
    assert "not implemented yet by mixminus" in reply.error


@pytest.mark.parametrize("path", ["Nonsense/", "/", "/v1/", "/v1/Account", "/v2/Account/x/", "//v1/Account/x/y"])
async def test_unknown_paths_are_404_in_json(ask: Browser, path: str) -> None:
    reply = await ask("GET", path)
    assert reply.status == 404 and reply.error


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!",
        "Bearer x",
        basic(MAIN, "wrong"),
        basic("MA" + "Q" * 18, "x"),
        basic(MAIN, ""),
        "Basic /w==",
    ],
)
async def test_wrong_credentials_are_401_in_json(world: World, header: str) -> None:
    reply = await ask_raw(world.app(), "GET", f"/v1/Account/{MAIN}/MultiPartyCall/", {"authorization": header})
    assert reply.status == 401 and reply.error
    assert reply.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("who", "path_id", "status"),
    [
        (MAIN, MAIN, 200),
        (SUB, SUB, 200),
        (MAIN, SUB, 200),
        (SUB, MAIN, 401),
        (SUB, OTHER_SUB, 401),
        (STRANGER, SUB, 401),
    ],
)
async def test_the_path_names_the_caller_or_its_sub_account(world: World, who: str, path_id: str, status: int) -> None:
    headers = {"authorization": basic(who, TOKENS[who])}
    assert (await ask_raw(world.app(), "GET", f"/v1/Account/{path_id}/MultiPartyCall/", headers)).status == status


async def test_a_sub_account_is_the_requester(world: World) -> None:
    world.mpc_row("room", Requester(MAIN, SUB))
    assert (await Browser(world.app(), SUB)("DELETE", "MultiPartyCall/name_room/")).status == 204
    assert world.commands == [EndMpc(by=Requester(MAIN, SUB), mpc=MpcRef(name="room"))]


async def test_the_main_account_acts_as_the_sub_account_of_the_path(world: World, ask: Browser) -> None:
    await ask("POST", f"/v1/Account/{SUB}/MultiPartyCall/name_room/Participant/", ADD)
    assert world.commands[0].by == Requester(MAIN, SUB)


async def test_the_rate_limit_answers_429_until_the_window_has_moved(world: World) -> None:
    ask = Browser(world.app(RateLimit(2, 5.0)))
    assert [(await ask("GET", "MultiPartyCall/")).status for _ in range(3)] == [200, 200, 429]
    refused = await ask("GET", "MultiPartyCall/")
    assert refused.headers["retry-after"] == "5" and "at most 2 in 5 seconds" in refused.error
    assert (await Browser(ask.application, STRANGER)("GET", "MultiPartyCall/")).status == 200
    world.clock.advance(5.0)
    assert (await ask("GET", "MultiPartyCall/")).status == 200


@pytest.mark.parametrize("error", [StorageError("the disk is full"), MediaError("no media worker")])
async def test_trouble_around_us_is_409_with_its_reason(world: World, ask: Browser, error: Exception) -> None:
    world.refuse = error
    reply = await ask("POST", "MultiPartyCall/name_room/Participant/", ADD)
    assert (reply.status, reply.error) == (409, str(error))


async def test_a_defect_of_ours_is_500_in_json_without_its_details(world: World, ask: Browser) -> None:
    world.refuse = ZeroDivisionError("secret detail")
    with capture_logs() as logs:
        reply = await ask("POST", "MultiPartyCall/name_room/Participant/", ADD)
    assert reply.status == 500 and "secret" not in reply.error
    assert [(line["event"], line["api_id"], line["exc_info"]) for line in logs] == [
        ("request failed", reply.json["api_id"], True)
    ]


async def test_asynchronous_requests_are_done_and_their_answer_delivered(world: World, ask: Browser) -> None:
    fields = {**ADD, "callback_url": ["https://app.example.com/done"], "callback_method": "GET"}
    reply = await ask("POST", "MultiPartyCall/name_room/Participant/", fields)
    assert reply.status == 202 and reply.json["message"] == "async api spawned"
    assert isinstance(world.commands[0], AddParticipant)
    [(url, method, body, by)] = world.delivered
    assert (url, method, by) == ("https://app.example.com/done", "GET", Requester(MAIN))
    assert body["message"] == "add participant action initiated" and body["api_id"] == reply.json["api_id"]


async def test_an_asynchronous_failure_is_delivered_too(world: World, ask: Browser) -> None:
    reply = await ask("DELETE", "MultiPartyCall/name_gone/?callback_url=https%3A%2F%2Fapp.example.com%2Fdone")
    assert reply.status == 200 and reply.json["message"] == "async api spawned"
    [(_, method, body, _)] = world.delivered
    assert method == "POST" and "no live multiparty call" in body["error"]


async def test_an_unusable_callback_url_is_refused_before_anything_is_done(world: World, ask: Browser) -> None:
    reply = await ask("DELETE", "MultiPartyCall/name_room/", {"callback_url": "ftp://x"})
    assert reply.status == 400 and "callback_url" in reply.error
    assert world.commands == []


async def test_the_body_of_a_delete_wins_over_its_query(world: World, ask: Browser) -> None:
    await ask(
        "DELETE", "MultiPartyCall/name_x/?callback_url=http://query/", {"callback_url": "http://body/", "uuid": None}
    )
    assert world.delivered[0][0] == "http://body/"


@pytest.mark.parametrize("size", [256 * 1024 + 1, 2_000_000])
async def test_a_body_too_large_is_400(ask: Browser, size: int) -> None:
    assert (await ask("POST", "MultiPartyCall/name_x/Participant/", body=b"x" * size)).status == 400


async def test_a_websocket_is_closed(world: World) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    await world.app()({"type": "websocket", "path": "/v1/x", "headers": [], "query_string": b""}, receive, send)
    assert sent == ["websocket.close"]


# -- whatever comes in -------------------------------------------------------------------------------------------------

_NAMES = sorted({parameter.name for operation in OPERATIONS for parameter in operation.parameters})
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["active", "1<2"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=8), _JSON, max_size=8)
_PATHS = st.sampled_from([operation.template for operation in OPERATIONS])
_SEGMENT = st.text(string.printable, max_size=12) | st.sampled_from(["all", "1,2", "name_", "uuid_", "%00", "%ff", "é"])
_VERBS = st.sampled_from(["GET", "POST", "DELETE", "HEAD", "PUT", "OPTIONS"])
_TYPES = st.sampled_from(
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        "",
    ]
)
_QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _assert_orderly(status: int, headers: dict[str, str], body: bytes) -> None:
    assert status < 500
    assert headers["content-type"] == "application/json"
    if status >= 400:
        assert b'"error":"' in body and b'"api_id":"' in body


@_QUIET
@given(verb=_VERBS, template=_PATHS, segments=st.lists(_SEGMENT, min_size=2, max_size=2), fields=_FIELDS)
async def test_no_json_makes_a_5xx(verb: str, template: str, segments: list[str], fields: dict[str, Any]) -> None:
    path = template.replace("{mpc}", segments[0]).replace("{member}", segments[1]).replace("{format}", "mp3")
    reply = await Browser(World().app())(verb, path.encode(errors="replace").decode(), fields)
    _assert_orderly(reply.status, reply.headers, reply.body)


@_QUIET
@given(verb=_VERBS, template=_PATHS, content_type=_TYPES, body=st.binary(max_size=200), query=st.text(max_size=40))
async def test_no_bytes_make_a_5xx(verb: str, template: str, content_type: str, body: bytes, query: str) -> None:
    target = f"{template}?{query}".encode(errors="replace").decode()
    headers = {"content-type": content_type}
    reply = await Browser(World().app())(verb, target, body=body, headers=headers)
    _assert_orderly(reply.status, reply.headers, reply.body)


@_QUIET
@given(
    name=st.sampled_from(_NAMES),
    value=st.text(max_size=30) | st.integers(),
    template=st.sampled_from(["MultiPartyCall", "Recording", "Application", "Endpoint", "Number"]),
)
async def test_no_filter_makes_a_5xx(name: str, value: Any, template: str) -> None:
    target = f"{template}/?" + urlencode({name: str(value).encode(errors="replace")})
    reply = await Browser(World().app())("GET", target)
    _assert_orderly(reply.status, reply.headers, reply.body)
