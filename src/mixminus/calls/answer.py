"""Call-control XML → elements. Pure; everything hostile is an :class:`InvalidDocument` with a sentence.

Plivo's documents as its seven SDKs write them (API reference, "Document rules"): attribute names in any case, words in
any case, ``none`` for false, bare ``&`` in text, an XML declaration or not. DTDs are refused outright.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias
from xml.etree.ElementTree import Element as XmlElement
from xml.etree.ElementTree import ParseError

import msgspec
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from mixminus.calls.commands import Callback, MpcParameters, ParticipantParameters
from mixminus.calls.events import EVENT_GROUPS
from mixminus.calls.model import Role
from mixminus.errors import ProtocolError

SIZE_LIMIT = 100_000
"""Bytes."""
DEPTH_LIMIT = 16
ELEMENT_LIMIT = 500

_BARE_AMPERSAND = re.compile(r"&(?!(?:[A-Za-z]{1,8}|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")


class InvalidDocument(ProtocolError):
    """The document cannot be used; the text says why."""


class MultiPartyCallElement(msgspec.Struct, frozen=True):
    name: str
    participant: ParticipantParameters
    parameters: MpcParameters


class HangupElement(msgspec.Struct, frozen=True):
    reason: str = ""
    """``rejected`` or ``busy``: how an unanswered call is refused."""
    schedule: int = 0
    """Seconds to wait before hanging up."""


Element: TypeAlias = MultiPartyCallElement | HangupElement


def read_document(body: bytes) -> tuple[Element, ...]:
    """The elements of a ``<Response>`` in document order.

    Raises:
        InvalidDocument: not XML, too large or deep, another root, an element or value that cannot be used.
    """
    root = _parse(body)
    if root.tag != "Response":
        raise InvalidDocument(f"the root element is <{root.tag[:40]}>; it must be <Response>")
    return tuple(_element(child) for child in root)


def _parse(body: bytes) -> XmlElement:
    if len(body) > SIZE_LIMIT:
        raise InvalidDocument(f"the document has {len(body)} bytes; at most {SIZE_LIMIT} are read")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidDocument(f"the document is not UTF-8: {error}") from None
    text = _BARE_AMPERSAND.sub("&amp;", text.strip())
    if text.startswith("<?xml"):
        text = text.partition("?>")[2]
    try:
        root: XmlElement = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise InvalidDocument(f"the document is not well-formed XML: {error}") from None
    _check_shape(root)
    return root


def _check_shape(root: XmlElement) -> None:
    level, depth, count = [root], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > DEPTH_LIMIT or count > ELEMENT_LIMIT:
            raise InvalidDocument(f"more than {DEPTH_LIMIT} levels or {ELEMENT_LIMIT} elements")
        level = [child for element in level for child in element]


def _element(element: XmlElement) -> Element:
    reader = _ELEMENTS.get(element.tag)
    if reader is None:
        raise InvalidDocument(f"<{element.tag[:40]}> is not supported; supported are {', '.join(_ELEMENTS)}")
    return reader(element)


class _Attributes:
    """An element's attributes, names in any case, each read once by type."""

    def __init__(self, element: XmlElement) -> None:
        self._tag = element.tag
        self._values = {name.lower(): value.strip() for name, value in element.attrib.items()}

    def _wrong(self, name: str, allowed: str) -> InvalidDocument:
        return InvalidDocument(f"<{self._tag}> {name}={self._values[name.lower()][:80]!r}: {allowed}")

    def text(self, name: str) -> str | None:
        return self._values.get(name.lower()) or None

    def absent(self, name: str) -> bool:
        """``none`` is how one SDK writes false, 0 and nothing."""
        return self._values.get(name.lower(), "").lower() in ("", "none")

    def boolean(self, name: str) -> bool | None:
        if name.lower() not in self._values or self._values[name.lower()] == "":
            return None
        value = self._values[name.lower()].lower()
        if value in ("true", "1"):
            return True
        if value in ("false", "0", "none"):
            return False
        raise self._wrong(name, "must be true or false")

    def flag(self, name: str, default: bool) -> bool:
        value = self.boolean(name)
        return default if value is None else value

    def integer(self, name: str, low: int, high: int) -> int | None:
        if self.absent(name):
            return None
        value = self._values[name.lower()]
        if not (value.isascii() and value.isdigit()) or len(value) > 9 or not low <= int(value) <= high:
            raise self._wrong(name, f"must be a whole number from {low} to {high}")
        return int(value)

    def word(self, name: str, allowed: tuple[str, ...]) -> str | None:
        if self.absent(name):
            return None
        value = self._values[name.lower()].lower()
        if value not in allowed:
            raise self._wrong(name, f"must be one of {', '.join(allowed)}")
        return value

    def url(self, name: str) -> str:
        if self.absent(name):
            return ""
        value = self._values[name.lower()]
        if not is_url(value):
            raise self._wrong(name, "must be an http or https URL")
        return value

    def callback(self, name: str, method_name: str, default: str) -> Callback | None:
        url = self.url(name)
        method = self.word(method_name, ("get", "post")) or default.lower()
        return Callback(url, "GET" if method == "get" else "POST") if url else None

    def sound(self, name: str, default: str) -> str:
        value = self._values.get(name.lower(), "")
        if not value:
            return default
        if value.lower() in ("none", "beep:1", "beep:2"):
            return value.lower()
        if not is_url(value):
            raise self._wrong(name, "must be none, beep:1, beep:2 or an http or https URL")
        return value


def is_url(value: str) -> bool:
    """An absolute http or https URL with a host and nothing that could split a header."""
    scheme, separator, rest = value.partition("://")
    printable = all(33 <= ord(character) != 127 for character in value)
    return bool(separator) and scheme.lower() in ("http", "https") and printable and rest[:1] not in ("", "/", "?", "#")


def _multi_party_call(element: XmlElement) -> MultiPartyCallElement:
    attributes = _Attributes(element)
    name = (element.text or "").strip()
    if not name:
        raise InvalidDocument("<MultiPartyCall> has no name; write it as the element's text")
    role = attributes.word("role", tuple(Role))
    if role is None:
        raise InvalidDocument("<MultiPartyCall> has no role; it must be one of agent, customer, supervisor")
    return MultiPartyCallElement(name, _participant(Role(role), attributes), _mpc(attributes))


def _participant(role: Role, attributes: _Attributes) -> ParticipantParameters:
    return ParticipantParameters(
        role=role,
        coach_mode=attributes.flag("coachMode", True),
        mute=attributes.flag("mute", False),
        hold=attributes.flag("hold", False),
        start_mpc_on_enter=attributes.flag("startMpcOnEnter", True),
        end_mpc_on_exit=attributes.flag("endMpcOnExit", False),
        enter_sound=attributes.sound("enterSound", "beep:1"),
        enter_sound_method="POST" if attributes.word("enterSoundMethod", ("get", "post")) == "post" else "GET",
        exit_sound=attributes.sound("exitSound", "beep:2"),
        exit_sound_method="POST" if attributes.word("exitSoundMethod", ("get", "post")) == "post" else "GET",
        relay_dtmf_inputs=attributes.flag("relayDTMFInputs", False),
        record_participant_track=attributes.flag("recordParticipantTrack", False),
        on_exit_action=attributes.callback("onExitActionUrl", "onExitActionMethod", "POST") or Callback(),
    )


def _mpc(attributes: _Attributes) -> MpcParameters:
    file_format = attributes.word("recordFileFormat", ("mp3", "wav"))
    return MpcParameters(
        max_duration=attributes.integer("maxDuration", 300, 28800),
        max_participants=attributes.integer("maxParticipants", 2, 10_000),
        record=attributes.boolean("record"),
        record_file_format=None if file_format is None else "wav" if file_format == "wav" else "mp3",
        record_min_member_count=attributes.integer("recordMinMemberCount", 1, 2),
        recording_callback=attributes.callback("recordingCallbackUrl", "recordingCallbackMethod", "GET"),
        status_callback=attributes.callback("statusCallbackUrl", "statusCallbackMethod", "POST"),
        status_callback_events=_event_groups(attributes),
        stay_alone=attributes.boolean("stayAlone"),
        wait_music=attributes.callback("waitMusicUrl", "waitMusicMethod", "GET"),
        agent_hold_music=attributes.callback("agentHoldMusicUrl", "agentHoldMusicMethod", "GET"),
        customer_hold_music=attributes.callback("customerHoldMusicUrl", "customerHoldMusicMethod", "GET"),
        start_recording_audio=attributes.callback("startRecordingAudio", "startRecordingAudioMethod", "GET"),
        stop_recording_audio=attributes.callback("stopRecordingAudio", "stopRecordingAudioMethod", "GET"),
        transcript=attributes.boolean("transcript"),
        transcription_url=attributes.url("transcriptionUrl") or None,
    )


def _event_groups(attributes: _Attributes) -> frozenset[str] | None:
    text = attributes.text("statusCallbackEvents")
    if text is None or attributes.absent("statusCallbackEvents"):
        return None
    groups = frozenset(part.strip().lower() for part in text.split(",") if part.strip())
    unknown = sorted(groups - EVENT_GROUPS.keys())
    if unknown:
        known = ", ".join(EVENT_GROUPS)
        raise InvalidDocument(
            f"<MultiPartyCall> statusCallbackEvents: no such group {unknown[0][:60]!r}; known are {known}"
        )
    return groups


def _hangup(element: XmlElement) -> HangupElement:
    attributes = _Attributes(element)
    reason = attributes.word("reason", ("rejected", "busy")) or ""
    return HangupElement(reason, attributes.integer("schedule", 0, 86_400) or 0)


_ELEMENTS: dict[str, Callable[[XmlElement], Element]] = {
    "MultiPartyCall": _multi_party_call,
    "Hangup": _hangup,
}
