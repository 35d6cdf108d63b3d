"""The control process's end of the finishers: asyncio on this side, processes on the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mixminus.errors import StorageError
from mixminus.media.fleet.frames import FrameReader, frame
from mixminus.recording.channels import Spec
from mixminus.recording.finish import FinishedFile
from mixminus.recording.protocol import (
    Discard,
    Discarded,
    Failed,
    Finish,
    Finished,
    Follow,
    Forget,
    FromFinisher,
    ToFinisher,
    error_of,
)
from mixminus.recording.rendering import Format

COMMAND = (sys.executable, "-m", "mixminus", "finisher")
_MAX_DEATHS = 5
"""A recording at whose finishing the process died so often is given up, so that the others can go on."""
BACK_OFF_SECONDS = (0.0, 0.5, 2.0, 10.0)

_log = logging.getLogger(__name__)


class _Owed:
    """An answer somebody waits for."""

    def __init__(self, command: Finish | Discard) -> None:
        self.command = command
        self.answer: asyncio.Future[Finished | Discarded] = asyncio.get_running_loop().create_future()
        self.deaths = 0


class Finisher:
    """Keeps finisher processes alive and remembers what they were told, so that a new one can be told again.
    ``processes``: recordings are spread over so many; one is enough for several hundred. ``back_off``: seconds before a
    new one is started after the first, second, ... death in a row; the last value is kept.
    """

    def __init__(
        self,
        *,
        processes: int = 1,
        command: Sequence[str] = COMMAND,
        back_off: Sequence[float] = BACK_OFF_SECONDS,
    ) -> None:
        self._members = [_Member(tuple(command), tuple(back_off)) for _ in range(processes)]
        self._by_recording: dict[str, _Member] = {}

    async def start(self) -> None:
        """Start the processes. Raises StorageError if one cannot be started."""
        for member in self._members:
            await member.start()

    async def stop(self) -> None:
        """End the processes at once. Spools stay; waiting :meth:`finish` calls raise StorageError."""
        for member in self._members:
            await member.stop()

    @property
    def pids(self) -> list[int]:
        """Processes alive, for metrics and tests."""
        return [pid for member in self._members if (pid := member.pid) is not None]

    def follow(
        self,
        recording_id: str,
        folder: Path,
        format: Format,
        target: Path,
        spec: Spec | None = None,
        *,
        sidecar: bool = False,
    ) -> None:
        """Render the spool in ``folder`` along the way; its folder need not exist yet. Returns at once."""
        member = self._by_recording.setdefault(recording_id, min(self._members, key=lambda each: each.load))
        member.follow(Follow(recording_id, str(folder), format, str(target), spec or Spec(), sidecar))

    async def finish(self, recording_id: str) -> FinishedFile:
        """The spool is closed: the verified file, in its place. May be called again after a failure.

        Raises :class:`~mixminus.recording.finish.NoAudio` if there was none, else StorageError with the reason; the
        spool stays in any case. AssertionError if the recording is not followed.
        """
        member = self._by_recording.get(recording_id)
        assert member is not None, f"follow comes before finish ({recording_id})"
        answer = await member.ask(Finish(recording_id))
        assert isinstance(answer, Finished), "Finish is answered by Finished"
        member.unfollow(recording_id)
        del self._by_recording[recording_id]
        return answer.file

    def forget(self, recording_id: str) -> None:
        """Stop following and remove the partial file. The spool stays."""
        member = self._by_recording.pop(recording_id, None)
        if member is not None:
            member.unfollow(recording_id)
            member.send(Forget(recording_id))

    async def discard(self, recording_id: str, folder: Path, keep: Path | None = None) -> None:
        """Remove the spool, or move it to ``keep``, once the database says that the file is ready. Raises StorageError
        if that fails.
        """
        member = self._by_recording.pop(recording_id, self._members[0])
        member.unfollow(recording_id)
        await member.ask(Discard(recording_id, str(folder), str(keep) if keep else ""))


class _Member:
    """One process, and what it must be told again if it dies."""

    def __init__(self, command: tuple[str, ...], back_off: tuple[float, ...]) -> None:
        self._command = command
        self._back_off = back_off
        self._follows: dict[str, Follow] = {}
        self._owed: dict[str, _Owed] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(FromFinisher)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def load(self) -> int:
        return len(self._follows)

    async def start(self) -> None:
        reader = await self._spawn()
        self._keeper = asyncio.create_task(self._keep(reader), name="finisher")

    async def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        await self._close()
        for owed in list(self._owed.values()):
            self._fail(owed, StorageError("the finisher was stopped"))
        self._owed.clear()

    def follow(self, command: Follow) -> None:
        self._follows[command.recording_id] = command
        self.send(command)

    def unfollow(self, recording_id: str) -> None:
        self._follows.pop(recording_id, None)

    async def ask(self, command: Finish | Discard) -> Finished | Discarded:
        """Send and wait. A second asker of the same recording waits for the same answer."""
        owed = self._owed.get(command.recording_id)
        if owed is None or type(owed.command) is not type(command):
            owed = self._owed[command.recording_id] = _Owed(command)
            self.send(command)
        return await asyncio.shield(owed.answer)

    def send(self, command: ToFinisher) -> None:
        """To the process if there is one; else it will be told when it starts."""
        if self._writer is not None:
            self._writer.write(frame(self._encoder.encode(command)))

    async def _keep(self, reader: asyncio.StreamReader) -> None:
        """Read answers; when the process dies, start another and tell it everything."""
        deaths = 0
        while True:
            if await self._receive(reader):
                deaths = 0
            await self._close()
            self._count_death()
            pause = self._back_off[min(deaths, len(self._back_off) - 1)]
            _log.warning("a finisher process died; another starts in %.1f s", pause)
            deaths += 1
            reader = await self._respawn(pause)

    async def _respawn(self, pause: float) -> asyncio.StreamReader:
        while True:
            await asyncio.sleep(pause)
            try:
                reader = await self._spawn()
            except StorageError as error:
                pause = self._back_off[-1]
                _log.error("%s; trying again in %.0f s", error, pause)
                continue
            for follow in self._follows.values():
                self.send(follow)
            for owed in self._owed.values():
                self.send(owed.command)
            return reader

    def _count_death(self) -> None:
        for recording_id, owed in list(self._owed.items()):
            owed.deaths += 1
            if owed.deaths >= _MAX_DEATHS:
                del self._owed[recording_id]
                reason = f"the finisher process died {owed.deaths} times while finishing recording {recording_id}"
                self._fail(owed, StorageError(reason))

    async def _receive(self, reader: asyncio.StreamReader) -> bool:
        """Until the stream ends; whether anything was received."""
        frames, received = FrameReader(), False
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                received = True
                for payload in frames.feed(data):
                    self._settle(self._decoder.decode(payload))
        return received

    def _settle(self, message: FromFinisher) -> None:
        owed = self._owed.pop(message.recording_id, None)
        if owed is None:
            _log.warning("an answer nobody waits for: %s", message)
        elif isinstance(message, Failed):
            if isinstance(owed.command, Finish):
                self._refollow(message.recording_id)
            self._fail(owed, error_of(message))
        elif not owed.answer.done():
            owed.answer.set_result(message)

    def _refollow(self, recording_id: str) -> None:
        """So that finish may be asked again after a failure."""
        follow = self._follows.get(recording_id)
        if follow is not None:
            self.send(follow)

    def _fail(self, owed: _Owed, error: StorageError) -> None:
        if not owed.answer.done():
            owed.answer.set_exception(error)
            owed.answer.exception()  # seen: the asker may have been cancelled

    async def _spawn(self) -> asyncio.StreamReader:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        command = (*self._command, "--fd", str(theirs.fileno()))
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *command, pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL
                )
            reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        except OSError as error:
            ours.close()
            raise StorageError(f"the finisher process cannot be started: {error}") from error
        except asyncio.CancelledError:
            ours.close()
            raise
        return reader

    async def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
            self._writer = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None
