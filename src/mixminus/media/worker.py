"""The media worker process: engine, sockets, spool writer and control stream around one 20 ms tick.

The control process opened the sockets and holds the other end of ``control``; when that closes, the worker finishes its
spools and leaves. Nothing that arrives on a UDP socket and nothing a disk does can end it. An exception out of the
engine is a broken invariant: it ends the process, and the control process starts another with the same state.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence

import msgspec

from mixminus.errors import MediaError
from mixminus.media.batch import PacketBatch
from mixminus.media.engine import Engine
from mixminus.media.fleet.frames import FrameReader, frame
from mixminus.media.loop import LATE_NS, WRITER_PRIORITY, Schedule, prefer_this_thread, sleeper
from mixminus.media.netio import open_netio
from mixminus.media.protocol import Event, Reply, Request, SpeakStart, SpeakStop, StartTap, Stats, StopTap, TapFailed
from mixminus.media.sound.storage import load_wav, load_wide
from mixminus.media.state import TICK_NS
from mixminus.media.taping.spool import SpoolWriter, SyncTogether
from mixminus.media.taping.spooled import OpenSpool, Tap
from mixminus.media.wide.crew import Crew

PACKET_ROWS = 8192
"""Datagrams taken per tick at most; the rest waits in the socket buffers."""
COMMAND_BUDGET_NS = 5_000_000
"""Time one tick may give to commands; the rest waits for the next."""
SOFT_LIMIT = 1 << 20
"""Bytes waiting for the control process from which speaking events are dropped."""
HARD_LIMIT = 16 << 20
"""Bytes from which every event but those of taps is dropped. Replies never are."""
BREATH = 0.0005
"""Seconds of rest after a tick that left none: for the spool writer to take the interpreter, others the processor."""
COLLECT_TICKS = 3000
"""Ticks between garbage collections (one minute); what lives at start-up is frozen, so that each is short."""
_PR_SET_PDEATHSIG = 1


class ControlLink:
    """The worker's end of the control stream: never blocks, never grows without bound."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._reader = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(Request)
        self._encoder = msgspec.msgpack.Encoder()
        self._requests: deque[Request] = deque()
        self._unsent = bytearray()
        self.closed = False
        self.dropped_events = 0

    def next_request(self) -> Request | None:
        """The next request in order, if a whole one has come."""
        if not self._requests and not self.closed:
            self._read()
        return self._requests.popleft() if self._requests else None

    def reply(self, reply: Reply) -> None:
        self._unsent += frame(self._encoder.encode(reply))

    def tell(self, event: Event) -> None:
        """Queue an event, or count it as dropped when the control process has not read for long."""
        waiting = len(self._unsent)
        passing = isinstance(event, SpeakStart | SpeakStop)
        lasting = type(event).__name__.startswith("Tap")
        if (waiting > SOFT_LIMIT and passing) or (waiting > HARD_LIMIT and not lasting):
            self.dropped_events += 1
            return
        self._unsent += frame(self._encoder.encode(event))

    def flush(self) -> None:
        """Hand the kernel what it takes now."""
        while self._unsent and not self.closed:
            try:
                sent = self._socket.send(memoryview(self._unsent)[: 1 << 18])
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.closed = True
                return
            del self._unsent[:sent]

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.closed = True
        self._requests.extend(self._decoder.decode(payload) for payload in self._reader.feed(data))


class Worker:
    """One worker without its clock: :meth:`step` is one tick. ``sockets`` are bound UDP sockets, one family."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        control: socket.socket,
        *,
        open_spool: OpenSpool,
        sync_together: SyncTogether | None = None,
        portable: bool = False,
        seed: int | None = None,
    ) -> None:
        self._net = open_netio(sockets, portable=portable)
        self._link = ControlLink(control)
        self.spools = SpoolWriter(
            open_spool,
            sync_together=sync_together,
            load=lambda: self.schedule.load() if self.schedule else 0.0,
            prefer=prefer_writer,
        )
        self._taps: dict[str, Tap] = {}
        ports = [sock.getsockname()[1] for sock in sockets]
        self.crew = Crew((os.cpu_count() or 1) - 1)
        self._engine = Engine(
            ports, open_tap=self._open_tap, load_prompt=load_wav, load_wide=load_wide, seed=seed, run=self.crew.run
        )
        self._packets = PacketBatch(PACKET_ROWS)
        self._listening: tuple[int, ...] = ()
        self.schedule: Schedule | None = None
        self._drain()

    @property
    def closed(self) -> bool:
        """The control process has gone."""
        return self._link.closed

    def step(self, now_ns: int, *, late: bool = False) -> None:
        """Commands, packets in, engine, packets out, events. ``now_ns`` is the nominal time of the tick."""
        self._obey(now_ns)
        self._net.receive(self._packets, self._listening)
        datagrams = self._engine.tick(now_ns, self._packets, late=late)
        self._listening = datagrams.listening
        self._net.send(datagrams)
        for report in self._engine.reports():
            self._net.send_one(*report)
        for event in self._engine.events():
            self._link.tell(event)
        for event in self.spools.events():
            if not (isinstance(event, TapFailed) and event.writing):
                self._taps.pop(event.tap, None)
            self._link.tell(event)
        self._link.flush()

    def finish(self, now_ns: int) -> bool:
        """Flush and sync every tap; whether the disk took it all."""
        try:
            for tap in [tap for tap in self._taps.values() if not tap.closing]:
                self._engine.apply(StopTap(tap.name), now_ns)
        finally:
            self.crew.stop()
            done = self.spools.stop()
        return done

    def leave(self) -> None:
        """End :func:`run` after the tick that is under way."""
        self._link.closed = True

    def _obey(self, now_ns: int) -> None:
        deadline = time.monotonic_ns() + COMMAND_BUDGET_NS
        while (request := self._link.next_request()) is not None:
            if isinstance(request.command, StopTap) and request.command.tap in self._taps:
                self._taps[request.command.tap].elsewhere = request.command.elsewhere
            try:
                stats = self._engine.apply(request.command, now_ns)
                value = None if stats is None else self._measured(stats)
                self._link.reply(Reply(id=request.id, value=value))
            except MediaError as error:
                self._link.reply(Reply(id=request.id, error=str(error)))
            if time.monotonic_ns() > deadline:
                return

    def _open_tap(self, command: StartTap, now_ns: int) -> Tap:
        tap = self._taps[command.tap] = self.spools.open_tap(command, now_ns)
        return tap

    def _measured(self, stats: Stats) -> Stats:
        """What the engine counts, and what only the shell can."""
        net, schedule = self._net.counters, self.schedule or Schedule(0)
        return msgspec.structs.replace(
            stats,
            ticks=schedule.ticks,
            late_ticks=schedule.late_ticks,
            skipped_ticks=schedule.skipped_ticks,
            received_datagrams=net.received,
            sent_datagrams=net.sent,
            send_errors=sum(net.errors.values()),
            dropped_datagrams=net.dropped,
            dropped_events=self._link.dropped_events,
            spool_backlog_bytes=self.spools.backlog,
            load=schedule.load(),
            lateness_us=schedule.lateness_us(),
        )

    def _drain(self) -> None:
        """Throw away what waited in the sockets: audio of the time before this worker."""
        for _ in range(64):
            self._net.receive(self._packets)
            if not self._packets.count:
                break
        self._net.counters.received = 0
        self._net.counters.errors = Counter()


def run(worker: Worker) -> None:
    """Tick until the control process goes. Returns when every spool is flushed and synced."""
    worker.spools.start()
    sleep_until = sleeper()
    schedule = worker.schedule = Schedule(time.monotonic_ns() + TICK_NS)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        while not worker.closed:
            sleep_until(schedule.due_ns)
            began_ns = time.monotonic_ns()
            due_ns = schedule.begin(began_ns)
            worker.step(due_ns, late=began_ns - due_ns > LATE_NS)
            if schedule.ticks % COLLECT_TICKS == 0:
                gc.collect()
            ended_ns = time.monotonic_ns()
            schedule.end(ended_ns - began_ns)
            if ended_ns > schedule.due_ns:
                time.sleep(BREATH)
    finally:
        gc.enable()
        worker.finish(schedule.due_ns)


def prefer_writer() -> None:
    """The spool writer's thread goes before the tick, if the process has the scheduler's favour at all."""
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_FIFO:
        prefer_this_thread(WRITER_PRIORITY)


def prepare_process(worker: Worker, parent: int) -> None:
    """Make this process a worker: what ends it, how soon its threads take turns, how the scheduler sees it.

    SIGINT and SIGTERM reach the whole process group or service; when to go is for the control process to say, by
    closing the stream, so they are ignored here. That it died is also told by a signal (Linux), in case some other
    process holds its end of the stream open; ``parent`` is its process id, in case it died before that was arranged.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.setswitchinterval(0.0005)
    prefer_this_thread()
    if sys.platform == "linux":
        signal.signal(signal.SIGUSR1, lambda *_: worker.leave())
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGUSR1), 0, 0, 0)
        if os.getppid() != parent:
            worker.leave()
