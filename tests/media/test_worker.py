"""The worker around the engine, tick by tick, on real sockets and virtual time."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mixminus.media import worker as worker_module
from mixminus.media.codecs import g711
from mixminus.media.fleet.frames import FrameReader, frame
from mixminus.media.protocol import (
    Command,
    Event,
    GetStats,
    OpenLeg,
    Reply,
    Request,
    SpeakStart,
    StartTap,
    Stats,
    StopTap,
    TapClosed,
    TapFailed,
    ToControl,
)
from mixminus.media.worker import ControlLink, Worker, run
from mixminus.recording.spool import Spool, segment_files
from mixminus.recording.timeline import timeline
from mixminus.testing import ear

TICK = 20_000_000


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


class Control:
    """The control process's end, without the process."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.reader = FrameReader()
        self.decoder = msgspec.msgpack.Decoder[ToControl](ToControl)
        self.messages: list[ToControl] = []
        self.last_id = 0

    def send(self, command: Command) -> int:
        self.last_id += 1
        self.socket.send(frame(msgspec.msgpack.encode(Request(id=self.last_id, command=command))))
        return self.last_id

    def read(self) -> list[ToControl]:
        try:
            while data := self.socket.recv(1 << 16):
                self.messages += [self.decoder.decode(payload) for payload in self.reader.feed(data)]
        except BlockingIOError:
            pass
        return self.messages

    def replies(self) -> dict[int, Reply]:
        return {message.id: message for message in self.read() if isinstance(message, Reply)}

    def events(self, kind: type[Event]) -> list[ToControl]:
        return [message for message in self.read() if isinstance(message, kind)]


class Peer:
    """A phone that talks one tone."""

    def __init__(self, hz: float, server: int) -> None:
        self.socket, self.server, self.sent = udp(), server, 0
        t = np.arange(8000) / 8000
        self.payload = g711.ENCODE[0][(6000 * np.sin(2 * np.pi * hz * t)).astype(np.int16).view(np.uint16)]
        self.heard = bytearray()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.socket.getsockname()
        return str(host), int(port)

    def talk(self) -> None:
        at = self.sent % 50 * 160
        header = b"\x80\x00" + (self.sent & 0xFFFF).to_bytes(2, "big") + (self.sent * 160).to_bytes(4, "big") + b"peer"
        self.socket.sendto(header + self.payload[at : at + 160].tobytes(), ("127.0.0.1", self.server))
        self.sent += 1

    def listen(self) -> None:
        try:
            while True:
                self.heard += self.socket.recv(2000)[12:]
        except BlockingIOError:
            pass

    def pcm(self, skip: float = 0.5) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        return g711.DECODE[0][np.frombuffer(self.heard, np.uint8)][round(8000 * skip) :]


class Bench:
    """One worker, its control end, and a pool of two ports."""

    def __init__(self, portable: bool = False) -> None:
        self.sockets = [udp(), udp()]
        ours, theirs = socket.socketpair()
        self.control = Control(ours)
        self.worker = Worker(self.sockets, theirs, open_spool=Spool.open, portable=portable, seed=1)
        self.worker.spools.start()
        self.theirs = theirs
        self.now_ns = 0
        self.peers: list[Peer] = []

    def port(self, index: int) -> int:
        return int(self.sockets[index].getsockname()[1])

    def peer(self, hz: float, leg: str, index: int = 0) -> Peer:
        peer = Peer(hz, self.port(index))
        self.peers.append(peer)
        self.control.send(OpenLeg(leg=leg, room="r", port=self.port(index), remote=peer.address, talk=1, hear=1))
        return peer

    def ticks(self, count: int) -> None:
        for _ in range(count):
            for peer in self.peers:
                peer.talk()
            self.now_ns += TICK
            self.worker.step(self.now_ns)
            for peer in self.peers:
                peer.listen()

    def until(self, kind: type[Event]) -> ToControl:
        """Tick on until such an event was told; disks take what time they take."""
        for _ in range(2000):
            self.ticks(1)
            if found := self.control.events(kind):
                return found[0]
            threading.Event().wait(0.002)
        raise AssertionError(f"no {kind.__name__}")

    def close(self) -> None:
        self.worker.spools.stop()
        for sock in (*self.sockets, self.theirs, self.control.socket, *(peer.socket for peer in self.peers)):
            sock.close()


@pytest.fixture(params=["mmsg", "portable"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(portable=request.param == "portable")
    yield made
    made.close()


def test_each_hears_the_others_and_not_itself(bench: Bench) -> None:
    a, b, c = bench.peer(500, "a"), bench.peer(900, "b", 1), bench.peer(1300, "c")
    bench.ticks(60)
    assert all(reply.error == "" for reply in bench.control.replies().values())
    candidates = (500.0, 900.0, 1300.0)
    assert ear.tones(a.pcm(), candidates) == {900.0, 1300.0}
    assert ear.tones(b.pcm(), candidates) == {500.0, 1300.0}
    assert ear.tones(c.pcm(), candidates) == {500.0, 900.0}


def test_a_refusal_is_one_sentence_and_costs_nothing_else(bench: Bench) -> None:
    refused = bench.control.send(StopTap(tap="nobody"))
    fine = bench.control.send(GetStats())
    bench.ticks(1)
    replies = bench.control.replies()
    assert "nobody" in replies[refused].error
    assert replies[fine].error == ""
    assert isinstance(replies[fine].value, Stats)


def test_commands_may_come_in_any_pieces(bench: Bench) -> None:
    stream = b"".join(frame(msgspec.msgpack.encode(Request(id=n, command=GetStats()))) for n in range(5))
    for byte in range(0, len(stream), 7):
        bench.control.socket.send(stream[byte : byte + 7])
        bench.ticks(1)
    bench.ticks(5)
    assert list(bench.control.replies()) == [0, 1, 2, 3, 4]


def test_nothing_on_a_udp_socket_can_hurt(bench: Bench) -> None:
    a, b = bench.peer(500, "a"), bench.peer(900, "b")
    rng = random.Random(4)
    with udp() as stranger:
        for _ in range(30):
            for sender in (stranger, a.socket):
                for size in (0, 1, 11, 12, 13, rng.randrange(1500), 1600):
                    head = rng.choice([b"", b"\x80", b"\x80\x00", b"\x9f\x80", b"\xbf\x65"])
                    junk = (head + rng.randbytes(size))[:size]
                    sender.sendto(junk, ("127.0.0.1", bench.port(rng.randrange(2))))
            bench.ticks(1)
    bench.ticks(60)
    assert 500.0 in ear.tones(b.pcm(1.2), (500.0, 900.0))
    number = bench.control.send(GetStats())
    bench.ticks(1)
    stats = bench.control.replies()[number].value
    assert stats is not None
    assert stats.stranger_packets > 20
    assert stats.malformed_packets > 50


def test_a_tap_reaches_the_disk_and_says_so(bench: Bench, tmp_path: Path) -> None:
    bench.peer(500, "a")
    bench.ticks(20)
    bench.control.send(StartTap(tap="t", room="r", hear=1, spool=str(tmp_path / "t")))
    bench.ticks(75)
    bench.control.send(StopTap(tap="t"))
    closed = bench.until(TapClosed)
    assert isinstance(closed, TapClosed)
    told = timeline([path.read_bytes() for path in segment_files(tmp_path / "t")])
    assert (told.samples, told.ended) == (closed.samples, True)
    assert closed.samples == 75 * 160


def test_a_tap_that_cannot_be_written_fails_alone(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    bench.peer(500, "a")
    number = bench.control.send(StartTap(tap="t", room="r", hear=1, spool=str(tmp_path / "file" / "t")))
    failed = bench.until(TapFailed)
    assert isinstance(failed, TapFailed)
    assert "creating spool" in failed.reason
    assert bench.control.replies()[number].error == ""
    stop = bench.control.send(StopTap(tap="t"))
    bench.ticks(30)
    assert bench.control.replies()[stop].error == ""
    assert bench.control.events(TapClosed) == []


def test_when_control_goes_the_spools_are_finished(tmp_path: Path) -> None:
    bench = Bench()
    bench.worker.spools.stop()
    ours, theirs = socket.socketpair()
    control = Control(ours)
    worker = Worker(bench.sockets, theirs, open_spool=Spool.open)
    control.send(StartTap(tap="t", room="r", hear=1, spool=str(tmp_path / "t")))
    thread = threading.Thread(target=run, args=(worker,))
    thread.start()
    ours.setblocking(True)
    ours.settimeout(10)
    assert ours.recv(100)  # the reply: the tap is open
    ours.close()
    thread.join(10)
    assert not thread.is_alive()
    told = timeline([path.read_bytes() for path in segment_files(tmp_path / "t")])
    assert told.ended
    assert told.samples > 0
    theirs.close()
    bench.close()


@pytest.fixture
def link() -> Iterator[tuple[ControlLink, Control]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ControlLink(theirs), Control(ours)


def test_a_control_process_that_does_not_read_costs_passing_events_first(
    link: tuple[ControlLink, Control], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "SOFT_LIMIT", 2000)
    monkeypatch.setattr(worker_module, "HARD_LIMIT", 4000)
    sender, control = link
    for number in range(200):
        sender.tell(SpeakStart(leg=f"leg-{number}", at_ns=number))
    assert 100 < sender.dropped_events < 200
    kept = 200 - sender.dropped_events
    for number in range(200):
        sender.tell(TapClosed(tap=f"tap-{number}", samples=1, rate=8000, at_ns=1))
        sender.reply(Reply(id=number))
    sender.flush()
    assert len(control.events(SpeakStart)) == kept
    assert len(control.events(TapClosed)) == 200
    assert len(control.replies()) == 200


def test_flushing_to_a_closed_or_full_stream_never_blocks_or_raises(link: tuple[ControlLink, Control]) -> None:
    sender, control = link
    for number in range(200_000):
        sender.reply(Reply(id=number))
    sender.flush()
    assert not sender.closed
    control.socket.close()
    sender.flush()
    assert sender.closed
    assert sender.next_request() is None
