"""From a recording that has stopped to the file that is announced, or the failure that is told. A shell."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import msgspec
import structlog

from mixminus.calls import recording
from mixminus.calls.books import Books
from mixminus.calls.commands import Callback
from mixminus.calls.decision import Decision, Ledger
from mixminus.calls.events import Transcribed
from mixminus.calls.ports import Recorder
from mixminus.clock import Clock
from mixminus.errors import DiskFull, StorageError
from mixminus.ids import Mint
from mixminus.recording.finish import NoAudio
from mixminus.store.rows import RecordingRow

log = structlog.get_logger(__name__)

FULL_SECONDS = (1.0, 3.0, 10.0, 30.0, 60.0)
"""Until it is tried again whether there is room on the disk for a file; then always the last."""
Turn: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Finishing:
    def __init__(
        self, recorder: Recorder, books: Books, clock: Clock, mint: Mint, later: Callable[[float, Turn], object]
    ) -> None:
        """``later``: does something in so many seconds."""
        self._later = later
        self._recorder = recorder
        self._books = books
        self._clock = clock
        self._mint = mint

    async def finish(self, row: RecordingRow, tries: int = 0) -> None:
        """Make the file of a closed spool and announce it, then what else is made of it. Tried until there is room for
        it.
        """
        ledger = Ledger(self._mint, self._clock.now().wall)
        try:
            file = await self._recorder.finish(row)
        except DiskFull as error:
            pause = FULL_SECONDS[min(tries, len(FULL_SECONDS) - 1)]
            log.error("no room for a recording", recording_id=row.id, error=str(error), again_in=pause)
            self._later(pause, lambda: self.finish(row, tries + 1))
            return
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the customer is told, once
            reason = _why(row, error)
            log.error("recording failed", recording_id=row.id, error=reason)
            ledger.at = self._clock.now().wall
            recording.fail(row, reason, ledger)
            await self._books.fact(Decision(None, ledger.rows, ledger.outbox))
            await self._recorder.abandon(row.id)
            return
        ledger.at = self._clock.now().wall
        ready = recording.complete(row, file, ledger)
        await self._books.fact(Decision(None, ledger.rows, ledger.outbox))
        await self._recorder.render(ready)
        if row.settings.get("transcript"):
            await self._transcribe(row, file)
        if self._books.owed:
            await self._recorder.abandon(row.id)  # tidied away once the database has it
        else:
            await self._recorder.discard(row.id)

    async def _transcribe(self, row: RecordingRow, file: recording.FinishedFile) -> None:
        """Before the spool goes; the customer is told also when it came to nothing."""
        text, reason = "", ""
        try:
            text = await self._recorder.transcribe(msgspec.structs.replace(row, file=file.file))
        except StorageError as error:
            reason = str(error)
            log.error("a recording was not transcribed", recording_id=row.id, error=reason)
        ledger = Ledger(self._mint, self._clock.now().wall)
        event = Transcribed(
            recording_id=row.id,
            call_uuid=row.call_uuid,
            text=text,
            seconds=file.samples // file.rate,
            error=reason,
        )
        callback = Callback(str(row.settings.get("transcription_url", "")))
        ledger.owe(callback, event, subject=row.id, account=row.account, sub_account=row.sub_account)
        await self._books.fact(Decision(None, (), ledger.outbox))


def _why(row: RecordingRow, error: Exception) -> str:
    """Why there is no file: first what ended the recording too early, if it did."""
    if isinstance(error, NoAudio) and row.failure:
        return row.failure
    reason = str(error) or type(error).__name__
    return f"{row.failure}; {reason}" if row.failure else reason
