"""A phone that knows no telephone-event presses keys all the same: its tones are heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mixminus.sdp.answer import make_offer
from mixminus.testing import phone as phone_module
from mixminus.testing.virtual.world import World

TONES = {"4": (770, 1209), "2": (697, 1336)}


def offer_without_events(**fields: Any) -> bytes:
    lines = make_offer(**fields).decode().split("\r\n")
    kept = [line for line in lines if not line.startswith(("a=rtpmap:101", "a=fmtp:101"))]
    return "\r\n".join(line.removesuffix(" 101") for line in kept).encode()


def test_keys_of_a_phone_without_telephone_event_reach_the_application(
    mixminus: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_module, "make_offer", offer_without_events)
    caller = mixminus.phone("caller")
    url = mixminus.app.url
    mixminus.app.answer(
        "/answer", f'<Response><GetDigits action="{url("/menu")}" numDigits="2" timeout="10"/></Response>'
    )
    mixminus.app.answer("/menu", "<Response><Hangup/></Response>")
    caller.calls("5000")
    with pytest.raises(ValueError, match="no telephone-event"):
        caller.presses("4")
    t = np.arange(640) / 8000
    for key in "42":
        low, high = (4000 * np.sin(2 * np.pi * hertz * t) for hertz in TONES[key])
        caller.says(np.concatenate((np.rint(low + high), np.zeros(640))).astype(np.int16))
    mixminus.until(lambda: any(one.path == "/menu" for one in mixminus.received), seconds=15)
    menu = next(one for one in mixminus.received if one.path == "/menu")
    assert menu.parameters["Digits"] == "42"
