"""The elements of a call-control document, as values (API reference 5.2-5.5). Seconds unless a unit is named."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from mixminus.calls.commands import Callback, MpcParameters, ParticipantParameters

DEFAULT_DIAL_TIMEOUT = 120
DEFAULT_TIME_LIMIT = 14_400


class MultiPartyCallElement(msgspec.Struct, frozen=True):
    name: str
    participant: ParticipantParameters
    parameters: MpcParameters


class HangupElement(msgspec.Struct, frozen=True):
    reason: str = ""
    """``rejected`` or ``busy``: how an unanswered call is refused."""
    schedule: int = 0
    """Seconds to wait before hanging up."""


class SpeakElement(msgspec.Struct, frozen=True):
    text: str
    """Plain text, or markup (SSML) when the element had children."""
    voice: str = "WOMAN"
    language: str = "en-US"
    loop: int = 1
    """Times; 0 is endless."""


class PlayElement(msgspec.Struct, frozen=True):
    url: str
    loop: int = 1
    """Times; 0 is endless."""


class WaitElement(msgspec.Struct, frozen=True):
    seconds: int = 1


Prompt: TypeAlias = SpeakElement | PlayElement | WaitElement
"""What can stand inside ``GetDigits``, ``GetInput`` and ``PreAnswer``."""


class PreAnswerElement(msgspec.Struct, frozen=True):
    prompts: tuple[Prompt, ...]


class RedirectElement(msgspec.Struct, frozen=True):
    target: Callback


class DtmfElement(msgspec.Struct, frozen=True):
    digits: str


class CollectElement(msgspec.Struct, frozen=True, kw_only=True):
    """``GetDigits`` and ``GetInput``."""

    kind: Literal["GetDigits", "GetInput"]
    action: Callback
    redirect: bool = True
    prompts: tuple[Prompt, ...] = ()
    timeout: int = 5
    """To the first key."""
    digit_timeout: int = 2
    """From one key to the next."""
    finish_on: str = "#"
    """Keys that end the input; they are not part of it."""
    most: int = 99
    """Keys after which the input is complete."""
    retries: int = 1
    """How often the prompt is played in all while nothing is pressed."""
    valid: str = "1234567890*#"
    beep: bool = False
    invalid_sound: str = ""


class RecordElement(msgspec.Struct, frozen=True, kw_only=True):
    action: Callback = Callback()
    callback: Callback = Callback()
    redirect: bool = True
    format: Literal["mp3", "wav"] = "mp3"
    timeout: int = 15
    """Of silence, after which the recording ends."""
    max_length: int = 60
    beep: bool = True
    finish_on: str = "#"
    session: bool = False
    """Record the whole call from here on, and go on with the document at once."""
    on_dial_answer: bool = False
    """Begin when the next ``Dial`` is answered."""


class DialTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One ``Number`` or ``User``."""

    to: str
    send_digits: str = ""
    send_on_preanswer: bool = False
    sip_headers: tuple[tuple[str, str], ...] = ()
    caller_id: str = ""
    caller_name: str = ""
    username: str = ""
    password: str = ""


class DialElement(msgspec.Struct, frozen=True, kw_only=True):
    targets: tuple[DialTarget, ...]
    action: Callback = Callback()
    redirect: bool = True
    timeout: int = DEFAULT_DIAL_TIMEOUT
    time_limit: int = DEFAULT_TIME_LIMIT
    caller_id: str = ""
    caller_name: str = ""
    hangup_on_star: bool = False
    confirm_sound: str = ""
    confirm_key: str = ""
    confirm_timeout: int = 30
    dial_music: str = "real"
    """``real`` or a URL."""
    callback: Callback = Callback()
    digits_match: tuple[str, ...] = ()
    digits_match_b: tuple[str, ...] = ()
    sip_headers: tuple[tuple[str, str], ...] = ()


class ConferenceElement(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    muted: bool = False
    enter_sound: str = "none"
    exit_sound: str = "none"
    start_on_enter: bool = True
    end_on_exit: bool = False
    stay_alone: bool = True
    wait_sound: str = ""
    max_members: int = 20
    time_limit: int = 86_400
    hangup_on_star: bool = False
    record: bool = False
    record_format: Literal["mp3", "wav"] = "mp3"
    action: Callback = Callback()
    callback: Callback = Callback()
    redirect: bool = True
    digits_match: tuple[str, ...] = ()
    floor_event: bool = False
    send_digits: str = ""


Element: TypeAlias = (
    MultiPartyCallElement
    | HangupElement
    | SpeakElement
    | PlayElement
    | WaitElement
    | PreAnswerElement
    | RedirectElement
    | DtmfElement
    | CollectElement
    | RecordElement
    | DialElement
    | ConferenceElement
)
