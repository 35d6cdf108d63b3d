"""A multiparty call of a test's own."""

from __future__ import annotations

from typing import Any

from mixminus.testing.virtual.phones import Phone
from mixminus.testing.virtual.world import World


def add(world: World, role: str, *phones: Phone, name: str = "room", **parameters: Any) -> Any:
    """Dial phones into a call, without sounds, callbacks to the built-in application."""
    defaults = {
        "from_": "14155550100",
        "enter_sound": "none",
        "exit_sound": "none",
        "status_callback_url": world.app.url("/status"),
        "status_callback_method": "POST",
        "call_status_callback_url": world.app.url("/call"),
    }
    to = "<".join(phone.address for phone in phones)
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
