from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.api.body import MAX_FIELDS, fold, read_body, read_query
from mixminus.errors import RequestError

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", FORM, ""])
async def test_json_is_known_by_type_or_first_byte(content_type: str) -> None:
    body = b' \n{"to": "1\\u003c2", "path": "a\\/b", "name": null}'
    assert await read_body(content_type, body) == {"to": "1<2", "path": "a/b", "name": None}


@pytest.mark.parametrize("body", [b"", b"   ", b"null", b"{}", b"\xef\xbb\xbf{}"])
@pytest.mark.parametrize("content_type", ["application/json", FORM, "multipart/form-data; boundary=x", "text/plain"])
async def test_nothing_is_nothing(content_type: str, body: bytes) -> None:
    assert await read_body(content_type, body) == {}


async def test_forms() -> None:
    assert await read_body(FORM, b"role=agent&to=%2B1%3C2&note=a+b&to=3") == {
        "role": "agent",
        "to": ["+1<2", "3"],
        "note": "a b",
    }


async def test_multipart() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="role"\r\n\r\nagent\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nignored\r\n--b--\r\n'
    )
    assert await read_body("multipart/form-data; boundary=b", body) == {"role": "agent"}


@pytest.mark.parametrize(
    ("content_type", "body", "says"),
    [
        ("application/json", b"[1]", "must be a JSON object"),
        ("application/json", b"{", "not valid JSON"),
        ("application/json", b'{"a": "\xff"}', "not valid JSON"),
        ("application/json", b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (FORM, b"a=%ff", "not UTF-8"),
        (FORM, b"a=1&" * (MAX_FIELDS + 1), "more than"),
        ("multipart/form-data", b"x", "multipart"),
        ("multipart/form-data; boundary=b", b"--c", "multipart"),
    ],
)
async def test_malformed_bodies_are_the_callers_fault(content_type: str, body: bytes, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        await read_body(content_type, body)


def test_a_query_keeps_its_order_and_its_empty_values() -> None:
    assert read_query(b"b=1&a=&b=2") == (("b", "1"), ("a", ""), ("b", "2"))
    assert fold(read_query(b"b=1&a=&b=2&b=3")) == {"b": ["1", "2", "3"], "a": ""}


@given(
    st.sampled_from(["application/json", FORM, "multipart/form-data; boundary=b", "multipart/form-data; boundary="]),
    st.binary(max_size=300) | st.binary(max_size=40).map(lambda tail: b"--b\r\n" + tail) | st.text().map(str.encode),
)
async def test_any_bytes_are_fields_or_a_request_error(content_type: str, body: bytes) -> None:
    try:
        found: dict[str, Any] = await read_body(content_type, body)
    except RequestError:
        return
    assert all(isinstance(name, str) for name in found)
