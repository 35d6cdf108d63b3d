from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.errors import MixminusError, ProtocolError
from mixminus.sdp import Codec, MediaPlan, NoCommonCodec, make_answer, make_offer, read_answer
from mixminus.sdp.description import DIRECTIONS, parse_description

PHONE = (
    "v=0\r\no=phone 5 7 IN IP4 192.0.2.9\r\ns=call\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 9 8 0 96\r\na=rtpmap:9 G722/8000\r\na=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\n"
)


def answer(offer: str, codecs: tuple[Codec, ...] = ("PCMU", "PCMA")) -> tuple[str, MediaPlan]:
    data, plan = make_answer(offer.encode(), host="198.51.100.1", port=20000, session_id=42, version=1, codecs=codecs)
    return data.decode(), plan


def test_a_phone_is_answered_in_its_own_numbers() -> None:
    text, plan = answer(PHONE)
    assert plan == MediaPlan(
        codec="PCMA",
        payload_type=8,
        dtmf_payload_type=96,
        remote=("192.0.2.9", 4000),
        send=True,
        receive=True,
        ptime=20,
        rtcp=("192.0.2.9", 4001),
    )
    assert text == (
        "v=0\r\no=- 42 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
        "m=audio 20000 RTP/AVP 8 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\n"
        "a=fmtp:96 0-16\r\na=ptime:20\r\na=sendrecv\r\na=rtcp:20000\r\n"
    )


def test_our_codecs_decide_which_are_taken() -> None:
    assert answer(PHONE, ("PCMU",))[1].codec == "PCMU"


@pytest.mark.parametrize(
    ("theirs", "ours", "send", "receive"),
    [
        ("sendrecv", "sendrecv", True, True),
        ("sendonly", "recvonly", False, True),
        ("recvonly", "sendonly", True, False),
        ("inactive", "inactive", False, False),
    ],
)
@pytest.mark.parametrize("level", ["session", "media"])
def test_directions(theirs: str, ours: str, send: bool, receive: bool, level: str) -> None:
    offer = PHONE + f"a={theirs}\r\n" if level == "media" else PHONE.replace("t=0 0\r\n", f"t=0 0\r\na={theirs}\r\n")
    text, plan = answer(offer)
    assert (plan.send, plan.receive) == (send, receive)
    assert f"a={ours}\r\n" in text


def test_hold_by_address() -> None:
    text, plan = answer(PHONE.replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0"))
    assert (plan.remote, plan.send, plan.receive) == (None, False, True)
    assert "a=recvonly" in text


def test_our_own_hold_narrows_the_answer() -> None:
    data, plan = make_answer(PHONE.encode(), host="h", port=1, session_id=1, version=2, direction="sendonly")
    assert b"a=sendonly" in data and (plan.send, plan.receive) == (True, False)


def test_other_streams_are_refused_in_order() -> None:
    offer = PHONE.replace("m=audio", "m=image 5000 udptl t38\r\nm=audio") + (
        "m=video 6000 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\nm=audio 7000 RTP/AVP 0\r\n"
    )
    text, plan = answer(offer)
    lines = [line for line in text.split("\r\n") if line.startswith("m=")]
    assert lines == ["m=image 0 UDPTL t38", "m=audio 20000 RTP/AVP 8 96", "m=video 0 RTP/AVP 97", "m=audio 0 RTP/AVP 0"]
    assert plan.remote == ("192.0.2.9", 4000)


@pytest.mark.parametrize(
    "media",
    [
        "m=audio 4000 RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n",
        "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n",
        "m=audio 0 RTP/AVP 0\r\n",
        "m=audio 4000 RTP/SAVP 0\r\n",
        "m=video 4000 RTP/AVP 0\r\n",
        "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/16000\r\n",
        "m=audio 4000 RTP/AVP 999\r\na=rtpmap:999 PCMU/8000\r\n",
        "m=audio 4000 RTP/AVP\r\n",
    ],
)
def test_nothing_in_common(media: str) -> None:
    with pytest.raises(NoCommonCodec):
        answer(PHONE[: PHONE.index("m=")] + media)


@pytest.mark.parametrize(
    ("attributes", "ptime"),
    [("", 20), ("a=ptime:30", 30), ("a=ptime:5", 10), ("a=ptime:200", 60), ("a=ptime:40\r\na=maxptime:20", 20),
     ("a=ptime:x", 20), ("a=ptime:35.5", 30)],
)  # fmt: skip
def test_packet_times(attributes: str, ptime: int) -> None:
    text, plan = answer(PHONE + attributes + "\r\n")
    assert plan.ptime == ptime
    assert f"a=ptime:{ptime}\r\n" in text


def test_dynamic_numbers_media_level_addresses_and_rtcp() -> None:
    offer = (
        "v=0\no=- 1 1 IN IP6 2001:db8::9\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 111 112\nc=IN IP6 2001:db8::9\n"
        "a=rtpmap:111 pcma/8000/1\na=rtpmap:112 telephone-event/8000\na=fmtp:112 0-15\na=rtcp:4500\n"
    )
    text, plan = answer(offer)
    assert (plan.codec, plan.payload_type, plan.dtmf_payload_type) == ("PCMA", 111, 112)
    assert (plan.remote, plan.rtcp) == (("2001:db8::9", 4000), ("2001:db8::9", 4500))
    assert "a=fmtp:112 0-15" in text
    assert answer(offer + "a=rtcp-mux\n")[1].rtcp == ("2001:db8::9", 4000)


@pytest.mark.parametrize(
    ("offer", "message"),
    [
        ("", "v=0"),
        ("v=0\r\ns=-\r\n", "o="),
        ("v=0\r\no=- 1 1 IN IP4 h\r\n", "no m="),
        ("v=0\r\no=- 1 IN IP4 h\r\n", "o="),
        (PHONE.replace("c=IN IP4 192.0.2.9\r\n", ""), "c="),
        (PHONE.replace("c=IN IP4 192.0.2.9", "c=IN ATM x"), "c="),
        (PHONE.replace("audio 4000", "audio 70000"), "m="),
        (PHONE + "nonsense\r\n", "nonsense"),
        (PHONE + "m=audio 1 RTP/AVP 0\r\n" * 40, "m="),
        ("v=0\r\n" + "a" * 70000, "bytes"),
    ],
)
def test_what_is_malformed_is_named(offer: str, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        answer(offer)


@given(st.sampled_from(["PCMU", "PCMA", "G722", "opus"]), st.sampled_from(DIRECTIONS), st.booleans())
def test_both_ends_agree(codec: Codec, direction: str, v6: bool) -> None:
    host = "2001:db8::1" if v6 else "192.0.2.1"
    offer = make_offer(
        host=host,
        port=4000,
        session_id=1,
        version=1,
        codecs=("opus", "G722", "PCMU", "PCMA"),
        direction=direction,  # type: ignore[arg-type]
    )
    data, theirs = make_answer(offer, host="192.0.2.2", port=5000, session_id=2, version=1, codecs=(codec,))
    ours = read_answer(offer, data)
    assert ours.codec == theirs.codec == codec
    assert (ours.payload_type, ours.dtmf_payload_type) == (theirs.payload_type, theirs.dtmf_payload_type)
    assert (ours.send, ours.receive) == (theirs.receive, theirs.send)
    assert (ours.remote, theirs.remote) == (("192.0.2.2", 5000), (host, 4000))


def test_answers_that_do_not_fit() -> None:
    offer = make_offer(host="192.0.2.1", port=4000, session_id=1, version=1)
    good, _ = make_answer(offer, host="192.0.2.2", port=5000, session_id=2, version=1)
    with pytest.raises(NoCommonCodec, match="refused"):
        read_answer(offer, good.replace(b"audio 5000", b"audio 0"))
    with pytest.raises(NoCommonCodec):
        read_answer(offer, good.replace(b"RTP/AVP 0 101", b"RTP/AVP 18"))
    with pytest.raises(ProtocolError, match="as many"):
        read_answer(offer, good + b"m=video 0 RTP/AVP 1\r\n")


def test_the_version_is_what_the_caller_says() -> None:
    assert parse_description(make_offer(host="h", port=1, session_id="9", version=3)).version == "3"


@given(st.binary(max_size=300), st.integers(0, len(PHONE)))
def test_garbage_is_an_error_and_nothing_else(noise: bytes, position: int) -> None:
    offer = make_offer(host="h", port=1, session_id=1, version=1)
    for data in (noise, PHONE.encode()[:position] + noise + PHONE.encode()[position:]):
        for use in (
            lambda d: make_answer(d, host="h", port=1, session_id=1, version=1),
            lambda d: read_answer(offer, d),
        ):
            try:
                use(data)
            except MixminusError:
                continue


EVERY: tuple[Codec, ...] = ("opus", "G722", "PCMU", "PCMA")
BROWSER = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 8 9 109 97 101\r\na=rtpmap:109 opus/48000/2\r\na=fmtp:109 minptime=10;useinbandfec=1\r\n"
    "a=rtpmap:9 G722/8000\r\na=rtpmap:97 telephone-event/48000\r\na=rtpmap:101 telephone-event/8000\r\n"
)


@pytest.mark.parametrize(
    ("ours", "codec", "payload_type", "dtmf", "clock"),
    [
        (EVERY, "opus", 109, 97, 48000),
        (("G722", "opus", "PCMU"), "G722", 9, 101, 8000),
        (("PCMA", "PCMU", "opus"), "PCMU", 0, 101, 8000),  # between the two laws the offer decides
        (("PCMA", "opus"), "PCMA", 8, 101, 8000),
    ],
)
def test_our_order_of_preference_decides(
    ours: tuple[Codec, ...], codec: Codec, payload_type: int, dtmf: int, clock: int
) -> None:
    text, plan = answer(BROWSER, ours)
    assert (plan.codec, plan.payload_type) == (codec, payload_type)
    assert (plan.dtmf_payload_type, plan.dtmf_clock) == (dtmf, clock)
    assert f"m=audio 20000 RTP/AVP {payload_type} {dtmf}\r\n" in text
    assert f"a=rtpmap:{dtmf} telephone-event/{clock}\r\n" in text


def test_opus_is_answered_as_rfc_7587_wants() -> None:
    text, _plan = answer(BROWSER, EVERY)
    assert "a=rtpmap:109 opus/48000/2\r\n" in text
    assert "a=fmtp:109 minptime=10;useinbandfec=1;usedtx=1;maxaveragebitrate=32000\r\n" in text


def test_a_peer_of_opus_whose_events_have_the_old_clock_keeps_it() -> None:
    _text, plan = answer(BROWSER.replace("a=rtpmap:97 telephone-event/48000\r\n", ""), EVERY)
    assert (plan.codec, plan.dtmf_payload_type, plan.dtmf_clock) == ("opus", 101, 8000)


def test_an_offer_of_everything() -> None:
    offer = make_offer(host="192.0.2.1", port=4000, session_id=1, version=1, codecs=EVERY).decode()
    assert "m=audio 4000 RTP/AVP 111 9 0 8 110 101\r\n" in offer
    assert "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 " in offer
    assert "a=rtpmap:9 G722/8000\r\n" in offer
    assert "a=rtpmap:110 telephone-event/48000\r\n" in offer
    assert "a=rtpmap:101 telephone-event/8000\r\n" in offer


def test_of_an_answer_with_several_codecs_the_peers_first_is_sent() -> None:
    offer = make_offer(host="192.0.2.1", port=4000, session_id=1, version=1, codecs=EVERY)
    reply = (
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 9 0 101\r\n"
        "a=rtpmap:101 telephone-event/8000\r\n"
    )
    plan = read_answer(offer, reply.encode())
    assert (plan.codec, plan.payload_type, plan.dtmf_payload_type, plan.dtmf_clock) == ("G722", 9, 101, 8000)


CN_MAP = "a=rtpmap:13 CN/8000\r\n"


@pytest.mark.parametrize(
    ("codecs", "wanted", "formats"),
    [
        (("PCMU", "PCMA"), True, "0 8 101 13"),
        (("PCMU", "PCMA"), False, "0 8 101"),
        (("opus", "PCMA"), True, "111 8 110 101 13"),
        (("opus", "G722"), True, "111 9 110 101"),
    ],
)
def test_comfort_noise_is_offered_beside_g711_where_it_is_wanted(
    codecs: tuple[Codec, ...], wanted: bool, formats: str
) -> None:
    offer = make_offer(host="192.0.2.1", port=4000, session_id=1, version=1, codecs=codecs, comfort_noise=wanted)
    assert f"m=audio 4000 RTP/AVP {formats}\r\n" in offer.decode()
    assert (CN_MAP in offer.decode()) == formats.endswith("13")


@pytest.mark.parametrize(
    ("offered", "wanted", "formats"),
    [("0 13", True, "0 13"), ("0 13", False, "0"), ("0", True, "0"), ("9 13", True, "9"), ("13 8", True, "8 13")],
)
def test_comfort_noise_is_agreed_to_beside_g711_where_it_was_offered(offered: str, wanted: bool, formats: str) -> None:
    offer = (
        f"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP {offered}\r\n"
    )
    text, plan = make_answer(
        offer.encode(), host="192.0.2.1", port=4000, session_id=1, version=1, codecs=EVERY, comfort_noise=wanted
    )
    assert f"m=audio 4000 RTP/AVP {formats}\r\n" in text.decode()
    assert (CN_MAP in text.decode()) == ("13" in formats)
    assert plan.payload_type == int(formats.split()[0]), "noise is never what is spoken"
