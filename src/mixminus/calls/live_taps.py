"""Recordings that run: begun, ended and given up alike, whoever's they are. A shell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mixminus.calls.carry_out import Answer, tell
from mixminus.calls.effects import AbandonTap, BeginTap, EndTap
from mixminus.calls.ports import Media, Recorder
from mixminus.calls.taps import start_tap
from mixminus.errors import StorageError
from mixminus.media import protocol as media
from mixminus.store.rows import RecordingRow

Broke: TypeAlias = Callable[[str, bool], None]
"""Tells whoever records that it cannot go on: the reason, and whether something may be on disk."""


class LiveTaps:
    """Joins what machines want recorded with the media workers and the recorder."""

    def __init__(self, workers: Media, recorder: Recorder, finish: Callable[[RecordingRow], None]) -> None:
        """``finish`` makes the file of a recording that was ended."""
        self._workers = workers
        self._recorder = recorder
        self._finish = finish
        self._broke: dict[str, Broke] = {}

    async def begin(self, effect: BeginTap, broke: Broke) -> Answer:
        row, recorder = effect.recording, self._recorder
        self._broke[row.id] = broke
        try:
            await recorder.begin(row)
        except StorageError as error:
            broke(str(error), False)
            return None
        tap = start_tap(row, effect.room, recorder.folder(row.id), heard=effect.heard)
        answer = tell(self._workers, tap, lambda command, error: broke(str(error), False))
        for facts in effect.present:
            recorder.note(row.id, "present", facts)
        return answer

    async def end(self, who: object, effect: EndTap) -> Answer:
        self._broke.pop(effect.recording.id, None)
        answer = tell(self._workers, media.StopTap(effect.recording.id))
        self._finish(effect.recording)
        return answer

    async def abandon(self, who: object, effect: AbandonTap) -> Answer:
        self._broke.pop(effect.recording_id, None)
        answer = tell(self._workers, media.StopTap(effect.recording_id))
        await self._recorder.abandon(effect.recording_id)
        return answer

    def failed(self, event: media.TapFailed) -> None:
        """The worker can no longer write a recording's spool."""
        broke = self._broke.get(event.tap)
        if broke is not None:
            broke(event.reason, True)
