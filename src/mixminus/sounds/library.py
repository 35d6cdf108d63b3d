"""The audio library: a URL → a file to play. Fetched once, checked again when it is old, made fit once. A shell."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from mixminus.clock import Clock
from mixminus.errors import OutboundError, SoundError
from mixminus.outbound.request import OutboundRequest, OutboundResponse
from mixminus.outbound.url import request_url
from mixminus.sounds.cache import Entry, SoundFolder
from mixminus.sounds.command import run

log = structlog.get_logger(__name__)

AT_ONCE = 2
"""Files that are decoded at a time."""
DECODE_SECONDS = 60.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer's audio may cost."""

    bytes: int = 20_000_000
    seconds: float = 600.0
    """Length of the audio."""
    connect_seconds: float = 2.0
    read_seconds: float = 30.0
    fresh_seconds: float = 300.0
    """How long an answer is used without asking again."""


_DEFAULT_LIMITS = Limits()


Decode = Callable[[Path, Path, Sequence[int], float], Awaitable[None]]
"""Source, target, rates in Hz, longest seconds: :func:`~mixminus.sounds.decode.write_wavs`, wherever it is done."""


async def decode_apart(source: Path, target: Path, rates: Sequence[int], longest_seconds: float) -> None:
    """In a process of its own, with little memory and time, because the files come from anywhere. Raises SoundError."""
    numbers = ",".join(map(str, rates))
    module = [sys.executable, "-m", "mixminus.sounds.decoder"]
    await run([*module, str(source), str(target), numbers, f"{longest_seconds:g}"], seconds=DECODE_SECONDS)


class Fetcher(Protocol):
    async def fetch(self, request: OutboundRequest) -> OutboundResponse: ...


class SoundLibrary:
    """``rate``: Hz of the files it gives, unless another is asked for."""

    def __init__(
        self,
        client: Fetcher,
        folder: SoundFolder,
        *,
        clock: Clock,
        limits: Limits = _DEFAULT_LIMITS,
        rate: int = 8000,
        decode: Decode = decode_apart,
    ) -> None:
        self._decode_file = decode
        self._client = client
        self._folder = folder
        self._clock = clock
        self._limits = limits
        self._rate = rate
        self._under_way: dict[str, asyncio.Task[Any]] = {}
        self._decoding = asyncio.Semaphore(AT_ONCE)

    async def file(self, url: str, *, rate: int | None = None) -> Path:
        """A mono 16-bit WAV file of what ``url`` holds.

        Raises:
            SoundError: it cannot be fetched or is no audio; names the URL and the reason.
        """
        try:
            entry: Entry = await self._once(f"url {url}", self._entry(url))
            return await self._wav(entry.content, rate or self._rate)
        except (OutboundError, SoundError, OSError) as error:
            raise SoundError(_about(url, error)) from None

    async def fresh(self, url: str) -> bool:
        """Whether :meth:`file` would not have to ask."""
        entry = await asyncio.to_thread(self._folder.entry, url)
        return entry is not None and self._is_fresh(entry)

    async def put(self, url: str, content: bytes) -> None:
        """Take over what somebody else has just fetched from ``url``."""
        try:
            await self._keep(url, content, {})
        except OSError as error:
            raise SoundError(_about(url, error)) from None

    async def close(self) -> None:
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- fetching --------------------------------------------------------------------------------------------------

    async def _once(self, key: str, work: Coroutine[Any, Any, Any]) -> Any:
        """Join the same work if it is under way; whoever gives up waiting does not end it for the others."""
        task = self._under_way.get(key)
        if task is not None:
            work.close()
        else:
            task = self._under_way[key] = asyncio.ensure_future(work)
            task.add_done_callback(lambda done: self._finished(key, done))
        return await asyncio.shield(task)

    def _finished(self, key: str, done: asyncio.Task[Any]) -> None:
        self._under_way.pop(key, None)
        if not done.cancelled():
            done.exception()  # it is the waiters' to see, if there still are any

    def _now(self) -> float:
        return self._clock.now().wall.timestamp()

    def _is_fresh(self, entry: Entry) -> bool:
        return 0 <= self._now() - entry.checked_at < self._limits.fresh_seconds

    async def _entry(self, url: str) -> Entry:
        known = await asyncio.to_thread(self._folder.entry, url)
        if known is not None and self._is_fresh(known):
            return known
        try:
            response = await self._fetch(url, known)
        except OutboundError as error:
            if known is None or error.stage in ("address", "status", "size"):
                raise
            log.warning("a sound could not be checked; the known one is played", url=url, error=str(error))
            return known
        if response.status == 304 and known is not None:
            entry = msgspec.structs.replace(known, checked_at=self._now())
            await asyncio.to_thread(self._folder.remember, entry)
            return entry
        return await self._keep(url, response.body, response.headers)

    async def _fetch(self, url: str, known: Entry | None) -> OutboundResponse:
        """One answer, 200 or 304; tried twice whatever went wrong (API reference 4.1)."""
        limits = self._limits
        request = OutboundRequest(
            "GET",
            request_url(url.partition("#")[0]),
            headers={"Accept": "audio/*, application/ogg;q=0.9, */*;q=0.1"} | _conditions(known),
            connect_timeout=limits.connect_seconds,
            read_timeout=limits.read_seconds,
            total_timeout=limits.connect_seconds + 2 * limits.read_seconds,
            limit=limits.bytes,
        )
        try:
            return await self._attempt(request)
        except OutboundError as error:
            if error.stage in ("address", "size"):
                raise
        return await self._attempt(request)

    async def _attempt(self, request: OutboundRequest) -> OutboundResponse:
        response = await self._client.fetch(request)
        if not response.ok and response.status != 304:
            raise OutboundError("status", f"{request.url}: answered {response.status}", status=response.status)
        return response

    async def _keep(self, url: str, content: bytes, headers: Any) -> Entry:
        def store() -> Entry:
            entry = Entry(
                url=url,
                content=self._folder.keep(content),
                checked_at=self._now(),
                etag=headers.get("etag", ""),
                last_modified=headers.get("last-modified", ""),
            )
            self._folder.remember(entry)
            return entry

        return await asyncio.to_thread(store)

    # -- decoding --------------------------------------------------------------------------------------------------

    async def _wav(self, content: str, rate: int) -> Path:
        place = self._folder.wav(content, rate)
        if not await asyncio.to_thread(self._folder.use, place):
            await self._once(f"wav {place}", self._decode(content, rate, place))
        return place

    async def _decode(self, content: str, rate: int, place: Path) -> None:
        made = self._folder.fresh_path()
        source, rates = self._folder.original(content), self._folder.rates(rate)
        try:
            async with self._decoding:
                await self._decode_file(source, made, rates, self._limits.seconds)
            await asyncio.to_thread(self._folder.adopt, made, place)
        finally:
            self._folder.discard(made)
        await asyncio.to_thread(self._folder.tidy, self._now())


def _conditions(known: Entry | None) -> dict[str, str]:
    """Headers that make an unchanged file a 304."""
    if known is None:
        return {}
    found = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in found.items() if value}


def _about(url: str, error: Exception) -> str:
    """The reason, with the URL in front of it once."""
    text = str(error) or type(error).__name__
    return text if url.partition("#")[0] in text else f"{url}: {text}"
