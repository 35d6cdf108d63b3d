"""Codecs in a call: which is taken, and what is heard and recorded when it changes in the middle."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from mixminus.sdp.answer import Codec
from mixminus.testing import ear, sources
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add, at, call_in, fetch, hears, humming, record

STEADY, CHANGING = 620, 440
TONES = (STEADY, CHANGING)

pytestmark = pytest.mark.mixminus(codecs=["g722", "opus", "pcmu"])
"""The server likes G.722 best, then Opus, and knows no A-law."""


def test_a_call_goes_on_whatever_a_phone_changes_to_and_all_of_it_is_recorded(mixminus: World) -> None:
    codecs: tuple[Codec, ...] = ("opus", "G722", "PCMU", "G722", "opus", "PCMU")
    steady = humming(mixminus, "steady", STEADY, codecs=("opus",))
    phone = humming(mixminus, "changing", CHANGING, codecs=("PCMU",))
    add(mixminus, "agent", steady)
    add(mixminus, "customer", phone)
    started = record(mixminus)
    hears(mixminus, phone, {STEADY}, TONES)
    for codec in codecs:
        phone.offers([codec])
        assert (phone.refusal, phone.codec) == (0, codec)
        hears(mixminus, phone, {STEADY}, TONES)
        hears(mixminus, steady, {CHANGING}, TONES)
    assert steady.heard(phone).level == pytest.approx(-12, abs=1)
    phone.offers(["PCMA"])
    assert phone.refusal == 488
    hears(mixminus, steady, {CHANGING}, TONES)
    mixminus.client.multi_party_calls.stop(friendly_name="room")
    done = at(mixminus, "/recording", EventName="MPCRecordingCompleted")
    pcm, rate = soundfile.read(io.BytesIO(fetch(mixminus, done.parameters["RecordingURL"])), dtype="int16")
    assert rate == 48000
    listed = mixminus.client.recordings.get(started.recording_id)
    assert float(listed.recording_duration_ms) == pytest.approx(len(pcm) / 48, abs=1)
    narrow = np.ascontiguousarray(pcm[3::6])
    for hz in TONES:
        spans = ear.tone_spans(narrow, hz, above=-20)
        missed = len(narrow) / sources.RATE - sum(span.seconds for span in spans)
        assert missed < 0.25 * (len(codecs) + 1), f"{hz} Hz was away for {missed:.2f} s"


def test_the_servers_order_of_codecs_decides_in_answers_and_offers(mixminus: World) -> None:
    everything: tuple[Codec, ...] = ("PCMA", "PCMU", "opus", "G722")
    called, caller = (mixminus.phone(name, codecs=everything) for name in ("called", "caller"))
    add(mixminus, "agent", called)
    assert called.incoming is not None
    offered = next(line for line in called.incoming.sdp.decode().splitlines() if line.startswith("m=audio"))
    assert offered.split()[3:6] == ["9", "111", "0"]
    call_in(mixminus, caller, "<MultiPartyCall role='customer'>room</MultiPartyCall>")
    taken = [called.codec, caller.codec]
    caller.offers(["PCMU", "opus"])
    assert [*taken, caller.codec] == ["PCMU", "G722", "opus"], "who is asked chooses"
