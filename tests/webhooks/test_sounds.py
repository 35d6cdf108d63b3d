"""Sound URLs: XML or audio, signed, kept; and the sentences when there is neither."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mixminus.calls.commands import Callback
from mixminus.calls.events import MemberSnapshot, SoundRequest
from mixminus.calls.sounds.program import PlayItem, SpeakItem, WaitItem
from mixminus.calls.sounds.request import DocumentItem
from mixminus.clock import ManualClock
from mixminus.errors import SoundError
from mixminus.ids import Mint
from mixminus.outbound.request import OutboundRequest, OutboundResponse
from mixminus.sounds.cache import SoundFolder
from mixminus.sounds.library import SoundLibrary
from mixminus.sounds.speech import NO_VOICE, Speaker
from mixminus.store.rows import AccountRow
from mixminus.webhooks.documents import Documents
from mixminus.webhooks.signing import TokenBook
from mixminus.webhooks.sounds import CallSounds

ACCOUNT = "MA" + "A" * 18
URL = "http://app.test/music"
MEMBER = MemberSnapshot(member_id="7", role="customer", call_uuid="c")
ITEM = DocumentItem(Callback(URL, "GET"), SoundRequest(mpc_uuid="u", mpc_name="room", member=MEMBER), ACCOUNT)
PAGE = (
    b'<?xml version="1.0"?><Response><Play loop="2">http://app.test/a.mp3</Play><Hangup/>'
    b'<Speak voice="MAN">one &amp; two</Speak><Wait length="3"/></Response>'
)


class Accounts:
    async def account(self, account_id: str) -> AccountRow | None:
        return AccountRow(id=ACCOUNT, token="t", created_at=datetime(2026, 1, 1, tzinfo=UTC))


class Desk:
    def __init__(self, tmp_path: Path, body: bytes = b"", status: int = 200) -> None:
        self.clock = ManualClock()
        self.body, self.status = body, status
        self.seen: list[OutboundRequest] = []
        folder = SoundFolder(tmp_path, 10**9)
        documents = Documents(
            self, TokenBook(Accounts()), clock=self.clock, mint=Mint(1), public_url="http://pbx", sleep=self.sleep
        )
        library = SoundLibrary(self, folder, clock=self.clock)
        self.sounds = CallSounds(library, Speaker(None, folder, clock=self.clock), documents, limit=1_000_000)

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        self.seen.append(request)
        return OutboundResponse(self.status, {}, self.body, request.url)


async def test_xml_is_a_program_and_what_is_no_sound_is_left_out(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PAGE)
    assert await desk.sounds.program(ITEM) == (
        PlayItem("http://app.test/a.mp3", 2),
        SpeakItem("one & two", "MAN", "en-US"),
        WaitItem(3.0),
    )


async def test_the_request_says_who_waits_and_is_signed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PAGE)
    await desk.sounds.program(ITEM)
    (request,) = desk.seen
    for part in ("MPCUUID=u", "MPCName=room", "MemberID=7", "ParticipantRole=customer", "ParticipantCallUUID=c"):
        assert part in request.url
    assert "audio/*" in request.headers["Accept"]
    assert request.limit == 1_000_000
    assert request.sign is not None or any(name.startswith("X-Plivo-Signature") for name in request.headers)


async def test_audio_is_kept_and_not_asked_for_again_while_it_is_fresh(tmp_path: Path) -> None:
    desk = Desk(tmp_path, b"RIFF....WAVE")
    assert await desk.sounds.program(ITEM) == (PlayItem(URL),)
    assert await desk.sounds.program(ITEM) == (PlayItem(URL),)
    assert len(desk.seen) == 1
    desk.clock.advance(301)
    await desk.sounds.program(ITEM)
    assert len(desk.seen) == 2


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 404, "answered 404"),
        (b"<Response", 200, "not well-formed"),
        (b"<html/>", 200, "must be <Response>"),
        (b"<Response><Play>x</Play></Response>", 200, "http or https URL"),
    ],
)
async def test_what_cannot_be_used_is_named_with_its_url(tmp_path: Path, body: bytes, status: int, said: str) -> None:
    with pytest.raises(SoundError, match=said) as error:
        await Desk(tmp_path, body, status).sounds.program(ITEM)
    assert "app.test" in str(error.value)


async def test_without_a_voice_speech_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SoundError) as error:
        await Desk(tmp_path).sounds.file(SpeakItem("hello"))
    assert str(error.value) == NO_VOICE
