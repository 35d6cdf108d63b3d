"""Several virtual phones in a process of their own, told what to do line by line.

``python -m mixminus.testing.rack NAME...`` reads orders from stdin and writes reports to stdout, one JSON object a
line. :class:`Rack` is the other end of that. When stdin closes, the phones hang up and the process ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from mixminus.testing import sources
from mixminus.testing.phone import VirtualPhone

_LIMIT = 1 << 20

Report = TypeVar("Report")


class Say(msgspec.Struct, frozen=True, tag=True):
    """Let a phone say one of the package's voices; reported by :class:`Spoke` when it has."""

    phone: str
    voice: sources.Voice


class Save(msgspec.Struct, frozen=True, tag=True):
    """Write what each phone heard to ``{folder}/{phone}.wav``; reported by :class:`Saved`."""

    folder: str


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The phones can be called: name → SIP address."""

    addresses: dict[str, str]


class Spoke(msgspec.Struct, frozen=True, tag=True):
    """A phone has said a voice, from when to when on ``CLOCK_MONOTONIC``."""

    phone: str
    voice: sources.Voice
    start_ns: int
    end_ns: int


class Saved(msgspec.Struct, frozen=True, tag=True):
    """What was heard is on disk. Name → when the first sample was heard, nanoseconds on ``CLOCK_MONOTONIC``."""

    began_ns: dict[str, int]


_orders = msgspec.json.Decoder(Say | Save)
_reports = msgspec.json.Decoder(Ready | Spoke | Saved)


class Rack:
    """The phones' process, as seen by whoever started it."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._process: asyncio.subprocess.Process | None = None
        self.addresses: dict[str, str] = {}

    async def start(self, *, timeout: float = 15.0) -> None:
        """Start the process and wait until its phones can be called."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mixminus.testing.rack",
            *self._names,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LIMIT,
            start_new_session=True,  # Ctrl-C is the parent's to handle; the end of stdin is ours
        )
        self.addresses = (await self._report(Ready, timeout)).addresses

    async def say(self, phone: str, voice: sources.Voice) -> Spoke:
        """Let a phone speak and wait until it has."""
        return await self._ask(Say(phone, voice), Spoke, 60.0)

    async def save(self, folder: Path) -> dict[str, int]:
        """Save what every phone heard as WAV files; returns when each file begins (``CLOCK_MONOTONIC`` ns)."""
        return (await self._ask(Save(str(folder)), Saved, 30.0)).began_ns

    async def stop(self) -> None:
        """Let the phones hang up and the process end."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), 5.0)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _ask(self, order: Say | Save, kind: type[Report], timeout: float) -> Report:
        assert self._process is not None and self._process.stdin is not None, "start() comes first"
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        await self._process.stdin.drain()
        return await self._report(kind, timeout)

    async def _report(self, kind: type[Report], timeout: float) -> Report:
        assert self._process is not None and self._process.stdout is not None, "start() comes first"
        line = await asyncio.wait_for(self._process.stdout.readline(), timeout)
        if not line:
            raise RuntimeError(f"the phones' process ended with code {await self._process.wait()}")
        report = _reports.decode(line)
        if not isinstance(report, kind):
            raise RuntimeError(f"the phones' process said {report} where {kind.__name__} was due")
        return report


async def run(names: list[str]) -> None:
    """The process: phones up, orders in, reports out."""
    phones = {name: VirtualPhone(name) for name in names}
    addresses = {name: await phone.start() for name, phone in phones.items()}
    _tell(Ready(addresses))
    reader = asyncio.StreamReader(limit=_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        match _orders.decode(line):
            case Say(name, voice):
                start_ns = time.monotonic_ns()
                phones[name].says(sources.voice(voice))
                await phones[name].has_spoken()
                _tell(Spoke(name, voice, start_ns, time.monotonic_ns()))
            case Save(folder):
                _tell(Saved({name: _save(phone, Path(folder)) for name, phone in phones.items()}))
    for phone in phones.values():
        await phone.stop()


def _save(phone: VirtualPhone, folder: Path) -> int:
    import soundfile

    soundfile.write(folder / f"{phone.name}.wav", phone.heard.all(), sources.RATE, subtype="PCM_16")
    return phone.heard.began_ns


def _tell(report: Ready | Spoke | Saved) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1:]))
