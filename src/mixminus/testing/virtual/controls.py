"""The controls of a world over HTTP, under ``/testing/``: for test runners in any language. JSON in, JSON out.

Every request is carried out before it is answered; a wrong one is answered 400 with ``{"error": …}``. They are not part
of the vendor's API, need no credentials, and exist only under ``mixminus serve --virtual-time``.
"""

from __future__ import annotations

import asyncio
import math
import re
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from starlette.types import Receive, Scope, Send

from mixminus.errors import SoundError
from mixminus.sdp.answer import CODECS, SPOKEN, Codec
from mixminus.testing import sources
from mixminus.testing.virtual.audible import Audible
from mixminus.testing.virtual.phones import Phone
from mixminus.testing.virtual.world import NotReached, World

Handler = Callable[..., Any]


class BadControl(Exception):
    """A control request that cannot be carried out; the text says why."""


class Controls:
    """An ASGI application over one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = [
            ("GET", re.compile(r"/testing/"), self._state),
            ("POST", re.compile(r"/testing/advance"), self._advance),
            ("POST", re.compile(r"/testing/until"), self._until),
            ("POST", re.compile(r"/testing/flow"), self._flow),
            ("POST", re.compile(r"/testing/phones"), self._add_phone),
            ("GET", re.compile(r"/testing/phones/([^/]+)"), self._phone),
            ("POST", re.compile(r"/testing/phones/([^/]+)/(\w+)"), self._tell),
            ("GET", re.compile(r"/testing/phones/([^/]+)/heard/([^/]+)"), self._heard),
            ("POST", re.compile(r"/testing/(recordings_fail|unreachable|slow)"), self._fault),
            ("GET", re.compile(r"/testing/callbacks"), self._callbacks),
            ("GET", re.compile(r"/testing/recordings"), self._recordings),
            ("GET", re.compile(r"/testing/recordings/([^/]+)/contains/([^/]+)"), self._contains),
            ("GET", re.compile(r"/testing/timeline"), self._timeline),
            ("GET", re.compile(r"/testing/timeline\.svg"), self._picture),
            ("GET", re.compile(r"/testing/timeline\.png"), self._image),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, kind, content = await _in_thread(
            lambda: self._answer(scope["method"], scope["path"], scope["query_string"].decode(), bytes(body))
        )
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, method: str, path: str, query: str, body: bytes) -> tuple[int, str, bytes]:
        try:
            given = msgspec.json.decode(body) if body.strip() else {}
            if not isinstance(given, dict):
                raise BadControl("the body must be a JSON object")
            given |= {key: values[-1] for key, values in parse_qs(query).items()}
            answer = self._route(method, path)(given)
        except LookupError as error:
            return 404, "application/json", _json({"error": str(error.args[0] if error.args else error)})
        except NotReached as error:
            return 409, "application/json", _json({"error": str(error)})
        except (BadControl, ValueError, TypeError, RuntimeError, msgspec.DecodeError) as error:
            return 400, "application/json", _json({"error": str(error) or type(error).__name__})
        if isinstance(answer, bytes):
            return 200, "image/png", answer
        if isinstance(answer, str):
            kind = "image/svg+xml" if answer.startswith("<svg") else "text/plain; charset=utf-8"
            return 200, kind, answer.encode()
        return 200, "application/json", _json(answer)

    def _route(self, method: str, path: str) -> Handler:
        for verb, pattern, handler in self._routes:
            if (found := pattern.fullmatch(path)) and verb == method:
                names = [unquote(part) for part in found.groups()]
                return lambda given, handler=handler: handler(given, *names)
        raise LookupError(f"{method} {path}: no such control; see docs/testing.md")

    # -- time

    def _state(self, given: dict[str, Any]) -> dict[str, Any]:
        world = self._world
        return {
            "now": world.now.isoformat(),
            "seconds": world.seconds,
            "events": world.events,
            "phones": [_phone(phone) for phone in world.phones],
        }

    def _advance(self, given: dict[str, Any]) -> dict[str, Any]:
        self._world.advance(_number(given, "seconds"), minutes=_number(given, "minutes"), hours=_number(given, "hours"))
        return self._state(given)

    def _until(self, given: dict[str, Any]) -> dict[str, Any]:
        event = given.get("event")
        if not isinstance(event, str):
            raise BadControl("event: the name of a callback, such as MPCEnd")
        within = _number(given, "seconds", 60.0)
        self._world.until(event, count=int(_number(given, "count", 1)), seconds=within)
        return self._state(given)

    def _flow(self, given: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(given.get("on"), bool):
            raise BadControl("on: true or false")
        self._world.flow(given["on"])
        return self._state(given)

    # -- phones

    def _add_phone(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name):
            raise BadControl("name: letters, digits, . _ -")
        if any(phone.name == name for phone in self._world.phones):
            raise BadControl(f"name: there is a phone {name!r} already")
        return _phone(self._world.phone(name, codecs=_codecs(given)))

    def _find(self, name: str) -> Phone:
        for phone in self._world.phones:
            if phone.name == name:
                return phone
        raise LookupError(f"no phone {name!r}")

    def _phone(self, given: dict[str, Any], name: str) -> dict[str, Any]:
        return _phone(self._find(name))

    def _tell(self, given: dict[str, Any], name: str, action: str) -> dict[str, Any]:
        phone = self._find(name)
        match action:
            case "answers":
                phone.answers(_number(given, "after"))
            case "rejects":
                phone.rejects(int(_number(given, "status", 603)), after=_number(given, "after"))
            case "is_busy" | "rings_out" | "hangs_up" | "hushes" | "holds" | "resumes":
                getattr(phone, action)()
            case "calls":
                phone.calls(_text(given, "to"))
            case "registers":
                phone.registers(_text(given, "username"), _text(given, "password"))
            case "offers":
                phone.offers(_codecs(given))
            case "presses":
                phone.presses(_text(given, "keys"))
            case "loses":
                phone.loses(_number(given, "share"))
            case "says" if "text" in given:
                try:
                    phone.speaks(str(given["text"]), **{key: str(given.get(key, "")) for key in ("voice", "language")})
                except SoundError as error:
                    raise BadControl(f"text: {error}") from None
            case "says":
                phone.says(_sound(given), seconds=_optional(given, "seconds"), loop=bool(given.get("loop", False)))
            case _:
                raise LookupError(f"a phone cannot {action!r}")
        return _phone(phone)

    def _heard(self, given: dict[str, Any], name: str, other: str) -> dict[str, Any]:
        return _audible(self._find(name).heard(self._find(other), **_range(given)))

    # -- what goes wrong

    def _fault(self, given: dict[str, Any], kind: str) -> dict[str, Any]:
        match kind:
            case "recordings_fail":
                self._world.recordings_fail(_text(given, "reason"))
            case "unreachable":
                self._world.unreachable(_text(given, "url"), _text(given, "reason", "connection refused"))
            case _:
                self._world.slow(_text(given, "url"), _number(given, "seconds"))
        return self._state(given)

    # -- what happened

    def _callbacks(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {**asdict(one), "at": one.at.isoformat(), "event": one.event, "fields": one.fields}
            for one in self._world.callbacks
        ]

    def _recordings(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"id": one.id, "duration": one.duration, "file": str(one.path)} for one in self._world.recordings]

    def _contains(self, given: dict[str, Any], recording_id: str, name: str) -> dict[str, Any]:
        found = self._world.recordings
        if recording_id != "latest":
            found = [one for one in found if one.id == recording_id]
        if not found:
            raise LookupError(f"no finished recording {recording_id!r}")
        return _audible(found[-1].contains(self._find(name), **_range(given)))

    def _timeline(self, given: dict[str, Any]) -> str:
        return self._world.timeline().text() + "\n"

    def _picture(self, given: dict[str, Any]) -> str:
        return self._world.timeline().svg()

    def _image(self, given: dict[str, Any]) -> bytes:
        return self._world.timeline().png()


async def _in_thread(work: Callable[[], tuple[int, str, bytes]]) -> tuple[int, str, bytes]:
    """On a thread of its own, since it waits for this loop; the loop's executor is the loop itself."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[int, str, bytes]] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - handed to the one who waits
            loop.call_soon_threadsafe(done.set_exception, error)
        else:
            loop.call_soon_threadsafe(done.set_result, result)

    threading.Thread(target=run, name="control", daemon=True).start()
    return await done


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _phone(phone: Phone) -> dict[str, Any]:
    told = {"name": phone.name, "address": phone.address, "state": phone.state, "keys": phone.keys}
    return {**told, "codec": phone.codec, "refusal": phone.refusal}


def _audible(found: Audible) -> dict[str, Any]:
    level = None if math.isinf(found.level) else round(found.level, 2)
    return {"heard": bool(found), "seconds": found.seconds, "level": level, "spans": [list(s) for s in found.spans]}


def _range(given: dict[str, Any]) -> dict[str, Any]:
    kept = {"since": _optional(given, "since"), "until": _optional(given, "until"), "above": _optional(given, "above")}
    return {key: value for key, value in kept.items() if value is not None}


def _sound(given: dict[str, Any]) -> sources.Samples:
    if "tone" in given:
        return sources.tone(_number(given, "tone"), dbfs=_number(given, "dbfs", -12.0))
    if "file" in given:
        return sources.from_file(Path(str(given["file"])))
    raise BadControl("tone (Hz), file (path of a WAV, FLAC, MP3 or Ogg file) or text: what to say")


def _codecs(given: dict[str, Any]) -> list[Codec]:
    wanted = given.get("codecs", list(CODECS))
    known = {codec.lower(): codec for codec in SPOKEN}
    try:
        return [known[name.lower()] for name in wanted] or list(CODECS)
    except (AttributeError, KeyError, TypeError):
        raise BadControl(f"codecs: a list of {', '.join(SPOKEN)}, the best first") from None


def _text(given: dict[str, Any], name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise BadControl(f"{name}: a text is needed")
    return value


def _number(given: dict[str, Any], name: str, default: float = 0.0) -> float:
    value = _optional(given, name)
    return default if value is None else value


def _optional(given: dict[str, Any], name: str) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise BadControl(f"{name}: {value!r} is no number") from None
