from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.calls.commands import Callback
from mixminus.calls.document import InvalidDocument, read_document
from mixminus.calls.document.elements import HangupElement, MultiPartyCallElement
from mixminus.calls.model import Role


def only(body: str) -> MultiPartyCallElement:
    (element,) = read_document(body.encode())
    assert isinstance(element, MultiPartyCallElement)
    return element


def test_the_smallest_document() -> None:
    element = only('<Response><MultiPartyCall role="Agent"> room 1 </MultiPartyCall></Response>')
    assert element.name == "room 1"
    assert element.participant.role is Role.AGENT
    assert element.participant.coach_mode
    assert element.participant.start_mpc_on_enter
    assert element.parameters.record is None


def test_every_sdk_spelling() -> None:
    body = (
        '<?xml version="1.0" encoding="utf-8"?>\n<Response>'
        "<MultiPartyCall role='customer' MAXDURATION=' 600 ' recordFileFormat='WAV' relayDtmfInputs='True'"
        ' coachMode="none" record="1" stayAlone="none" enterSound="NONE"'
        ' statusCallbackUrl="http://a.test/s?x=1&y=2"'
        ' statusCallbackEvents="mpc-state-changes, Participant-Speak-Events"'
        ' recordingCallbackUrl="https://a.test/r#rc=2">A & B</MultiPartyCall></Response>'
    )
    element = only(body)
    assert element.name == "A & B"
    assert element.parameters.max_duration == 600
    assert element.parameters.record_file_format == "wav"
    assert element.participant.relay_dtmf_inputs
    assert not element.participant.coach_mode
    assert element.parameters.status_callback == Callback("http://a.test/s?x=1&y=2", "POST")
    assert element.parameters.recording_callback == Callback("https://a.test/r#rc=2", "GET")
    assert element.parameters.status_callback_events == frozenset(("mpc-state-changes", "participant-speak-events"))
    assert element.participant.enter_sound == "none"
    assert element.parameters.stay_alone is False


def test_several_elements_in_order() -> None:
    body = b'<Response><MultiPartyCall role="agent">a</MultiPartyCall><Hangup reason="Busy"/></Response>'
    assert read_document(body)[1] == HangupElement("busy")
    assert read_document(b'<Response><Hangup schedule="30"/></Response>') == (HangupElement("", 30),)
    assert read_document(b"<Response/>") == ()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not well-formed"),
        (b"<Response>", "not well-formed"),
        (b"\xff\xfe", "not UTF-8"),
        (b"<Answer/>", "must be <Response>"),
        (b"<Response><Message>hi</Message></Response>", "<Message> is not served"),
        (b"<Response><Stream>wss://x</Stream></Response>", "<Stream> is not served"),
        (b"<Response><PreAnswer><Hangup/></PreAnswer></Response>", "cannot stand inside"),
        (b"<Response><MultiPartyCall>a</MultiPartyCall></Response>", "no role"),
        (b'<Response><MultiPartyCall role="boss">a</MultiPartyCall></Response>', "role='boss'"),
        (b'<Response><MultiPartyCall role="agent"/></Response>', "no name"),
        (b'<Response><MultiPartyCall role="agent" maxDuration="5">a</MultiPartyCall></Response>', "300 to 28800"),
        (b'<Response><MultiPartyCall role="agent" mute="maybe">a</MultiPartyCall></Response>', "true or false"),
        (b'<Response><MultiPartyCall role="agent" onExitActionUrl="ftp://x">a</MultiPartyCall></Response>', "URL"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><Response/>', "not well-formed"),
        (b"<Response>" + b"<a>" * 50 + b"</a>" * 50 + b"</Response>", "levels"),
        (b"<Response>" + b" " * 100_000 + b"</Response>", "at most 100000"),
    ],
)
def test_what_cannot_be_used_says_why(body: bytes, message: str) -> None:
    with pytest.raises(InvalidDocument, match=message):
        read_document(body)


@given(st.binary(max_size=300))
def test_garbage_is_refused_not_crashed_on(body: bytes) -> None:
    with pytest.raises(InvalidDocument):
        read_document(b"<" + body)
