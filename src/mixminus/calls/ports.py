"""What the calls need of the rest of the server, as protocols: ``server`` hands in the real things, tests hand in
fakes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from mixminus.calls.commands import Callback
from mixminus.calls.effects import PlaceCall
from mixminus.calls.events import DocumentRequest
from mixminus.calls.inputs import Gone, LegInput
from mixminus.calls.leg.inputs import EarlyMediaUp
from mixminus.calls.model import HangupCause
from mixminus.calls.recording import FinishedFile
from mixminus.media import protocol as media
from mixminus.store.rows import CallRow, MemberRow, MpcRow, ReceiptRow, RecordingRow
from mixminus.store.transaction import Transaction


class Store(Protocol):
    async def commit(self, transaction: Transaction) -> None: ...
    async def next_member_id(self) -> str: ...
    async def recording(self, recording_id: str) -> RecordingRow | None: ...
    async def live_mpcs(self) -> tuple[MpcRow, ...]: ...
    async def members_present(self) -> tuple[MemberRow, ...]: ...
    async def unfinished_recordings(self) -> tuple[RecordingRow, ...]: ...
    async def live_calls(self) -> tuple[CallRow, ...]: ...


class Media(Protocol):
    """The media workers."""

    def send(self, command: media.Command) -> Awaitable[object]:
        """Raises :class:`~mixminus.errors.MediaError` when the worker refuses."""


class Lines(Protocol):
    """Signalling: what a leg's line can be told. Outcomes come back through the callable the lines were given."""

    def ring(self, call_uuid: str) -> None: ...
    def place(self, call_uuid: str, order: PlaceCall, room: str) -> None: ...
    async def pick_up(self, call_uuid: str, room: str) -> LegInput:
        """``PickedUp``, or ``Gone`` when it could not be done."""

    async def pre_answer(self, call_uuid: str, room: str) -> EarlyMediaUp | Gone:
        """Let an unanswered caller hear: 183 with media. ``Gone`` when it could not be done."""

    def refuse(self, call_uuid: str, status: int) -> None: ...
    def hang_up(self, call_uuid: str, cause: HangupCause) -> None: ...
    async def close(self, call_uuid: str) -> None: ...
    async def send_digits(self, call_uuid: str, digits: str) -> None: ...


class Recorder(Protocol):
    """From spool to file."""

    def folder(self, recording_id: str) -> str:
        """The spool folder of a recording."""

    async def begin(self, row: RecordingRow) -> None:
        """Make ready for a new recording; encoding follows the spool from now on. Raises StorageError."""

    def note(self, recording_id: str, kind: str, facts: Mapping[str, str | bool]) -> None:
        """Remember what happened now, for the recording's timeline."""

    async def finish(self, row: RecordingRow) -> FinishedFile:
        """Make, verify and place the file of a spool that is closed. Raises StorageError."""

    async def render(self, row: RecordingRow) -> None:
        """Make what else is made of every recording, of one that is ready and whose spool is still there. Never raises
        for what cannot be made.
        """

    async def transcribe(self, row: RecordingRow) -> str:
        """Make the transcript of a finished recording whose spool is still there; its text. Raises StorageError."""

    async def discard(self, recording_id: str) -> None:
        """Remove the spool: its file is announced. Never raises."""

    async def abandon(self, recording_id: str) -> None:
        """Stop following a failed recording; its spool stays if there is sound in it. Never raises."""

    async def held(self, row: RecordingRow) -> str:
        """Why a recording must not be deleted; empty if it may."""

    async def delete(self, owed: ReceiptRow) -> None:
        """Remove every file of a deleted recording. Never raises: what fails is tried again later."""


class Documents(Protocol):
    async def fetch(
        self, callback: Callback, request: DocumentRequest, *, account: str, sub_account: str, fallback: Callback
    ) -> bytes:
        """The body of a call-control document. Raises :class:`~mixminus.errors.OutboundError`."""


class Timers(Protocol):
    """Calls back later; a virtual clock can stand behind it."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Run ``action`` in ``seconds``; returns what cancels it."""
