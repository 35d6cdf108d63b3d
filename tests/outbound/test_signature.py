"""The published vectors, and the official package's own validators on whatever URL and parameters."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import plivo.utils
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mixminus.outbound.signature import Tokens, signature_headers, v2_signature, v3_signatures
from mixminus.outbound.url import request_url, with_query

TOKEN = "Y2Q2ZDgxZmY5YWRiOTI5YmQ1Njg0MTAxZWIyOTc4"
NONCE = "31627761595286130198"
CALL = "3e82ae9d-2c78-4d85-b1a4-6eae7dbafb36"
ADDRESS = "sip:PlivoSignature382029104058171078704104"
SET_1 = {
    "Direction": "outbound",
    "From": "19792014278",
    "ALegUUID": CALL,
    "ALegRequestUUID": CALL,
    "CallUUID": CALL,
    "RequestUUID": CALL,
    "CallStatus": "in-progress",
    "BillRate": "0.002",
    "ParentAuthID": "MANWVLYTK4ZWU1YTY4QA",
    "To": f"{ADDRESS}@phone-qa.voice.plivodev.com",
    "SIP-H-To": f"<{ADDRESS}@52.9.11.55;transport=udp>;tag=1",
    "SessionStart": "2020-04-08 11:34:33.238707",
    "Event": "StartApp",
}
SET_2 = {
    "EventName": "MPCRecordingCompleted",
    "MPCName": "conf 1",
    "MPCUUID": "8742d531-292a-46aa-8754-836be1092885",
    "RecordingDuration": "12",
    "SequenceNumber": "3",
}
XML = "https://plivobin.non-prod.plivops.com/api/v1/validate_signature03.xml"
PORT = "https://example.com:8443/mpc/rec?t=9"


def test_v2_vector() -> None:
    assert v2_signature("https://answer.url", "my_auth_token", "12345") == (
        "ehV3IKhLysWBxC1sy8INm0qGoQYdYsHwuoKjsX7FsXc="
    )


def test_v2_leaves_out_query_and_user_but_keeps_the_port() -> None:
    assert v2_signature("https://u:p@h:8443/a?b=c", "t", "1") == v2_signature("https://h:8443/a", "t", "1")
    assert v2_signature("https://h:8443/a", "t", "1") != v2_signature("https://h/a", "t", "1")


@pytest.mark.parametrize(
    ("url", "method", "parameters", "signature"),
    [
        (f"{XML}/?a=b&c=d", "POST", SET_1, "k7Pusd4OxCIjR5IfA9iedDNu/h/gbdYqdzG/MiYtd1c="),
        (f"{XML}/?a=b&c=d", "GET", SET_1, "UBq8jAtd32wR8EK9VgxbBn4n5rpI/l1H9iN4WfSEHFQ="),
        (XML, "POST", SET_1, "iAjE5QqI37mbkYe4w3jTMudqEzbDufdqi7sYwTu64e0="),
        (XML, "GET", SET_1, "i/MQsaQSAd6fiKhOh2qeeeLHZ9faldADSb3/7+Akfbc="),
        ("https://example.com/mpc/rec", "POST", SET_2, "ivL2HPt79EBwQJZsaujC8oLlaIaP6WAeoarQHl7pH9M="),
        ("https://example.com/mpc/rec", "GET", SET_2, "2q/j13NPUx+43gVlNRcz0iKcV7a1h41iLgDAfNZOHkY="),
        (PORT, "POST", SET_2, "4R1vTHTCvcZghP3bQQNuvRbGlps09+7Dp+pws4QFR2Y="),
        (PORT, "POST", SET_2, "vzdIbGq+y6YH1T1RXfUr35ix68X+D8b7V7LD5qAf6zE="),
    ],
)
def test_v3_vectors(url: str, method: str, parameters: dict[str, str], signature: str) -> None:
    if method == "GET":
        assert signature in v3_signatures("GET", with_query(url, parameters), {}, TOKEN, NONCE)
    else:
        assert signature in v3_signatures("POST", url, parameters, TOKEN, NONCE)


def test_the_usual_post_needs_few_signatures_and_the_worst_stays_small() -> None:
    assert len(v3_signatures("POST", "https://example.com/hook", SET_2, TOKEN, NONCE)) <= 4
    worst = v3_signatures("POST", "https://h:1/%C3%A9?q=%C3%A9+%26", {"MPCName": "é"}, TOKEN, NONCE)
    assert len(",".join(worst)) < 800


def test_every_form_is_sent_once() -> None:
    signatures = v3_signatures("GET", "https://h:8443/%C3%A9?q=%C3%A9", {}, TOKEN, NONCE)
    assert len(signatures) == len(set(signatures))


def test_sub_account_signs_with_both_tokens() -> None:
    headers = signature_headers("POST", "https://h/", {"a": "b"}, Tokens(own="sub", main="main"), NONCE)
    assert headers["X-Plivo-Signature-V2"] == v2_signature("https://h/", "sub", NONCE)
    assert headers["X-Plivo-Signature-Ma-V2"] == v2_signature("https://h/", "main", NONCE)
    assert headers["X-Plivo-Signature-V3"] != headers["X-Plivo-Signature-Ma-V3"]
    assert headers["X-Plivo-Signature-V2-Nonce"] == headers["X-Plivo-Signature-V3-Nonce"] == NONCE
    same = signature_headers("POST", "https://h/", {"a": "b"}, Tokens(own="main", main="main"), NONCE)
    assert same["X-Plivo-Signature-V3"] == same["X-Plivo-Signature-Ma-V3"] == headers["X-Plivo-Signature-Ma-V3"]


text = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
names = st.text(st.sampled_from("abcXYZ_-"), min_size=1, max_size=6)
urls = st.builds(
    lambda scheme, host, port, path, query: request_url(f"{scheme}://{host}{port}{path}{query}"),
    st.sampled_from(["http", "https"]),
    st.sampled_from(["example.com", "127.0.0.1", "a-b.example.org"]),
    st.sampled_from(["", ":8443", ":80"]),
    st.sampled_from(["", "/", "/a/b", "/a%20b", "/é/x y", "/a%2Fb.php"]),
    st.one_of(st.just(""), st.dictionaries(names, text, max_size=4).map(lambda q: "?" + urlencode(q))),
)


def _readable_by_the_validator(url: str) -> bool:
    """It reads the query as bytes, which some versions of Python cannot do when there are escapes beyond ASCII."""
    try:
        parse_qs(urlsplit(url).query.encode())
    except UnicodeEncodeError:
        return False
    return True


@given(urls, st.dictionaries(names, text, max_size=5))
def test_the_official_validator_accepts_every_post(url: str, form: dict[str, str]) -> None:
    assume(_readable_by_the_validator(url))
    headers = signature_headers("POST", url, form, Tokens(TOKEN, TOKEN), NONCE)
    signature = headers["X-Plivo-Signature-V3"]
    assert plivo.utils.validate_v3_signature("POST", url, NONCE, TOKEN, signature, dict(form))
    assert not plivo.utils.validate_v3_signature("POST", url, NONCE, TOKEN, signature, {**form, "Zz": "forged"})
    assert plivo.utils.validate_signature(url, NONCE, headers["X-Plivo-Signature-V2"], TOKEN)


@given(urls, st.dictionaries(names, text, max_size=5))
def test_the_official_validator_accepts_every_get(url: str, parameters: dict[str, str]) -> None:
    requested = with_query(url, parameters)
    signature = signature_headers("GET", requested, {}, Tokens(TOKEN, TOKEN), NONCE)["X-Plivo-Signature-V3"]
    as_frameworks_give_it = parse_qs(urlsplit(requested).query, keep_blank_values=True)
    bare = requested.partition("?")[0]
    assert plivo.utils.validate_v3_signature("GET", bare, NONCE, TOKEN, signature, as_frameworks_give_it)
    if _readable_by_the_validator(requested):
        assert plivo.utils.validate_v3_signature("GET", requested, NONCE, TOKEN, signature, {})
        assert not plivo.utils.validate_v3_signature("GET", requested, NONCE, "other", signature, {})
