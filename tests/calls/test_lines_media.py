"""What lines do when media is full, or falls silent."""

from __future__ import annotations

import asyncio

from calls.test_lines import OFFER, Endpoint, invite, make_lines
from mixminus.calls.inputs import Gone, LegInput
from mixminus.calls.lines import RETRY_AFTER
from mixminus.calls.model import HangupCause, HangupSource


class Remembering(Endpoint):
    """Also keeps headers and hang-ups."""

    def __init__(self) -> None:
        super().__init__()
        self.headers: list[object] = []
        self.hung_up: list[tuple[str, list[tuple[str, str]]]] = []

    def reject(self, call: str, status: int, reason: str = "", headers: object = ()) -> None:
        super().reject(call, status, reason, headers)
        self.headers.append(headers)

    def hangup(self, call: str, headers: list[tuple[str, str]]) -> None:
        self.hung_up.append((call, headers))


async def test_a_full_server_tells_callers_when_to_try_again() -> None:
    lines, _ = make_lines()
    endpoint = Remembering()
    lines._endpoint = endpoint  # type: ignore[assignment]
    lines.overloaded = lambda: "all media workers are at their limit"
    lines.on_event(invite(OFFER))
    assert endpoint.rejected == [503]
    assert endpoint.headers == [[("Retry-After", RETRY_AFTER)]]
    lines.overloaded = lambda: ""
    lines.on_event(invite(OFFER))
    await asyncio.sleep(0)
    assert endpoint.rejected == [503, 404]


async def test_a_phone_that_fell_silent_is_hung_up_on_with_the_cause_of_it() -> None:
    lines, _ = make_lines()
    endpoint = Remembering()
    lines._endpoint = endpoint  # type: ignore[assignment]
    told: list[tuple[str, LegInput]] = []
    lines.tell = lambda call_uuid, event: told.append((call_uuid, event))
    lines.on_event(invite(OFFER))
    (call_uuid,) = lines._lines
    lines.media_lost(call_uuid)
    lines.media_lost("long gone")
    ((call, headers),) = endpoint.hung_up
    assert call == "1"
    assert "Media Timeout" in dict(headers)["Reason"]
    assert told == [(call_uuid, Gone(HangupCause.MEDIA_TIMEOUT, HangupSource.PLIVO))]
    await asyncio.sleep(0)
