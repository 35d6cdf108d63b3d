"""The finisher process: many recordings, one thread, in short turns.

Recordings that are being finished go first; those that only grow get a turn about once a second. The process ends when
the control process closes the socket, and then leaves everything as a kill would: the spools are the truth.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import shutil
import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from mixminus.errors import StorageError
from mixminus.media.fleet.frames import FrameReader, frame
from mixminus.recording.encryption import KeyRing
from mixminus.recording.finish import Job, Turns, Wait, call
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
    failed,
)
from mixminus.recording.spool import disk_error, make_folder, sync_folder

POLL_SECONDS = 1.0
_NICE = 10
_THREADS = 8
"""Waits for the disk at the same time: they share the file system's commits."""
_TURNS = 8
"""Given to one finishing recording before the next has its chance: what was followed is done within them."""


class Desk:
    """The jobs and whose turn it is. ``answer`` takes what is to be sent back.

    With ``threads`` waits for the disk go there, side by side, and ``ready`` is called in one of them when such a wait
    is over; without, they are waited for.
    """

    def __init__(
        self,
        answer: Callable[[FromFinisher], None],
        threads: ThreadPoolExecutor | None = None,
        ready: Callable[[], None] = lambda: None,
        ring: KeyRing | None = None,
    ) -> None:
        self._answer = answer
        self._ring = ring
        self._threads, self._ready = threads, ready
        self._waiting: dict[str, tuple[Turns, Future[None]]] = {}
        self._discards: deque[Discard] = deque()
        self._jobs: dict[str, Job] = {}
        self._growing: deque[str] = deque()
        self._finishing: deque[tuple[str, Turns]] = deque()

    def receive(self, command: ToFinisher) -> None:
        """Take a command. Finish of what is not followed is answered with Failed."""
        match command:
            case Follow(recording_id, folder, format, target, spec, sidecar):
                job = Job(Path(folder), format, Path(target), spec, recording_id if sidecar else "", self._ring)
                self._jobs.setdefault(recording_id, job)
            case Finish(recording_id):
                self._finish(recording_id)
            case Forget(recording_id):
                self._forget(recording_id)
            case Discard():
                self._discards.append(command)

    def wake(self) -> None:
        """Time to look at all growing spools again."""
        self._growing = deque(self._jobs)

    @property
    def busy(self) -> bool:
        """There is something to do that need not be waited for."""
        return bool(self._finishing or self._discards or self._growing or self._over())

    def turn(self) -> None:
        """One short piece of work."""
        for recording_id in self._over():
            turns, future = self._waiting.pop(recording_id)
            self._go_on(recording_id, turns, future)
        if self._finishing:
            self._turn_finishing()
        elif self._waiting:
            pass  # the rest is done with when nobody waits for a file
        elif self._discards:
            self._discard(self._discards.popleft())
        elif self._growing:
            recording_id = self._growing.popleft()
            job = self._jobs.get(recording_id)
            if job is not None and job.step():
                self._growing.append(recording_id)

    def _over(self) -> list[str]:
        """Whose wait for the disk is over."""
        return [recording_id for recording_id, (_, future) in self._waiting.items() if future.done()]

    def _turn_finishing(self) -> None:
        recording_id, turns = self._finishing.popleft()
        try:
            for _ in range(_TURNS):
                wait = next(turns)
                if wait is not None and self._threads is not None:
                    self._park(recording_id, turns, wait)
                    return
                call(turns, wait)
        except StopIteration as end:
            self._answer(Finished(recording_id, end.value))
        except StorageError as error:
            self._answer(failed(recording_id, error))
        else:
            self._finishing.append((recording_id, turns))

    def _park(self, recording_id: str, turns: Turns, wait: Wait) -> None:
        assert self._threads is not None, "there are threads to wait in"
        future = self._threads.submit(wait)
        self._waiting[recording_id] = (turns, future)
        future.add_done_callback(lambda _: self._ready())

    def _go_on(self, recording_id: str, turns: Turns, future: Future[None]) -> None:
        error = future.exception()
        if error is None:
            self._finishing.appendleft((recording_id, turns))
            return
        try:
            wait = turns.throw(error)
        except StorageError as final:
            self._answer(failed(recording_id, final))
            return
        if wait is None or self._threads is None:
            self._finishing.appendleft((recording_id, turns))
        else:
            self._park(recording_id, turns, wait)

    def _finish(self, recording_id: str) -> None:
        job = self._jobs.pop(recording_id, None)
        if job is not None:
            self._finishing.append((recording_id, job.finish()))
        elif recording_id not in self._waiting and all(recording_id != known for known, _ in self._finishing):
            self._answer(Failed(recording_id, f"recording {recording_id} is not followed"))

    def _forget(self, recording_id: str) -> None:
        job = self._jobs.pop(recording_id, None)
        if job is not None:
            job.abandon()

    def _discard(self, command: Discard) -> None:
        recording_id, folder, keep = command.recording_id, Path(command.folder), command.keep
        self._forget(recording_id)
        try:
            if folder.exists() and keep:
                make_folder(Path(keep).parent)
                folder.rename(keep)
                os.utime(keep)
            elif folder.exists():
                shutil.rmtree(folder)
                sync_folder(folder.parent)
        except OSError as error:
            self._answer(failed(recording_id, disk_error(error, folder, "removing")))
        else:
            self._answer(Discarded(recording_id))


def serve(connection: socket.socket, ring: KeyRing | None = None) -> None:
    """Work until the other end closes. ``connection`` is a connected local stream socket; ``ring`` opens what is
    sealed.
    """
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    with woken, waker, ThreadPoolExecutor(_THREADS, thread_name_prefix="disk") as threads:
        _serve(connection, woken, threads, lambda: _wake(waker), ring)


def _serve(
    connection: socket.socket,
    woken: socket.socket,
    threads: ThreadPoolExecutor,
    wake: Callable[[], None],
    ring: KeyRing | None,
) -> None:
    encoder, decoder, reader = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(ToFinisher), FrameReader()
    desk = Desk(lambda message: connection.sendall(frame(encoder.encode(message))), threads, wake, ring)
    next_poll = time.monotonic() + POLL_SECONDS
    while True:
        wait = 0.0 if desk.busy else max(0.0, next_poll - time.monotonic())
        readable = select.select([connection, woken], [], [], wait)[0]
        if woken in readable:
            woken.recv(1 << 12)
        if connection in readable:
            data = connection.recv(1 << 16)
            if not data:
                return
            for payload in reader.feed(data):
                desk.receive(decoder.decode(payload))
        if time.monotonic() >= next_poll:
            desk.wake()
            next_poll = time.monotonic() + POLL_SECONDS
        desk.turn()


def _wake(waker: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):  # it is awake already
        waker.send(b"!")


def be_humble() -> None:
    """For a process of its own: let the media worker go first; allow a file for each of many recordings; look for
    garbage seldom, since jobs make none in circles.
    """
    os.nice(_NICE)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
