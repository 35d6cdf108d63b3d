"""One recorded call on a machine that dies: the real service, spool writer, finisher's desk, database and deliverer in
virtual time, killed at a chosen step, and started again until all is settled.

What is fake: phones and the mixer (every sample tells its number), the receiver of the callbacks, and death itself:
from the chosen step on nothing that was not yet handed to the kernel happens. A power cut also takes from every spool
what was not synced, or garbles it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import hashlib
import os
import random
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

import numpy as np

from calls.kit import BY, REF
from calls.world import FakeDocuments, FakeLines, FakeSounds, ManualTimers
from mixminus.calls.commands import (
    AddParticipant,
    Callback,
    DialParameters,
    EndMpc,
    MpcParameters,
    ParticipantParameters,
    PauseRecording,
    ResumeRecording,
    StartRecording,
    StopRecording,
)
from mixminus.calls.model import Role
from mixminus.calls.recorder import CallRecorder
from mixminus.calls.service import Service
from mixminus.clock import ManualClock
from mixminus.errors import ConfigurationError, MixminusError, OutboundError, StorageError
from mixminus.ids import Mint
from mixminus.media import protocol as media
from mixminus.media.taping.spool import POLL_SECONDS, SYNC_ROUNDS, SpoolWriter
from mixminus.media.taping.spooled import RATE, Tap
from mixminus.media.taping.tap import BLOCK
from mixminus.outbound.request import OutboundRequest, OutboundResponse
from mixminus.recording.archive import Archive
from mixminus.recording.channels import Spec
from mixminus.recording.encryption import KeyRing
from mixminus.recording.finish import FinishedFile
from mixminus.recording.finisher import Desk
from mixminus.recording.keeper import Keeper
from mixminus.recording.protocol import Discard, Failed, Finish, Finished, Follow, Forget, FromFinisher, error_of
from mixminus.recording.rendering import Format
from mixminus.recording.reserve import Reserve
from mixminus.recording.sealing import new_cipher
from mixminus.recording.spool import Spool, segment_files
from mixminus.recording.storage import DiskStorage, KeyMaker
from mixminus.store.db import Store
from mixminus.store.rows import AccountRow, RecordingRow
from mixminus.store.transaction import Transaction
from mixminus.webhooks.deliver import EVENT_ID_HEADER, Deliverer

TICK = 0.02
FRAME = 160
TERMINAL = ("MPCRecordingCompleted", "MPCRecordingFailed")
URL = "http://app.test/recording"
LATE_SECONDS = 2.0


class Killed(BaseException):
    """The process is gone. Not an Exception: nothing may handle it."""


class Fate:
    """Counts steps and ends the process at one of them; ``None`` lets it live."""

    def __init__(self, fatal: int | None) -> None:
        self.steps = 0
        self.fatal = fatal
        self.dead = False
        self.where = ""

    def step(self, where: str) -> None:
        """Every place where a process can be interrupted calls this."""
        self.steps += 1
        if self.dead or self.steps == self.fatal:
            self.dead = True
            self.where = self.where or where
            raise Killed


class MortalStore:
    """The real store; commits can be the last thing that happens, before or after, or be refused for a while."""

    def __init__(self, store: Store, fate: Fate, refuse: Callable[[], bool]) -> None:
        self._store, self._fate, self._refuse = store, fate, refuse

    async def commit(self, transaction: Transaction) -> None:
        self._fate.step("before a commit")
        if self._refuse():
            raise StorageError("disk full while writing the database")
        await self._store.commit(transaction)
        self._fate.step("after a commit")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class MortalSpool(Spool):
    """A spool that knows how much of it is safe from a power cut, on a disk that may be full."""

    safe: dict[Path, int]
    fate: Fate
    full: Callable[[], bool]

    def __init__(self, path: Path, descriptor: int, *, rate: int, **named: Any) -> None:
        super().__init__(path, descriptor, rate=rate, **named)
        self._reserve = Reserve(descriptor, rate, self._keep_room)
        self.safe[path] = 0

    def _keep_room(self, descriptor: int, offset: int, length: int) -> None:
        if self.full():
            raise OSError(errno.ENOSPC, "No space left on device")

    def _write(self, *parts: bytes | memoryview) -> None:
        if self.full() and self._written + sum(map(len, parts)) > self._reserve.end:
            self._error = self._error or StorageError(f"disk full while writing {self.path}: free some space")
            raise self._error
        self.fate.step("before a block is written")
        super()._write(*parts)

    def sync(self) -> None:
        self.fate.step("before a sync")
        super().sync()
        self.safe[self.path] = self.path.stat().st_size


class DeskFinisher:
    """The finisher's desk in this process, turn by turn; it may die by itself and is told everything again then."""

    def __init__(self, fate: Fate, dies: Callable[[], bool], ring: KeyRing) -> None:
        self._fate, self._dies, self._ring = fate, dies, ring
        self._answers: dict[str, FromFinisher] = {}
        self._follows: dict[str, Follow] = {}
        self._desk = self._new_desk()
        self.deaths = 0

    def _new_desk(self) -> Desk:
        return Desk(lambda answer: self._answers.update({answer.recording_id: answer}), ring=self._ring)

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
        command = Follow(recording_id, str(folder), format, str(target), spec or Spec(), sidecar)
        self._follows[recording_id] = command
        self._desk.receive(command)

    def poll(self) -> None:
        """What the process does once a second while recordings grow."""
        self._desk.wake()
        while self._desk.busy:
            self._fate.step("while following")
            self._desk.turn()

    async def _ask(self, command: Finish | Discard) -> FromFinisher:
        self._answers.pop(command.recording_id, None)
        self._desk.receive(command)
        while command.recording_id not in self._answers:
            self._fate.step("while finishing")
            if self._dies():
                self.deaths += 1
                self._desk = self._new_desk()
                for follow in self._follows.values():
                    self._desk.receive(follow)
                self._desk.receive(command)
            self._desk.turn()
            await asyncio.sleep(0)
        return self._answers.pop(command.recording_id)

    async def finish(self, recording_id: str) -> FinishedFile:
        answer = await self._ask(Finish(recording_id))
        if isinstance(answer, Failed):
            self._desk.receive(self._follows[recording_id])
            raise error_of(answer)
        assert isinstance(answer, Finished)
        del self._follows[recording_id]
        self._fate.step("after the file was put in place")
        return answer.file

    def forget(self, recording_id: str) -> None:
        self._follows.pop(recording_id, None)
        self._desk.receive(Forget(recording_id))

    async def discard(self, recording_id: str, folder: Path, keep: Path | None = None) -> None:
        self._fate.step("before the spool is removed")
        await self._ask(Discard(recording_id, str(folder), str(keep) if keep else ""))


class Mixer:
    """Stands in for the media worker: one tap, real spool writing, samples that count 1, 2, 3, ... in 15 bits."""

    def __init__(self, fate: Fate, clock: ManualClock, full: Callable[[], bool], key: bytes | None = None) -> None:
        """``key``: spools are sealed with it."""
        self._clock = clock
        self.safe: dict[Path, int] = {}
        kind = type("FatedSpool", (MortalSpool,), {"safe": self.safe, "fate": fate, "full": staticmethod(full)})
        seal = partial(new_cipher, key) if key is not None else None
        self.writer = SpoolWriter(lambda *args, **named: kind.open(*args, **named, seal=seal))  # type: ignore[attr-defined]
        self.mixed: Counter[str] = Counter()
        """Samples of each recording that were mixed while it was not paused."""
        self._taps: dict[str, Tap] = {}
        self._waiting: dict[str, int] = {}
        self._limit: dict[str, int] = {}
        self._rounds = 0
        self._polled = 0.0

    async def send(self, command: media.Command) -> object:
        now_ns = self._clock.monotonic_ns
        match command:
            case media.StartTap():
                self._taps[command.tap] = self.writer.open_tap(command, now_ns)
                self._waiting[command.tap], self._limit[command.tap] = 0, random.randint(1, BLOCK)
            case media.PauseTap() if command.tap in self._taps and not self._taps[command.tap].paused:
                self._flush(command.tap)
                self._taps[command.tap].paused = True
                self._taps[command.tap].pause(now_ns)
            case media.ResumeTap() if command.tap in self._taps and self._taps[command.tap].paused:
                self._taps[command.tap].paused = False
                self._taps[command.tap].resume(now_ns)
            case media.StopTap() if command.tap in self._taps:
                self._flush(command.tap)
                self._taps.pop(command.tap).close(now_ns)
                self.writer.pump()
        return None

    def runs(self, name: str) -> bool:
        return name in self._taps

    def tick(self) -> list[Any]:
        """20 ms pass; what the writer has to tell."""
        for name, tap in self._taps.items():
            if not tap.paused:
                self.mixed[name] += FRAME
                self._waiting[name] += 1
                if self._waiting[name] >= self._limit[name]:
                    self._flush(name)
        self._polled += TICK
        if self._polled >= POLL_SECONDS:
            self._polled -= POLL_SECONDS
            self._rounds += 1
            self.writer.pump(sync=self._rounds % SYNC_ROUNDS == 0)
        return list(self.writer.events())

    def _flush(self, name: str) -> None:
        count = FRAME * self._waiting[name]
        if count:
            last = self.mixed[name]
            self._taps[name].write(truth(last - count, last), self._clock.monotonic_ns)
        self._waiting[name], self._limit[name] = 0, BLOCK


def truth(start: int, end: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Samples ``start`` to ``end`` of every recording: each tells its number, and none is silent."""
    return (np.arange(start, end) % 32_000 + 1).astype(np.int16)


@dataclass
class Told:
    """One callback that arrived."""

    event_id: str
    name: str
    recording_id: str
    sequence: int
    at: datetime
    life: int


class Receiver:
    """The customer's server: what came, and moods."""

    def __init__(self, clock: ManualClock, randomly: random.Random) -> None:
        self._clock, self._randomly = clock, randomly
        self.told: list[Told] = []
        self.life = 0
        self.fate = Fate(None)
        self.trouble = 0.0

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        self.fate.step("before a callback")
        mood = self._randomly.random()
        if mood < self.trouble / 2:
            raise OutboundError("connect", "refused")
        fields = dict(parse_qsl(request.body.decode()))
        if request.url.startswith(URL):
            event_id = dict(request.headers)[EVENT_ID_HEADER]
            sequence = int(fields["SequenceNumber"])
            self.told.append(
                Told(event_id, fields["EventName"], fields["RecordingUUID"], sequence, self._clock.wall, self.life)
            )
        self.fate.step("after a callback")
        return OutboundResponse(503 if mood < self.trouble else 200, {}, b"", request.url)


@dataclass
class Verdict:
    """What became of one trial."""

    recordings: int = 0
    deaths: int = 0
    power_cuts: int = 0
    lost_ms: float = 0.0
    duplicated: int = 0
    late: int = 0
    failed: int = 0
    cut_short: int = 0
    """Told to be, by a full disk."""
    problems: list[str] = field(default_factory=list)
    where: list[str] = field(default_factory=list)


class Trial:
    """A whole history of one data folder, drawn from ``seed``."""

    def __init__(self, folder: Path, seed: int, template: Path) -> None:
        self.data = folder / f"trial-{seed}"
        shutil.copytree(template, self.data)
        self.randomly = random.Random(seed)
        random.seed(seed)
        self.clock = ManualClock()
        self.receiver = Receiver(self.clock, self.randomly)
        self.receiver.trouble = self.randomly.choice((0.0, 0.0, 0.3, 0.8))
        self.disk_trouble = self.randomly.random() < 0.1
        self.store_trouble = self.randomly.random() < 0.2
        self.format: Literal["wav", "mp3"] = "mp3" if self.randomly.random() < 0.15 else "wav"
        self.key = self.randomly.randbytes(32) if self.randomly.random() < 0.2 else None
        self.ring = KeyRing(self.key)
        self.mixed: Counter[str] = Counter()
        self.verdict = Verdict()
        self.seed = seed

    async def run(self) -> Verdict:
        deaths = self.randomly.choice((0, 1, 1, 1, 2, 3))
        for number in range(deaths):
            await self._live(Fate(self.randomly.randint(1, self.randomly.choice((20, 80, 250)))), record=number == 0)
        await self._live(Fate(None), record=deaths == 0)
        await self._judge()
        shutil.rmtree(self.data)
        return self.verdict

    async def _live(self, fate: Fate, *, record: bool) -> None:
        life = Life(self, fate)
        self.receiver.life += 1
        self.receiver.fate = fate
        with contextlib.suppress(Killed):
            await life.go(record)
        await life.bury()
        self.mixed.update(life.mixer.mixed)
        if fate.dead:
            self.verdict.deaths += 1
            self.verdict.where.append(fate.where)
            if self.randomly.random() < 0.5:
                self.verdict.power_cuts += 1
                self._cut_power(life.mixer.safe)
            self.clock.advance(self.randomly.choice((0.5, 5.0, 600.0)))
            if self.randomly.random() < 0.1:
                self.clock.wall -= timedelta(hours=1)

    def _cut_power(self, safe: dict[Path, int]) -> None:
        """What was not synced is gone from a random byte on, and may be garbled before that; names can be gone too."""
        for path, size in safe.items():
            if not path.exists():
                continue
            if not size and self.randomly.random() < 0.5:
                path.unlink()
                continue
            content = bytearray(path.read_bytes())
            keep = self.randomly.randint(min(size, len(content)), len(content))
            if self.randomly.random() < 0.5:
                content[size:keep] = self.randomly.randbytes(max(0, keep - size))
            path.write_bytes(content[:keep])

    async def _judge(self) -> None:
        store = await Store.open(self.data)
        try:
            for recording_id, mixed in self.mixed.items():
                row = await store.recording(recording_id)
                if row is not None:
                    self.verdict.recordings += 1
                    self._judge_file(row, mixed)
                    self._judge_told(row)
                elif mixed:
                    self._problem(f"recording {recording_id} was mixed and is not in the database")
        finally:
            await store.close()

    def _judge_file(self, row: RecordingRow, mixed: int) -> None:
        if row.state == "failed":
            self.verdict.failed += 1
            if mixed > RATE:
                self._problem(f"failed though {mixed / RATE:.2f} s were mixed: {row.failure}")
            return
        if row.state != "ready":
            self._problem(f"ended as {row.state}")
            return
        lost_ms = max(0, mixed - row.samples) * 1000 / RATE
        self.verdict.lost_ms = max(self.verdict.lost_ms, lost_ms)
        if "disk full" in row.failure:
            self.verdict.cut_short += 1
            if row.report["complete"]:
                self._problem("was cut short by a full disk, and is told to be complete")
        if row.samples > mixed or lost_ms > 1000:
            self._problem(f"{lost_ms:.0f} ms of {mixed / RATE:.2f} s are missing")
        archive = Archive(DiskStorage(self.data / "recordings"), ring=self.ring)
        content = b"".join(archive.read(row.file))
        if hashlib.sha256(content).hexdigest() != row.sha256:
            self._problem("the file has another SHA-256 than was told")
        if self.format == "wav" and content[-2 * row.samples :] != truth(0, row.samples).tobytes():
            self._problem("the file does not hold what was mixed")
        if segment_files(self.data / "spool" / row.id):
            self._problem("its spool was left behind")

    def _judge_told(self, row: RecordingRow) -> None:
        told = [one for one in self.receiver.told if one.recording_id == row.id]
        first: dict[str, Told] = {}
        for one in told:
            first.setdefault(one.event_id, one)
        self.verdict.duplicated += len(told) - len(first)
        sequence = [one.sequence for one in first.values()]
        if sequence != list(range(1, len(sequence) + 1)):
            self._problem(f"told in the order {sequence}")
        endings = [one for one in first.values() if one.name in TERMINAL]
        if len(endings) != 1:
            names = [one.name for one in first.values()]
            self._problem(f"{len(endings)} terminal events: {names} of {row.id}, {row.state} {row.failure}")
        elif endings[0].life > 1 or (endings[0].at - (row.ended_at or endings[0].at)).total_seconds() > LATE_SECONDS:
            self.verdict.late += 1

    def _problem(self, text: str) -> None:
        self.verdict.problems.append(f"seed {self.seed} (died {', '.join(self.verdict.where) or 'not'}): {text}")


class Life:
    """One run of the server over the trial's data folder."""

    def __init__(self, trial: Trial, fate: Fate) -> None:
        self.trial, self.fate = trial, fate
        self.mixer = Mixer(fate, trial.clock, self._disk_is_full, trial.key)
        self._waiting: list[tuple[datetime, asyncio.Event]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._store: Store | None = None
        self._full = False
        self._refuses = 0
        self.failed_at: dict[str, datetime] = {}

    def _disk_is_full(self) -> bool:
        return self._full

    def _store_refuses(self) -> bool:
        if self.trial.store_trouble and not self._refuses and self.trial.randomly.random() < 0.05:
            self._refuses = self.trial.randomly.randint(1, 4)
        self._refuses = max(0, self._refuses - 1)
        return self._refuses > 0

    async def _wait(self, wake: asyncio.Event, until: datetime | None) -> None:
        if until is not None:
            self._waiting.append((until, wake))
        await wake.wait()

    async def go(self, record: bool) -> None:
        """Start, live through a call if ``record``, and end when nothing is owed. Raises Killed."""
        trial, clock = self.trial, self.trial.clock
        self._store = await Store.open(trial.data)
        store: Any = MortalStore(self._store, self.fate, self._store_refuses)
        mint = Mint(seed=trial.randomly.randrange(1 << 30))
        finisher: Any = DeskFinisher(self.fate, lambda: trial.randomly.random() < 0.01, trial.ring)
        local = DiskStorage(trial.data / "recordings")
        spool = trial.data / "spool"
        archive = Archive(local, ring=trial.ring)
        keeper = Keeper(store, archive, clock=clock, spool_root=spool)
        recorder = CallRecorder(finisher, local, spool, keeper, KeyMaker(), clock=clock, ring=trial.ring)
        self.finisher, self.timers, lines, sounds = finisher, ManualTimers(), FakeLines(), FakeSounds()
        self.service = Service(
            store=store, media=self.mixer, lines=lines, recorder=recorder, documents=FakeDocuments(), sounds=sounds,
            timers=self.timers, clock=clock, mint=mint,
        )  # fmt: skip
        lines.tell = self.service.post_leg
        self.recorder = recorder
        self.deliverer = Deliverer(
            store, trial.receiver, clock=clock, mint=mint, public_url="http://pbx", retry_hours=24, wait=self._wait
        )
        self._tasks.append(asyncio.create_task(self.deliverer.run()))
        await self._until(self._retrying(self.service.recover))
        self._store_of_life = store
        await self.recorder.tidy(store)
        if record:
            await self._call()
        await self._until_settled()

    async def _call(self) -> None:
        randomly = self.trial.randomly
        members = [AddParticipant(
            by=BY, mpc=REF, participant=ParticipantParameters(role=Role.AGENT),
            parameters=MpcParameters(stay_alone=True), dial=DialParameters(from_="100", to=(str(number),)),
        ) for number in range(2)]  # fmt: skip
        callback = Callback(URL, "POST")
        for command in members:
            await self._apply(command)
            await self._pass(0.1)
        for _ in range(randomly.choice((1, 1, 1, 2))):
            await self._apply(StartRecording(by=BY, mpc=REF, file_format=self.trial.format, callback=callback))
            await self._pass(randomly.uniform(0, 6))
            if randomly.random() < 0.4:
                await self._apply(PauseRecording(by=BY, mpc=REF))
                await self._pass(randomly.uniform(0, 2))
                await self._apply(ResumeRecording(by=BY, mpc=REF))
                await self._pass(randomly.uniform(0, 3))
            if randomly.random() < 0.1:
                self.trial.clock.wall -= timedelta(hours=1)  # an operator sets the clock during the call
                await self._pass(0.5)
            if self.trial.disk_trouble and randomly.random() < 0.5:
                self._full = True
                await self._pass(randomly.choice((1.0, 14.0)))
                self._full = False
            if randomly.random() < 0.7:
                await self._apply(StopRecording(by=BY, mpc=REF))
                await self._pass(0.2)
        await self._apply(EndMpc(by=BY, mpc=REF))

    async def _apply(self, command: Any) -> None:
        """As a customer would: asked again while the server cannot; what does not fit the state is let go."""
        for _ in range(20):
            try:
                await self._until(self.service.apply(command))
                return
            except StorageError:
                await self._pass(0.3)
            except (MixminusError, ConfigurationError):
                return
        raise AssertionError(f"{command} was never taken")

    async def _retrying(self, work: Callable[[], Awaitable[None]]) -> None:
        for _ in range(20):
            with contextlib.suppress(StorageError):
                await work()
                return

    async def _until(self, work: Awaitable[Any]) -> Any:
        """Await ``work``, but no longer than the process lives."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=0.002)
            if self.fate.dead:
                task.cancel()
                raise Killed
        return task.result()

    async def _pass(self, seconds: float) -> None:
        """Virtual time passes, tick by tick."""
        for tick in range(round(seconds / TICK)):
            self.advance(TICK)
            for event in self.mixer.tick():
                self.recorder.tap_over(event)
                if isinstance(event, media.TapFailed):
                    self.service.tap_failed(event)
                    await self._stopped(event.tap)
            if tick % 50 == 49:
                self.finisher.poll()
                self.timers.fire(1.0)
            if tick % 5 == 0:
                await self._breathe()

    async def _stopped(self, tap: str) -> None:
        """The database is real, and takes real time until what was told has come of it; virtual time waits for it."""
        while self.mixer.runs(tap):
            await asyncio.sleep(0.0005)
            if self.fate.dead:
                raise Killed

    async def _breathe(self) -> None:
        self.fate.step("between two ticks")
        await asyncio.sleep(0)
        if self.fate.dead:
            raise Killed

    def advance(self, seconds: float) -> None:
        self.trial.clock.advance(seconds)
        due = [entry for entry in self._waiting if entry[0] <= self.trial.clock.wall]
        self._waiting = [entry for entry in self._waiting if entry not in due]
        for _, event in due:
            event.set()

    async def _until_settled(self) -> None:
        """Nothing is owed to anybody; time jumps to what is waited for."""
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0.0005)
            await self._pass(TICK)
            loaded = self.deliverer._outbox._early is None
            idle = not self.service._tasks and not self.service.books.owed and not self.deliverer.under_way and loaded
            if not idle and self.service.books.owed:
                self.timers.fire(1.0)
            if idle and self.deliverer.lanes_pending and self._waiting:
                self.advance(max(0.0, (min(self._waiting)[0] - self.trial.clock.wall).total_seconds()))
            if idle:
                await self.recorder.tidy(self._store_of_life)
            quiet = quiet + 1 if idle and not self.deliverer.lanes_pending else 0
            self.trial.receiver.trouble = max(0.0, self.trial.receiver.trouble - 0.01)
            self._fail_if_broken()

    def _fail_if_broken(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def bury(self) -> None:
        """What a dead process does not do any more: nothing is flushed, closed or answered."""
        me = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not me]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.exception()
        if self._store is not None:
            await self._store.close()
        for tap in self.mixer._taps.values():
            descriptor = getattr(tap.file, "_descriptor", -1)
            if descriptor >= 0:
                _close(descriptor)


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)


@dataclass
class Totals:
    """What the suite found; ``markdown`` is a row of docs/benchmarks.md."""

    tried: int = 0
    recordings: int = 0
    deaths: int = 0
    power_cuts: int = 0
    lost_ms: float = 0.0
    late: int = 0
    duplicated: int = 0
    failed: int = 0
    cut_short: int = 0
    problems: list[str] = field(default_factory=list)
    places: Counter[str] = field(default_factory=Counter)

    def add(self, one: Verdict) -> None:
        self.tried += 1
        for name in ("recordings", "deaths", "power_cuts", "late", "duplicated", "failed", "cut_short"):
            setattr(self, name, getattr(self, name) + getattr(one, name))
        self.lost_ms = max(self.lost_ms, one.lost_ms)
        self.problems += one.problems
        self.places.update(one.where)

    def markdown(self, title: str) -> str:
        missing = sum("terminal events" in problem for problem in self.problems)
        cells = (
            title, self.tried, self.deaths, self.power_cuts, self.recordings, f"{self.lost_ms:.0f}", missing, self.late,
            self.duplicated, self.failed, self.cut_short, len(self.problems),
        )  # fmt: skip
        return "| " + " | ".join(map(str, cells)) + " |"


HEADING = (
    "| suite | tried | kills | of them power cuts | recordings | most lost, ms | terminal events missing or doubled"
    " | told later | delivered twice | told as failed | cut short by a full disk | promises broken |\n|" + " --- |" * 12
)


async def template_of(folder: Path) -> Path:
    """A data folder as it is after the first start: copied for each trial, which is faster than migrating."""
    data = folder / "template"
    data.mkdir()
    store = await Store.open(data)
    await store.commit(Transaction(save=(AccountRow(id=BY.account, token="t", created_at=ManualClock().wall),)))
    await store.close()
    return data


def _ignore_the_dead(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)


async def suite(folder: Path, seeds: range) -> Totals:
    """Try them all; every trial's promise is checked, and nothing raised until the end."""
    template, totals = await template_of(folder), Totals()
    asyncio.get_running_loop().set_exception_handler(_ignore_the_dead)
    for seed in seeds:
        totals.add(await Trial(folder, seed, template).run())
        if seed % 100 == 99:
            gc.collect()
    gc.collect()  # what the dead had begun and never awaited is found here, where that is expected
    return totals
