"""A run as a file, and the same run again from it: neither the test nor the application is needed for that."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mixminus.settings import Settings
from mixminus.testing.virtual.frozen import Entry, Frozen
from mixminus.testing.virtual.world import World

VERSION = 1


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


def _packed(value: Any) -> Any:
    """Samples as a file keeps them: compressed."""
    if isinstance(value, np.ndarray):
        return {"samples": base64.b64encode(zlib.compress(value.astype("<i2").tobytes())).decode()}
    raise TypeError(f"{type(value).__name__} cannot be told to a world")


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict) and "samples" in value:
        return np.frombuffer(zlib.decompress(base64.b64decode(value["samples"])), "<i2").astype(np.int16)
    return value
