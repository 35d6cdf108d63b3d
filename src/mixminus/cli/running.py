"""Finding the server that runs: its data folder says where it listens, and with which credentials."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mixminus.errors import ConfigurationError
from mixminus.intercept.authority import CERTIFICATE_FILE, FOLDER
from mixminus.intercept.gateway import Upstream
from mixminus.settings import split_host_port

HAND_SHAKE = "server.json"
DEFAULT_DATA = Path("./mixminus-data")


@dataclass(frozen=True)
class Running:
    """A running server. ``http`` is HOST:PORT; ``tls`` the name it serves TLS under, empty for plain HTTP."""

    http: str
    auth_id: str
    auth_token: str
    data: Path
    tls: str = ""

    @property
    def upstream(self) -> Upstream:
        host, port = split_host_port(self.http)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        return Upstream(host, port, self._context() if self.tls else None, self.tls)

    def _context(self) -> ssl.SSLContext:
        """Trusts the system's authorities and that of the data folder."""
        context = ssl.create_default_context()
        ours = self.data / FOLDER / CERTIFICATE_FILE
        if ours.exists():
            context.load_verify_locations(ours)
        return context


def data_folder(data: Path | None, environ: Mapping[str, str]) -> Path:
    """The folder that is meant: the option, ``MIXMINUS_DATA``, or the default."""
    return data or Path(environ.get("MIXMINUS_DATA", DEFAULT_DATA))


def find(data: Path | None, http: str | None = None, environ: Mapping[str, str] = os.environ) -> Running:
    """The server of a data folder; with ``http`` the one there, credentials from the environment.

    Raises :class:`~mixminus.errors.ConfigurationError` saying what to do when there is none.
    """
    folder = data_folder(data, environ)
    if http is not None:
        return _given(http, folder, environ)
    path = folder / HAND_SHAKE
    try:
        found = json.loads(path.read_text())
        return Running(found["http"], found["auth_id"], found["auth_token"], folder, found.get("tls", ""))
    except FileNotFoundError:
        raise ConfigurationError(
            f"no server runs in {folder}; start one with 'mixminus serve', or name its folder with --data"
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None


def _given(http: str, folder: Path, environ: Mapping[str, str]) -> Running:
    names = (("PLIVO_AUTH_ID", "MIXMINUS_AUTH_ID"), ("PLIVO_AUTH_TOKEN", "MIXMINUS_AUTH_TOKEN"))
    auth_id, token = (next((environ[name] for name in pair if environ.get(name)), "") for pair in names)
    if not auth_id or not token:
        raise ConfigurationError("--http: needs PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN in the environment")
    scheme, separator, rest = http.rpartition("://")
    host, _, port = rest.rstrip("/").rpartition(":")
    if not host or not port.isdigit() or scheme not in ("", "http", "https"):
        raise ConfigurationError(f"--http: {http!r} is not HOST:PORT, for example 127.0.0.1:8080")
    return Running(f"{host}:{port}", auth_id, token, folder, tls=host if separator and scheme == "https" else "")
