from __future__ import annotations

import asyncio

import msgspec
import pytest

from calls.kit import BY, REF, events_of
from calls.world import MemoryStore, World
from mixminus.calls.commands import (
    Added,
    AddParticipant,
    Callback,
    DeleteRecording,
    EndMpc,
    MpcParameters,
    MpcRef,
    ParticipantParameters,
    PauseRecording,
    RecordingStarted,
    RecordingWishes,
    Requester,
    StartRecording,
)
from mixminus.calls.events import Transcribed
from mixminus.calls.inputs import Gone
from mixminus.calls.model import HangupCause, Role
from mixminus.errors import Conflict, DiskFull, NotFound, StorageError
from mixminus.media import protocol as media
from mixminus.recording.finish import NoAudio
from mixminus.store.rows import CallRow, ReceiptRow, RecordingRow

RECORD = StartRecording(by=BY, mpc=REF, callback=Callback("http://app.test/rec"))
IN_ROOM = '<MultiPartyCall role="agent" stayAlone="true">room</MultiPartyCall>'


def recording_events(world: World) -> list[str]:
    return [event.name for event in events_of(tuple(world.store.outbox))]


async def record(world: World) -> RecordingStarted:
    result = await world.service.apply(RECORD)
    assert isinstance(result, RecordingStarted)
    return result


async def test_an_added_participant_is_dialled_and_admitted() -> None:
    world = World()
    uuid = await world.add()
    assert world.lines.placed == [uuid]
    (move,) = world.media.of(media.MoveLeg)
    assert (move.leg, move.room) == (uuid, world.mpcs()[0].id)
    assert world.mpcs()[0].status == "Active"


async def test_inbound_and_dialled_callers_meet_in_the_call_of_that_name() -> None:
    world = World()
    await world.add()
    world.call("in", IN_ROOM)
    await world.service.settle()
    assert len({move.room for move in world.media.of(media.MoveLeg)}) == 1
    assert len(world.mpcs()) == 1


async def test_a_caller_who_comes_as_the_last_one_leaves_gets_a_new_call_of_that_name() -> None:
    world = World()
    first = await world.add()
    world.call("in", IN_ROOM)
    world.service.post_leg(first, Gone())
    await world.service.settle()
    statuses = sorted(row.status for row in world.mpcs())
    assert statuses in (["Active", "Ended"], ["Active"])
    assert world.service.legs["in"].state is not None
    assert world.service.legs["in"].state.phase == "in_mpc"


async def test_the_end_hangs_up_and_frees_the_name() -> None:
    world = World()
    uuid = await world.add()
    await world.service.apply(EndMpc(by=BY, mpc=REF))
    await world.service.settle()
    assert world.lines.hung_up == {uuid: HangupCause.MPC_ENDED}
    assert (world.service.mpcs, world.service.legs, world.service.names) == ({}, {}, {})
    with pytest.raises(NotFound):
        await world.service.apply(EndMpc(by=BY, mpc=REF))


async def test_nobody_sees_another_accounts_call() -> None:
    world = World()
    await world.add()
    uuid = world.mpcs()[0].id
    other = Requester("MA" + "B" * 18)
    sub = Requester(BY.account, "SA" + "C" * 18)
    for by in (other, sub):
        for ref in (REF, MpcRef(uuid=uuid), MpcRef(either=uuid)):
            with pytest.raises(NotFound):
                await world.service.apply(EndMpc(by=by, mpc=ref))


async def test_recording_from_start_to_announced_file() -> None:
    world = World()
    await world.add()
    started = await record(world)
    (tap,) = world.media.of(media.StartTap)
    assert (tap.tap, tap.spool) == (started.recording_id, f"/spool/{started.recording_id}")
    await world.service.apply(PauseRecording(by=BY, mpc=REF))
    assert len(world.media.of(media.PauseTap)) == 1
    await world.service.apply(EndMpc(by=BY, mpc=REF))
    await world.service.settle()
    assert recording_events(world) == ["Initiated", "Paused", "Completed"]
    assert world.recorder.discarded == [started.recording_id]
    assert world.recorder.rendered == [f"{started.recording_id}.mp3"]


@pytest.mark.parametrize("trouble", ["", "no model"])
async def test_a_transcript_is_told_after_the_file_and_so_is_its_failure(
    trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    await world.add()
    wishes = RecordingWishes(transcript=True, transcription_url="http://app.test/text")
    await world.service.apply(msgspec.structs.replace(RECORD, wishes=wishes))

    async def transcribe(row: RecordingRow) -> str:
        assert row.file and world.recorder.discarded == []
        if trouble:
            raise StorageError(trouble)
        return "hello"

    monkeypatch.setattr(world.recorder, "transcribe", transcribe)
    await world.service.apply(EndMpc(by=BY, mpc=REF))
    await world.service.settle()
    (owed,) = [row for row in world.store.outbox if row.url == "http://app.test/text"]
    told = msgspec.json.decode(owed.event, type=Transcribed)
    assert (told.text, told.error, told.seconds) == ("" if trouble else "hello", trouble, 1)
    assert len(world.recorder.discarded) == 1


async def test_a_file_that_cannot_be_made_is_said_once() -> None:
    world = World()
    world.recorder.trouble = "the disk is full"
    await world.add()
    await record(world)
    await world.service.apply(EndMpc(by=BY, mpc=REF))
    await world.service.settle()
    assert recording_events(world) == ["Initiated", "Failed"]
    assert world.store.all(RecordingRow)[0].failure == "the disk is full"
    assert world.recorder.discarded == []


@pytest.mark.parametrize(
    ("trouble", "failure"),
    [
        (None, "disk full"),
        (NoAudio("no audio was recorded"), "disk full"),
        (StorageError("x.mp3 cannot be decoded"), "disk full; x.mp3 cannot be decoded"),
    ],
)
async def test_a_broken_spool_ends_the_recording_and_not_the_call(trouble: StorageError | None, failure: str) -> None:
    world = World()
    world.recorder.error = trouble
    await world.add()
    started = await record(world)
    world.service.tap_failed(media.TapFailed(started.recording_id, "disk full", 80, 0))
    await world.service.settle()
    assert recording_events(world) == ["Initiated", "Failed" if trouble else "Completed"]
    assert world.media.of(media.StopTap) == [media.StopTap(started.recording_id)]
    (row,) = world.store.all(RecordingRow)
    assert row.failure == failure, "what was recorded is delivered, and why it is so little is said"
    assert world.mpcs()[0].status == "Active"


async def test_a_file_that_finds_no_room_is_made_when_there_is_some() -> None:
    world = World()
    world.recorder.error = DiskFull("disk full while writing x.mp3: free some space")
    await world.add()
    await record(world)
    await world.service.apply(EndMpc(by=BY, mpc=REF))
    await world.service.settle()
    for seconds in (1, 3, 10, 30, 60, 60):
        assert recording_events(world) == ["Initiated"]
        assert [row.state for row in world.store.all(RecordingRow)] == ["finishing"]
        assert [waiting for waiting, _ in world.timers.waiting] == [seconds]
        world.timers.fire(seconds)
        await world.service.settle()
    world.recorder.error = None
    world.timers.fire(60)
    await world.service.settle()
    assert recording_events(world) == ["Initiated", "Completed"]
    assert world.store.all(RecordingRow)[0].failure == ""


async def test_a_command_that_cannot_be_written_changes_nothing() -> None:
    world = World()
    await world.add()
    world.store.full = True
    with pytest.raises(StorageError):
        await world.service.apply(RECORD)
    assert world.media.of(media.StartTap) == []
    world.store.full = False
    await record(world)


async def test_a_fact_that_cannot_be_written_is_owed_and_written_later() -> None:
    world = World()
    uuid = await world.add()
    world.store.full = True
    world.service.post_leg(uuid, Gone())
    await world.service.settle()
    assert world.service.legs == {}
    assert world.lines.closed == [uuid]
    assert world.service.books.owed > 0
    world.store.full = False
    world.timers.fire(1.0)
    await world.service.settle()
    assert world.service.books.owed == 0
    assert world.mpcs()[0].status == "Ended"


async def test_a_deleted_recording_is_gone_and_a_running_one_is_kept() -> None:
    world = World()
    await world.add()
    started = await record(world)
    delete = DeleteRecording(by=BY, recording_id=started.recording_id)
    with pytest.raises(Conflict, match="stop it"):
        await world.service.apply(delete)
    await world.service.apply(EndMpc(by=BY, mpc=REF))
    await world.service.settle()
    world.recorder.held_because = "it is under legal hold"
    with pytest.raises(Conflict, match="cannot be deleted: it is under legal hold"):
        await world.service.apply(delete)
    world.recorder.held_because = ""
    await world.service.apply(delete)
    (left,) = world.recorder.deleted
    assert (left.id, left.reason, left.by, left.sha256) == (started.recording_id, "request", BY.account, "00")
    assert world.store.all(ReceiptRow) == [left]
    with pytest.raises(NotFound):
        await world.service.apply(delete)


async def test_an_unreachable_answer_url_ends_the_call_with_its_cause() -> None:
    world = World()
    world.call("in", IN_ROOM)
    world.documents.bodies.clear()
    await world.service.settle()
    (row,) = world.store.all(CallRow)
    assert (row.hangup_cause_code, row.hangup_source) == (7011, "Error")


async def test_after_a_crash_everything_that_was_live_is_ended_and_told_in_order() -> None:
    store = MemoryStore()
    before = World(store)
    await before.add(status_callback=Callback("http://app.test/status"))
    await before.add("201")
    started = await record(before)
    store.outbox.clear()
    after = World(store)
    await after.service.recover()
    await after.service.settle()
    names = recording_events(after)
    assert names == ["ParticipantExit", "ParticipantExit", "MPCEnd", "Completed"]
    assert {row.status for row in store.all(CallRow)} == {"completed"}
    row = await store.recording(started.recording_id)
    assert row is not None
    assert row.state == "ready"
    again = len(store.outbox)
    await World(store).service.recover()
    assert len(store.outbox) == again


async def test_draining_takes_nobody_in_and_ends_what_is_left() -> None:
    world = World()
    await world.add()
    await record(world)
    draining = asyncio.create_task(world.service.drain(30.0))
    await asyncio.sleep(0)
    with pytest.raises(Conflict, match="shutting down"):
        await world.add("202")
    world.timers.fire(30.0)
    await draining
    assert recording_events(world) == ["Initiated", "Completed"]
    assert world.mpcs()[0].status == "Ended"


async def test_a_sub_account_cannot_move_the_calls_of_others() -> None:
    world = World()
    uuid = await world.add()
    stranger = Requester(BY.account, "SA" + "B" * 18)
    move = AddParticipant(
        by=stranger,
        mpc=MpcRef(name="elsewhere"),
        participant=ParticipantParameters(role=Role.AGENT),
        parameters=MpcParameters(),
        call_uuid=uuid,
    )
    with pytest.raises(NotFound, match="no live call"):
        await world.service.apply(move)
    assert isinstance(await world.service.apply(msgspec.structs.replace(move, by=BY)), Added)
