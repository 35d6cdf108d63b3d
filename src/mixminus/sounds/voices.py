"""The vendor's voice and language names → what to look for among the voices of this machine. Pure."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Gender = Literal["female", "male"]


class Voice(NamedTuple):
    """``language`` is a lower-case tag: ``en-us``, ``fr-fr``, ``cmn-cn``."""

    language: str
    gender: Gender


DEFAULT_LANGUAGE: Final = "en-us"


def _genders(women: str, men: str) -> tuple[tuple[Gender, str], ...]:
    return ("female", women), ("male", men)


_POLLY: Final[dict[str, tuple[Gender, str]]] = {
    name: (gender, language)
    for language, women, men in (
        ("en-us", "Danielle Ivy Joanna Kendra Kimberly Ruth Salli", "Gregory Joey Justin Kevin Matthew Stephen"),
        ("en-gb", "Amy Emma", "Arthur Brian"),
        ("en-gb-wls", "", "Geraint"),
        ("en-au", "Nicole Olivia", "Russell"),
        ("en-in", "Aditi Kajal Raveena", ""),
        ("en-ie", "Niamh", ""),
        ("en-nz", "Aria", ""),
        ("en-za", "Ayanda", ""),
        ("es-es", "Conchita Lucia Lucía", "Enrique Sergio"),
        ("es-mx", "Mia", "Andres Andrés"),
        ("es-us", "Lupe Penelope Penélope", "Miguel Pedro"),
        ("fr-fr", "Celine Céline Lea Léa", "Mathieu Remi Rémi"),
        ("fr-ca", "Chantal Gabrielle", "Liam"),
        ("fr-be", "Isabelle", ""),
        ("de-de", "Marlene Vicki", "Daniel Hans"),
        ("de-at", "Hannah", ""),
        ("it-it", "Bianca Carla", "Adriano Giorgio"),
        ("pt-br", "Camila Vitoria Vitória", "Ricardo Thiago"),
        ("pt-pt", "Ines Inês", "Cristiano"),
        ("nl-nl", "Laura Lotte", "Ruben"),
        ("nl-be", "Lisa", ""),
        ("sv-se", "Astrid Elin", ""),
        ("da-dk", "Naja Sofie", "Mads"),
        ("nb-no", "Ida Liv", ""),
        ("fi-fi", "Suvi", ""),
        ("pl-pl", "Ewa Maja Ola", "Jacek Jan"),
        ("ru-ru", "Tatyana", "Maxim"),
        ("tr-tr", "Burcu Filiz", ""),
        ("ro-ro", "Carmen", ""),
        ("cy-gb", "Gwyneth", ""),
        ("is-is", "Dora Dóra", "Karl"),
        ("ca-es", "Arlet", ""),
        ("ja-jp", "Kazuha Mizuki Tomoko", "Takumi"),
        ("ko-kr", "Jihye Seoyeon", ""),
        ("cmn-cn", "Zhiyu", ""),
        ("yue-cn", "Hiujin", ""),
        ("arb", "Zeina", ""),
        ("ar-ae", "Hala", "Zayd"),
        ("cs-cz", "Jitka", ""),
    )
    for gender, names in _genders(women, men)
    for name in names.lower().split()
}

_LANGUAGES: Final = (
    "af am ar arb az bg bn bs ca cmn cs cy da de el en eo es et eu fa fi fr ga gu hi hr hu hy id is it ja ka kk kn ko"
    " ku lt lv mk ml mr ms mt nb ne nl no pa pl pt ro ru sk sl sq sr sv sw ta te th tr tt uk ur uz vi yue zh"
)
LANGUAGES: Final = frozenset(_LANGUAGES.split())
"""First parts of language tags that are understood; whether a voice is there depends on the machine."""


def pick(voice: str, language: str) -> Voice:
    """The voice meant. Empty means ``WOMAN`` and ``en-US``; a ``Polly.`` voice speaks its own language always.

    Raises:
        ValueError: no such voice or language; the text says what is allowed.
    """
    gender, own = _named(voice.strip())
    tag = own or language.strip().lower().replace("_", "-") or DEFAULT_LANGUAGE
    if tag.partition("-")[0] not in LANGUAGES:
        raise ValueError(f"no language {language[:40]!r}; it must be a tag such as en-US, es-ES or cmn-CN")
    return Voice(tag, gender)


def _named(voice: str) -> tuple[Gender, str]:
    """Gender, and the one language the voice has; empty if it has any."""
    name = voice.lower()
    if name in ("", "woman", "female"):
        return "female", ""
    if name in ("man", "male"):
        return "male", ""
    if name.startswith("polly."):
        return _POLLY.get(name.removeprefix("polly.").partition("-")[0], ("female", ""))
    raise ValueError(f"no voice {voice[:40]!r}; it must be WOMAN, MAN or Polly. and a name, such as Polly.Joanna")
