"""The composition root: every part made once, handed what it needs, started and drained in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from mixminus import __version__
from mixminus.accounts import main_account
from mixminus.api.app import create_app
from mixminus.api.limit import RateLimit
from mixminus.api.ports import Ports, Registration
from mixminus.calls.applications import Directory
from mixminus.calls.lines import SipLines
from mixminus.calls.recorder import CallRecorder
from mixminus.calls.renderings import Renderings
from mixminus.calls.routing import NoRoute, Route, find_route
from mixminus.calls.service import Service
from mixminus.clock import Clock, SystemClock
from mixminus.endpoints import EndpointBook
from mixminus.errors import ConfigurationError, MixminusError, StorageError
from mixminus.ids import Mint
from mixminus.intercept.certificate import server_certificate
from mixminus.media import protocol as media
from mixminus.media.client import MediaClient
from mixminus.media.codecs import opus
from mixminus.observe import Observed, routes
from mixminus.outbound.client import OutboundClient
from mixminus.recording.client import Finisher
from mixminus.recording.keeper import Keeper
from mixminus.recording.opening import MASTERS, SPOOL, key_maker, open_archive, retention_of
from mixminus.recording.signed_urls import SECRET_META, RecordingUrls, UrlSigner, new_secret
from mixminus.recording.storage.objects import ObjectStorage, StoreRefuses
from mixminus.recording.transcribe import why_not
from mixminus.sdp.answer import CODECS, SPOKEN, Codec
from mixminus.settings import Settings, split_host_port
from mixminus.sip.endpoint import SipEndpoint
from mixminus.sounds.cache import SoundFolder
from mixminus.sounds.library import Limits, SoundLibrary
from mixminus.sounds.speech import Speaker, find_engine
from mixminus.store.db import Store
from mixminus.store.rows import MetaRow
from mixminus.store.transaction import Transaction
from mixminus.webhooks.deliver import Deliverer
from mixminus.webhooks.documents import Documents
from mixminus.webhooks.signing import TokenBook
from mixminus.webhooks.sounds import CallSounds

log = structlog.get_logger(__name__)

HAND_SHAKE = "server.json"
"""In the data folder while the server runs: where it listens, and the main account's credentials."""
CALLBACK_DRAIN_SECONDS = 3.0
_MOST_FINISHERS = 4
STORE_CHECK_SECONDS = 10.0
PLIVO_PHONE_DOMAIN = "phone.plivo.com"
"""Endpoints are addressed under it by applications written for the vendor."""


class LoopTimers:
    """:class:`~mixminus.calls.ports.Timers` on the running event loop."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(seconds, action).cancel


class _HttpServer(uvicorn.Server):
    """uvicorn without its own signal handling: signals are the server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """One running mixminus. ``start``, then ``drain`` or nothing, then ``stop``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock: Clock = SystemClock()
        self.mint = Mint()
        self.http_address = ""
        self.sip_address = ""
        self.broken = asyncio.Event()
        """Set when a part that nothing can replace has failed."""
        self._closing = contextlib.AsyncExitStack()
        self._observed = Observed()

    async def start(self) -> None:
        """Raises ConfigurationError for what the operator can mend, and leaves nothing running then."""
        try:
            await self._start()
        except BaseException:
            await self._closing.aclose()
            raise

    async def _start(self) -> None:
        settings = self.settings
        _make_data_folder(settings.data)
        self.store = await self._open_store()
        self._closing.push_async_callback(self.store.close)
        self.account = await main_account(self.store, settings, self.mint, self.clock.now().wall)
        http = _listen(settings.http)
        self._closing.callback(http.close)
        self.http_address = _address(http)
        self.public_url = (settings.public_url or self._own_url()).rstrip("/")
        await self._start_media()
        await self._start_calls()
        await self._start_http(http)
        await self.service.recover()
        self._observed.ready = True
        self._write_hand_shake()

    def _own_url(self) -> str:
        name, (host, port) = self.settings.tls, self.http_address.rsplit(":", 1)
        return f"https://{name}:{port}" if name else f"http://{host}:{port}"

    async def _start_media(self) -> None:
        settings = self.settings
        sip_host = split_host_port(settings.sip)[0]
        if sip_host in ("0.0.0.0", "::") and not settings.media_host:
            raise ConfigurationError("media_host: needed when sip listens on all addresses; set the address phones see")
        self.media = self._make_media(sip_host)
        await self.media.start()
        self._closing.push_async_callback(self.media.stop)
        self.finisher = self._make_finisher()
        await self.finisher.start()
        self._closing.push_async_callback(self.finisher.stop)
        await self._start_keeping()

    async def _start_keeping(self) -> None:
        """Where finished recordings go. A store that is away is waited for; one that refuses us is a wrong setting."""
        settings = self.settings
        self.archive, keys = open_archive(settings), key_maker(settings)
        if isinstance(self.archive.remote, ObjectStorage):
            await _check_store(self.archive.remote)
        spool = settings.data / SPOOL
        self.keeper = Keeper(
            self.store, self.archive, clock=self.clock, spool_root=spool, retention=retention_of(settings)
        )
        self.recorder = CallRecorder(
            self.finisher,
            self.archive.local,
            spool,
            self.keeper,
            keys,
            clock=self.clock,
            masters=self._masters(),
            engine=settings.transcribe_engine,
            model=settings.transcribe_model,
        )
        self._closing.push_async_callback(self.recorder.notebook.close)
        self.renderings = Renderings(self.archive, self._masters(), self._make_finisher)
        self._closing.push_async_callback(self.renderings.close)
        sweeping = asyncio.create_task(self.renderings.sweep(settings.master_days), name="masters")
        self._closing.push_async_callback(_cancel, sweeping)
        self.keeper.tidy = lambda: self.recorder.tidy(self.store)
        keeping = asyncio.create_task(self.keeper.run(), name="keeper")
        self._closing.push_async_callback(_cancel, keeping)
        secret = await self.store.meta(SECRET_META)
        if secret is None:
            secret = new_secret()
            await self.store.commit(Transaction(save=(MetaRow(id=SECRET_META, value=secret),)))
        signer = UrlSigner(secret, lasting=timedelta(hours=settings.recording_url_hours))
        self.recording_urls = RecordingUrls(signer, settings.recording_urls)

    def _masters(self) -> Path | None:
        """What is sealed at rest must not lie about in the clear beside it."""
        settings = self.settings
        return settings.data / MASTERS if settings.master_days and not self.archive.ring.seals else None

    # -- the parts that virtual time replaces (testing/virtual/server.py)

    async def _open_store(self) -> Store:
        return await Store.open(self.settings.data)

    def _make_media(self, host: str) -> MediaClient:
        settings = self.settings
        return MediaClient(
            host=host,
            ports=settings.rtp_range,
            workers=settings.workers,
            pool=settings.rtp_pool,
            advertised_host=settings.media_host,
            on_event=self._media_event,
            high_water=settings.media_high_water,
        )

    def _make_finisher(self) -> Finisher:
        """One for each core, within reason, so that hundreds of recordings stopped at once are announced soon."""
        return Finisher(processes=min(os.cpu_count() or 1, _MOST_FINISHERS))

    def _make_outbound(self) -> OutboundClient:
        return OutboundClient(allow_private=self.settings.dev)

    def _make_http(self, config: uvicorn.Config) -> uvicorn.Server:
        return _HttpServer(config)

    async def _start_calls(self) -> None:
        settings = self.settings
        self.outbound = self._make_outbound()
        self._closing.push_async_callback(self.outbound.close)
        self.deliverer = Deliverer(
            self.store,
            self.outbound,
            clock=self.clock,
            mint=self.mint,
            public_url=self.public_url,
            retry_hours=settings.callback_retry_hours,
            tell_url=self.recording_urls.told,
        )
        self.endpoints = await EndpointBook.load(self.store, self.account.id)
        await self._start_sip()
        documents = self._documents()
        self.service = Service(
            store=self.store,
            media=self.media,
            lines=self.lines,
            recorder=self.recorder,
            documents=documents,
            sounds=self._sounds(documents),
            timers=LoopTimers(),
            clock=self.clock,
            mint=self.mint,
        )
        self.service.recording_defaults = {"tracks": settings.record_tracks, "pause_as": settings.pause_as}
        self._closing.push_async_callback(self.service.players.close)
        self._wire_lines()
        self._delivering = asyncio.create_task(self.deliverer.run(), name="callbacks")
        self._delivering.add_done_callback(self._delivering_ended)
        self._closing.push_async_callback(self.deliverer.drain, CALLBACK_DRAIN_SECONDS)

    def _delivering_ended(self, task: asyncio.Task[None]) -> None:
        """Callbacks are a promise: a server that cannot keep it ends, and is started again by whoever watches it."""
        if not task.cancelled() and task.exception() is not None:
            log.critical("callbacks can no longer be delivered", exc_info=task.exception())
            self.broken.set()

    def _documents(self) -> Documents:
        return Documents(
            self.outbound,
            TokenBook(self.store),
            clock=self.clock,
            mint=self.mint,
            public_url=self.public_url,
            sleep=asyncio.sleep,
        )

    def _sounds(self, documents: Documents) -> CallSounds:
        settings = self.settings
        folder = SoundFolder(settings.data / "sounds", settings.sound_cache_bytes)
        limits = Limits(
            bytes=settings.sound_max_bytes,
            seconds=settings.sound_max_seconds,
            connect_seconds=settings.sound_connect_seconds,
            read_seconds=settings.sound_read_seconds,
            fresh_seconds=settings.sound_fresh_seconds,
        )
        library = SoundLibrary(self.outbound, folder, clock=self.clock, limits=limits)
        self._closing.push_async_callback(library.close)
        self.speaker = Speaker(find_engine(settings.tts_engine, settings.tts_piper_voices), folder, clock=self.clock)
        return CallSounds(library, self.speaker, documents, limit=limits.bytes)

    async def _start_sip(self) -> None:
        settings = self.settings
        host, port = split_host_port(settings.sip)
        self.domain = settings.sip_domain or settings.media_host or host
        self.sip = SipEndpoint(
            mint=self.mint,
            clock=self.clock,
            handler=lambda event: self.lines.on_event(event),
            credentials=self.endpoints.account,
            realm=self.domain,
            session_expires=settings.session_expires,
            user_agent=f"mixminus/{__version__}",
        )
        bound_host, bound_port = await self.sip.start(host, port)
        self._closing.push_async_callback(self.sip.stop)
        self.sip_address = f"{bound_host}:{bound_port}"
        self.lines = SipLines(
            endpoint=self.sip, ports=self.media, mint=self.mint, domain=self.domain, find_route=self._find_route
        )

    def _find_route(self, to: str) -> Route | NoRoute:
        port = self.sip_address.rpartition(":")[2]
        domains = {f"{self.domain}:{port}", self.sip_address, PLIVO_PHONE_DOMAIN}
        if port == "5060" or self.settings.sip_domain:
            domains.add(self.domain)
        return find_route(
            to, trunks=self.settings.trunk, domains=frozenset(domains), contacts=lambda user: self.sip.contacts(user)
        )

    def _wire_lines(self) -> None:
        directory = Directory(self.store, self.settings, self.account.id)
        self.lines.tell = self.service.post_leg
        self.lines.incoming = self.service.incoming
        self.lines.key_pressed = self.service.key_pressed
        self.lines.find_destination = directory.destination
        self.lines.accepting = lambda: not self.service.draining
        self.lines.overloaded = self.service.overloaded = self.media.overloaded
        self.lines.codecs = _spoken(self.settings.codecs)
        self.lines.media_timeout = self.settings.media_timeout
        self.lines.spawn = self.service.spawn

    def _media_event(self, event: media.Event) -> None:
        match event:
            case media.Digit():
                self.service.key_pressed(event.leg, event.key)
            case media.SpeakStart():
                self.service.speaking(event.leg, True)
            case media.SpeakStop():
                self.service.speaking(event.leg, False)
            case media.LegSilent():
                log.info("nothing comes from a phone any more", call_uuid=event.leg, seconds=event.seconds)
                self.lines.media_lost(event.leg)
            case media.LegQuality():
                log.info("a leg sounds otherwise", call_uuid=event.leg, good=event.good, mos=event.mos, loss=event.loss)
            case media.PlayEnded():
                self.service.players.play_ended(event)
            case media.TapClosed():
                self.recorder.tap_over(event)
            case media.TapFailed():
                self.recorder.tap_over(event)
                self.service.tap_failed(event)
            case _:
                log.debug("media event", kind=type(event).__name__)

    async def _start_http(self, listener: socket.socket) -> None:
        ports = Ports(
            apply=self.service.apply,
            store=self.endpoints.watching(self.store),
            files=self.archive,
            deliver_async=self.service.deliver_async,
            rendering=self.renderings.key,
            no_transcripts=why_not(self.settings.transcribe_engine, self.settings.transcribe_model),
            public_url=self.public_url,
            sip_domain=self.domain,
            registration=self._registration,
            callbacks=self.store,
            speech_missing=lambda: self.speaker.missing,
            line_of=self.media.leg_stats,
            numbers=self.settings.number,
            conferences=self.service.conferences.visible,
            clock=self.clock,
            mint=self.mint,
            rate_limit=RateLimit(self.settings.rate_limit),
            recording_urls=self.recording_urls,
        )
        app = create_app(ports, extra_routes=routes(self._observed, self))
        config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, server_header=False)
        certificate = server_certificate(self.settings, self.clock.now().wall)
        if certificate is not None:
            config.ssl_certfile, config.ssl_keyfile = certificate
        self._http = self._make_http(config)
        self._serving = asyncio.create_task(self._http.serve(sockets=[listener]), name="http")
        self._closing.push_async_callback(self._stop_http)

    async def _stop_http(self) -> None:
        self._http.should_exit = True
        await self._serving

    def _registration(self, username: str) -> Registration | None:
        bindings = self.sip.contacts(username)
        if not bindings:
            return None
        seconds = bindings[0].expires_at - self.clock.now().monotonic_ns / 1e9
        return Registration(bindings[0].uri, max(0, round(seconds)), bindings[0].user_agent)

    def _write_hand_shake(self) -> None:
        path = self.settings.data / HAND_SHAKE
        content = {
            "http": self.http_address,
            "sip": self.sip_address,
            "tls": self.settings.tls,
            "pid": os.getpid(),
            "auth_id": self.account.id,
            "auth_token": self.account.token,
        }
        _write_private(path, json.dumps(content))
        self._closing.callback(path.unlink, missing_ok=True)

    async def drain(self) -> None:
        """Take no new calls, let the live ones end for ``drain_seconds``, finish every recording."""
        self._observed.ready = False
        await self.service.drain(self.settings.drain_seconds)

    async def end_now(self) -> None:
        """End the calls at once; their recordings are finished and announced all the same."""
        self._observed.ready = False
        await self.service.end_everything()

    async def stop(self) -> None:
        await self._closing.aclose()


def _spoken(names: Sequence[str]) -> tuple[Codec, ...]:
    """Codecs of the setting, as SDP names them; Opus only where there is a libopus."""
    wanted = [codec for name in names for codec in SPOKEN if codec.lower() == name]
    if "opus" in wanted and not opus.available():
        log.warning("no libopus was found: calls go without Opus", fix="pip install opuslib-next-bundled")
        wanted.remove("opus")
    return tuple(wanted) or CODECS


def _make_data_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"data folder {folder}: {error.strerror}; choose one that can be written with --data"
        ) from error


async def _check_store(remote: ObjectStorage) -> None:
    try:
        async with asyncio.timeout(STORE_CHECK_SECONDS):
            await remote.check()
    except StoreRefuses as error:
        raise ConfigurationError(f"storage: {error}") from error
    except (StorageError, TimeoutError) as error:
        reason = str(error) or f"no answer within {STORE_CHECK_SECONDS:g} s"
        log.warning("the store is away; recordings stay here until it is back", store=remote.url, error=reason)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _listen(address: str) -> socket.socket:
    host, port = split_host_port(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"http: cannot listen on {address}: {error.strerror}; choose another with --http"
        ) from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable by the owner only: it holds the token."""
    beside = path.with_suffix(".tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    beside.replace(path)


async def serve(settings: Settings, *, announce: Callable[[Server], None] = lambda server: None) -> None:
    """Run until SIGTERM (drain; a second one ends now) or SIGINT (end now). ``announce`` is called once calls can be
    taken.

    Raises:
        ConfigurationError: a setting, port or folder cannot be used.
        MixminusError: a part failed that the server cannot be without.
    """
    server = Server(settings)
    drain, end = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: end.set() if drain.is_set() else drain.set())
    loop.add_signal_handler(signal.SIGINT, end.set)
    if not await _started(server, drain, end):
        return
    try:
        announce(server)
        log.info("ready", http=server.http_address, sip=server.sip_address)
        _calm_garbage_collector()
        await _first(drain, end, server.broken)
        if drain.is_set() and not end.is_set():
            log.info("draining", seconds=settings.drain_seconds)
            await _until(server.drain(), end)
        await server.end_now()
    finally:
        await server.stop()
    log.info("stopped")
    if server.broken.is_set():
        raise MixminusError("the server ended because callbacks could no longer be delivered; its log says why")


async def _started(server: Server, *signals: asyncio.Event) -> bool:
    """Start, unless a signal comes first: then what had started is stopped again."""
    starting = asyncio.create_task(server.start())
    signalled = asyncio.create_task(_first(*signals))
    await asyncio.wait({starting, signalled}, return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if not starting.done():
        log.info("told to end while starting")
        starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    return not starting.cancelled()


def _calm_garbage_collector() -> None:
    """What start-up made stays; the rest is looked at rarely: thousands of SIP transactions live for 32 s each."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _first(*events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _until(work: Coroutine[Any, Any, None], end: asyncio.Event) -> None:
    """Await ``work``, or give it up when ``end`` is set."""
    task = asyncio.create_task(work)
    waiting = asyncio.create_task(end.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done():
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
