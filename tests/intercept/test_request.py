from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.errors import ProtocolError
from mixminus.intercept.request import ProxyRequest, read_request


def test_a_tunnel() -> None:
    assert read_request(b"CONNECT API.plivo.com:443 HTTP/1.1\r\nHost: x\r\n\r\n") == ProxyRequest(
        "connect", "api.plivo.com", 443, secure=True
    )


def test_a_whole_url_becomes_a_request_of_its_own() -> None:
    head = b"GET https://api.plivo.com/v1/?a=1 HTTP/1.1\r\nHost: api.plivo.com\r\nProxy-Connection: keep-alive\r\n\r\n"
    found = read_request(head)
    assert (found.form, found.host, found.port, found.secure) == ("absolute", "api.plivo.com", 443, True)
    assert found.head == b"GET /v1/?a=1 HTTP/1.1\r\nConnection: close\r\nHost: api.plivo.com\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"CONNECT  HTTP/1.1\r\n\r\n",
        b"CONNECT [::1 HTTP/1.1\r\n\r\n",
        b"CONNECT a:99999 HTTP/1.1\r\n\r\n",
        b"CONNECT a:443 HTTP/2\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_what_is_no_proxy_request_is_refused(head: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_request(head)


@given(st.binary(max_size=200))
def test_hostile_heads_break_nothing(head: bytes) -> None:
    try:
        read_request(head)
    except ProtocolError as error:
        assert str(error)
