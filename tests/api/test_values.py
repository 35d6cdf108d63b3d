from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.api import values


@pytest.mark.parametrize("raw", [True, "true", "TRUE", " True ", 1, "1"])
def test_true(raw: Any) -> None:
    assert values.boolean(raw) is True


@pytest.mark.parametrize("raw", [False, "false", "False", 0, "0"])
def test_false(raw: Any) -> None:
    assert values.boolean(raw) is False


@pytest.mark.parametrize("raw", ["yes", "", 2, 1.0, None, [], {}, 10**400])
def test_not_a_boolean(raw: Any) -> None:
    with pytest.raises(ValueError, match="must be true or false"):
        values.boolean(raw)


@pytest.mark.parametrize("raw", [7, "7", " 7 ", "+7", 7.0])
def test_whole_numbers(raw: Any) -> None:
    assert values.integer(0, 10)(raw) == 7


@pytest.mark.parametrize("raw", [-1, 11, "7.5", 7.5, True, "٧", "1e3", None, float("nan"), float("inf"), "9" * 30])
def test_what_is_no_whole_number_from_0_to_10(raw: Any) -> None:
    with pytest.raises(ValueError, match="whole number from 0 to 10"):
        values.integer(0, 10)(raw)


@pytest.mark.parametrize(("raw", "expected"), [(5, (5,)), ("5", (5,)), ("5<6", (5, 6)), ([5, "6"], (5, 6))])
def test_whole_numbers_per_destination(raw: Any, expected: tuple[int, ...]) -> None:
    assert values.integers(0, 10)(raw) == expected


@pytest.mark.parametrize(
    "raw",
    ["http://x", "https://h:8080/p?q=1#rc=2&rt=5", "http://localhost:8000/a", "http://[::1]:9/", "HTTP://u:p@h/ü"],
)
def test_urls(raw: str) -> None:
    assert values.url(raw) == raw


@pytest.mark.parametrize(
    "raw",
    [
        "ftp://x",
        "x.com",
        "http://",
        "http:///p",
        "http://h:99999/",
        "http://[::1",
        "http://h/a b",
        "http://h/\r\nX: 1",
        5,
    ],
)
def test_what_is_no_url(raw: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        values.url(raw)


@pytest.mark.parametrize(
    "raw",
    [
        "+15551234567",
        "15551234567",
        "100",
        "sip:alice@127.0.0.1:5080",
        "sip:alice@example.com;transport=tcp",
        "sips:a.b-c_d@h.example",
        "sip:127.0.0.1:5070",
        "sip:+1555@[2001:db8::1]:5060",
        "SIP:bob%20x@h",
    ],
)
def test_addresses(raw: str) -> None:
    assert values.address(raw) == raw


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "+",
        "abc",
        "sip:",
        "sip:a@",
        "sip:a@b?Route=x",
        "sip:a@b\r\nVia: x",
        "sip:a b@c",
        "sip:a@b>",
        "tel:+1",
        "1" * 21,
        None,
        True,
        "sip:a@b c",
        "sip:é@b",
        "sip:" + "a" * 300 + "@b",
        "١٢٣",
    ],
)
def test_what_is_no_address(raw: Any) -> None:
    with pytest.raises(ValueError, match="must be digits"):
        values.address(raw)


@given(st.text())
def test_no_address_holds_a_line_end(raw: str) -> None:
    try:
        value = values.address(raw)
    except ValueError:
        return
    assert value.isascii() and value.isprintable() and not set(value) & set('<>" ?')


def test_destinations() -> None:
    assert values.destinations("+1555<sip:a@b") == ("+1555", "sip:a@b")
    assert values.destinations(["+1555", "+1556"]) == ("+1555", "+1556")
    assert len(values.destinations("<".join(["1555"] * 20))) == 20
    with pytest.raises(ValueError, match="at most 20"):
        values.destinations("<".join(["1555"] * 21))
    with pytest.raises(ValueError, match="joined by <"):
        values.destinations("+1555<")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("a=1", (("a", "1"),)), ("a=1,b=2,", (("a", "1"), ("b", "2"))), (" a = 1 , ", (("a", "1"),)), (",", ())],
)
def test_sip_headers(raw: str, expected: Any) -> None:
    assert values.sip_headers(raw) == expected


@pytest.mark.parametrize("raw", ["a", "a=", "=1", "a=b\r\nX", "a-b=1", "a=b c", 7, ",".join(["a=1"] * 33)])
def test_sip_headers_that_are_refused(raw: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        values.sip_headers(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2026-01-02 03:04", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05.25", datetime(2026, 1, 2, 3, 4, 5, 250000, tzinfo=UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 08:34:05+05:30", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ],
)
def test_timestamps(raw: str, expected: datetime) -> None:
    assert values.timestamp(raw) == expected


@pytest.mark.parametrize("raw", ["2026-01-02", "2026-13-02 03:04", "0001-01-01 00:00", "9999-12-31 23:59", 5, None, ""])
def test_what_is_no_timestamp(raw: Any) -> None:
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        values.timestamp(raw)


def test_text_has_no_control_characters() -> None:
    assert values.text()("naïve 日本") == "naïve 日本"
    for raw in ("a\x00", "a\r\nb", "a\u2028b", "\x7f", "\ud800"):
        with pytest.raises(ValueError, match="control characters"):
            values.text()(raw)
    with pytest.raises(ValueError, match="at most 3"):
        values.text(3)("abcd")


def test_words_or_a_url() -> None:
    sound = values.words_or_url("beep:1", "none")
    assert [sound(raw) for raw in ("None", "beep:1", "https://x/y")] == ["none", "beep:1", "https://x/y"]
    with pytest.raises(ValueError, match="beep:1, none, or an http"):
        sound("beep:9")


def test_word_set() -> None:
    read = values.word_set(frozenset({"a-b", "c"}))
    assert read("A-B, c,") == read(["c", "a-b"]) == {"a-b", "c"}
    with pytest.raises(ValueError, match="a-b, c"):
        read("d")


def test_one_element_lists_are_their_element() -> None:
    assert values.unwrap([["active"]]) == "active"
    assert values.unwrap(["a", "b"]) == ["a", "b"]
