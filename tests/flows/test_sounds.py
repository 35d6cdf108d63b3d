"""Prompts, music and announcements reach those they are for, and nobody else."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
import soundfile

from mixminus.testing import ear
from mixminus.testing.virtual.phones import Phone
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add, at, download, fetch, hears, humming, members, record, wav

AGENT, CUSTOMER, PROMPT, MUSIC = 450, 620, 1500, 1900
TONES = (AGENT, CUSTOMER, PROMPT, MUSIC)
LEAK = -30
"""dBFS: one leaked frame of a tone measures -18 in a 40 ms window, a cut through other tones at most -35."""


def two(world: World) -> tuple[Phone, Phone]:
    return humming(world, "agent", AGENT), humming(world, "customer", CUSTOMER)


def test_a_private_prompt_is_private_and_hold_music_is_the_customers(mixminus: World) -> None:
    app, calls = mixminus.app, mixminus.client.multi_party_calls
    app.answer("/prompt.wav", wav(PROMPT, 8))
    app.answer("/music.wav", wav(MUSIC, 1))
    app.answer("/hold", f"<Response><Play>{app.url('/music.wav')}</Play><Hangup/></Response>")
    agent, customer = two(mixminus)
    add(mixminus, "agent", agent, customer_hold_music_url=app.url("/hold"), customer_hold_music_method="GET")
    add(mixminus, "customer", customer)
    started = record(mixminus)
    member = members(mixminus)["customer"]

    answer = calls.start_play_audio(friendly_name="room", participant_id=member, url=app.url("/prompt.wav"))
    assert (answer.message, answer["mpcMemberId"], answer["mpcName"]) == ("play queued into MPC", [member], "room")
    hears(mixminus, customer, {AGENT, PROMPT}, TONES)
    hears(mixminus, agent, {CUSTOMER}, TONES)
    calls.stop_play_audio(friendly_name="room", participant_id="all")
    hears(mixminus, customer, {AGENT, PROMPT}, TONES)
    calls.stop_play_audio(friendly_name="room", participant_id=member)
    hears(mixminus, customer, {AGENT}, TONES)

    calls.update_participant(friendly_name="room", participant_id=member, hold=True)
    hears(mixminus, customer, {MUSIC}, TONES)
    hears(mixminus, agent, set(), TONES)
    asked = at(mixminus, "/hold")
    assert asked.signature.valid
    assert (asked.parameters["MPCName"], asked.parameters["ParticipantRole"]) == ("room", "customer")
    calls.update_participant(friendly_name="room", participant_id=member, hold=False)
    hears(mixminus, customer, {AGENT}, TONES)

    calls.stop_recording(friendly_name="room")
    done = at(mixminus, "/recording", EventName="MPCRecordingCompleted")
    assert done.parameters["RecordingUUID"] == started.recording_id
    recorded = download(mixminus, done.parameters["RecordingURL"])
    assert ear.tones(recorded, TONES) == {AGENT, CUSTOMER}
    for hz in (PROMPT, MUSIC):
        assert not ear.tone_spans(recorded, hz, above=LEAK), f"{hz} Hz is in the recording"
    assert not ear.tone_spans(agent.samples(), PROMPT, above=LEAK), "the agent heard the customer's prompt"
    calls.stop(friendly_name="room")
    mixminus.until("MPCEnd")
    assert [one.path for one in mixminus.received].count("/prompt.wav") == 1


def test_waiting_music_and_an_enter_sound_begin_at_their_instant(mixminus: World) -> None:
    app = mixminus.app
    app.answer("/music.wav", wav(MUSIC, 1))
    app.answer("/wait", f"<Response><Play>{app.url('/music.wav')}</Play></Response>")
    app.answer("/enter.wav", wav(PROMPT, 0.5))
    agent, customer = two(mixminus)
    add(mixminus, "agent", agent, wait_music_url=app.url("/wait"), wait_music_method="GET", start_mpc_on_enter=False)
    mixminus.advance(2)
    (waiting,) = ear.tone_spans(agent.samples(), MUSIC, above=LEAK)
    assert waiting.start < 0.1 and waiting.end > 1.9
    entered = mixminus.seconds
    add(mixminus, "customer", customer, enter_sound=app.url("/enter.wav"), enter_sound_method="GET")
    mixminus.advance(1.5)
    for phone in (agent, customer):
        (greeting,) = ear.tone_spans(phone.samples(since=entered), PROMPT, above=LEAK)
        assert greeting.start < 0.1 and greeting.seconds == pytest.approx(0.5, abs=0.05), phone.name
    assert not ear.tone_spans(agent.samples(since=entered + 0.1), MUSIC, above=LEAK)


def test_who_must_confirm_hears_the_prompt_and_joins_with_the_key(mixminus: World) -> None:
    mixminus.app.answer("/prompt.wav", wav(PROMPT, 8))
    agent = humming(mixminus, "agent", AGENT)
    add(mixminus, "agent", agent, confirm_key="5", confirm_key_sound_url=mixminus.app.url("/prompt.wav"))
    assert agent.in_call
    hears(mixminus, agent, {PROMPT}, TONES)
    assert "ParticipantJoin" not in mixminus.events
    agent.presses("5")
    mixminus.until("ParticipantJoin", seconds=1)
    hears(mixminus, agent, set(), TONES)
    mixminus.client.multi_party_calls.stop(friendly_name="room")
    mixminus.until(lambda: agent.state == "idle")


def test_a_recording_begins_when_its_announcement_has_ended(mixminus: World) -> None:
    calls = mixminus.client.multi_party_calls
    mixminus.app.answer("/announce", wav(PROMPT, 0.6))
    agent, customer = two(mixminus)
    add(mixminus, "agent", agent, start_recording_audio=mixminus.app.url("/announce"))
    add(mixminus, "customer", customer)
    begun = mixminus.seconds
    record(mixminus)
    mixminus.until("MPCRecordingInitiated", seconds=5)
    assert mixminus.seconds == pytest.approx(begun + 0.6, abs=0.1)
    for phone in (agent, customer):
        (announced,) = ear.tone_spans(phone.samples(since=begun), PROMPT, above=LEAK)
        assert announced.seconds == pytest.approx(0.6, abs=0.05), f"{phone.name} heard {announced}"
    hears(mixminus, agent, {CUSTOMER}, TONES)
    calls.stop_recording(friendly_name="room")
    done = at(mixminus, "/recording", EventName="MPCRecordingCompleted")
    recorded = download(mixminus, done.parameters["RecordingURL"])
    assert not ear.tone_spans(recorded, PROMPT, above=LEAK)
    assert ear.tones(recorded, TONES) == {AGENT, CUSTOMER}
    calls.stop(friendly_name="room")
    mixminus.until(lambda: agent.state == "idle")


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_speech_replaces_the_talk_for_its_listener_only(mixminus: World) -> None:
    agent, customer = two(mixminus)
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    member = members(mixminus)["customer"]
    text = "Thank you for waiting. You are the next caller in line. We will be with you in a moment."
    path = ("MultiPartyCall", "name_room", "Member", member, "Speak")
    answer = mixminus.client.request("POST", path, {"text": text})
    assert (answer["message"], answer["mpcMemberId"]) == ("speak queued into MPC", [member])
    hears(mixminus, customer, set(), (AGENT,))
    hears(mixminus, agent, {CUSTOMER}, TONES)
    assert np.abs(customer.samples(since=mixminus.seconds - 0.4)).max() > 1000, "somebody speaks"
    mixminus.advance(15)
    hears(mixminus, customer, {AGENT}, TONES)


def test_a_sound_that_is_not_there_changes_nothing(mixminus: World) -> None:
    agent, customer = two(mixminus)
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    mixminus.app.fail("/gone.mp3", status=404, times=2)
    url = mixminus.app.url("/gone.mp3")
    mixminus.client.multi_party_calls.start_play_audio(friendly_name="room", participant_id="all", url=url)
    mixminus.until(lambda: [one.path for one in mixminus.received].count("/gone.mp3") == 2)
    hears(mixminus, agent, {CUSTOMER}, TONES)
    hears(mixminus, customer, {AGENT}, TONES)


def test_a_prompt_is_as_wide_as_its_file_for_whom_can_hear_it(mixminus: World) -> None:
    mixminus.app.answer("/wide.wav", wav(PROMPT, 8, 44_100, and_also=5500))
    agent = humming(mixminus, "agent", AGENT, codecs=("opus",))
    customer = humming(mixminus, "customer", CUSTOMER)
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    record(mixminus)
    calls = mixminus.client.multi_party_calls
    calls.start_play_audio(friendly_name="room", participant_id="all", url=mixminus.app.url("/wide.wav"))
    hears(mixminus, agent, {CUSTOMER, PROMPT}, TONES)
    hears(mixminus, customer, {AGENT, PROMPT}, (*TONES, 2500))
    calls.stop_recording(friendly_name="room")
    done = at(mixminus, "/recording", EventName="MPCRecordingCompleted")
    pcm, rate = soundfile.read(io.BytesIO(fetch(mixminus, done.parameters["RecordingURL"])))
    assert rate == 48_000
    wave = np.exp(-2j * np.pi / rate * np.outer([PROMPT, 5500], np.arange(4800)))
    levels = np.abs(pcm[: pcm.size // 4800 * 4800].reshape(-1, 4800) @ wave.T) / 2400
    assert levels[-3:] == pytest.approx(0.125, rel=0.01), "both tones, equally loud"
