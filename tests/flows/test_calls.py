"""Calls outside of multiparty calls: documents, conferences and the API, as phones hear them."""

from __future__ import annotations

import pytest

from mixminus.testing import ear, sources
from mixminus.testing.virtual.world import World
from testing.virtual.kit import at, call_in, download, hears, humming, wav

ANN, BOB, CAT, MUSIC = 440, 620, 880, 1300
TONES = (ANN, BOB, CAT, MUSIC)
LEAK = -30
"""dBFS: one leaked frame of a tone measures -18 in a 40 ms window, a cut through other tones at most -35."""


@pytest.fixture
def music(mixminus: World) -> str:
    """URL of an audio file that hums ``MUSIC`` for three seconds."""
    mixminus.app.answer("/music.wav", wav(MUSIC, 3))
    return mixminus.app.url("/music.wav")


def test_dial_connects_two_phones_and_its_action_goes_on(mixminus: World) -> None:
    app = mixminus.app
    ann, bob = humming(mixminus, "ann", ANN), humming(mixminus, "bob", BOB)
    app.answer("/dialled", "<Response><Hangup/></Response>")
    call_in(
        mixminus,
        ann,
        f'<Dial action="{app.url("/dialled")}" callbackUrl="{app.url("/dial")}" callerName="Shop" '
        f'sipHeaders="Order=77"><User>{bob.address}</User><User>sip:nobody@127.0.0.1:9</User></Dial>',
    )
    hears(mixminus, ann, {BOB}, TONES)
    hears(mixminus, bob, {ANN}, TONES)
    assert bob.incoming is not None
    assert ("X-PH-Order", "77") in bob.incoming.headers
    assert bob.incoming.from_display == "Shop"
    bob.hangs_up()
    done = at(mixminus, "/dialled", DialStatus="completed")
    assert done.signature.valid
    assert done.parameters["DialALegUUID"] == done.parameters["CallUUID"]
    assert ann.state == "idle"
    told = [one.parameters["DialAction"] for one in mixminus.received if one.path == "/dial"]
    assert told == ["answer", "connected", "hangup"]


def test_a_callee_presses_the_key_before_it_is_connected(mixminus: World) -> None:
    ann, bob = humming(mixminus, "ann", ANN), humming(mixminus, "bob", BOB)
    call_in(mixminus, ann, f'<Dial confirmKey="5"><User>{bob.address}</User></Dial>')
    mixminus.advance(3)
    assert (bob.state, ann.state) == ("talking", "calling"), "the caller is answered when the key is pressed"
    bob.presses("5")
    hears(mixminus, ann, {BOB}, TONES)
    ann.hangs_up()
    assert bob.state == "idle"


def test_digits_a_prompt_and_a_recording(mixminus: World, music: str) -> None:
    app, ann = mixminus.app, humming(mixminus, "ann", ANN)
    app.answer(
        "/digits",
        f'<Response><Record action="{app.url("/recorded")}" callbackUrl="{app.url("/file")}" '
        'maxLength="2" playBeep="false" fileFormat="wav"/></Response>',
    )
    app.answer("/recorded", "<Response><Hangup/></Response>")
    call_in(mixminus, ann, f'<GetDigits action="{app.url("/digits")}" numDigits="2"><Play>{music}</Play></GetDigits>')
    hears(mixminus, ann, {MUSIC}, TONES)
    ann.presses("42")
    assert at(mixminus, "/digits").parameters["Digits"] == "42"
    recorded = at(mixminus, "/recorded")
    assert recorded.parameters["RecordingDuration"] == "2"
    assert ann.state == "idle"
    ready = at(mixminus, "/file")
    assert ready.parameters["RecordUrl"] == recorded.parameters["RecordUrl"]
    samples = download(mixminus, ready.parameters["RecordUrl"])
    assert len(samples) == pytest.approx(2 * sources.RATE, abs=0.04 * sources.RATE)
    assert ear.tones(samples, TONES) == {ANN}


def test_a_conference_and_what_the_api_does_to_it(mixminus: World, music: str) -> None:
    app, conferences = mixminus.app, mixminus.client.conferences
    ann, bob, cat = [humming(mixminus, name, hz) for name, hz in (("ann", ANN), ("bob", BOB), ("cat", CAT))]
    for phone in (ann, bob, cat):
        call_in(mixminus, phone, f'<Conference callbackUrl="{app.url("/conference")}">den</Conference><Hangup/>')
    for phone, others in ((ann, {BOB, CAT}), (bob, {ANN, CAT}), (cat, {ANN, BOB})):
        hears(mixminus, phone, others, TONES)
    assert conferences.list().conferences == ["den"]
    started = conferences.record("den", file_format="wav", callback_url=app.url("/file"))
    found = conferences.get("den")
    assert found.conference_member_count == "3"
    member = {one["from"].partition("@")[0]: one["member_id"] for one in found.members}
    conferences.member_mute("den", member["sip:cat"])
    hears(mixminus, ann, {BOB}, TONES)
    conferences.member_play("den", member["sip:ann"], music)
    hears(mixminus, ann, {BOB, MUSIC}, TONES)
    hears(mixminus, bob, {ANN}, TONES)
    conferences.member_play_stop("den", member["sip:ann"])
    hears(mixminus, ann, {BOB}, TONES)
    conferences.member_kick("den", member["sip:cat"])
    assert cat.state == "idle"
    conferences.delete("den")
    assert (ann.state, bob.state) == ("idle", "idle")
    assert not ear.tone_spans(bob.samples(), MUSIC, above=LEAK), "what was played to one was heard by another"
    ready = at(mixminus, "/file")
    assert ready.parameters["recording_id"] == started.recording_id
    samples = download(mixminus, ready.parameters["record_url"])
    assert ear.tones(samples, TONES) == {ANN, BOB}, "the mix, without what was played to one"
    told = [one.parameters["ConferenceAction"] for one in mixminus.received if one.path == "/conference"]
    assert told == ["enter"] * 3 + ["exit"] * 3


def test_a_call_over_the_api_from_ring_to_hang_up(mixminus: World, music: str) -> None:
    app, calls, live_calls = mixminus.app, mixminus.client.calls, mixminus.client.live_calls
    ann = humming(mixminus, "ann", ANN)
    app.answer("/answer", '<Response><Wait length="60"/></Response>')
    app.answer("/transfer", '<Response><Wait length="60"/></Response>')
    ann.answers(after=0.2)
    created = calls.create(
        from_="14155550100",
        to_=ann.address,
        answer_url=app.url("/answer"),
        ring_url=app.url("/ring"),
        hangup_url=app.url("/hangup"),
    )
    answered = at(mixminus, "/answer", Event="StartApp")
    assert ann.in_call
    uuid = answered.parameters["CallUUID"]
    assert at(mixminus, "/ring").parameters["CallStatus"] == "ringing"
    assert answered.parameters["RequestUUID"] == created.request_uuid
    assert live_calls.list_ids().calls == [uuid]
    live = live_calls.get(uuid)
    assert (live.call_status, live.direction) == ("in-progress", "outbound")
    recording = calls.record(uuid, file_format="wav", callback_url=app.url("/file"))
    calls.play(uuid, music)
    hears(mixminus, ann, {MUSIC}, TONES)
    calls.play_stop(uuid)
    hears(mixminus, ann, set(), TONES)
    calls.transfer(uuid, legs="aleg", aleg_url=app.url("/transfer"))
    assert at(mixminus, "/transfer")
    calls.record_stop(uuid)
    ready = at(mixminus, "/file")
    assert ready.parameters["recording_id"] == recording.recording_id
    samples = download(mixminus, ready.parameters["record_url"])
    assert ear.tones(samples, TONES) == {ANN, MUSIC}
    calls.hangup(uuid)
    assert ann.state == "idle"
    ended = at(mixminus, "/hangup", Event="Hangup")
    assert (ended.parameters["HangupCauseCode"], ended.parameters["HangupSource"]) == ("4000", "API Request")
    found = calls.get(uuid)
    assert (found.call_state, found.hangup_cause_code) == ("ANSWER", 4000)
    assert not live_calls.list_ids().calls


def test_a_request_is_cancelled_while_it_rings(mixminus: World) -> None:
    app, calls, ann = mixminus.app, mixminus.client.calls, mixminus.phone("ann")
    ann.rings_out()
    created = calls.create(
        from_="14155550100", to_=ann.address, answer_url=app.url("/answer"), hangup_url=app.url("/hangup")
    )
    assert ann.state == "ringing"
    calls.cancel(created.request_uuid)
    ended = at(mixminus, "/hangup", Event="Hangup")
    assert (ended.parameters["CallStatus"], ended.parameters["HangupCauseCode"]) == ("cancel", "4000")
    mixminus.until(lambda: ann.state == "idle", seconds=0)
