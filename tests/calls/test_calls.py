"""Calls through the one door: placing, finding, commanding them; conferences and recordings behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from calls.kit import BY
from calls.world import World
from mixminus.calls.commands import Callback, Requester
from mixminus.calls.conference.commands import EndConference
from mixminus.calls.leg.door import CallsCreated, CancelRequest, CreateCalls, EndConferences
from mixminus.calls.leg.inputs import (
    CallRecordingStarted,
    HangUpCall,
    PlayOnCall,
    RecordCall,
    StopRecordCall,
    TransferCall,
)
from mixminus.calls.sounds.program import PlayItem
from mixminus.errors import Conflict, NotFound, StorageError
from mixminus.media import protocol as media
from mixminus.store.rows import CallRow, RecordingRow

APP = "http://app.test"
SUB = Requester(BY.account, "SA" + "B" * 18)


async def placed(
    world: World, document: str = '<Wait length="60"/>', to: tuple[str, ...] = ("200",)
) -> tuple[str, ...]:
    world.documents.bodies[f"{APP}/answer"] = f"<Response>{document}</Response>".encode()
    created = await world.service.apply(
        CreateCalls(by=BY, from_="100", to=to, answer=Callback(f"{APP}/answer"), hangup=Callback(f"{APP}/hangup"))
    )
    assert isinstance(created, CallsCreated)
    await world.service.settle()
    return created.request_uuids


def row(world: World, call_uuid: str) -> CallRow:
    found = world.store.rows[(CallRow, call_uuid)]
    assert isinstance(found, CallRow)
    return found


async def test_calls_are_placed_and_run_their_document() -> None:
    world = World()
    one, two = await placed(world, to=("200", "201"))
    assert world.lines.placed == [one, two]
    assert row(world, one).status == "in-progress"
    await world.service.apply(HangUpCall(by=BY, call_uuid=one))
    await world.service.settle()
    assert (row(world, one).hangup_cause_code, row(world, one).hangup_source) == (4000, "API Request")
    assert [owed.url for owed in world.store.outbox] == [f"{APP}/hangup"]
    assert two in world.service.legs


async def test_what_is_not_live_or_not_mine_is_not_found() -> None:
    world = World()
    (call,) = await placed(world)
    for command in (
        HangUpCall(by=BY, call_uuid="nobody"),
        HangUpCall(by=SUB, call_uuid=call),
        CancelRequest(by=SUB, request_uuid=call),
        CancelRequest(by=BY, request_uuid="none"),
        EndConference(by=BY, name="none"),
    ):
        with pytest.raises(NotFound):
            await world.service.apply(command)
    await world.service.apply(CancelRequest(by=BY, request_uuid=call))
    await world.service.settle()
    assert not world.service.legs


async def test_a_draining_server_places_no_calls() -> None:
    world = World()
    world.service.draining = True
    with pytest.raises(Conflict, match="shutting down"):
        await placed(world)


async def test_a_document_that_is_refused_is_asked_of_the_fallback() -> None:
    world = World()
    world.documents.bodies |= {
        f"{APP}/a": b"<Response><Message>x</Message></Response>",
        f"{APP}/b": b'<Response><Wait length="5"/></Response>',
    }
    answer = Callback(f"{APP}/a")
    command = CreateCalls(by=BY, from_="1", to=("2",), answer=answer, fallback=Callback(f"{APP}/b"))
    await world.service.apply(command)
    await world.service.settle()
    assert [seconds for seconds, _ in world.timers.waiting if seconds == 5.0]
    created = await world.service.apply(CreateCalls(by=BY, from_="1", to=("2",), answer=answer))
    await world.service.settle()
    assert row(world, created.request_uuids[0]).hangup_cause_code == 8011


async def test_a_transfer_that_cannot_be_written_changes_nothing_visible() -> None:
    world = World()
    (call,) = await placed(world, f"<GetDigits action='{APP}/d'/>")
    world.store.full = True
    with pytest.raises(StorageError):
        await world.service.apply(RecordCall(by=BY, call_uuid=call))
    assert not world.media.of(media.StartTap)
    leg = world.service.legs[call].state
    assert leg is not None and leg.recordings == ()


async def test_a_recording_over_the_api_becomes_a_file_and_is_told() -> None:
    world = World()
    (call,) = await placed(world)
    started = await world.service.apply(RecordCall(by=BY, call_uuid=call, callback=Callback(f"{APP}/file")))
    assert isinstance(started, CallRecordingStarted)
    (tap,) = world.media.of(media.StartTap)
    assert (tap.leg, tap.heard, tap.tap) == (call, True, started.recording_id)
    await world.service.apply(StopRecordCall(by=BY, call_uuid=call))
    await world.service.settle()
    made = world.store.rows[(RecordingRow, started.recording_id)]
    assert isinstance(made, RecordingRow)
    assert (made.state, made.recording_type, made.call_uuid) == ("ready", "call", call)
    assert [owed.url for owed in world.store.outbox] == [f"{APP}/file"]


async def test_a_spool_that_breaks_ends_the_recording_and_spares_the_call() -> None:
    world = World()
    (call,) = await placed(world)
    started = await world.service.apply(RecordCall(by=BY, call_uuid=call))
    world.service.tap_failed(media.TapFailed(started.recording_id, "disk full", 80, 0))
    await world.service.settle()
    made = world.store.rows[(RecordingRow, started.recording_id)]
    assert isinstance(made, RecordingRow)
    assert (made.state, made.failure) == ("ready", "disk full")
    assert call in world.service.legs


async def test_what_is_played_goes_to_the_calls_own_room() -> None:
    world = World()
    (call,) = await placed(world)
    program = (PlayItem(f"{APP}/a.mp3"),)
    await world.service.apply(PlayOnCall(by=BY, call_uuid=call, kind="play", program=program))
    for _ in range(10):
        await asyncio.sleep(0)
    (play,) = world.media.of(media.Play)
    (seat,) = [move for move in world.media.of(media.MoveLeg) if move.leg == call]
    assert play.room == seat.room == f"call:{call}"
    assert play.talk & seat.hear
    await world.service.players.close()


async def test_a_dialled_leg_meets_its_caller_in_the_callers_room() -> None:
    world = World()
    world.call("a", "<GetDigits numDigits='1'/><Dial><Number>200</Number></Dial>")
    await world.service.settle()
    world.service.key_pressed("a", "1")
    await world.service.settle()
    (callee,) = world.lines.placed
    moves: dict[str, Any] = {move.leg: move for move in world.media.of(media.MoveLeg)}
    assert moves["a"].room == moves[callee].room == "call:a"
    assert moves["a"].hear & moves[callee].talk and moves[callee].hear & moves["a"].talk
    assert row(world, callee).parent_call_uuid == "a"
    world.documents.bodies[f"{APP}/x"] = world.documents.bodies[f"{APP}/y"] = b'<Response><Wait length="9"/></Response>'
    await world.service.apply(
        TransferCall(by=BY, call_uuid="a", legs="both", aleg=Callback(f"{APP}/x"), bleg=Callback(f"{APP}/y"))
    )
    await world.service.settle()
    last: dict[str, Any] = {move.leg: move for move in world.media.of(media.MoveLeg)}
    assert (last["a"].room, last[callee].room) == ("call:a", f"call:{callee}")
    assert set(world.service.legs) == {"a", callee}
    await world.service.players.close()


async def test_conferences_live_and_end_with_their_members() -> None:
    world = World()
    for call in ("a", "b"):
        world.call(call, "<Conference>den</Conference>")
    await world.service.settle()
    (den,) = world.service.conferences.visible(BY)
    assert [member.arrival.call_uuid for member in den.members.values()] == ["a", "b"]
    assert world.service.conferences.visible(SUB) == ()
    assert row(world, "a").conference_uuid == den.uuid
    await world.service.apply(EndConferences(by=BY))
    await world.service.settle()
    assert world.service.conferences.visible(BY) == ()
    assert row(world, "a").hangup_cause_code == 4010
