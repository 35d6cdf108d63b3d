from __future__ import annotations

import pytest

from mixminus.sounds.voices import Voice, pick


@pytest.mark.parametrize(
    ("voice", "language", "expected"),
    [
        ("", "", Voice("en-us", "female")),
        ("WOMAN", "es-ES", Voice("es-es", "female")),
        ("man", "en_GB", Voice("en-gb", "male")),
        ("Polly.Amy", "", Voice("en-gb", "female")),
        ("Polly.Joanna-Neural", "", Voice("en-us", "female")),
        ("Polly.Hans", "de-DE", Voice("de-de", "male")),
        ("Polly.Léa", "", Voice("fr-fr", "female")),
        ("Polly.Newcomer", "", Voice("en-us", "female")),
    ],
)
def test_names_are_mapped(voice: str, language: str, expected: Voice) -> None:
    assert pick(voice, language) == expected


@pytest.mark.parametrize(("voice", "language", "named"), [("Alice", "", "Polly.Joanna"), ("", "tlh", "en-US")])
def test_an_unknown_name_is_refused_with_what_is_allowed(voice: str, language: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        pick(voice, language)
