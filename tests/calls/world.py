"""The service with a world of fakes around it: what was committed, what media and lines were told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from calls.kit import BY
from mixminus.calls.commands import (
    Added,
    AddParticipant,
    Callback,
    DialParameters,
    MpcParameters,
    MpcRef,
    ParticipantParameters,
)
from mixminus.calls.effects import PlaceCall
from mixminus.calls.events import DocumentRequest
from mixminus.calls.inputs import Answered, Gone, LegInput, PickedUp
from mixminus.calls.leg.inputs import EarlyMediaUp
from mixminus.calls.leg.machine import Incoming
from mixminus.calls.model import HangupCause, Role
from mixminus.calls.recording import FinishedFile
from mixminus.calls.service import Service
from mixminus.calls.sounds.program import PlayItem, Program, SpeakItem
from mixminus.calls.sounds.request import DocumentItem
from mixminus.clock import ManualClock
from mixminus.errors import OutboundError, SoundError, StorageError
from mixminus.ids import Mint
from mixminus.media import protocol as media
from mixminus.store.rows import CallRow, MemberRow, MpcRow, OutboxRow, ReceiptRow, RecordingRow, Row
from mixminus.store.transaction import Transaction


class MemoryStore:
    """Rows in a dict. ``full``: every commit fails."""

    def __init__(self) -> None:
        self.rows: dict[tuple[type[Row], str], Row] = {}
        self.outbox: list[OutboxRow] = []
        self.full = False
        self._members = 0

    async def commit(self, transaction: Transaction) -> None:
        await asyncio.sleep(0)
        if self.full:
            raise StorageError("the disk is full")
        self.rows.update({(type(row), row.id): row for row in transaction.save})
        self.outbox += transaction.outbox

    async def next_member_id(self) -> str:
        self._members += 1
        return str(self._members)

    async def recording(self, recording_id: str) -> RecordingRow | None:
        row = self.rows.get((RecordingRow, recording_id))
        return row if isinstance(row, RecordingRow) else None

    async def live_mpcs(self) -> tuple[MpcRow, ...]:
        return tuple(row for row in self.all(MpcRow) if row.status != "Ended")

    async def members_present(self) -> tuple[MemberRow, ...]:
        return tuple(row for row in self.all(MemberRow) if row.left_at is None)

    async def unfinished_recordings(self) -> tuple[RecordingRow, ...]:
        return tuple(row for row in self.all(RecordingRow) if row.state not in ("ready", "failed"))

    async def live_calls(self) -> tuple[CallRow, ...]:
        return tuple(row for row in self.all(CallRow) if row.ended_at is None)

    def all(self, kind: type[Any]) -> list[Any]:
        return [row for row in self.rows.values() if isinstance(row, kind)]


class FakeMedia:
    def __init__(self) -> None:
        self.commands: list[media.Command] = []

    def send(self, command: media.Command) -> Awaitable[object]:
        self.commands.append(command)
        return self._answer()

    async def _answer(self) -> None:
        await asyncio.sleep(0)

    def of(self, kind: type[Any]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]


class FakeLines:
    """Phones that answer at once when ``answers``."""

    def __init__(self) -> None:
        self.tell: Callable[[str, LegInput], None] = lambda call_uuid, event: None
        self.answers = True
        self.placed: list[str] = []
        self.hung_up: dict[str, HangupCause] = {}
        self.closed: list[str] = []

    def ring(self, call_uuid: str) -> None: ...

    def place(self, call_uuid: str, order: PlaceCall, room: str) -> None:
        self.placed.append(call_uuid)
        if self.answers:
            self.tell(call_uuid, Answered())

    async def pick_up(self, call_uuid: str, room: str) -> LegInput:
        return PickedUp()

    async def pre_answer(self, call_uuid: str, room: str) -> EarlyMediaUp | Gone:
        return EarlyMediaUp()

    def refuse(self, call_uuid: str, status: int) -> None: ...

    def hang_up(self, call_uuid: str, cause: HangupCause) -> None:
        self.hung_up[call_uuid] = cause

    async def close(self, call_uuid: str) -> None:
        self.closed.append(call_uuid)

    async def send_digits(self, call_uuid: str, digits: str) -> None: ...


class FakeRecorder:
    """Files that are there at once, or fail with ``trouble`` or ``error``."""

    def __init__(self) -> None:
        self.trouble = ""
        self.error: StorageError | None = None
        self.discarded: list[str] = []
        self.rendered: list[str] = []
        """Files of those of which more was to be made."""
        self.noted: list[tuple[str, str]] = []
        self.deleted: list[ReceiptRow] = []
        self.held_because = ""

    def folder(self, recording_id: str) -> str:
        return f"/spool/{recording_id}"

    async def begin(self, row: RecordingRow) -> None: ...

    def note(self, recording_id: str, kind: str, facts: Mapping[str, str | bool]) -> None:
        self.noted.append((recording_id, kind))

    async def finish(self, row: RecordingRow) -> FinishedFile:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        if self.trouble:
            raise StorageError(self.trouble)
        return FinishedFile(8000, 8000, 16044, "00", f"{row.id}.{row.format}")

    async def render(self, row: RecordingRow) -> None:
        self.rendered.append(row.file)

    async def transcribe(self, row: RecordingRow) -> str:
        if self.trouble:
            raise StorageError(self.trouble)
        return "hello"

    async def discard(self, recording_id: str) -> None:
        self.discarded.append(recording_id)

    async def abandon(self, recording_id: str) -> None: ...

    async def held(self, row: RecordingRow) -> str:
        return self.held_because

    async def delete(self, owed: ReceiptRow) -> None:
        self.deleted.append(owed)


class FakeDocuments:
    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}

    async def fetch(
        self, callback: Callback, request: DocumentRequest, *, account: str, sub_account: str, fallback: Callback
    ) -> bytes:
        if callback.url not in self.bodies:
            raise OutboundError("connect", f"{callback.url}: refused")
        return self.bodies[callback.url]


class FakeSounds:
    """Every file is its URL or text; sound URLs answer what ``programs`` says."""

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}

    async def file(self, item: PlayItem | SpeakItem) -> str:
        return item.url if isinstance(item, PlayItem) else f"spoken:{item.text}"

    async def program(self, item: DocumentItem) -> Program:
        if item.callback.url not in self.programs:
            raise SoundError(f"{item.callback.url}: answered 404")
        return self.programs[item.callback.url]


class ManualTimers:
    """Timers that fire when told."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        entry = (seconds, action)
        self.waiting.append(entry)
        return lambda: self.waiting.remove(entry) if entry in self.waiting else None

    def fire(self, seconds: float) -> None:
        """Fire every timer that was set to ``seconds``."""
        due = [entry for entry in self.waiting if entry[0] == seconds]
        self.waiting = [entry for entry in self.waiting if entry not in due]
        for _, action in due:
            action()


class World:
    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.media, self.lines, self.recorder = FakeMedia(), FakeLines(), FakeRecorder()
        self.documents, self.timers, self.clock = FakeDocuments(), ManualTimers(), ManualClock()
        self.sounds = FakeSounds()
        self.service = Service(
            store=self.store,
            media=self.media,
            lines=self.lines,
            recorder=self.recorder,
            documents=self.documents,
            sounds=self.sounds,
            timers=self.timers,
            clock=self.clock,
            mint=Mint(seed=1),
        )
        self.lines.tell = self.service.post_leg

    async def add(self, to: str = "200", role: Role = Role.AGENT, **parameters: Any) -> str:
        """Dial somebody into ``room``; the call uuid."""
        parameters.setdefault("stay_alone", True)
        added = await self.service.apply(
            AddParticipant(
                by=BY,
                mpc=MpcRef(name="room"),
                participant=ParticipantParameters(role=role),
                parameters=MpcParameters(**parameters),
                dial=DialParameters(from_="100", to=(to,)),
            )
        )
        assert isinstance(added, Added)
        await self.service.settle()
        return added.calls[0].call_uuid

    def call(self, call_uuid: str, answer: str) -> None:
        """An inbound call whose application answers this document."""
        self.documents.bodies[f"http://app.test/{call_uuid}"] = f"<Response>{answer}</Response>".encode()
        self.service.incoming(
            Incoming(
                call_uuid=call_uuid,
                by=BY,
                from_number="300",
                to_number="400",
                caller_name="",
                sip_call_id=call_uuid,
                headers={},
                answer=Callback(f"http://app.test/{call_uuid}"),
                fallback=Callback(),
                hangup=Callback(),
            )
        )

    def mpcs(self) -> list[MpcRow]:
        return self.store.all(MpcRow)
