"""A run as a file: all that came into a world from outside, with its virtual time; and the same run again from it.

What comes from outside is what the test told the phones, what was asked of the API, and what the application answered.
The rest follows from these and the seed, so neither the test nor the application is needed to see it all again.
"""

from __future__ import annotations

import base64
import functools
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import msgspec
import numpy as np

from mixminus.errors import OutboundError
from mixminus.outbound.request import OutboundRequest, OutboundResponse

if TYPE_CHECKING:
    from mixminus.testing.virtual.phones import Phone
    from mixminus.testing.virtual.world import World

VERSION = 1
P = ParamSpec("P")
R = TypeVar("R")


class Entry(msgspec.Struct):
    """Something from outside. ``within``: while request number so much to the application was unanswered; -1: not."""

    at_ns: int
    do: str
    """``phone``, ``tell``, ``fault`` or ``api``."""
    name: str = ""
    action: str = ""
    given: dict[str, Any] = {}
    within: int = -1


class Answer(msgspec.Struct):
    """What the application answered; ``stage`` says how far the request came if it failed."""

    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""
    stage: str = ""
    error: str = ""


class Frozen(msgspec.Struct):
    version: int
    seed: int
    settings: dict[str, Any]
    bases: list[str]
    journal: list[Entry]
    answers: list[Answer]
    end_ns: int
    log: dict[str, Any]


class Differs(AssertionError):
    """A replay went otherwise than the run it repeats."""


def freeze(world: World) -> bytes:
    """The run of a world up to now."""
    settings = world.server.settings.model_dump(mode="json", exclude={"data", "http"})
    settings["public_url"] = world.url
    frozen = Frozen(
        version=VERSION,
        seed=world.seed,
        settings=settings,
        bases=world.bases,
        journal=world.journal,
        answers=world.server.answers,
        end_ns=world.now_ns,
        log=world.log(),
    )
    return zlib.compress(msgspec.msgpack.encode(frozen, enc_hook=_packed))


def thaw(content: bytes) -> Frozen:
    """Raises ValueError if this is no frozen run of a version that is known."""
    try:
        frozen = msgspec.msgpack.decode(zlib.decompress(content), type=Frozen)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ValueError(f"not a frozen run: {error}") from None
    if frozen.version != VERSION:
        raise ValueError(f"frozen by another version of the format ({frozen.version}; this is {VERSION})")
    return frozen


def replay(frozen: Frozen, folder: Path) -> World:
    """The world of a frozen run, run again up to its end; stop it when done. Raises :class:`Differs`."""
    from mixminus.settings import Settings
    from mixminus.testing.virtual.world import World

    settings = Settings(**{**frozen.settings, "data": folder, "http": "127.0.0.1:0"})
    world = World(folder, seed=frozen.seed, settings=settings, frozen=frozen).start()
    try:
        for entry in frozen.journal:
            if entry.within < 0:
                world.advance_to(entry.at_ns)
                _repeat(world, entry)
        world.advance_to(frozen.end_ns)
        _compare(frozen.log, msgspec.json.decode(msgspec.json.encode(world.log())))
    except BaseException:
        world.stop()
        raise
    return world


def _repeat(world: World, entry: Entry) -> None:
    given = {key: _unpacked(value) for key, value in entry.given.items()}
    if entry.do == "phone":
        world.phone(entry.name, **given)
    elif entry.do == "tell":
        phone = next(phone for phone in world.phones if phone.name == entry.name)
        getattr(phone, entry.action)(**given)
    elif entry.do == "fault":
        getattr(world, entry.action)(**given)
    else:
        world.wait_for(lambda: world.server.ask_again(entry))


def _compare(then: dict[str, Any], now: dict[str, Any]) -> None:
    then = msgspec.json.decode(msgspec.json.encode(then))
    for name in then:
        if then[name] != now[name]:
            before, after = then[name], now[name]
            if isinstance(before, list):
                at = next((n for n, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), 0)
                before, after = before[at : at + 1], after[at : at + 1]
            raise Differs(f"{name}: then {before}, now {after}")


def told(method: Callable[Concatenate[Phone, P], R]) -> Callable[..., R]:
    """A method of a phone that is something from outside. Its parameters are given by name in a replay."""
    names = method.__code__.co_varnames[1:]

    @functools.wraps(method)
    def telling(phone: Phone, *args: P.args, **kwargs: P.kwargs) -> R:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        phone.world.note("tell", phone.name, method.__name__, given)
        return method(phone, *args, **kwargs)

    return telling


def _packed(value: Any) -> Any:
    """Samples as a file keeps them: compressed."""
    if isinstance(value, np.ndarray):
        return {"samples": base64.b64encode(zlib.compress(value.astype("<i2").tobytes())).decode()}
    raise TypeError(f"{type(value).__name__} cannot be told to a world")


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict) and "samples" in value:
        return np.frombuffer(zlib.decompress(base64.b64decode(value["samples"])), "<i2").astype(np.int16)
    return value


def answer_of(response: OutboundResponse | OutboundError) -> Answer:
    if isinstance(response, OutboundError):
        return Answer(stage=response.stage, error=str(response))
    return Answer(response.status, dict(response.headers), response.body)


def again(answer: Answer, request: OutboundRequest) -> OutboundResponse:
    """Raises OutboundError if it failed then."""
    if answer.stage:
        raise OutboundError(answer.stage, answer.error)
    return OutboundResponse(answer.status, answer.headers, answer.body, request.url)
