"""The certificate that ``serve --tls`` shows: the operator's, or one of the local authority's."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

from mixminus.errors import ConfigurationError
from mixminus.intercept.authority import Authority
from mixminus.settings import Settings


def server_certificate(settings: Settings, now: datetime) -> tuple[Path, Path | None] | None:
    """Chain and key files (``None``: the key is in the chain's file); ``None`` when plain HTTP is wanted.

    Raises :class:`~mixminus.errors.ConfigurationError` for settings that contradict each other, and for files that
    cannot be used.
    """
    if not settings.tls:
        for name in ("tls_cert", "tls_key"):
            if getattr(settings, name) is not None:
                raise ConfigurationError(f"{name}: of no use without tls; set tls to the host name to serve")
        return None
    if settings.tls_cert is None:
        if settings.tls_key is not None:
            raise ConfigurationError("tls_key: needs tls_cert beside it")
        return Authority.open(settings.data, now).issue((settings.tls,), now), None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:
        raise ConfigurationError(f"tls_cert, tls_key: cannot be used as a certificate and its key: {error}") from error
    return settings.tls_cert, settings.tls_key
