"""The folder of sounds: what each URL answered last, the files themselves, and what was made of them. Blocks.

::

    urls/{hash of the URL}.json      :class:`Entry`
    originals/{hash of the bytes}    as it came
    wav-{wide rates}/{hash}-{rate}.wav
                                     ready to be played; also prompts that were spoken

What has more to it than one rate holds lies there at the wide rates too: whoever has the path of the one finds the
others beside it. Files are written whole or not at all. A file used lately is younger; the oldest go when the folder is
too large.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

KEEP_SECONDS = 600.0
"""What was used within this time is never evicted: a player may be about to open it."""


class Entry(msgspec.Struct, frozen=True):
    """What a URL answered, and when (seconds since 1970) that was last known to be so."""

    url: str
    content: str
    """SHA-256 of the bytes."""
    checked_at: float
    etag: str = ""
    last_modified: str = ""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def at_rate(path: Path, rate: int) -> Path:
    """``x-8000.wav`` at another rate: ``x-48000.wav``."""
    return path.with_name(f"{path.stem.rpartition('-')[0]}-{rate}{path.suffix}")


class SoundFolder:
    """``limit``: bytes the folder may take before the oldest files go. ``wide``: rates (Hz) at which sounds are kept
    beside the one they are asked for at.
    """

    def __init__(self, root: Path, limit: int, *, wide: Sequence[int] = ()) -> None:
        self._root = root
        self._limit = limit
        self._wide = tuple(sorted(wide))
        # A folder of its own for each choice of rates: what was made when it was another is made anew.
        self._ready = root / "-".join(["wav", *map(str, self._wide)])
        for folder in (root / "urls", root / "originals", self._ready):
            folder.mkdir(parents=True, exist_ok=True)

    def rates(self, rate: int) -> tuple[int, ...]:
        """At which a sound is to be made that is asked for at ``rate``, which is the first of them."""
        return rate, *(wide for wide in self._wide if wide > rate)

    def _entry_path(self, url: str) -> Path:
        return self._root / "urls" / f"{digest(url.encode())}.json"

    def entry(self, url: str) -> Entry | None:
        """The last answer, if it is known and the file still there."""
        try:
            entry = msgspec.json.decode(self._entry_path(url).read_bytes(), type=Entry)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        return entry if entry.url == url and self.original(entry.content).exists() else None

    def remember(self, entry: Entry) -> None:
        self._write(self._entry_path(entry.url), msgspec.json.encode(entry))

    def original(self, content: str) -> Path:
        return self._root / "originals" / content

    def keep(self, content: bytes) -> str:
        """Store bytes; returns their hash."""
        name = digest(content)
        self._write(self.original(name), content)
        return name

    def wav(self, name: str, rate: int) -> Path:
        return self._ready / f"{name}-{rate}.wav"

    def fresh_path(self) -> Path:
        """Where to make a new file; :meth:`adopt` moves it to its place, with what lies beside it at other rates."""
        return self._ready / f"{uuid.uuid4().hex}-new.part"

    def adopt(self, made: Path, place: Path) -> None:
        """The one that says that all are there comes last."""
        for rate in self._wide:
            wide = at_rate(made, rate)
            if wide.exists():
                wide.replace(at_rate(place, rate))
        made.replace(place)
        self.use(place)

    def discard(self, made: Path) -> None:
        """Remove what is left of a :meth:`fresh_path`."""
        for path in (made, *(at_rate(made, rate) for rate in self._wide)):
            path.unlink(missing_ok=True)

    def use(self, path: Path) -> bool:
        """Whether ``path`` is there; it is young again then, with what lies beside it at other rates."""
        try:
            os.utime(path)
            now = path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        for rate in self._wide:
            with suppress(FileNotFoundError):  # the sound has no more to it
                os.utime(at_rate(path, rate), ns=(now, now))
        return True

    def _write(self, path: Path, content: bytes) -> None:
        beside = path.with_name(f"{uuid.uuid4().hex}.part")
        try:
            beside.write_bytes(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def tidy(self, now: float) -> int:
        """Remove the oldest files until the folder is within its limit; returns how many bytes went."""
        files = sorted(
            ((stat.st_mtime, stat.st_size, path) for path in self._root.glob("*/*") if (stat := _stat(path))),
            key=lambda found: found[:2],  # of the rates of a sound the narrow one first: without it all are made anew
        )
        over, removed = sum(size for _, size, _ in files) - self._limit, 0
        for used_at, size, path in files:
            if removed >= over or used_at > now - KEEP_SECONDS:
                break
            path.unlink(missing_ok=True)
            removed += size
        return removed


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
