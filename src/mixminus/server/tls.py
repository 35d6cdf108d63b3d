"""TLS of the HTTP and SIP ports: which certificates they show, whom calls out trust, and following the files.

What is written over a certificate's files (a renewal) is shown from the next connection on, without a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import structlog
import uvicorn

from mixminus.errors import ConfigurationError
from mixminus.intercept.authority import Authority
from mixminus.settings import Settings, split_host_port
from mixminus.sip.endpoint import TlsListener

WATCH_SECONDS = 10.0
"""Between two looks at the files."""
_WILDCARDS = frozenset({"0.0.0.0", "::"})

log = structlog.get_logger(__name__)


class Certificate:
    """A chain (PEM) and its key, shown by ``context``. ``key`` of ``None``: it is in the chain's file."""

    def __init__(self, name: str, chain: Path, key: Path | None) -> None:
        """``name`` of the setting, for errors. Raises :class:`~mixminus.errors.ConfigurationError`."""
        self.name = name
        self.chain, self.key = chain, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._seen = self._stamp()
        try:
            self._load()
        except OSError as error:
            raise ConfigurationError(f"{name}: cannot be used as a certificate and its key: {error}") from error

    def follow(self) -> None:
        """Take the files up again if they have changed; files that cannot be used are logged, and the old kept."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._load()
        except OSError as error:
            log.error("the new certificate cannot be used; the old one stays", setting=self.name, error=str(error))
        else:
            log.info("a new certificate is shown", setting=self.name, file=str(self.chain))

    def _load(self) -> None:
        # Tried elsewhere first: a context whose chain and key do not fit together is of no use to anybody.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.chain, self.key)
        self.context.load_cert_chain(self.chain, self.key)

    def _stamp(self) -> list[tuple[int, int, int]]:
        """What changes with the files, or with what links to them."""
        found = []
        for path in (self.chain, self.key):
            if path is not None:
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    found.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return found


async def follow_all(certificates: Sequence[Certificate]) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        for certificate in certificates:
            certificate.follow()


def http_certificate(settings: Settings, now: datetime) -> Certificate | None:
    """What the API is served with; ``None``: plain HTTP. Raises :class:`~mixminus.errors.ConfigurationError`."""
    names = (settings.tls,) if settings.tls else ()
    found = _certificate("tls", "the host name to serve", names, settings.tls_cert, settings.tls_key, settings, now)
    if found is not None:
        found.context.set_alpn_protocols(["http/1.1"])
    return found


def show(certificate: Certificate, config: uvicorn.Config) -> None:
    """Let the HTTP server use the context that is followed, not one of its own."""
    config.ssl_certfile, config.ssl_keyfile = certificate.chain, certificate.key
    config.load()
    config.ssl = certificate.context


def sip_certificate(settings: Settings, now: datetime) -> Certificate | None:
    """What SIP over TLS is taken with; ``None``: it is not. Raises :class:`~mixminus.errors.ConfigurationError`."""
    hosts = (settings.sip_domain, settings.media_host, split_host_port(settings.sip_tls)[0]) if settings.sip_tls else ()
    names = tuple(dict.fromkeys(host for host in hosts if host and host not in _WILDCARDS))
    return _certificate(
        "sip_tls", "HOST:PORT to take it on", names, settings.sip_tls_cert, settings.sip_tls_key, settings, now
    )


def sip_listener(settings: Settings, certificate: Certificate | None) -> TlsListener | None:
    if certificate is None:
        return None
    return TlsListener(*split_host_port(settings.sip_tls), certificate.context, settings.sip_domain)


def sip_trust(settings: Settings) -> ssl.SSLContext | None:
    """Authorities of the peers that are called over TLS; ``None``: the system's."""
    if settings.sip_tls_ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=settings.sip_tls_ca)
    except OSError as error:
        raise ConfigurationError(f"sip_tls_ca: {settings.sip_tls_ca} holds no certificates: {error}") from error


def _certificate(
    setting: str,
    meaning: str,
    names: tuple[str, ...],
    chain: Path | None,
    key: Path | None,
    settings: Settings,
    now: datetime,
) -> Certificate | None:
    """The operator's certificate, or one of the data folder's own authority for ``names``; none without ``setting``."""
    cert_setting, key_setting = f"{setting}_cert", f"{setting}_key"
    if not getattr(settings, setting):
        for name, given in ((cert_setting, chain), (key_setting, key)):
            if given is not None:
                raise ConfigurationError(f"{name}: of no use without {setting}; set {setting} to {meaning}")
        return None
    if chain is None:
        if key is not None:
            raise ConfigurationError(f"{key_setting}: needs {cert_setting} beside it")
        if not names:
            raise ConfigurationError(f"{cert_setting}: needed, or sip_domain: the name a certificate is made for")
        return Certificate(cert_setting, Authority.open(settings.data, now).issue(names, now), None)
    return Certificate(f"{cert_setting}, {key_setting}", chain, key)
