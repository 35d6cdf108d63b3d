"""URLs on the wire: exact where they can be, escaped where they must be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.errors import OutboundError
from mixminus.outbound.url import form_body, receiver_of, request_url, with_query


@pytest.mark.parametrize(
    ("given_url", "requested"),
    [
        ("https://h/a%2Fb?x=%20&y=+#ct=1", "https://h/a%2Fb?x=%20&y=+"),
        ("http://h", "http://h/"),
        ("http://h?x=1", "http://h/?x=1"),
        ("http://h/é x", "http://h/%C3%A9%20x"),
        ("http://bücher.example:80/", "http://xn--bcher-kva.example:80/"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("http://u:p@h/a;b=c,(d)!", "http://u:p@h/a;b=c,(d)!"),
        (" http://h/ ", "http://h/"),
    ],
)
def test_request_url(given_url: str, requested: str) -> None:
    assert request_url(given_url) == requested


@pytest.mark.parametrize(
    "url", ["", "h", "ftp://h/", "http://", "http:///a", "file:///etc/passwd", "http://h:99999/", "http://a b/", "//h/"]
)
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(OutboundError) as caught:
        request_url(url)
    assert caught.value.stage == "address"


@given(st.text(max_size=30))
def test_any_text_is_a_line_or_refused(text: str) -> None:
    try:
        requested = request_url("http://h/" + text)
    except OutboundError:
        return
    assert requested.isascii() and requested.isprintable() and " " not in requested


@pytest.mark.parametrize(
    ("url", "appended"),
    [
        ("http://h/a", "http://h/a?k=v%20w%26"),
        ("http://h/a?b=c", "http://h/a?b=c&k=v%20w%26"),
        ("http://h/a?", "http://h/a?k=v%20w%26"),
        ("http://h/a?b=c&#rc=1", "http://h/a?b=c&k=v%20w%26#rc=1"),
    ],
)
def test_parameters_follow_the_urls_own(url: str, appended: str) -> None:
    assert with_query(url, {"k": "v w&"}) == appended


def test_form_body_is_utf_8() -> None:
    assert form_body({"MPCName": "é 1", "Empty": ""}) == b"MPCName=%C3%A9+1&Empty="


def test_a_receiver_is_a_url_without_its_query() -> None:
    assert receiver_of("http://u:p@H:1/a?b#c") == ("http://h:1", "http://u:p@H:1/a")
