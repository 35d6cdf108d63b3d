"""Two virtual phones calling each other: real SIP and RTP on loopback."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from mixminus.sdp.answer import Codec
from mixminus.sip import events
from mixminus.testing import ear, sources
from mixminus.testing.ear import level
from mixminus.testing.multiparty import eventually, hears
from mixminus.testing.phone import CallFailed, VirtualPhone

TONES = (440, 620)


@pytest.fixture
async def alice() -> AsyncIterator[VirtualPhone]:
    async with VirtualPhone("alice", seed=1) as phone:
        phone.says(sources.tone(440), loop=True)
        yield phone


@pytest.fixture
async def bob() -> AsyncIterator[VirtualPhone]:
    async with VirtualPhone("bob", seed=2) as phone:
        phone.says(sources.tone(620), loop=True)
        yield phone


async def test_they_hear_each_other_until_one_hangs_up(alice: VirtualPhone, bob: VirtualPhone) -> None:
    await alice.calls(bob.address, headers=[("X-PH-Order", "77")])
    await hears(alice, {620}, TONES)
    await hears(bob, {440}, TONES)
    assert bob.incoming is not None
    assert ("X-PH-Order", "77") in bob.incoming.headers
    alice.hangs_up()
    await alice.call_over()
    await bob.call_over()
    assert isinstance(bob.ended, events.Ended)
    assert bob.ended.by == "remote"


async def test_a_phone_that_knows_only_one_law_is_understood(bob: VirtualPhone) -> None:
    async with VirtualPhone("carol", codecs=("PCMA",)) as carol:
        carol.says(sources.tone(440), loop=True)
        await carol.calls(bob.address)
        await hears(carol, {620}, TONES)
        await hears(bob, {440}, TONES)


@pytest.mark.parametrize("codec", ["G722", "opus"])
async def test_phones_of_wideband_hear_each_other_and_press_keys(codec: Codec) -> None:
    async with VirtualPhone("one", codecs=(codec,)) as one, VirtualPhone("other", codecs=(codec, "PCMU")) as other:
        for phone, hz in ((one, 440), (other, 620)):
            phone.says(sources.tone(hz), loop=True)
        await one.calls(other.address)
        await hears(one, {620}, TONES)
        await hears(other, {440}, TONES)
        one.presses("4")
        await eventually(lambda: other.heard.keys == "4", what="the key")


async def test_a_phone_changes_its_codec_in_a_call(alice: VirtualPhone, bob: VirtualPhone) -> None:
    async with VirtualPhone("all", codecs=("opus", "G722", "PCMU")) as phone:
        phone.says(sources.tone(620), loop=True)
        await alice.calls(phone.address)
        codecs: tuple[Codec, ...] = ("opus", "G722", "PCMU")
        for codec in codecs:
            await alice.speaks(codec)
            since = time.monotonic_ns()
            await hears(alice, {620}, TONES)
            await hears(phone, {440}, TONES)
            assert level(alice.heard.between(since, time.monotonic_ns())) == pytest.approx(-12, abs=1.5)


async def test_phones_without_a_common_codec_do_not_meet() -> None:
    async with VirtualPhone("u", codecs=("PCMU",)) as one, VirtualPhone("a", codecs=("PCMA",)) as other:
        with pytest.raises(CallFailed, match="488"):
            await one.calls(other.address)


async def test_speech_said_once_is_heard_whole_and_in_time(alice: VirtualPhone, bob: VirtualPhone) -> None:
    alice.hushes()
    await alice.calls(bob.address)
    speech = sources.voice("goodbye")[4000:12000]
    alice.says(speech)
    await alice.has_spoken()
    await hears(bob, set(), TONES)
    match = ear.find(speech, bob.heard.all())
    assert match.likeness > 0.98


async def test_keys_are_received_once_each(alice: VirtualPhone, bob: VirtualPhone) -> None:
    await alice.calls(bob.address)
    alice.presses("12#a")
    await eventually(lambda: bob.heard.keys == "12#A", what="the keys")
    with pytest.raises(ValueError, match="no such key: X"):
        alice.presses("x")


async def test_keys_without_a_call_are_refused(alice: VirtualPhone) -> None:
    with pytest.raises(ValueError, match="no call"):
        alice.presses("1")


@pytest.mark.parametrize(("status", "after"), [(603, 0.0), (404, 0.0), (486, 0.05)])
async def test_a_phone_refuses_as_told(alice: VirtualPhone, bob: VirtualPhone, status: int, after: float) -> None:
    bob.rejects(status, after=after)
    with pytest.raises(CallFailed) as refused:
        await alice.calls(bob.address)
    assert refused.value.status == status
    assert alice.state == bob.state == "idle"


async def test_a_busy_phone_is_busy_and_so_is_one_in_a_call(alice: VirtualPhone, bob: VirtualPhone) -> None:
    bob.is_busy()
    with pytest.raises(CallFailed, match="486"):
        await alice.calls(bob.address)
    bob.answers(after=0.05)
    await alice.calls(bob.address)
    async with VirtualPhone("carol") as carol:
        with pytest.raises(CallFailed, match="486"):
            await carol.calls(bob.address)
    await hears(alice, {620}, TONES)


async def test_a_caller_gives_up_on_a_phone_that_rings_out(alice: VirtualPhone, bob: VirtualPhone) -> None:
    bob.rings_out()
    with pytest.raises(TimeoutError, match=r"alice is still calling after 0\.2 s"):
        await alice.calls(bob.address, timeout=0.2)
    await bob.call_over()
    assert isinstance(bob.ended, events.Cancelled)
    await alice.call_over()


async def test_hold_and_resume(alice: VirtualPhone, bob: VirtualPhone) -> None:
    await alice.calls(bob.address)
    await hears(alice, {620}, TONES)
    await alice.holds()
    assert bob.held_by_peer
    await hears(alice, set(), TONES)
    await alice.resumes()
    assert not bob.held_by_peer
    await hears(alice, {620}, TONES)
    await hears(bob, {440}, TONES)


async def test_a_second_call_forgets_what_was_heard_in_the_first(alice: VirtualPhone, bob: VirtualPhone) -> None:
    await alice.calls(bob.address)
    await hears(bob, {440}, TONES)
    alice.hangs_up()
    await bob.call_over()
    await alice.call_over()
    alice.says(sources.tone(620), loop=True)
    await alice.calls(bob.address)
    await hears(bob, {620}, TONES)
    assert ear.tones(bob.heard.all(), TONES) == {620}
