"""One media worker as the control process sees it: its stream, its process, and its replacement when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec
import structlog

from mixminus.clock import Clock
from mixminus.errors import MediaError, ProtocolError
from mixminus.media.fleet.frames import FrameReader, frame
from mixminus.media.fleet.mirror import Mirror
from mixminus.media.fleet.ports import PortBook, comfortable_legs
from mixminus.media.protocol import (
    CloseLeg,
    Command,
    Event,
    GetStats,
    PauseTap,
    Play,
    PlayEnded,
    Reply,
    Request,
    ResumeTap,
    StartTap,
    Stats,
    StopTap,
    TapFailed,
    ToControl,
)

START_SECONDS = 20.0
STOP_SECONDS = 35.0
CLOSE_SECONDS = 5.0
"""How long a stream that is being closed may take to empty."""
WATCH_SECONDS = 2.0
"""How often each worker is asked for its counters."""
HANG_SECONDS = 10.0
"""A worker that answers nothing for so long is killed and replaced."""
STABLE_SECONDS = 10.0
"""A worker that lived shorter is replaced after a pause, which doubles up to :data:`LONGEST_PAUSE`."""
LONGEST_PAUSE = 5.0

log = structlog.get_logger(__name__)

Spawn = Callable[[int, socket.socket, Sequence[socket.socket]], "subprocess.Popen[bytes]"]


def spawn_worker(
    index: int, control: socket.socket, rtp: Sequence[socket.socket], *, options: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start ``mixminus media worker``, which inherits its end of the control stream and the RTP sockets."""
    fds = [sock.fileno() for sock in rtp]
    command = [sys.executable, "-m", "mixminus", "media", "worker", "--index", str(index)]
    command += [
        "--parent",
        str(os.getpid()),
        "--control-fd",
        str(control.fileno()),
        "--rtp-fds",
        ",".join(map(str, fds)),
        *options,
    ]
    # The engine is one thread by design; a BLAS pool would only spin beside it.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(command, pass_fds=(control.fileno(), *fds), env=environment, stdin=subprocess.DEVNULL)


@dataclass
class _Unanswered:
    command: Command
    answer: asyncio.Future[Stats | None]
    internal: bool
    """Ours, for this one process: not sent again to the next, and no news for the mirror."""


class _Link(asyncio.Protocol):
    """The control end of one stream: whole messages out of it, in order."""

    def __init__(self, on_message: Callable[[ToControl], None], on_lost: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._reader = FrameReader()
        self._decoder = msgspec.msgpack.Decoder[ToControl](ToControl)
        self._encoder = msgspec.msgpack.Encoder()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's in all but name, so not to be asked for by isinstance.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            messages = [self._decoder.decode(payload) for payload in self._reader.feed(data)]
        except (ProtocolError, msgspec.DecodeError) as error:
            log.error("media worker spoke nonsense", error=str(error))
            self.close()
            return
        for message in messages:
            self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_lost()

    def send(self, request: Request) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(frame(self._encoder.encode(request)))

    def close(self) -> None:
        """Send what is left, then close."""
        if self.transport is not None:
            self.transport.close()
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.transport.abort)


class WorkerEndpoint:
    """One worker: its process, its replacement when it dies, its mirror, and every command it has not answered."""

    def __init__(
        self,
        index: int,
        sockets: Sequence[socket.socket],
        *,
        clock: Clock,
        spawn: Spawn,
        on_event: Callable[[Event], None],
        on_accepted: Callable[[Command], None],
        on_lost: Callable[[int, frozenset[str]], None],
        own: int | None = None,
    ) -> None:
        """``own``: so many of ``sockets``, the first, are on ports that this worker's legs are given; None: all."""
        self.index = index
        self.sockets = sockets
        self.mirror = Mirror()
        pool = sockets[:own]
        self.book = PortBook(
            [sock.getsockname()[1] for sock in pool], comfortable=min(comfortable_legs(sock) for sock in pool)
        )
        self.stats: Stats | None = None
        self.restarts = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.up = asyncio.Event()
        self._clock, self._spawn = clock, spawn
        self._on_event, self._on_accepted, self._on_lost = on_event, on_accepted, on_lost
        self._link: _Link | None = None
        self._unanswered: dict[int, _Unanswered] = {}
        self._last_id = 0
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._exit: int | None = None

    # -- talking

    def submit(self, command: Command, *, internal: bool = False) -> asyncio.Future[Stats | None]:
        """Send now, or as soon as there is a worker again. The future ends when the worker has answered."""
        self._last_id += 1
        answer: asyncio.Future[Stats | None] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(_mark_seen)
        self._unanswered[self._last_id] = _Unanswered(command, answer, internal)
        if self._link is not None:
            self._link.send(Request(id=self._last_id, command=command))
        return answer

    def _message(self, message: ToControl) -> None:
        if not isinstance(message, Reply):
            self._told(message)
            return
        sent = self._unanswered.pop(message.id, None)
        if sent is None:
            return
        if message.error and not self._harmless(sent.command):
            if not sent.answer.done():
                sent.answer.set_exception(MediaError(message.error))
            return
        if not sent.internal:
            self._leave_behind(sent.command)
            self.mirror.accepted(sent.command)
            self._on_accepted(sent.command)
        if message.value is not None:
            self.stats = message.value
        if not sent.answer.done():
            sent.answer.set_result(message.value)

    def _leave_behind(self, command: Command) -> None:
        if isinstance(command, CloseLeg) and command.elsewhere:
            for event in self.mirror.left(command.leg, self._clock.now().monotonic_ns):
                self._on_event(event)

    def _harmless(self, command: Command) -> bool:
        """A tap that failed is not opened by a replacement, so stopping it there cannot be done, nor need be."""
        return isinstance(command, PauseTap | ResumeTap | StopTap) and command.tap in self.mirror.failed_taps

    # -- living and dying

    async def start(self) -> None:
        """Raises MediaError when the worker does not answer in time."""
        self._task = asyncio.create_task(self._supervise(), name=f"media-worker-{self.index}")
        try:
            async with asyncio.timeout(START_SECONDS):
                await self.up.wait()
        except TimeoutError:
            code = "" if self._exit is None else f" (exit status {self._exit})"
            raise MediaError(f"media worker {self.index} did not start within {START_SECONDS:.0f} s{code}") from None

    async def stop(self) -> None:
        """Close the stream and wait until the worker has finished its spools; it is killed if that takes too long."""
        self._stopping = True
        link, self._link = self._link, None
        if link is not None:
            link.close()
        if self._task is not None:
            await self._task
        for sent in self._unanswered.values():
            if not sent.answer.done():
                sent.answer.set_exception(MediaError("media is stopped"))
        self._unanswered.clear()

    async def _supervise(self) -> None:
        pause = 0.0
        while not self._stopping:
            began_ns = self._clock.now().monotonic_ns
            await self._live_once()
            if self._stopping:
                return
            lived = (self._clock.now().monotonic_ns - began_ns) / 1e9
            log.error("media worker lost", worker=self.index, exit=self._exit, lived_seconds=round(lived, 3))
            self.restarts += 1
            self._mourn()
            if lived < STABLE_SECONDS:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause or 0.1)
            else:
                pause = 0.0

    async def _live_once(self) -> None:
        """One worker process from birth to death. Its failure to be born is a death too."""
        gone = asyncio.Event()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = self.process = self._spawn(self.index, theirs, self.sockets)
        except OSError as error:
            ours.close()
            log.error("media worker cannot be started", worker=self.index, error=str(error))
            return
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(lambda: _Link(self._message, gone.set), sock=ours)
        watch = asyncio.create_task(self._watch(process))
        if self._stopping:
            link.close()
        else:
            self._brief(link)
        await gone.wait()
        self.up.clear()
        self._link = None
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        await self._bury(process)

    def _brief(self, link: _Link) -> None:
        """Tell a new worker what it has to do: the mirror, then every command that was never answered, in order."""
        waiting, self._unanswered = self._unanswered, {}
        self._link = link
        self.submit(GetStats(), internal=True).add_done_callback(lambda _: self.up.set())
        for command in self.mirror.replay():
            self.submit(command, internal=True).add_done_callback(self._replayed(command))
        for number, sent in waiting.items():
            if not sent.internal:
                self._unanswered[number] = sent
                link.send(Request(id=number, command=sent.command))

    def _replayed(self, command: Command) -> Callable[[asyncio.Future[Stats | None]], None]:
        def check(answer: asyncio.Future[Stats | None]) -> None:
            error = answer.exception()
            if error is None:
                return
            log.error("media worker refused its old state", worker=self.index, command=command, error=str(error))
            now_ns = self._clock.now().monotonic_ns
            if isinstance(command, StartTap):
                self._told(TapFailed(tap=command.tap, reason=str(error), samples=0, at_ns=now_ns))
            elif isinstance(command, Play):
                self._told(PlayEnded(player=command.player, at_ns=now_ns))

        return check

    def _mourn(self) -> None:
        """Tell everyone who waits for something that cannot come any more."""
        self._on_lost(self.index, frozenset(self.mirror.rooms()))
        for event in self.mirror.lost(self._clock.now().monotonic_ns):
            self._on_event(event)

    def _told(self, event: Event) -> None:
        self.mirror.observed(event)
        self._on_event(event)

    async def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a worker that stopped answering: its death is then seen like any other."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                async with asyncio.timeout(HANG_SECONDS):
                    await self.submit(GetStats(), internal=True)
            except TimeoutError:
                log.error("media worker hangs", worker=self.index, seconds=HANG_SECONDS)
                process.kill()
                return

    async def _bury(self, process: subprocess.Popen[bytes]) -> None:
        patience = STOP_SECONDS if self._stopping else 0.5
        try:
            self._exit = await asyncio.to_thread(process.wait, patience)
        except subprocess.TimeoutExpired:
            process.kill()
            self._exit = await asyncio.to_thread(process.wait)


def _mark_seen(answer: asyncio.Future[Stats | None]) -> None:
    """An answer nobody waits for any more is not an error of the event loop's."""
    if not answer.cancelled():
        answer.exception()
