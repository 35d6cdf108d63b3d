"""Whose turn it is at the finisher's desk."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mixminus.media.fleet.frames import FrameReader, frame
from mixminus.recording.finisher import Desk, serve
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
from mixminus.recording.spool import Spool

ONE_SECOND = b"\7\0" * 8000


def record(folder: Path, seconds: int) -> None:
    spool = Spool.open(folder, rate=8000, now_ns=0)
    for _ in range(seconds):
        spool.append(ONE_SECOND)
    spool.close(0)


def follow(folder: Path, name: str) -> Follow:
    return Follow(name, str(folder / name), "wav", str(folder / f"{name}.wav"))


def work(desk: Desk) -> None:
    while desk.busy:
        desk.turn()


def test_a_short_recording_does_not_wait_for_a_long_one(tmp_path: Path) -> None:
    answers: list[FromFinisher] = []
    desk = Desk(answers.append)
    record(tmp_path / "long", 1200)
    record(tmp_path / "short", 1)
    for name in ("long", "short"):
        desk.receive(follow(tmp_path, name))
        desk.receive(Finish(name))
    work(desk)
    assert [(type(answer), answer.recording_id) for answer in answers] == [(Finished, "short"), (Finished, "long")]


def test_finishing_goes_before_following(tmp_path: Path) -> None:
    answers: list[FromFinisher] = []
    desk = Desk(answers.append)
    for name in ("growing", "done"):
        record(tmp_path / name, 100)
        desk.receive(follow(tmp_path, name))
    desk.wake()
    desk.receive(Finish("done"))
    while not answers:
        desk.turn()
    assert not (tmp_path / "growing.wav.partial").exists()
    work(desk)
    assert (tmp_path / "growing.wav.partial").exists()


def test_following_twice_changes_nothing(tmp_path: Path) -> None:
    answers: list[FromFinisher] = []
    desk = Desk(answers.append)
    record(tmp_path / "a", 3)
    for _ in range(2):
        desk.receive(follow(tmp_path, "a"))
        desk.wake()
        work(desk)
    desk.receive(Finish("a"))
    desk.receive(Finish("a"))
    work(desk)
    (answer,) = answers
    assert isinstance(answer, Finished) and answer.file.samples == 24_000


def test_what_is_not_followed_cannot_be_finished(tmp_path: Path) -> None:
    answers: list[FromFinisher] = []
    desk = Desk(answers.append)
    desk.receive(follow(tmp_path, "a"))
    desk.receive(Forget("a"))
    desk.receive(Forget("a"))
    desk.receive(Finish("a"))
    assert answers == [Failed("a", "recording a is not followed")]


def test_discarding(tmp_path: Path) -> None:
    answers: list[FromFinisher] = []
    desk = Desk(answers.append)
    record(tmp_path / "a", 1)
    for _ in range(2):
        desk.receive(Discard("a", str(tmp_path / "a")))
    desk.receive(Discard("b", "/proc/self"))
    while desk.busy:
        desk.turn()
    assert answers[:2] == [Discarded("a"), Discarded("a")]
    assert isinstance(answers[2], Failed) and "removing /proc/self" in answers[2].reason
    assert not (tmp_path / "a").exists()


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=serve, args=(theirs,))
    thread.start()
    yield ours
    ours.close()
    thread.join(timeout=10)
    theirs.close()
    assert not thread.is_alive(), "it ends when the other end closes"


def test_frames_may_come_in_pieces(tmp_path: Path, connection: socket.socket) -> None:
    record(tmp_path / "a", 2)
    commands: list[ToFinisher] = [follow(tmp_path, "a"), Finish("a")]
    for byte in b"".join(frame(msgspec.msgpack.encode(command)) for command in commands):
        connection.send(bytes([byte]))
    connection.settimeout(10)
    reader, payloads = FrameReader(), list[bytes]()
    while not payloads:
        payloads = reader.feed(connection.recv(4096))
    answer = msgspec.msgpack.decode(payloads[0], type=FromFinisher)
    assert isinstance(answer, Finished) and answer.file.duration == 2.0
