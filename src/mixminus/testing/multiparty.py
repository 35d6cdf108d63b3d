"""Driving one multiparty call through the official SDK from a test, and waiting for what is heard in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from mixminus.testing import ear
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.sink import CallbackSink

_LOOK = 0.05
"""Seconds between listenings."""

Answer = TypeVar("Answer")


class MultiPartyCall:
    """One multiparty call by name. ``sink`` takes its callbacks at ``/status``, ``/call`` and ``/recording``."""

    def __init__(self, client: Any, sink: CallbackSink, name: str) -> None:
        self.name = name
        self._client = client
        self._sink = sink

    async def __call__(self, action: str, **parameters: object) -> Any:
        """``await call("pause_recording")``: the SDK's method of that name, for this call."""
        method = getattr(self._client.multi_party_calls, action)
        return await asyncio.to_thread(method, friendly_name=self.name, **parameters)

    async def add(self, role: str, phone: VirtualPhone, **parameters: object) -> Any:
        """Dial a phone into the call and wait until it is in it; no sounds at entering and leaving."""
        answer = await self.dial(role, phone.address, **parameters)
        await phone.in_call()
        await self._sink.wait_for(
            lambda one: (
                one.event == "ParticipantJoin" and one.parameters["ParticipantCallTo"].endswith(phone.address[4:])
            )
        )
        return answer

    async def dial(self, role: str, to: str, **parameters: object) -> Any:
        """Add participant, not waiting for the outcome."""
        defaults = {
            "from_": "14155550100",
            "enter_sound": "none",
            "exit_sound": "none",
            "status_callback_url": self._sink.url("/status"),
            "status_callback_method": "POST",
            "call_status_callback_url": self._sink.url("/call"),
        }
        return await self("add_participant", role=role, to_=to, **{**defaults, **parameters})

    async def record(self, file_format: str = "wav") -> Any:
        """Start recording, callbacks to ``/recording``."""
        return await self(
            "start_recording",
            file_format=file_format,
            recording_callback_url=self._sink.url("/recording"),
            recording_callback_method="POST",
        )

    def status_events(self) -> list[str]:
        """Names of this call's status callbacks, in order."""
        return [
            one.event
            for one in self._sink.received
            if one.path == "/status" and one.parameters.get("MPCName") == self.name
        ]


async def hears(
    phone: VirtualPhone, wanted: Iterable[float], among: Iterable[float], *, seconds: float = 0.4, timeout: float = 20.0
) -> None:
    """Wait until, for ``seconds`` on end, a phone hears exactly the ``wanted`` ones of the tones ``among`` (Hz).

    Raises :class:`TimeoutError` saying what it heard instead.
    """
    wanted, among = set(wanted), list(among)
    window = round(seconds * 1e9)
    since = time.monotonic_ns()
    deadline = since + round(timeout * 1e9)
    heard: set[float] = set()
    while True:
        # The jitter of a late packet must not look like silence: judge up to 60 ms ago.
        now = time.monotonic_ns() - 60_000_000
        if now - window >= since:
            heard = ear.tones(phone.heard.between(now - window, now), among)
            if heard == wanted:
                return
        if now > deadline:
            raise TimeoutError(f"{phone.name} hears {sorted(heard)} Hz, not {sorted(wanted)}, after {timeout:g} s")
        await asyncio.sleep(_LOOK)


async def eventually(condition: Callable[[], bool], *, timeout: float = 20.0, what: str = "it") -> None:
    """Wait for a condition that nothing signals."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout:g} s")
        await asyncio.sleep(_LOOK)
