"""A call of a test's own: who is in it, what is heard, what was told."""

from __future__ import annotations

import base64
import io
import urllib.request
from collections.abc import Iterable
from typing import Any

import numpy as np
import soundfile

from mixminus.testing import ear
from mixminus.testing.sink import Received
from mixminus.testing.sources import Samples, from_file, tone
from mixminus.testing.virtual.phones import Phone
from mixminus.testing.virtual.world import World


def add(world: World, role: str, *phones: Phone | str, name: str = "room", **parameters: Any) -> Any:
    """Dial phones, or addresses, into a call, without sounds, callbacks to the built-in application."""
    defaults = {
        "from_": "14155550100",
        "enter_sound": "none",
        "exit_sound": "none",
        "status_callback_url": world.app.url("/status"),
        "status_callback_method": "POST",
        "call_status_callback_url": world.app.url("/call"),
    }
    to = "<".join(phone if isinstance(phone, str) else phone.address for phone in phones)
    return world.client.multi_party_calls.add_participant(
        friendly_name=name, role=role, to_=to, **{**defaults, **parameters}
    )


def record(world: World, file_format: str = "wav", name: str = "room", **parameters: Any) -> Any:
    return world.client.multi_party_calls.start_recording(
        friendly_name=name,
        file_format=file_format,
        recording_callback_url=world.app.url("/recording"),
        recording_callback_method="POST",
        **parameters,
    )


def call_in(world: World, phone: Phone, document: str) -> None:
    """Let a phone call the server, whose application answers ``document``."""
    world.app.answer("/answer", f"<Response>{document}</Response>")
    phone.calls("5000")


def humming(world: World, name: str, hz: float, **options: Any) -> Phone:
    """A new phone that hums a tone as long as it is in a call."""
    phone = world.phone(name, **options)
    phone.says(tone(hz), loop=True)
    return phone


def wav(hz: float, seconds: float, rate: int = 22_050, *, and_also: float | None = None) -> bytes:
    """A stereo file at a rate that is not ours, of one tone or of two."""
    tones = [hz] if and_also is None else [hz, and_also]
    mono = sum(0.25 / len(tones) * np.sin(2 * np.pi * one * np.arange(round(rate * seconds)) / rate) for one in tones)
    file = io.BytesIO()
    soundfile.write(file, np.stack([mono, mono], axis=1), rate, format="WAV")
    return file.getvalue()


def hears(world: World, phone: Phone, wanted: Iterable[float], among: Iterable[float]) -> None:
    """Let a moment pass, then hold that for 0.4 s on end the phone heard exactly these of the tones (Hz)."""
    world.advance(0.7)
    heard = ear.tones(phone.samples(since=world.seconds - 0.4), among)
    assert heard == set(wanted), f"{phone.name} hears {sorted(heard)} Hz at {world.seconds:.2f} s"


def members(world: World) -> dict[str, str]:
    """Role → member id of those who have joined, by the callbacks."""
    joined = [one.parameters for one in world.received if one.event == "ParticipantJoin"]
    return {one["ParticipantRole"]: one["MemberID"] for one in joined}


def at(world: World, path: str, **wanted: str) -> Received:
    """The first request to ``path`` with these parameters, waited for."""

    def found() -> list[Received]:
        came = [one for one in world.received if one.path == path]
        return [one for one in came if all(one.parameters.get(name) == value for name, value in wanted.items())]

    world.until(found)
    return found()[0]


def fetch(world: World, url: str) -> bytes:
    """What the server answers to a GET with the account's credentials. Raises urllib.error.HTTPError."""
    address = world.address
    token = base64.b64encode(f"{address.auth_id}:{address.auth_token}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {token}"})
    with urllib.request.urlopen(request) as answer:
        content: bytes = answer.read()
        return content


def download(world: World, url: str) -> Samples:
    """The sound of a recording, got from where it was announced."""
    return from_file(io.BytesIO(fetch(world, url)))
