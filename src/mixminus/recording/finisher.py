"""The finisher process: many recordings, one thread, in short turns.

Recordings that are being finished go first; those that only grow get a turn about once a second. The process ends when
the control process closes the socket, and then leaves everything as a kill would: the spools are the truth.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import socket
import time
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec

from mixminus.errors import StorageError
from mixminus.media.frames import FrameReader, frame
from mixminus.recording.finish import FinishedFile, Job, NoAudio
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
)
from mixminus.recording.spool import disk_error, make_folder, sync_folder

POLL_SECONDS = 1.0
_NICE = 10
_TURNS = 8
"""Given to one finishing recording before the next has its chance: what was followed is done within them."""


class Desk:
    """The jobs and whose turn it is. ``answer`` takes what is to be sent back."""

    def __init__(self, answer: Callable[[FromFinisher], None]) -> None:
        self._answer = answer
        self._jobs: dict[str, Job] = {}
        self._growing: deque[str] = deque()
        self._finishing: deque[tuple[str, Generator[None, None, FinishedFile]]] = deque()

    def receive(self, command: ToFinisher) -> None:
        """Take a command. Finish of what is not followed is answered with Failed."""
        match command:
            case Follow(recording_id, folder, format, target, spec, sidecar):
                job = Job(Path(folder), format, Path(target), spec, recording_id if sidecar else "")
                self._jobs.setdefault(recording_id, job)
            case Finish(recording_id):
                self._finish(recording_id)
            case Forget(recording_id):
                self._forget(recording_id)
            case Discard(recording_id, folder, keep):
                self._discard(recording_id, Path(folder), keep)

    def wake(self) -> None:
        """Time to look at all growing spools again."""
        self._growing = deque(self._jobs)

    @property
    def busy(self) -> bool:
        return bool(self._finishing or self._growing)

    def turn(self) -> None:
        """One short piece of work."""
        if self._finishing:
            self._turn_finishing()
        elif self._growing:
            recording_id = self._growing.popleft()
            job = self._jobs.get(recording_id)
            if job is not None and job.step():
                self._growing.append(recording_id)

    def _turn_finishing(self) -> None:
        recording_id, turns = self._finishing.popleft()
        try:
            for _ in range(_TURNS):
                next(turns)
        except StopIteration as end:
            self._answer(Finished(recording_id, end.value))
        except StorageError as error:
            self._answer(Failed(recording_id, str(error), isinstance(error, NoAudio)))
        else:
            self._finishing.append((recording_id, turns))

    def _finish(self, recording_id: str) -> None:
        job = self._jobs.pop(recording_id, None)
        if job is not None:
            self._finishing.append((recording_id, job.finish()))
        elif all(recording_id != known for known, _ in self._finishing):
            self._answer(Failed(recording_id, f"recording {recording_id} is not followed"))

    def _forget(self, recording_id: str) -> None:
        job = self._jobs.pop(recording_id, None)
        if job is not None:
            job.abandon()

    def _discard(self, recording_id: str, folder: Path, keep: str) -> None:
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
            self._answer(Failed(recording_id, str(disk_error(error, folder, "removing"))))
        else:
            self._answer(Discarded(recording_id))


def serve(connection: socket.socket) -> None:
    """Work until the other end closes. ``connection`` is a connected local stream socket."""
    encoder, decoder, reader = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(ToFinisher), FrameReader()
    desk = Desk(lambda message: connection.sendall(frame(encoder.encode(message))))
    next_poll = time.monotonic() + POLL_SECONDS
    while True:
        wait = 0.0 if desk.busy else max(0.0, next_poll - time.monotonic())
        if select.select([connection], [], [], wait)[0]:
            data = connection.recv(1 << 16)
            if not data:
                return
            for payload in reader.feed(data):
                desk.receive(decoder.decode(payload))
        if time.monotonic() >= next_poll:
            desk.wake()
            next_poll = time.monotonic() + POLL_SECONDS
        desk.turn()


def be_humble() -> None:
    """For a process of its own: let the media worker go first; allow a file for each of many recordings."""
    os.nice(_NICE)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
