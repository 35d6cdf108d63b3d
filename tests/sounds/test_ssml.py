from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.sounds.ssml import read_speech


@pytest.mark.parametrize(
    ("text", "markup", "plain"),
    [
        ("Hello", "Hello", "Hello"),
        ("Tom & Jerry", "Tom &amp; Jerry", "Tom & Jerry"),
        ("5 < 6", "5 &lt; 6", "5 < 6"),
        ("<speak>Hi</speak>", "Hi", "Hi"),
        ('one<break time="500ms"/>two', 'one<break time="500ms"></break>two', "one, two"),
        ("<break time=1s>oops", "oops", "oops"),
        ('<say-as interpret-as="digits">12 3</say-as>', "1 2 3", "1 2 3"),
        ('<sub alias="World Wide Web">WWW</sub>', "World Wide Web", "World Wide Web"),
        ('<lang xml:lang="fr-FR">Bonjour</lang> <w role="x">you</w>', "Bonjour you", "Bonjour you"),
        ('<prosody rate="slow" volume="&quot;&gt;">a</prosody>', '<prosody rate="slow">a</prosody>', "a"),
        ('<audio src="/etc/passwd">gone</audio>', "gone", "gone"),
        ('<amazon:effect name="whispered">psst</amazon:effect>', "psst", "psst"),
    ],
)
def test_tags_act_or_leave_their_content(text: str, markup: str, plain: str) -> None:
    speech = read_speech(text)
    assert (speech.markup, speech.plain) == (markup, plain)


def test_entities_are_not_expanded() -> None:
    assert read_speech('<!DOCTYPE x [<!ENTITY y "boom">]>&y;').plain.endswith("&y;")


@given(st.text(max_size=200))
def test_anything_can_be_read(text: str) -> None:
    speech = read_speech(text)
    assert "\0" not in speech.markup and "\x1b" not in speech.plain


def test_deep_nesting_is_read_as_text() -> None:
    assert read_speech("<p>" * 500 + "deep" + "</p>" * 500).plain == "deep"
