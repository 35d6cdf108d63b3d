"""Every part of the server, made once, handed what it needs, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog
import uvicorn

from mixminus import __version__
from mixminus.api.app import create_app
from mixminus.api.limit import RateLimit
from mixminus.api.ports import Ports, Registration
from mixminus.calls.applications import Directory
from mixminus.calls.lines import SipLines
from mixminus.calls.negotiation import Care
from mixminus.calls.recorder import CallRecorder
from mixminus.calls.renderings import Renderings
from mixminus.calls.routing import NoRoute, Route, find_route
from mixminus.calls.service import Service
from mixminus.clock import Clock, SystemClock
from mixminus.errors import ConfigurationError
from mixminus.ids import Mint
from mixminus.media import protocol as media
from mixminus.media.fleet.client import MediaClient
from mixminus.media.fleet.endpoint import spawn_worker
from mixminus.outbound.client import OutboundClient
from mixminus.recording.archive import Archive
from mixminus.recording.client import COMMAND as FINISHER
from mixminus.recording.client import Finisher
from mixminus.recording.keeper import Keeper
from mixminus.recording.layouts import wanted
from mixminus.recording.opening import MASTERS, SPOOL, key_maker, key_words, open_archive, retention_of
from mixminus.recording.signed_urls import SECRET_META, RecordingUrls, UrlSigner, new_secret
from mixminus.recording.storage.objects import ObjectStorage
from mixminus.recording.transcribe import why_not
from mixminus.server.accounts import main_account
from mixminus.server.endpoints import EndpointBook
from mixminus.server.ground import (
    HttpServer,
    LoopTimers,
    address,
    cancel,
    check_store,
    listen,
    make_data_folder,
    spoken,
    wide_rates,
    write_private,
)
from mixminus.server.observe import Observed, routes
from mixminus.server.tls import follow_all, http_certificate, show, sip_certificate, sip_listener, sip_trust
from mixminus.settings import Settings, split_host_port
from mixminus.sip.endpoint import SipEndpoint
from mixminus.sip.uri import format_host_port
from mixminus.sounds.cache import SoundFolder
from mixminus.sounds.library import Limits, SoundLibrary, decode_apart
from mixminus.sounds.speech import Speaker, find_engine
from mixminus.store.db import Store
from mixminus.store.pruning import CallbackPruner
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
PLIVO_PHONE_DOMAIN = "phone.plivo.com"
"""Endpoints are addressed under it by applications written for the vendor."""


def _sealing(settings: Settings) -> tuple[str, ...]:
    """Words for media workers: their spools are sealed if files are."""
    key_file = settings.storage.encryption_key_file
    return () if key_file is None else ("--seal-key-file", str(key_file))


class Server:
    """One running mixminus. ``start``, then ``drain`` or nothing, then ``stop``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock: Clock = SystemClock()
        self.mint = Mint()
        self.http_address = ""
        self.sip_address = ""
        self.sip_tls_address = ""
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
        make_data_folder(settings.data)
        self.store = await self._open_store()
        self._closing.push_async_callback(self.store.close)
        self.account = await main_account(self.store, settings, self.mint, self.clock.now().wall)
        http = listen(settings.http)
        self._closing.callback(http.close)
        self.http_address = address(http)
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
        self.archive = self._open_archive()  # before the workers, which need its keys and could not complain
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
        keys = key_maker(settings)
        if isinstance(self.archive.remote, ObjectStorage):
            await check_store(self.archive.remote)
        spool = settings.data / SPOOL
        self.keeper = Keeper(
            self.store, self.archive, clock=self.clock, spool_root=spool, retention=retention_of(settings)
        )
        self.renderings = Renderings(
            self.archive, self._masters(), self._make_finisher, always=[wanted(text) for text in settings.renderings]
        )
        self.renderings.placed = self.keeper.placed
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
            renderings=self.renderings,
            ring=self.archive.ring,
            key_words=key_words(settings),
        )
        self._closing.push_async_callback(self.recorder.notebook.close)
        self._closing.push_async_callback(self.renderings.close)
        sweeping = asyncio.create_task(self.renderings.sweep(settings.master_days), name="masters")
        self._closing.push_async_callback(cancel, sweeping)
        self.keeper.tidy = lambda: self.recorder.tidy(self.store)
        self.keeper.prune = CallbackPruner(self.store, settings.callback_log_days).prune
        keeping = asyncio.create_task(self.keeper.run(), name="keeper")
        self._closing.push_async_callback(cancel, keeping)
        secret = await self.store.meta(SECRET_META)
        if secret is None:
            secret = new_secret()
            await self.store.commit(Transaction(save=(MetaRow(id=SECRET_META, value=secret),)))
        signer = UrlSigner(secret, lasting=timedelta(hours=settings.recording_url_hours))
        self.recording_urls = RecordingUrls(signer, settings.recording_urls)

    def _masters(self) -> Path | None:
        settings = self.settings
        return settings.data / MASTERS if settings.master_days else None

    # -- the parts that virtual time replaces (testing/virtual/server.py)

    async def _open_store(self) -> Store:
        return await Store.open(self.settings.data)

    def _open_archive(self) -> Archive:
        return open_archive(self.settings)

    def _make_media(self, host: str) -> MediaClient:
        settings = self.settings
        return MediaClient(
            host=host,
            ports=settings.rtp_range,
            workers=settings.media_workers,
            pool=settings.rtp_pool,
            advertised_host=settings.media_host,
            on_event=self._media_event,
            spawn=partial(spawn_worker, options=_sealing(settings)),
            high_water=settings.media_high_water,
        )

    def _make_finisher(self) -> Finisher:
        """One for each core, within reason, so that hundreds of recordings stopped at once are announced soon."""
        command = (*FINISHER, *key_words(self.settings))
        return Finisher(processes=min(os.cpu_count() or 1, _MOST_FINISHERS), command=command)

    def _make_outbound(self) -> OutboundClient:
        return OutboundClient(allow_private=self.settings.dev)

    async def _decode(self, source: Path, target: Path, rates: Sequence[int], longest_seconds: float) -> None:
        await decode_apart(source, target, rates, longest_seconds)

    def _make_http(self, config: uvicorn.Config) -> uvicorn.Server:
        return HttpServer(config)

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
        self._codecs = spoken(settings.codecs)
        folder = SoundFolder(settings.data / "sounds", settings.sound_cache_bytes, wide=wide_rates(self._codecs))
        limits = Limits(
            bytes=settings.sound_max_bytes,
            seconds=settings.sound_max_seconds,
            connect_seconds=settings.sound_connect_seconds,
            read_seconds=settings.sound_read_seconds,
            fresh_seconds=settings.sound_fresh_seconds,
        )
        library = SoundLibrary(self.outbound, folder, clock=self.clock, limits=limits, decode=self._decode)
        self._closing.push_async_callback(library.close)
        self.speaker = Speaker(find_engine(settings.tts_engine, settings.tts_piper_voices), folder, clock=self.clock)
        return CallSounds(library, self.speaker, documents, limit=limits.bytes)

    async def _start_sip(self) -> None:
        settings = self.settings
        host, port = split_host_port(settings.sip)
        self.domain = settings.sip_domain or settings.media_host or host
        self._sip_certificate = sip_certificate(settings, self.clock.now().wall)
        self.sip = SipEndpoint(
            mint=self.mint,
            clock=self.clock,
            handler=lambda event: self.lines.on_event(event),
            credentials=self.endpoints.account,
            realm=self.domain,
            session_expires=settings.session_expires,
            user_agent=f"mixminus/{__version__}",
            tls=sip_listener(settings, self._sip_certificate),
            trust=sip_trust(settings),
        )
        bound_host, bound_port = await self.sip.start(host, port)
        self._closing.push_async_callback(self.sip.stop)
        self.sip_address = format_host_port(bound_host, bound_port)
        self.sip_tls_address = format_host_port(*self.sip.tls_address) if self.sip.tls_address else ""
        self.lines = SipLines(
            endpoint=self.sip, ports=self.media, mint=self.mint, domain=self.domain, find_route=self._find_route
        )

    def _find_route(self, to: str) -> Route | NoRoute:
        port = self.sip_address.rpartition(":")[2]
        domains = {f"{self.domain}:{port}", self.sip_address, PLIVO_PHONE_DOMAIN}
        if self.sip_tls_address:
            domains |= {self.sip_tls_address, f"{self.domain}:{self.sip_tls_address.rpartition(':')[2]}"}
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
        self.lines.codecs = self._codecs
        self.lines.media_timeout = self.settings.media_timeout
        self.lines.care = Care(self.settings.agc, self.settings.comfort_noise, self.settings.inband_dtmf)
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
        certificate = http_certificate(self.settings, self.clock.now().wall)
        if certificate is not None:
            show(certificate, config)
        shown = [each for each in (certificate, self._sip_certificate) if each is not None]
        if shown:
            self._closing.push_async_callback(cancel, asyncio.create_task(follow_all(shown), name="certificates"))
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
            "sip_tls": self.sip_tls_address,
            "tls": self.settings.tls,
            "pid": os.getpid(),
            "auth_id": self.account.id,
            "auth_token": self.account.token,
        }
        write_private(path, json.dumps(content))
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
