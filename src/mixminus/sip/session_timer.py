"""Session timers (RFC 4028), the arithmetic: what to ask for, what to grant, when to refresh and when to give up."""

from __future__ import annotations

from typing import Literal, NamedTuple

from mixminus.errors import ProtocolError
from mixminus.sip import grammar
from mixminus.sip.message import Message, Request, Response

MIN_SE = 90
"""Seconds: the smallest interval anyone may ask for (section 4)."""
_LONGEST = 2**31


class SessionExpires(NamedTuple):
    interval: int
    refresher: Literal["uac", "uas", ""] = ""


class Terms(NamedTuple):
    """What both sides agreed on. ``interval`` in seconds."""

    interval: int
    we_refresh: bool

    def lapse_after(self) -> float:
        """Seconds from the last refresh to the BYE (section 10)."""
        return self.interval - min(32.0, self.interval / 3)


def parse_session_expires(message: Message) -> SessionExpires | None:
    """``Session-Expires: 1800;refresher=uac``; ``None`` if there is none."""
    value = message.header("session-expires")
    if value is None:
        return None
    number, _, parameters = value.partition(";")
    interval = grammar.parse_number(number, "Session-Expires", _LONGEST)
    refresher = (grammar.parse_parameters(parameters).get("refresher") or "").lower()
    if refresher == "uac":
        return SessionExpires(interval, "uac")
    return SessionExpires(interval, "uas") if refresher == "uas" else SessionExpires(interval)


def parse_min_se(message: Message) -> int:
    """Seconds; 90 if there is none."""
    value = message.header("min-se")
    return MIN_SE if value is None else grammar.parse_number(value.partition(";")[0], "Min-SE", _LONGEST)


def request_headers(interval: int, minimum: int = MIN_SE, refresher: str = "") -> list[tuple[str, str]]:
    """Headers of an INVITE or UPDATE that asks for a session timer; 0 asks for none."""
    if not interval:
        return [("Supported", "timer")]
    value = f"{interval};refresher={refresher}" if refresher else str(interval)
    return [("Supported", "timer"), ("Session-Expires", value), ("Min-SE", str(minimum))]


def is_too_small(request: Request) -> bool:
    """Whether 422 with Min-SE is the answer (section 9): only a client that knows timers can make use of it."""
    asked = parse_session_expires(request)
    return asked is not None and asked.interval < MIN_SE and "timer" in request.tokens("supported")


def grant(request: Request, interval: int) -> tuple[Terms | None, list[tuple[str, str]]]:
    """The callee's side (section 9): the terms, and headers for the 2xx. ``interval`` is our own wish, 0 none.

    We refresh unless the caller wants to; a caller that does not know timers needs to do nothing then.
    """
    try:
        asked = parse_session_expires(request)
        minimum = parse_min_se(request)
    except ProtocolError:
        asked, minimum = None, MIN_SE
    if asked is None and not interval:
        return None, []
    wished = [part for part in (asked.interval if asked else 0, interval) if part]
    agreed = max(min(wished), minimum, MIN_SE)
    knows = "timer" in request.tokens("supported")
    theirs = knows and asked is not None and asked.refresher == "uac"
    headers = [("Session-Expires", f"{agreed};refresher={'uac' if theirs else 'uas'}")]
    if theirs:
        headers.append(("Require", "timer"))
    return Terms(agreed, we_refresh=not theirs), headers


def read_grant(response: Response) -> Terms | None:
    """The caller's side (section 7.2): terms of a 2xx, or ``None``: no timer."""
    try:
        granted = parse_session_expires(response)
    except ProtocolError:
        return None
    if granted is None:
        return None
    return Terms(max(granted.interval, MIN_SE), we_refresh=granted.refresher != "uas")
