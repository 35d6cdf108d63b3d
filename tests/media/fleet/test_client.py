"""The control process's side with real worker processes: started, spoken to, killed, replaced."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mixminus.errors import ConfigurationError, MediaError, Overloaded
from mixminus.media.codecs import g711
from mixminus.media.fleet import client as client_module
from mixminus.media.fleet import endpoint
from mixminus.media.fleet.client import MediaClient
from mixminus.media.protocol import (
    CloseLeg,
    Event,
    Hearing,
    LegLatched,
    MoveLeg,
    OpenLeg,
    PauseTap,
    Play,
    PlayEnded,
    ResumeTap,
    SetHearing,
    SpeakStart,
    SpeakStop,
    StartTap,
    StopPlay,
    StopTap,
    TapClosed,
    UpdateLeg,
)
from mixminus.recording.spool import segment_files
from mixminus.recording.timeline import timeline
from mixminus.testing import ear

PATIENCE = 15.0


class Phone:
    """Talks a tone every 20 ms and keeps what it hears."""

    def __init__(self, hz: float) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.server: tuple[str, int] | None = None
        self.heard: list[bytes] = []
        self.senders: set[tuple[str, int]] = set()
        self.streams: set[bytes] = set()
        """SSRCs."""
        self.sequences: list[int] = []
        self.silent = False
        self.more = asyncio.Event()
        t = np.arange(8000) / 8000
        self._audio = g711.ENCODE[0][(6000 * np.sin(2 * np.pi * hz * t)).astype(np.int16).view(np.uint16)]
        self._task = asyncio.create_task(self._talk())
        asyncio.get_running_loop().add_reader(self.socket, self._listen)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.socket.getsockname()
        return str(host), int(port)

    async def _talk(self) -> None:
        loop, sent = asyncio.get_running_loop(), 0
        start = loop.time()
        while True:
            at = sent % 50 * 160
            header = b"\x80\x00" + (sent & 0xFFFF).to_bytes(2, "big") + (sent * 160).to_bytes(4, "big") + b"tone"
            if self.server is not None and not self.silent:
                self.socket.sendto(header + self._audio[at : at + 160].tobytes(), self.server)
            sent += 1
            await asyncio.sleep(max(0.0, start + sent * 0.02 - loop.time()))

    def _listen(self) -> None:
        data, sender = self.socket.recvfrom(2000)
        if 192 <= data[1] <= 223:
            return  # RTCP
        self.heard.append(data[12:])
        self.streams.add(data[8:12])
        self.sequences.append(int.from_bytes(data[2:4]))
        self.senders.add(sender)
        self.more.set()

    async def hears(self, tones: set[float], candidates: Sequence[float]) -> None:
        """Wait until the last fifth of a second holds exactly these tones."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self.more.clear()
                await self.more.wait()
                pcm = g711.DECODE[0][np.frombuffer(b"".join(self.heard[-10:]), np.uint8)]
                if len(self.heard) >= 10 and ear.tones(pcm, candidates, above=-30) == tones:
                    return

    async def hears_for(self, seconds: float) -> None:
        """Wait until so much has been heard."""
        enough = len(self.heard) + round(seconds * 50)
        async with asyncio.timeout(PATIENCE):
            while len(self.heard) < enough:
                self.more.clear()
                await self.more.wait()

    def starts(self) -> None:
        self.silent = False

    def close(self) -> None:
        self._task.cancel()
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


class Scene:
    """A media client, what it told, and phones."""

    def __init__(self, **options: int) -> None:
        self.told: list[Event] = []
        self.lost: list[tuple[int, frozenset[str]]] = []
        self._news = asyncio.Event()
        self.phones: list[Phone] = []
        self.client = MediaClient(
            host="127.0.0.1",
            ports=(34000, 36000),
            pool=options.get("pool", 4),
            workers=options.get("workers", 1),
            on_event=self._tell,
            on_worker_lost=self._lose,
        )

    def _tell(self, event: Event) -> None:
        self.told.append(event)
        self._news.set()

    def _lose(self, worker: int, rooms: frozenset[str]) -> None:
        self.lost.append((worker, rooms))
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.told)

    async def phone(self, leg: str, hz: float, room: str = "r", latch: bool = False, silent: bool = False) -> Phone:
        phone = Phone(hz)
        phone.silent = silent
        self.phones.append(phone)
        remote = ("127.0.0.9", 9) if latch else phone.address
        hosts = ("127.0.0.1",) if latch else ()
        phone.server = self.client.reserve(room, leg, remote=remote, latchable=latch)
        port = phone.server[1]
        await self.client.send(OpenLeg(leg=leg, room=room, port=port, remote=remote, latch_hosts=hosts, talk=1, hear=1))
        return phone

    async def replaced(self, worker: int = 0) -> None:
        """Wait for an answer of the new worker."""
        async with asyncio.timeout(PATIENCE):
            await self.client.fresh_stats()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    await made.client.start()
    yield made
    await made.client.stop()
    for phone in made.phones:
        phone.close()


def command_line(pid: int | None) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")


def kill(client: MediaClient, worker: int = 0) -> None:
    pid = client.pids()[worker]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


async def test_a_worker_can_be_told_from_the_rest_by_its_command_line(scene: Scene) -> None:
    (pid,) = scene.client.pids()
    assert b"mixminus media worker --index 0" in command_line(pid)


async def test_a_killed_worker_is_replaced_and_the_call_goes_on(scene: Scene, tmp_path: Path) -> None:
    client, tones = scene.client, (500.0, 900.0)
    a, b = await scene.phone("a", 500), await scene.phone("b", 900, latch=True)
    await client.send(StartTap(tap="t", room="r", hear=1, spool=str(tmp_path / "t")))
    await client.send(Play(player="prompt", room="r", source="silence:60000", talk=2))
    await client.send(Play(player="music", room="r", source="music", talk=2, loop=True))
    await a.hears({900.0}, tones)
    await b.hears({500.0}, tones)
    await scene.until(lambda: scene.count(SpeakStart) == 2)
    latched = [event for event in scene.told if isinstance(event, LegLatched) and event.leg == "b"]
    assert [event.remote for event in latched] == [b.address]
    senders = set(b.senders)

    loop = asyncio.get_running_loop()
    died = loop.time()
    kill(client)
    await scene.until(lambda: bool(scene.lost))
    answer = asyncio.ensure_future(client.send(SetHearing(room="r", legs=(Hearing("a", 1, 1),))))
    assert scene.lost == [(0, frozenset({"r"}))]
    assert scene.count(SpeakStop) == 2
    assert [event.player for event in scene.told if isinstance(event, PlayEnded)] == ["prompt"]
    await answer  # given while there was no worker
    gone = loop.time() - died
    for phone in (a, b):
        phone.heard.clear()
    await a.hears({900.0}, tones)
    await b.hears({500.0}, tones)
    assert b.senders == senders  # from the same port as ever
    assert client.restarts() == (1,)
    assert gone < PATIENCE  # typically 0.3 s; the machine may be busy

    await client.send(StopTap(tap="t"))
    await scene.until(lambda: scene.count(TapClosed) == 1)
    segments = [path.read_bytes() for path in segment_files(tmp_path / "t")]
    assert len(segments) == 2  # of the worker that was killed, and of the one that took its place
    told, first, second = timeline(segments), timeline(segments[:1]), timeline(segments[1:])
    assert told.ended
    # A worker that got no processor for 200 ms skips ticks and marks that; between the two there is one gap more.
    stalls = [marker.samples for marker in first.markers], [marker.samples for marker in second.markers]
    [between] = [marker for marker in told.markers if marker.at == first.samples]
    assert {marker.kind for marker in told.markers} == {"gap"}
    assert [marker.samples for marker in told.markers] == [*stalls[0], between.samples, *stalls[1]]
    assert 0.1 < between.samples / 8000 < gone + 1


async def test_what_the_mirror_forgot_is_not_brought_back(scene: Scene) -> None:
    client = scene.client
    a, b = await scene.phone("a", 500), await scene.phone("b", 900)
    await scene.phone("c", 1300)
    await client.send(CloseLeg(leg="c"))
    await client.send(SetHearing(room="r", legs=(Hearing("a", 0, 1), Hearing("b", 1, 1))))
    kill(client)
    await scene.until(lambda: bool(scene.lost))
    await scene.replaced()
    a.heard.clear()
    b.heard.clear()
    await a.hears({900.0}, (500.0, 900.0, 1300.0))
    await b.hears(set(), (500.0, 900.0, 1300.0))
    (stats,) = await client.fresh_stats(legs=True)
    assert stats is not None
    assert {leg.leg for leg in stats.leg_stats} == {"a", "b"}


async def test_a_tap_killed_while_closing_is_closed_by_the_replacement(scene: Scene, tmp_path: Path) -> None:
    await scene.phone("a", 500)
    await scene.client.send(StartTap(tap="t", room="r", hear=1, spool=str(tmp_path / "t")))
    stopping = asyncio.ensure_future(scene.client.send(StopTap(tap="t")))
    kill(scene.client)
    await stopping
    await scene.until(lambda: scene.count(TapClosed) == 1)


async def test_a_worker_that_hangs_is_killed_and_replaced(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "HANG_SECONDS", 0.2)
    monkeypatch.setattr(endpoint, "WATCH_SECONDS", 0.05)
    kill(scene.client)  # so that the watch of the next one is impatient
    await scene.until(lambda: len(scene.lost) >= 1)
    monkeypatch.setattr(endpoint, "HANG_SECONDS", 5.0)
    await scene.replaced()
    monkeypatch.setattr(endpoint, "HANG_SECONDS", 0.2)
    (pid,) = scene.client.pids()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await scene.until(lambda: len(scene.lost) >= 2)
    monkeypatch.setattr(endpoint, "HANG_SECONDS", 10.0)
    await scene.replaced()
    assert scene.client.pids() != (pid,)


async def test_signals_of_the_process_group_do_not_end_a_worker(scene: Scene) -> None:
    (pid,) = scene.client.pids()
    assert pid is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(pid, number)
    await scene.client.fresh_stats()
    assert scene.client.pids() == (pid,)
    assert scene.lost == []


async def test_stopping_finishes_the_spools_and_ends_the_processes(tmp_path: Path) -> None:
    scene = Scene(workers=2)
    await scene.client.start()
    pids = scene.client.pids()
    await scene.phone("a", 500)
    await scene.client.send(StartTap(tap="t", room="r", hear=1, spool=str(tmp_path / "t")))
    await scene.client.stop()
    scene.phones[0].close()
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert timeline([path.read_bytes() for path in segment_files(tmp_path / "t")]).ended
    with pytest.raises(MediaError, match="not running"):
        scene.client.place("r")


CONTROL = """
import asyncio, sys
from mixminus.media.fleet.client import MediaClient
from mixminus.media.protocol import StartTap

async def main():
    client = MediaClient(host="127.0.0.1", ports=(34000, 36000), pool=1, on_event=lambda _: None)
    await client.start()
    await client.send(StartTap(tap="t", room="r", hear=1, spool=sys.argv[1]))
    print(client.pids()[0], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_when_the_control_process_is_killed_the_worker_finishes_its_spools_and_goes(tmp_path: Path) -> None:
    control = subprocess.Popen([sys.executable, "-c", CONTROL, str(tmp_path / "t")], stdout=subprocess.PIPE, text=True)
    assert control.stdout is not None
    worker = os.pidfd_open(int(control.stdout.readline()))
    control.kill()
    control.wait()
    control.stdout.close()
    readable, _, _ = select.select([worker], [], [], PATIENCE)
    os.close(worker)
    assert readable, "the worker is still there"
    assert timeline([path.read_bytes() for path in segment_files(tmp_path / "t")]).ended


@pytest.fixture
async def two() -> AsyncIterator[Scene]:
    """As ``scene``, with two workers; room ``r`` is on the first, ``s`` on the second."""
    made = Scene(workers=2)
    await made.client.start()
    await made.phone("a", 500, room="r")
    await made.phone("b", 900, room="s")
    assert made.client.place("r") != made.client.place("s")
    yield made
    await made.client.stop()
    for phone in made.phones:
        phone.close()


async def legs_by_worker(client: MediaClient) -> list[set[str]]:
    stats = await client.fresh_stats(legs=True)
    return [{leg.leg for leg in part.leg_stats} if part else set() for part in stats]


async def test_rooms_stay_whole_when_their_worker_dies(two: Scene) -> None:
    client = two.client
    await two.phone("c", 1300, room="r")
    await client.send(MoveLeg(leg="c", room="t", talk=1, hear=1))
    assert client.place("t") == client.place("r")
    kill(client, client.place("s"))
    await two.until(lambda: bool(two.lost))
    assert two.lost == [(client.place("s"), frozenset({"s"}))]
    assert (await legs_by_worker(client))[client.place("s")] == {"b"}


async def test_a_leg_goes_to_a_room_on_another_worker_and_its_phone_notices_nothing(two: Scene) -> None:
    client, tones = two.client, (500.0, 900.0, 1300.0)
    a, b = two.phones
    c = await two.phone("c", 1300, room="r")
    await a.hears({1300.0}, tones)
    await client.send(MoveLeg(leg="a", room="s", talk=1, hear=1))
    assert client.counters.crossings == 1
    await a.hears({900.0}, tones)
    await b.hears({500.0}, tones)
    await c.hears(set(), tones)
    home, away = client.place("r"), client.place("s")
    legs = await legs_by_worker(client)
    assert (legs[home], legs[away]) == ({"c"}, {"a", "b"})
    assert len(a.senders) == 1
    assert len(a.streams) == 1
    assert two.count(SpeakStart) - two.count(SpeakStop) == 3
    steps = np.diff(np.array(a.sequences)) & 0xFFFF
    assert set(steps[steps < 0x8000].tolist()) <= set(range(20))  # onwards, or one frame twice

    kill(client, away)  # its replacement has the sockets of the other's ports, too
    await two.until(lambda: bool(two.lost))
    a.heard.clear()
    await a.hears({900.0}, tones)
    assert len(a.streams) == 1

    await client.send(MoveLeg(leg="a", room="r", talk=1, hear=1))
    await a.hears({1300.0}, tones)
    await c.hears({500.0}, tones)
    await client.send(CloseLeg(leg="a"))
    assert (await legs_by_worker(client))[home] == {"c"}
    assert len(a.senders) == 1


async def test_a_leg_that_was_not_heard_yet_can_go_to_another_worker_and_latch_there(two: Scene) -> None:
    client, tones = two.client, (500.0, 900.0, 1300.0)
    late = await two.phone("late", 1300, room="r", latch=True, silent=True)
    await client.send(MoveLeg(leg="late", room="s", talk=1, hear=1))
    late.starts()
    await late.hears({900.0}, tones)
    await two.phones[1].hears({1300.0}, tones)
    await two.phones[0].hears(set(), tones)
    told = [event.remote for event in two.told if isinstance(event, LegLatched) and event.leg == "late"]
    assert told == [late.address]


async def test_new_signalling_of_a_leg_that_is_away_is_followed(two: Scene) -> None:
    client, tones = two.client, (500.0, 900.0, 1300.0)
    await client.send(MoveLeg(leg="a", room="s", talk=1, hear=1))
    other = Phone(1300)
    two.phones.append(other)
    other.server = two.phones[0].server
    two.phones[0].server = None
    await client.send(UpdateLeg(leg="a", remote=other.address))
    await other.hears({900.0}, tones)
    await two.phones[1].hears({1300.0}, tones)


async def test_commands_for_a_leg_take_effect_in_order_while_it_changes_its_worker(two: Scene) -> None:
    client = two.client
    await asyncio.gather(
        client.send(MoveLeg(leg="a", room="s", talk=1, hear=1)),
        client.send(SetHearing(room="s", legs=(Hearing("a", 0, 1),))),
        client.send(MoveLeg(leg="a", room="r", talk=1, hear=1)),
        client.send(MoveLeg(leg="a", room="s", talk=1, hear=0)),
    )
    await two.phones[1].hears({500.0}, (500.0, 900.0))
    await two.phones[0].hears(set(), (500.0, 900.0))
    await asyncio.gather(client.send(MoveLeg(leg="a", room="t", talk=1, hear=1)), client.send(CloseLeg(leg="a")))
    assert set().union(*await legs_by_worker(client)) == {"b"}
    with pytest.raises(MediaError, match="there is no leg a"):
        await client.send(MoveLeg(leg="a", room="s", talk=1, hear=1))


async def test_a_recording_of_a_leg_follows_it_and_is_one_recording(two: Scene, tmp_path: Path) -> None:
    client, a = two.client, two.phones[0]
    c = await two.phone("c", 1300, room="r")
    await client.send(StartTap(tap="t", room="r", hear=0, spool=str(tmp_path / "t"), leg="a", heard=True))
    await c.hears({500.0}, (500.0,))
    await a.hears_for(0.5)
    moving = asyncio.gather(
        client.send(MoveLeg(leg="a", room="s", talk=1, hear=1)),
        client.send(PauseTap(tap="t")),
        client.send(ResumeTap(tap="t")),
    )
    await moving
    await a.hears({900.0}, (500.0, 900.0, 1300.0))
    await a.hears_for(0.5)
    assert two.count(TapClosed) == 0
    await client.send(StopTap(tap="t"))
    await two.until(lambda: two.count(TapClosed) == 1)
    segments = segment_files(tmp_path / "t")
    told = timeline([path.read_bytes() for path in segments])
    assert len(segments) == 2
    assert told.ended
    gaps = [marker.samples for marker in told.markers if marker.kind == "gap"]
    assert len(gaps) <= 1
    assert sum(gaps) < 8000  # under a second, typically 0.1
    assert client._roster.legs(0) + client._roster.legs(1) == 3
    assert not client._carrier._between
    assert not len(client._carrier._taps)


async def test_a_full_worker_takes_no_legs_from_others(two: Scene) -> None:
    client = two.client
    stats = (await client.fresh_stats())[client.place("s")]
    assert stats is not None
    client._handles[client.place("s")].stats = msgspec.structs.replace(stats, load=0.95)
    with pytest.raises(Overloaded, match="which has room s, is at its limit"):
        await client.send(MoveLeg(leg="a", room="s", talk=1, hear=1))
    assert (await legs_by_worker(client))[client.place("r")] == {"a"}


async def test_where_ports_cannot_be_shared_a_leg_stays_and_it_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "share", lambda pools: ([list(pool) for pool in pools], {}))
    scene = Scene(workers=2)
    client = scene.client
    await client.start()
    try:
        await scene.phone("a", 500, room="r")
        await scene.phone("b", 900, room="s")
        with pytest.raises(MediaError, match="cannot share RTP ports among workers: set workers to 1"):
            await client.send(MoveLeg(leg="a", room="s", talk=1, hear=1))
        assert (await legs_by_worker(client))[client.place("r")] == {"a"}
    finally:
        await client.stop()
        for phone in scene.phones:
            phone.close()


async def test_mistakes_are_named_before_they_travel(scene: Scene) -> None:
    client = scene.client
    for wrong, text in (
        (CloseLeg(leg="x"), "no leg x"),
        (StopTap(tap="x"), "no tap x"),
        (SetHearing(room="x", legs=()), "no room x"),
        (OpenLeg(leg="x", room="r", port=1, remote=None), "no leg x"),
    ):
        with pytest.raises(MediaError, match=text):
            await client.send(wrong)
    await client.send(StopPlay(player="ended by itself"))
    _, port = client.reserve("r", "a", remote=None, latchable=True)
    with pytest.raises(MediaError, match=f"not the one reserved for it, {port}"):
        await client.send(OpenLeg(leg="a", room="r", port=port + 1, remote=None))
    with pytest.raises(MediaError, match="IP versions differ"):
        client.reserve("r", "b", remote=("::1", 4000), latchable=False)
    with pytest.raises(MediaError, match="nowhere\\.wav"):
        await client.send(Play(player="p", room="r", source="/nowhere.wav", talk=1))
    client.release("a")
    client.release("a")


async def test_a_receiver_that_raises_costs_nobody_else(scene: Scene) -> None:
    def bad(event: Event) -> None:
        scene._tell(event)
        raise ZeroDivisionError

    scene.client._on_event = bad
    for number in range(2):
        await scene.client.send(Play(player=f"p{number}", room="r", source="beep:1", talk=1))
    await scene.until(lambda: scene.count(PlayEnded) == 2)
    assert scene.client.counters.failed_callbacks == 2


async def test_a_worker_that_cannot_start_is_an_error_not_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def spawn(index: int, control: socket.socket, rtp: Sequence[socket.socket]) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])

    monkeypatch.setattr(endpoint, "START_SECONDS", 0.5)
    client = MediaClient(host="127.0.0.1", ports=(34000, 36000), pool=1, on_event=lambda _: None, spawn=spawn)
    with pytest.raises(MediaError, match="media worker 0 did not start"):
        await client.start()


async def test_ports_that_are_all_taken_are_the_operators_to_mend() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        client = MediaClient(host="127.0.0.1", ports=(port, port), on_event=lambda _: None)
        with pytest.raises(ConfigurationError, match="rtp_ports"):
            await client.start()
