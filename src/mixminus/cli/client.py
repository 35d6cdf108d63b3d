"""Asking a running server over its own API."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from mixminus.cli.running import Running
from mixminus.errors import MixminusError

_TIMEOUT = 10.0


class ApiRefused(MixminusError):
    """The server answered with an error, or not at all; the text is its own."""


class ApiClient:
    """Blocking requests with the main account's credentials."""

    def __init__(self, server: Running) -> None:
        self._server = server
        account = f"{server.auth_id}:{server.auth_token}"
        self._headers = {"Authorization": f"Basic {base64.b64encode(account.encode()).decode()}"}
        tls = server.upstream.tls
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if tls is not None:
            handlers.append(urllib.request.HTTPSHandler(context=tls))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, *path: str, **query: object) -> dict[str, Any]:
        """``get("MultiPartyCall", uuid)``: the answer. Raises :class:`ApiRefused`."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", path, urlencode(given))

    def post(self, *path: str) -> dict[str, Any]:
        return self._ask("POST", path)

    def every(self, *path: str, most: int = 1000, **query: object) -> Iterator[dict[str, Any]]:
        """The objects of a list, page after page, ``most`` at the most."""
        offset = 0
        while offset < most:
            page = self.get(*path, limit=min(20, most - offset), offset=offset, **query)
            yield from page["objects"]
            offset += len(page["objects"])
            if page["meta"]["next"] is None:
                return

    def _ask(self, verb: str, path: tuple[str, ...], query: str = "") -> dict[str, Any]:
        server = self._server
        tail = "/".join(quote(part, safe="") for part in path)
        host = (
            f"{server.tls}:{server.upstream.port}" if server.tls else f"{server.upstream.host}:{server.upstream.port}"
        )
        url = f"{'https' if server.tls else 'http'}://{host}/v1/Account/{server.auth_id}/{tail}/"
        request = urllib.request.Request(f"{url}?{query}" if query else url, method=verb, headers=self._headers)
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                body: dict[str, Any] = json.loads(answer.read() or b"{}")
                return body
        except urllib.error.HTTPError as error:
            with error:
                raise ApiRefused(_said(error.read()) or f"the server answered {error.code}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ApiRefused(f"the server at {server.http} cannot be asked: {reason}") from None


def _said(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return ""
