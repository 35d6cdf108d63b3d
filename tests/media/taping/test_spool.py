from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mixminus.errors import StorageError
from mixminus.media.protocol import StartTap, TapClosed, TapFailed
from mixminus.media.taping.spool import SpoolWriter, TapEvent
from mixminus.media.taping.spooled import OpenSpool
from mixminus.recording.spool import Spool, segment_files
from mixminus.recording.timeline import Timeline, timeline

TICK = 20_000_000


@pytest.fixture
def made() -> Iterator[list[SpoolWriter]]:
    writers: list[SpoolWriter] = []
    yield writers
    for writer in writers:
        assert writer.stop(10)


def writer_of(made: list[SpoolWriter], open_spool: OpenSpool = Spool.open, limit: int = 1 << 20) -> SpoolWriter:
    writer = SpoolWriter(open_spool, backlog_limit=limit)
    made.append(writer)
    writer.start()
    return writer


def wait_for(writer: SpoolWriter, count: int = 1) -> list[TapEvent]:
    found: list[TapEvent] = []
    deadline = time.monotonic() + 10
    while len(found) < count:
        found += writer.events()
        assert time.monotonic() < deadline, found
        threading.Event().wait(0.001)
    return found


def tap_into(folder: Path, paused: bool = False) -> StartTap:
    return StartTap(tap=folder.name, room="r", hear=1, spool=str(folder), paused=paused)


def read(folder: Path) -> Timeline:
    return timeline([path.read_bytes() for path in segment_files(folder)])


def ramp(samples: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.arange(samples, dtype=np.int16)


def test_samples_pauses_and_the_end_reach_the_journal(made: list[SpoolWriter], tmp_path: Path) -> None:
    writer = writer_of(made)
    tap = writer.open_tap(tap_into(tmp_path / "rec"), 0)
    tap.write(ramp(800), 5 * TICK)
    tap.pause(5 * TICK)
    tap.resume(50 * TICK)
    tap.write(ramp(160), 51 * TICK)
    tap.close(51 * TICK)
    assert wait_for(writer) == [TapClosed(tap="rec", samples=960, rate=8000, at_ns=51 * TICK)]
    told = read(tmp_path / "rec")
    assert told.ended
    assert told.samples == 960
    assert [marker.kind for marker in told.markers] == ["pause"]
    assert [getattr(piece, "pcm", None) for piece in told.pieces] == [ramp(800).tobytes(), ramp(160).tobytes()]


def test_the_engine_may_reuse_its_buffer_at_once(made: list[SpoolWriter], tmp_path: Path) -> None:
    writer = writer_of(made)
    tap = writer.open_tap(tap_into(tmp_path / "rec"), 0)
    buffer = ramp(160)
    tap.write(buffer, TICK)
    buffer[:] = -1
    tap.close(TICK)
    wait_for(writer)
    (piece,) = read(tmp_path / "rec").pieces
    assert getattr(piece, "pcm", b"") == ramp(160).tobytes()


def test_skipped_ticks_become_a_marked_gap_of_their_length(made: list[SpoolWriter], tmp_path: Path) -> None:
    writer = writer_of(made)
    tap = writer.open_tap(tap_into(tmp_path / "rec"), 0)
    tap.write(ramp(8000), 50 * TICK)
    tap.write(ramp(8000), 120 * TICK)  # 70 ticks later: 20 of them were never mixed
    tap.close(120 * TICK)
    wait_for(writer)
    told = read(tmp_path / "rec")
    assert told.samples == 120 * 160
    assert [(marker.kind, marker.at, marker.samples) for marker in told.markers] == [("gap", 8000, 3200)]


def test_a_tap_goes_on_in_a_new_segment(made: list[SpoolWriter], tmp_path: Path) -> None:
    for number in range(2):
        writer = writer_of(made)
        tap = writer.open_tap(tap_into(tmp_path / "rec"), number * 100 * TICK)
        tap.write(ramp(160), (number * 100 + 1) * TICK)
        tap.close((number * 100 + 1) * TICK)
        wait_for(writer)
    assert len(segment_files(tmp_path / "rec")) == 2


class Gate:
    """Spools whose opening and closing wait for :attr:`pass_`, if their name is in ``slow``."""

    def __init__(self, slow: str, opening: bool) -> None:
        self.slow, self.opening = slow, opening
        self.pass_, self.reached = threading.Event(), threading.Event()

    def open(self, folder: Path, *, rate: int, now_ns: int, paused: bool) -> Spool:
        if self.opening:
            self._wait(folder.name)
        made = Spool.open(folder, rate=rate, now_ns=now_ns, paused=paused)
        if not self.opening:
            close = made.close

            def close_slowly(now_ns: int) -> int:
                self._wait(folder.name)
                return close(now_ns)

            made.close = close_slowly  # type: ignore[method-assign]
        return made

    def _wait(self, name: str) -> None:
        if name == self.slow:
            self.reached.set()
            assert self.pass_.wait(10)


@pytest.mark.parametrize("opening", [True, False])
def test_a_spool_that_opens_or_closes_slowly_holds_up_no_other(
    made: list[SpoolWriter], tmp_path: Path, opening: bool
) -> None:
    gate = Gate("slow", opening)
    writer = writer_of(made, gate.open)
    slow, other = (writer.open_tap(tap_into(tmp_path / name), 0) for name in ("slow", "other"))
    for tap in (slow, other):
        tap.write(ramp(800), 5 * TICK)
    slow.close(5 * TICK)
    assert gate.reached.wait(10)
    other.write(ramp(800), 10 * TICK)
    other.close(10 * TICK)
    assert wait_for(writer) == [TapClosed(tap="other", samples=1600, rate=8000, at_ns=10 * TICK)]
    gate.pass_.set()
    assert wait_for(writer) == [TapClosed(tap="slow", samples=800, rate=8000, at_ns=5 * TICK)]
    assert writer.backlog == 0
    assert [(told.samples, told.ended) for told in map(read, (tmp_path / "slow", tmp_path / "other"))] == [
        (800, True),
        (1600, True),
    ]


def test_stopping_waits_for_what_is_being_opened(tmp_path: Path) -> None:
    gate = Gate("slow", True)
    writer = SpoolWriter(gate.open)
    writer.start()
    tap = writer.open_tap(tap_into(tmp_path / "slow"), 0)
    tap.write(ramp(800), 5 * TICK)
    tap.close(5 * TICK)
    assert gate.reached.wait(10)
    threading.Timer(0.05, gate.pass_.set).start()
    assert writer.stop(10)
    told = read(tmp_path / "slow")
    assert told.samples == 800 and told.ended


class BrokenDisk:
    """Takes so many blocks, then raises."""

    def __init__(self, blocks: int, problem: Callable[[], Exception], sync_works: bool = True) -> None:
        self.left, self.problem, self.sync_works = blocks, problem, sync_works
        self.closed = 0

    def open(self, folder: Path, *, rate: int, now_ns: int, paused: bool) -> BrokenDisk:
        return self

    trouble = ""

    def append(self, pcm: bytes | memoryview, now_ns: int = 0) -> None:
        if self.left == 0:
            raise self.problem()
        self.left -= 1

    def beside(self, tracks: object, notes: object, now_ns: int) -> None: ...
    def gap(self, samples: int, now_ns: int) -> None: ...
    def pause(self, now_ns: int) -> None: ...
    def resume(self, now_ns: int) -> None: ...
    def leave(self) -> None: ...

    def end(self, now_ns: int) -> None: ...

    def sync(self) -> None:
        if not self.sync_works:
            raise self.problem()

    def close(self, now_ns: int) -> int:
        self.closed += 1
        return 0


@pytest.mark.parametrize("problem", [StorageError("disk full"), OSError(5, "Input/output error")])
def test_a_write_that_fails_ends_its_tap_and_no_other(
    made: list[SpoolWriter], tmp_path: Path, problem: Exception
) -> None:
    broken = BrokenDisk(2, lambda: problem)

    def open_spool(folder: Path, *, rate: int, now_ns: int, paused: bool) -> BrokenDisk | Spool:
        disk = broken.open if folder.name == "bad" else Spool.open
        return disk(folder, rate=rate, now_ns=now_ns, paused=paused)

    writer = writer_of(made, open_spool)
    bad, good = writer.open_tap(tap_into(tmp_path / "bad"), 0), writer.open_tap(tap_into(tmp_path / "good"), 0)
    for tick in range(1, 6):
        bad.write(ramp(160), tick * TICK)
        good.write(ramp(160), tick * TICK)
    assert wait_for(writer) == [TapFailed(tap="bad", reason=str(problem), samples=320, at_ns=3 * TICK)]
    bad.close(6 * TICK)
    good.close(5 * TICK)
    assert wait_for(writer) == [TapClosed(tap="good", samples=800, rate=8000, at_ns=5 * TICK)]
    assert broken.closed == 1
    assert writer.backlog == 0


def test_a_sync_that_fails_fails_the_tap(made: list[SpoolWriter], tmp_path: Path) -> None:
    broken = BrokenDisk(99, lambda: StorageError("no spool for you"), sync_works=False)
    writer = writer_of(made, broken.open)
    writer.open_tap(tap_into(tmp_path / "rec"), 0).write(ramp(160), TICK)
    (event,) = wait_for(writer)
    assert event == TapFailed(tap="rec", reason="no spool for you", samples=160, at_ns=TICK)


def test_a_folder_that_cannot_be_made_is_a_failed_tap(made: list[SpoolWriter], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    writer = writer_of(made)
    writer.open_tap(tap_into(tmp_path / "file" / "rec"), 7)
    (event,) = wait_for(writer)
    assert isinstance(event, TapFailed)
    assert "creating spool" in event.reason
    assert event.samples == 0


@pytest.mark.parametrize(("load", "blamed"), [(0.5, "the disk is too slow"), (1.1, "its load is 110%")])
def test_a_disk_that_hangs_costs_the_tap_not_the_tick_or_the_memory(
    made: list[SpoolWriter], tmp_path: Path, load: float, blamed: str
) -> None:
    hang = threading.Event()

    def open_spool(folder: Path, *, rate: int, now_ns: int, paused: bool) -> Spool:
        assert hang.wait(30)
        return Spool.open(folder, rate=rate, now_ns=now_ns, paused=paused)

    writer = SpoolWriter(open_spool, backlog_limit=10_000, load=lambda: load)
    made.append(writer)
    writer.start()
    tap = writer.open_tap(tap_into(tmp_path / "rec"), 0)
    for tick in range(1, 200):
        tap.write(ramp(160), tick * TICK)
    (event,) = wait_for(writer)
    assert isinstance(event, TapFailed)
    assert blamed in event.reason
    assert writer.backlog <= 10_000
    tap.close(200 * TICK)
    hang.set()
    (closed,) = wait_for(writer)
    assert isinstance(closed, TapClosed)
    told = read(tmp_path / "rec")
    assert told.samples == closed.samples == 10_000 // 320 * 160, "what found room is written after all"
    assert not told.ended, "and was cut off"


def test_a_writer_that_falls_behind_costs_marked_gaps_and_no_recording(tmp_path: Path) -> None:
    """Two taps, room for ten blocks, and a writer that gets its turn every 20 ticks: each second of it has a gap."""
    writer = SpoolWriter(Spool.open, backlog_limit=10 * 320)
    taps = [writer.open_tap(tap_into(tmp_path / name), 0) for name in ("a", "b")]
    for tick in range(1, 201):
        for tap in taps:
            tap.write(np.full(160, tick, np.int16), tick * TICK)
        if tick % 20 == 0:
            writer.pump()
    for tap in taps:
        tap.close(200 * TICK)
    writer.pump()
    assert [type(event) for event in writer.events()] == [TapClosed, TapClosed]
    for name in ("a", "b"):
        told = read(tmp_path / name)
        assert told.ended
        assert told.samples == 200 * 160
        assert [marker.samples for marker in told.markers] == [15 * 160] * 10
        at = 0
        for piece in told.pieces:
            pcm = np.frombuffer(getattr(piece, "pcm", b""), np.int16)
            assert np.array_equal(pcm, np.arange(at, at + len(pcm)) // 160 + 1)  # everything is where it was said
            at += piece.samples


def test_notes_and_tracks_leave_room_for_their_samples(tmp_path: Path) -> None:
    writer = SpoolWriter(Spool.open, backlog_limit=1000)
    tap = writer.open_tap(tap_into(tmp_path / "a"), 0)
    tap.write(ramp(460), 3 * TICK)
    tap.beside([("x", ramp(20))], [])
    tap.write(ramp(20), 4 * TICK)
    tap.close(4 * TICK)
    writer.pump()
    told = read(tmp_path / "a")
    assert (told.samples, told.markers) == (480, ())
    assert not any(getattr(piece, "tracks", None) for piece in told.pieces)


def test_a_bug_in_the_writer_is_not_silent(made: list[SpoolWriter], tmp_path: Path) -> None:
    writer = writer_of(made, BrokenDisk(0, lambda: ZeroDivisionError("bug")).open)
    writer.open_tap(tap_into(tmp_path / "rec"), 0).write(ramp(160), TICK)
    with pytest.raises(ZeroDivisionError):
        wait_for(writer)


def test_stopping_writes_what_is_queued(made: list[SpoolWriter], tmp_path: Path) -> None:
    writer = writer_of(made)
    tap = writer.open_tap(tap_into(tmp_path / "rec"), 0)
    tap.write(ramp(800), 5 * TICK)
    assert writer.stop(10)
    assert read(tmp_path / "rec").samples == 800


def test_at_another_rate_the_next_segment_begins(made: list[SpoolWriter], tmp_path: Path) -> None:
    opening, may_open = threading.Event(), threading.Event()

    def slow(folder: Path, *, rate: int, now_ns: int, paused: bool) -> Spool:
        opening.set()
        assert may_open.wait(10)
        return Spool.open(folder, rate=rate, now_ns=now_ns, paused=paused)

    writer = writer_of(made, slow)
    tap = writer.open_tap(tap_into(tmp_path / "rec"), 0)
    tap.write(ramp(800), 5 * TICK)
    tap.change_rate(16000, 5 * TICK)
    tap.write(ramp(320), 6 * TICK)
    assert opening.wait(10), "all of it waits for the first segment"
    may_open.set()
    tap.pause(6 * TICK)
    tap.change_rate(48000, 7 * TICK)
    tap.resume(9 * TICK)
    tap.write(ramp(960), 10 * TICK)
    tap.close(10 * TICK)
    (closed,) = wait_for(writer)
    assert isinstance(closed, TapClosed)
    assert (closed.samples, closed.rate) == (960, 48000)
    result = read(tmp_path / "rec")
    assert (result.rate, result.samples, result.ended, result.damage) == (48000, 4800 + 960 + 960, True, 0)
    assert [(marker.kind, marker.at) for marker in result.markers] == [("pause", 5760)]
    assert len(segment_files(tmp_path / "rec")) == 3
