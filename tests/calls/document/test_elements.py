"""Every element but MultiPartyCall: what is read out of it, and what is refused with which sentence."""

from __future__ import annotations

import pytest

from mixminus.calls.commands import Callback
from mixminus.calls.document import InvalidDocument, read_document
from mixminus.calls.document.elements import (
    CollectElement,
    ConferenceElement,
    DialElement,
    DialTarget,
    DtmfElement,
    Element,
    PlayElement,
    PreAnswerElement,
    RecordElement,
    RedirectElement,
    SpeakElement,
    WaitElement,
)

URL = "http://app.test/x"


def only(text: str) -> Element:
    (element,) = read_document(f"<Response>{text}</Response>".encode())
    return element


@pytest.mark.parametrize(
    ("text", "element"),
    [
        ("<Speak> hi </Speak>", SpeakElement("hi")),
        (
            '<Speak voice="Polly.Joanna" language="en-GB" loop="0">a <break time="1s"/> b</Speak>',
            SpeakElement('a <break time="1s" /> b', "Polly.Joanna", "en-GB", 0),
        ),
        (f'<Play loop="3">{URL}</Play>', PlayElement(URL, 3)),
        (f'<Play loop="none">{URL}</Play>', PlayElement(URL, 0)),
        ('<Wait length="7" silence="true" minSilence="200" beep="true"/>', WaitElement(7)),
        ("<Wait/>", WaitElement(1)),
        ('<DTMF async="false">12w#</DTMF>', DtmfElement("12w#")),
        (f'<Redirect method="get">{URL}</Redirect>', RedirectElement(Callback(URL, "GET"))),
        ("<PreAnswer><Speak>a</Speak><Wait/></PreAnswer>", PreAnswerElement((SpeakElement("a"), WaitElement()))),
        ("<GetDigits/>", CollectElement(kind="GetDigits", action=Callback())),
        (
            f'<GetDigits action="{URL}" finishOnKey="" validDigits="12" retries="3" playBeep="true"><Play>{URL}</Play>'
            "</GetDigits>",
            CollectElement(
                kind="GetDigits",
                action=Callback(URL),
                finish_on="",
                valid="12",
                retries=3,
                beep=True,
                prompts=(PlayElement(URL),),
            ),
        ),
        (
            f'<GetInput action="{URL}" inputType="dtmf speech" digitEndTimeout="4" numDigits="1" hints="a,b"/>',
            CollectElement(kind="GetInput", action=Callback(URL), timeout=15, digit_timeout=4, most=1),
        ),
        (
            f'<Record action="{URL}" fileFormat="WAV" maxLength="9" playBeep="none" recordChannelType="mono"/>',
            RecordElement(action=Callback(URL), format="wav", max_length=9, beep=False),
        ),
        (
            f'<Dial confirmKey="1" dialMusic="{URL}" callerId="100" sipHeaders="a=b,c=d" digitsMatch="1, 22">'
            '<Number sendDigits="1w2">+15551234567</Number>'
            '<User sipAuthUsername="u" sipAuthPassword="p">sip:a@b.test</User></Dial>',
            DialElement(
                targets=(
                    DialTarget(to="+15551234567", send_digits="1w2"),
                    DialTarget(to="sip:a@b.test", username="u", password="p"),
                ),
                confirm_key="1",
                dial_music=URL,
                caller_id="100",
                sip_headers=(("a", "b"), ("c", "d")),
                digits_match=("1", "22"),
            ),
        ),
        (
            f'<Conference muted="true" enterSound="beep:1" maxMembers="5" callbackUrl="{URL}">room</Conference>',
            ConferenceElement(name="room", muted=True, enter_sound="beep:1", max_members=5, callback=Callback(URL)),
        ),
    ],
)
def test_what_is_read(text: str, element: Element) -> None:
    assert only(text) == element


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<Speak/>", "<Speak> has no text"),
        ("<Play>file:///etc/passwd</Play>", "must be the http or https URL"),
        ("<DTMF>12x</DTMF>", "<DTMF> '12x'"),
        ("<Redirect/>", "must be an http or https URL"),
        ("<GetInput/>", "<GetInput> has no action"),
        (f'<GetInput action="{URL}" inputType="speech"/>', "speech is not recognised by mixminus"),
        ('<GetDigits finishOnKey="x"/>', "must be keys out of"),
        ("<Dial/>", "has 0 <Number> and <User>"),
        ("<Dial><Number>12;13</Number></Dial>", "must be digits"),
        ("<Dial><User>http://x</User></Dial>", "must be a sip:user@host address"),
        ('<Dial callType="whatsapp"><Number>1</Number></Dial>', "only voice calls"),
        ('<Dial sipHeaders="a=b&#10;Via: x"><Number>1</Number></Dial>', "name=value pairs"),
        ('<Dial confirmKey="12"><Number>1</Number></Dial>', "one key"),
        ("<Conference/>", "must have a name"),
        ("<GetDigits><Dial><Number>1</Number></Dial></GetDigits>", "<Dial> cannot stand inside <GetDigits>"),
        ("<PreAnswer><Message>x</Message></PreAnswer>", "<Message> is not served"),
        ('<Wait length="0"/>', "from 1 to 86400"),
    ],
)
def test_what_is_refused_says_why(text: str, sentence: str) -> None:
    with pytest.raises(InvalidDocument, match=sentence):
        only(text)


def test_unknown_elements_are_left_out_with_a_warning() -> None:
    warnings: list[str] = []
    body = b"<Response><Fax/><Wait/><GetDigits><Smile/><Wait/></GetDigits></Response>"
    elements = read_document(body, warnings.append)
    assert elements == (
        WaitElement(),
        CollectElement(kind="GetDigits", action=Callback(), prompts=(WaitElement(),)),
    )
    assert len(warnings) == 2
    assert "<Fax> is unknown and ignored" in warnings[0]
    assert "<Smile> inside <GetDigits>" in warnings[1]
