"""The official Python package, unchanged, against the real web server on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import plivo
import plivo.exceptions
import plivo.rest.client
import pytest
import pytest_asyncio
import uvicorn

from api.world import MAIN, SUB, TOKENS, World
from mixminus.calls.commands import (
    ActivateMpc,
    AddParticipant,
    Callback,
    MpcRef,
    PauseParticipantRecording,
    Requester,
    ResumeParticipantRecording,
    StopParticipantRecording,
    UpdateParticipants,
)
from mixminus.calls.model import Role

Sdk = Callable[..., Any]


@pytest_asyncio.fixture
async def base(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Serves the world; the package's own globals point at it."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(world.app(), log_config=None, http="httptools", lifespan="off")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    root = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for name in ("API_VOICE_BASE_URI", "API_VOICE_BASE_URI_FALLBACK_1", "API_VOICE_BASE_URI_FALLBACK_2"):
        monkeypatch.setattr(plivo.rest.client, name, f"{root}/v1/Account")
    monkeypatch.setattr(plivo.rest.client, "PLIVO_API_BASE_URI", f"{root}/v1/Account")
    yield root
    await server.shutdown(sockets=[listener])


def _client(auth_id: str = MAIN, token: str = "") -> Any:
    return plivo.RestClient(auth_id, token or TOKENS[auth_id])


@pytest_asyncio.fixture
async def client(base: str) -> AsyncIterator[Any]:
    with _client() as client:
        yield client


async def sdk(call: Sdk, *args: Any, **fields: Any) -> Any:
    """The package blocks; so it runs in a thread."""
    return await asyncio.to_thread(lambda: call(*args, **fields))


async def test_a_call_from_its_first_participant_to_its_end(world: World, client: Any) -> None:
    calls = client.multi_party_calls
    added = await sdk(
        calls.add_participant,
        role="Agent",
        friendly_name="Sales / 1 é",
        from_="+15551111111",
        to_="+15552222222<sip:bob@10.0.0.1:5080",
        start_mpc_on_enter=False,
        status_callback_url="https://app.example.com/status#rc=2",
        ring_timeout="10<20",
    )
    assert added.message == "add participant action initiated"
    assert [call["to"] for call in added.calls] == ["+15552222222", "sip:bob@10.0.0.1:5080"]
    assert added.request_uuid == added.calls[0]["call_uuid"]
    command = world.commands[0]
    assert isinstance(command, AddParticipant) and command.dial is not None
    assert command.mpc == MpcRef(name="Sales / 1 é")
    assert command.dial.ring_timeouts == (10, 20) and command.dial.delays == (0, 0)
    assert command.parameters.status_callback == Callback("https://app.example.com/status#rc=2", "GET")

    mpc = await sdk(calls.get, friendly_name="Sales / 1 é")
    assert (mpc.status, mpc.friendly_name) == ("Initialized", "Sales / 1 é")
    await sdk(calls.start, uuid=mpc.mpc_uuid)
    assert isinstance(world.commands[-1], ActivateMpc)
    assert (await sdk(calls.get, uuid=mpc.mpc_uuid)).status == "Active"

    [listed] = (await sdk(calls.list, status="Active", friendly_name="Sales / 1 é")).objects
    assert listed.mpc_uuid == mpc.mpc_uuid
    await sdk(calls.stop, uuid=mpc.mpc_uuid)
    ended = await sdk(calls.get, uuid=mpc.mpc_uuid)
    assert (ended.status, ended.termination_cause, ended.billed_amount) == ("Ended", "Hangup API Triggered", "0.00000")
    with pytest.raises(plivo.exceptions.ResourceNotFoundError):
        await sdk(calls.get, friendly_name="Sales / 1 é")
    with pytest.raises(plivo.exceptions.ResourceNotFoundError, match="no live multiparty call"):
        await sdk(calls.start, uuid=mpc.mpc_uuid)


async def test_participants(world: World, client: Any) -> None:
    calls, mpc = client.multi_party_calls, world.mpc_row("room")
    await sdk(calls.add_participant, "supervisor", uuid=mpc.id, call_uuid="9a6b4d7e-1111-2222-3333-444455556666")
    command = world.commands[0]
    assert isinstance(command, AddParticipant)
    assert command.participant.role is Role.SUPERVISOR and command.dial is None
    assert command.call_uuid == "9a6b4d7e-1111-2222-3333-444455556666"

    [participant] = (await sdk(calls.list_participants, uuid=mpc.id)).objects
    assert participant.role == "supervisor" and isinstance(participant.member_id, str)
    changed = await sdk(calls.update_participant, participant.member_id, uuid=mpc.id, coach_mode=False, mute=True)
    assert changed.mute == "MPC: room mute/unmute member(s) succeeded"
    assert changed.coach_mode == "MPC: room coach_mode enable/disable succeeded"
    assert not hasattr(changed, "hold")
    await sdk(calls.update_participant, "all", friendly_name="room", hold=True)
    assert isinstance(world.commands[-1], UpdateParticipants) and world.commands[-1].members == ()
    fetched = await sdk(calls.get_participant, participant.member_id, uuid=mpc.id)
    assert (fetched.mute, fetched.hold, fetched.exit_cause) == (True, True, None)
    await sdk(calls.kick_participant, participant.member_id, uuid=mpc.id)
    fetched = await sdk(calls.get_participant, participant.member_id, uuid=mpc.id)
    assert (fetched.mute, fetched.exit_cause) == (None, "Kicked Out of Multiparty Call")


async def test_recording(world: World, client: Any, base: str) -> None:
    calls, mpc = client.multi_party_calls, world.mpc_row("room")
    begun = await sdk(calls.start_recording, friendly_name="room", file_format="wav")
    assert begun.message == "MPC: room record started"
    assert begun.recording_url.endswith(f"/v1/Account/{MAIN}/Recording/{begun.recording_id}.wav")
    await sdk(calls.pause_recording, uuid=mpc.id)
    assert (await sdk(calls.get, uuid=mpc.id)).recording == "paused"
    await sdk(calls.pause_recording, uuid=mpc.id)
    await sdk(calls.resume_recording, uuid=mpc.id)
    assert (await sdk(calls.get, uuid=mpc.id)).recording == "recording"
    await sdk(calls.stop_recording, uuid=mpc.id)
    with pytest.raises(plivo.exceptions.ResourceNotFoundError, match="no recording is running"):
        await sdk(calls.stop_recording, uuid=mpc.id)
    [recording] = (await sdk(client.recordings.list, mpc_uuid=mpc.id)).objects
    assert recording.recording_id == begun.recording_id
    assert (await sdk(client.recordings.get, begun.recording_id)).mpc_name == "room"
    await sdk(client.recordings.delete, begun.recording_id)
    assert (await sdk(client.recordings.list, mpc_uuid=mpc.id)).objects == []


async def test_participant_recording(world: World, client: Any) -> None:
    world.mpc_row("room")
    calls = client.multi_party_calls
    started = await sdk(calls.start_participant_recording, "1001", friendly_name="room", file_format="wav")
    assert started.message == "MPC: room participant record started"
    assert started.recording_url.endswith(f"/Recording/{started.recording_id}.wav")
    for change in (calls.pause_participant_recording, calls.resume_participant_recording):
        await sdk(change, "1001", friendly_name="room")
    await sdk(calls.stop_participant_recording, "1001", friendly_name="room", record_track_type="participant")
    by, mpc = Requester(MAIN), MpcRef(name="room")
    assert world.commands[1:] == [
        PauseParticipantRecording(by=by, mpc=mpc, member="1001"),
        ResumeParticipantRecording(by=by, mpc=mpc, member="1001"),
        StopParticipantRecording(by=by, mpc=mpc, member="1001", track_type="participant"),
    ]


async def test_applications_and_endpoints(client: Any) -> None:
    created = await sdk(client.applications.create, "ivr", answer_url="https://app.example.com/a")
    app_id = created.app_id
    assert created.message == "created" and len(app_id) == 17
    application = await sdk(client.applications.get, app_id)
    assert application.hangup_url == "https://app.example.com/a"
    changed = await sdk(client.applications.update, app_id, answer_url="https://app.example.com/b")
    assert changed.message == "changed"
    [listed] = (await sdk(client.applications.list)).objects
    assert listed.answer_url == "https://app.example.com/b"

    endpoint = await sdk(client.endpoints.create, "alice", "secret", "Alice", app_id=app_id)
    assert endpoint.username.startswith("alice") and len(endpoint.username) == 17
    fetched = await sdk(client.endpoints.get, endpoint.endpoint_id)
    assert fetched.application == f"/v1/Account/{MAIN}/Application/{app_id}/"
    await sdk(client.endpoints.update, endpoint.endpoint_id, alias="Al")
    assert (await sdk(client.endpoints.list)).objects[0].alias == "Al"
    await sdk(client.endpoints.delete, endpoint.endpoint_id)
    await sdk(client.applications.delete, app_id)
    with pytest.raises(plivo.exceptions.ResourceNotFoundError):
        await sdk(client.applications.get, app_id)


async def test_numbers(client: Any) -> None:
    [number] = (await sdk(client.numbers.list)).objects
    assert number.number == "15557654321"
    assert (await sdk(client.numbers.get, "15557654321")).voice_enabled is True


async def test_errors_become_the_packages_exceptions(base: str, client: Any) -> None:
    with pytest.raises(plivo.exceptions.ValidationError, match="max_participants: must be a whole number from 2"):
        body = {"role": "agent", "from": "1", "to": "2", "max_participants": 1}
        path = ("MultiPartyCall", "name_x", "Participant")
        await sdk(client.request, "POST", path, body, is_voice_request=True)
    with _client(MAIN, "wrong") as stranger, pytest.raises(plivo.exceptions.AuthenticationError, match="wrong auth id"):
        await sdk(stranger.multi_party_calls.get, friendly_name="x")
    with pytest.raises(plivo.exceptions.ResourceNotFoundError, match="not implemented yet"):
        await sdk(client.request, "POST", ("Call", "x", "Stream"), {"service_url": "wss://x"}, is_voice_request=True)


async def test_a_sub_account_sees_its_own(world: World, base: str, client: Any) -> None:
    with _client(SUB) as sub:
        added = await sdk(
            sub.multi_party_calls.add_participant, "agent", "mine", from_="+15551111111", to_="+15552222222"
        )
        assert added.calls
        assert [mpc.friendly_name for mpc in (await sdk(sub.multi_party_calls.list)).objects] == ["mine"]
        world.mpc_row("main's")
        assert len((await sdk(sub.multi_party_calls.list)).objects) == 1
        with pytest.raises(plivo.exceptions.ResourceNotFoundError):
            await sdk(sub.multi_party_calls.get, friendly_name="main's")
    assert len((await sdk(client.multi_party_calls.list)).objects) == 2
    [filtered] = (await sdk(client.multi_party_calls.list, sub_account=SUB)).objects
    assert filtered.sub_account == f"/v1/Account/{MAIN}/Subaccount/{SUB}/"


async def test_204_over_the_wire_has_its_type_and_no_length(world: World, base: str) -> None:
    world.mpc_row("room")
    host, _, port = base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    client = _client()
    request = client.create_request("DELETE", ("MultiPartyCall", "name_room"))
    client.session.close()
    lines = [f"DELETE {request.path_url} HTTP/1.1", "Host: x", f"Authorization: {request.headers['Authorization']}"]
    writer.write(
        ("\r\n".join([*lines, "Transfer-Encoding: chunked", "Connection: close"]) + "\r\n\r\n0\r\n\r\n").encode()
    )
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 204") and b"content-type: application/json" in head.lower()
    assert b"content-length" not in head.lower() and b"transfer-encoding" not in head.lower() and body == b""
