"""Takes what the taps recorded to disk, on one thread of its own, so that no tick ever waits for a disk.

Sinks (called from the tick) append to one bounded queue; the thread drains it a few times a second, writes block by
block and syncs once per round. Spools are opened and closed aside, those that end together synced in one go: hundreds
that begin or end at once hold up nobody, and no crowd of threads takes turns with the tick.
A spool that cannot be written fails its own tap and no other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeAlias

from mixminus.errors import StorageError
from mixminus.media.protocol import StartTap, TapClosed, TapFailed
from mixminus.media.taping.aside import Aside
from mixminus.media.taping.spooled import Begin, Beside, OpenSpool, Operation, SpoolFile, Tap, Value

POLL_SECONDS = 0.05
SYNC_ROUNDS = 8
"""Dirty spools are synced every so many rounds (0.4 s), together: fewer syncs, and they share commits. With the half
second that a block gathers, a power cut then costs less than a second.
"""
TOGETHER = 4
"""So many dirty spools are synced in one go; fewer one by one, since other programs' files are none of ours."""
BACKLOG_LIMIT = 64 * 1024 * 1024
"""Bytes waiting for the disk, all taps together; what comes beyond it is left out and becomes a marked gap."""
BESIDE_SHARE = 0.9
"""Of the limit, for tracks and notes: whose samples then find room."""
STUCK_NS = 2_000_000_000
"""A writer that has taken nothing for so long while no more is let in is not slow but stuck: taps fail."""
OVERLOADED = 0.9
"""Load of the worker from which it is the processor, not the disk, that the writer waits for."""
SyncTogether: TypeAlias = Callable[[Sequence[Any]], None]
"""Syncs several files that ``OpenSpool`` gave, at the price of one. Raises StorageError."""
TapEvent: TypeAlias = TapClosed | TapFailed
_Entry: TypeAlias = tuple[Tap, Operation, Value, int]


class _Opening(NamedTuple):
    """A spool that is being opened, and what is to be done with it then."""

    file: Future[SpoolFile]
    entries: list[_Entry]


class _Closing(NamedTuple):
    """A spool to be closed."""

    tap: Tap
    file: SpoolFile
    now_ns: int
    last: bool
    """The recording is over, as it should be."""
    told: bool = True
    """Whether that is told; not of a segment after which the next follows here."""


class SpoolWriter:
    """The writer thread and its queue. :meth:`open_tap`, :meth:`events` and :meth:`stop` are for the tick's thread."""

    def __init__(
        self,
        open_spool: OpenSpool,
        *,
        sync_together: SyncTogether | None = None,
        backlog_limit: int = BACKLOG_LIMIT,
        load: Callable[[], float] = lambda: 0.0,
        prefer: Callable[[], object] = lambda: None,
    ) -> None:
        """``load``: share of the worker's time that is spent; ``prefer``: called by the thread as it begins, for the
        scheduler's favour.
        """
        self._open_spool = open_spool
        self._sync_together = sync_together
        self._backlog_limit = backlog_limit
        self._load, self._prefer = load, prefer
        self._queue: deque[_Entry] = deque()
        self._opener: Aside | None = None
        self._closer: Aside | None = None
        """There are two while the thread runs."""
        self._closing: list[_Closing] = []
        self._opening: dict[Tap, _Opening] = {}
        self._queued_bytes = 0
        self._written_bytes = 0
        self._seen_bytes, self._seen_at_ns = -1, 0
        """How far the writer was when it was last looked at, and when it got there."""
        self._events: deque[TapEvent] = deque()
        self._dirty: set[Tap] = set()
        self._wake = threading.Event()
        self._stopping = False
        self._crash: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def backlog(self) -> int:
        """Bytes waiting for the disk."""
        return self._queued_bytes - self._written_bytes

    def open_tap(self, command: StartTap, now_ns: int) -> Tap:
        """The sink of a new tap. Its folder is made on the writer thread; TapFailed tells if that was impossible."""
        return Tap(command, now_ns, self._enqueue)

    def events(self) -> list[TapEvent]:
        """What happened on disk since the last call. Raises what ended the thread, if something did."""
        if self._crash is not None:
            raise self._crash
        found = []
        while self._events:
            found.append(self._events.popleft())
        return found

    def stop(self, timeout: float = 30.0) -> bool:
        """Write, sync and close everything queued; whether that was done in time."""
        self._stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def pump(self, *, sync: bool = False) -> None:
        """Write what is queued on the caller's thread, in place of :meth:`start`; for virtual time. ``sync`` then makes
        it safe against a power cut, as every :data:`SYNC_ROUNDS` th round of the thread does.
        """
        self._drain()
        if sync:
            self._sync()

    # -- on the tick's thread

    def _enqueue(self, tap: Tap, operation: Operation, value: Value, now_ns: int) -> bool:
        """Whether it was taken; what has samples is not while the backlog is at its limit."""
        if tap.failed and (tap.broken or not tap.closing):
            return True
        if isinstance(value, bytes | Beside):
            limit = self._backlog_limit if isinstance(value, bytes) else self._backlog_limit * BESIDE_SHARE
            if self.backlog + len(value) > limit:
                if self._is_stuck(now_ns):
                    tap.failed = tap.told = True  # what is queued already is written if it can be
                    self._tell(tap, self._why_stuck(tap), now_ns, writing=True)
                return False
            self._queued_bytes += len(value)
        if tap.left_out and not tap.failed:
            self._queue.append((tap, "gap", tap.left_out, now_ns))
            tap.left_out = 0
        self._queue.append((tap, operation, value, now_ns))
        if tap.closing:
            self._wake.set()
        return True

    def _is_stuck(self, now_ns: int) -> bool:
        if self._seen_bytes != self._written_bytes:
            self._seen_bytes, self._seen_at_ns = self._written_bytes, now_ns
        return now_ns - self._seen_at_ns > STUCK_NS

    def _why_stuck(self, tap: Tap) -> str:
        load, waiting = self._load(), f"{self.backlog} bytes wait to be written"
        if load >= OVERLOADED:
            return f"the media worker has no time to write {tap.folder}, its load is {load:.0%}: {waiting}"
        return f"the disk is too slow for {tap.folder}: {waiting}"

    # -- on the writer thread

    def _run(self) -> None:
        try:
            self._prefer()
            with Aside("spool-opener") as self._opener, Aside("spool-closer") as self._closer:
                self._rounds(self._opener, self._closer)
        except BaseException as error:  # noqa: BLE001 - handed to the tick's thread, which must not go on without a writer
            self._crash = error

    def _rounds(self, *asides: Aside) -> None:
        rounds = 0
        while not (self._stopping and not self._queue and not self._opening):
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()
            self._drain()
            for aside in asides:
                aside.look()
            rounds += 1
            if rounds % SYNC_ROUNDS == 0:
                self._sync()
        self._sync()

    def _drain(self) -> None:
        for tap in [tap for tap, opening in self._opening.items() if opening.file.done()]:
            self._opened(tap, self._opening.pop(tap))
        for _ in range(len(self._queue)):
            self._pass_on(self._queue.popleft())
        if self._closing:
            closing, self._closing = self._closing, []
            if self._closer is None:
                self._close_all(closing)
            else:
                self._closer.submit(lambda: self._close_aside(closing))

    def _pass_on(self, entry: _Entry) -> None:
        opening = self._opening.get(entry[0])
        if opening is None:
            self._take(entry)
        else:
            opening.entries.append(entry)

    def _take(self, entry: _Entry) -> None:
        tap, operation, value, now_ns = entry
        if isinstance(value, bytes | Beside):
            self._written_bytes += len(value)
        if tap.broken:
            self._abandon(tap, now_ns)
            return
        try:
            self._do(tap, operation, value, now_ns)
        except (StorageError, OSError) as error:
            self._fail(tap, str(error), now_ns)
            self._abandon(tap, now_ns)

    def _open(self, tap: Tap, begin: Begin, now_ns: int) -> SpoolFile:
        return self._open_spool(tap.folder, rate=begin.rate, now_ns=now_ns, paused=begin.paused)

    def _open_aside(self, opening: _Opening, tap: Tap, begin: Begin, now_ns: int) -> None:
        try:
            opening.file.set_result(self._open(tap, begin, now_ns))
        except BaseException as error:  # noqa: BLE001 - raised again, or told, on the writer thread
            opening.file.set_exception(error)

    def _opened(self, tap: Tap, opening: _Opening) -> None:
        try:
            tap.file = opening.file.result()
        except (StorageError, OSError) as error:
            self._fail(tap, str(error), tap.covered_ns)
        for entry in opening.entries:
            self._pass_on(entry)  # one of them may begin another segment

    def _do(self, tap: Tap, operation: Operation, value: Value, now_ns: int) -> None:
        file = tap.file
        if isinstance(value, Begin):
            if file is not None:
                self._dirty.discard(tap)
                self._closing.append(_Closing(tap, file, now_ns, last=False, told=False))
            self._begin(tap, value, now_ns)
            return
        assert file is not None, "a tap that could not be opened has failed"
        if isinstance(value, bytes):
            file.append(value, now_ns)
            tap.samples += len(value) // 2
        elif isinstance(value, Beside):
            file.beside(value.tracks, value.notes, now_ns)
        elif operation == "gap":
            file.gap(value, now_ns)
        elif operation == "pause":
            file.pause(now_ns)
        elif operation == "resume":
            file.resume(now_ns)
        else:
            self._dirty.discard(tap)
            tap.file = None
            self._closing.append(_Closing(tap, file, now_ns, operation == "close" and not tap.told))
            return
        self._dirty.add(tap)
        if file.trouble and not tap.told:
            tap.told = True
            self._tell(tap, file.trouble, now_ns, writing=True)

    def _begin(self, tap: Tap, begin: Begin, now_ns: int) -> None:
        if self._opener is None:
            tap.file = self._open(tap, begin, now_ns)
            return
        tap.file, opening = None, _Opening(Future(), [])
        self._opening[tap] = opening
        self._opener.submit(lambda: self._open_aside(opening, tap, begin, now_ns))

    def _close_aside(self, closing: list[_Closing]) -> None:
        try:
            self._close_all(closing)
        except BaseException as error:  # noqa: BLE001 - as in _run
            self._crash = error

    def _close_all(self, closing: list[_Closing]) -> None:
        """The last that is done with these taps."""
        ended = [one for one in closing if self._ends(one)]
        self._synced([one.file for one in ended])  # else each waits for the disk as it closes
        for one in ended:
            tap, at_ns = one.tap, one.now_ns
            try:
                samples = one.file.close(at_ns)
            except (StorageError, OSError) as error:
                self._fail(tap, str(error), at_ns)
                continue
            if one.told:
                tap.samples = samples
                self._events.append(TapClosed(tap=tap.name, samples=tap.samples, rate=tap.rate, at_ns=at_ns))

    def _ends(self, one: _Closing) -> bool:
        try:
            if one.last:
                one.file.end(one.now_ns)
            else:
                one.file.leave()
        except (StorageError, OSError) as error:
            self._fail(one.tap, str(error), one.now_ns)
            self._let_go(one.file, one.now_ns)
            return False
        return True

    def _sync(self) -> None:
        files = [tap.file for tap in self._dirty if tap.file is not None and not tap.broken]
        if self._synced(files):
            self._dirty.clear()
            return
        for tap in self._dirty:
            if tap.file is None or tap.broken:
                continue
            try:
                tap.file.sync()
            except (StorageError, OSError) as error:
                self._fail(tap, str(error), tap.covered_ns)
        self._dirty.clear()

    def _synced(self, files: list[SpoolFile]) -> bool:
        """Whether they were synced in one go. Else they are few, or one cannot be: one by one it is found out which."""
        if self._sync_together is None or len(files) < TOGETHER:
            return False
        try:
            self._sync_together(files)
        except (StorageError, OSError):
            return False
        return True

    def _abandon(self, tap: Tap, now_ns: int) -> None:
        """Close the file of a failed tap; what it holds stays for recovery."""
        self._dirty.discard(tap)
        file, tap.file = tap.file, None
        if file is not None:
            self._let_go(file, now_ns)

    def _let_go(self, file: SpoolFile, now_ns: int) -> None:
        file.leave()  # without the mark of an end: it was cut off
        try:
            file.close(now_ns)
        except (StorageError, OSError):
            return  # already told as TapFailed, for the first reason

    def _fail(self, tap: Tap, reason: str, now_ns: int) -> None:
        if not tap.broken:
            self._tell(tap, reason, now_ns)
        tap.failed = tap.broken = True

    def _tell(self, tap: Tap, reason: str, now_ns: int, *, writing: bool = False) -> None:
        event = TapFailed(tap=tap.name, reason=reason, samples=tap.samples, at_ns=now_ns, writing=writing)
        self._events.append(event)
