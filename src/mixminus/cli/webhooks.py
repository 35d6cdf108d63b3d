"""``mixminus webhooks``: what was said to whom, sending one again, and why a signature does not fit."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from rich.console import Console, Group, RenderableType
from rich.text import Text

from mixminus.cli.client import ApiClient, ApiRefused
from mixminus.cli.running import find
from mixminus.cli.view import age, show, table
from mixminus.errors import ConfigurationError
from mixminus.outbound.signature import Tokens, signature_headers, v3_messages

_COLOURS = {"delivered": "green", "pending": "yellow", "gave_up": "red"}
_V3, _V3_NONCE = "X-Plivo-Signature-V3", "X-Plivo-Signature-V3-Nonce"


def webhooks(data: Path | None, http: str | None, *, state: str | None, last: int, as_json: bool, watch: bool) -> int:
    """The last callbacks, newest first; returns the exit code. Raises
    :class:`~mixminus.errors.ConfigurationError`.
    """
    client = ApiClient(find(data, http))
    return show(lambda: [*client.every("Callback", state=state, most=last)], _list, as_json=as_json, watch=watch)


def callback(data: Path | None, http: str | None, callback_id: str, *, as_json: bool) -> int:
    """One callback with all its attempts."""
    client = ApiClient(find(data, http))
    return show(lambda: client.get("Callback", callback_id), _detail, as_json=as_json, watch=False)


def redeliver(data: Path | None, http: str | None, callback_id: str) -> int:
    """Send one again."""
    try:
        answer = ApiClient(find(data, http)).post("Callback", callback_id, "Redeliver")
    except ApiRefused as error:
        sys.stderr.write(f"mixminus: {error}\n")
        return 1
    Console(highlight=False).print(answer["message"])
    return 0


def _list(found: list[dict[str, Any]]) -> RenderableType:
    if not found:
        return Text("No callbacks.")
    shown = table("ago", "event", "to, and its id", "state", "tries", "answer", "took")
    shown.columns[1].no_wrap = shown.columns[3].no_wrap = True
    for one in found:
        last = one["tries"][-1] if one["tries"] else None
        shown.add_row(
            age(one["created_at"]),
            one["name"],
            Text.assemble(f"{one['method']} {one['url']}\n", (one["callback_id"], "dim")),
            Text(one["state"], _COLOURS.get(one["state"], "")),
            str(one["attempts"]),
            _answer(last),
            f"{last['duration_ms']} ms" if last else "",
        )
    return shown


def _answer(attempt: Mapping[str, Any] | None) -> Text:
    if attempt is None:
        return Text("")
    if attempt["status"] is None:
        return Text(attempt["error"], "red")
    return Text(str(attempt["status"]), "green" if attempt["status"] < 300 else "red")


def _detail(one: dict[str, Any]) -> RenderableType:
    tries = table("started", "took", "answer", "response")
    for attempt in one["tries"]:
        took = f"{attempt['duration_ms']} ms"
        tries.add_row(attempt["started_at"], took, _answer(attempt), Text(attempt["response"][:400]))
    head = Text.assemble(
        (one["name"], "bold"), f"  {one['method']} {one['url']}  ", (one["state"], _COLOURS.get(one["state"], ""))
    )
    waits = Text(f"next attempt at {one['next_attempt_at']}" if one["next_attempt_at"] else "")
    return Group(head, waits, tries, Text(""), Text(json.dumps(one["event"], indent=2, ensure_ascii=False)))


def verify_signature(method: str, url: str, form: Sequence[str], nonce: str, signature: str, token: str) -> int:
    """Judge ``X-Plivo-Signature-V3`` of a request, and show what is signed for it; 0 if it fits, else 1.

    ``form`` is the POST body, as sent or as NAME=VALUE words. Raises :class:`~mixminus.errors.ConfigurationError`.
    """
    if method not in ("GET", "POST"):
        raise ConfigurationError(f"--method: {method!r} is not GET or POST")
    fields = dict(pair for part in form for pair in parse_qsl(part, keep_blank_values=True))
    headers = signature_headers(method, url, fields if method == "POST" else {}, Tokens(token, token), nonce)
    given = {part.strip() for part in signature.split(",") if part.strip()}
    right = headers[_V3].split(",")
    fits = next((number for number, one in enumerate(right) if one in given), None)
    console = Console(highlight=False, soft_wrap=True)
    console.print(_verdict(fits is not None, given))
    console.print("\nSigned with HMAC-SHA256 under the token, then base64; the SDKs differ, one that fits is enough:\n")
    for number, message in enumerate(v3_messages(method, url, fields if method == "POST" else {})):
        mark = "[green]→[/]" if number == fits else " "
        console.print(mark, Text(right[number], "bold"), Text(f"{message}.{nonce}", "dim"))
    return 0 if fits is not None else 1


def _verdict(fits: bool, given: set[str]) -> Text:
    if fits:
        return Text("The signature fits.", "green")
    if not given:
        return Text("No signature given; a receiver would have to see one of these.", "yellow")
    return Text.assemble(
        ("The signature does not fit. ", "red"),
        "Compare what your code signs with the lines below: the URL must be the one that was requested (scheme, host, "
        "port and query as sent, not as seen behind a proxy), the form's values must be decoded, and the token must be "
        "that of the account the call belongs to.",
    )
