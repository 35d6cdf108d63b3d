"""``Dial`` with ``Number`` and ``User``, and ``Conference`` (API reference 5.5). Pure."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element as XmlElement

from mixminus.calls.document.attributes import Attributes, InvalidDocument, is_url
from mixminus.calls.document.elements import (
    DEFAULT_DIAL_TIMEOUT,
    DEFAULT_TIME_LIMIT,
    ConferenceElement,
    DialElement,
    DialTarget,
)
from mixminus.errors import ProtocolError
from mixminus.sip.uri import parse_uri

MOST_TARGETS = 20
LONGEST_NAME = 50
_NUMBER = re.compile(r"\+?[0-9]{1,20}")


def dial(element: XmlElement, attributes: Attributes) -> DialElement:
    targets = tuple(_target(child, Attributes(child)) for child in element if child.tag in ("Number", "User"))
    if not 1 <= len(targets) <= MOST_TARGETS:
        raise InvalidDocument(
            f"<Dial> has {len(targets)} <Number> and <User> elements; it must have 1 to {MOST_TARGETS}"
        )
    _unused(attributes)
    music = attributes.text("dialMusic") or "real"
    if music.lower() in ("real", "none"):
        music = "real"
    elif not is_url(music):
        raise attributes.wrong("dialMusic", "must be real or an http or https URL")
    return DialElement(
        targets=targets,
        action=attributes.target(),
        redirect=attributes.flag("redirect", True),
        timeout=attributes.number("timeout", DEFAULT_DIAL_TIMEOUT, 1, 3600),
        time_limit=attributes.number("timeLimit", DEFAULT_TIME_LIMIT, 1, 86_400),
        caller_id=caller_id(attributes),
        caller_name=caller_name(attributes),
        hangup_on_star=attributes.flag("hangupOnStar", False),
        confirm_sound=attributes.url("confirmSound"),
        confirm_key=confirm_key(attributes),
        confirm_timeout=attributes.number("confirmTimeout", 30, 1, 3600),
        dial_music=music,
        callback=attributes.target("callbackUrl", "callbackMethod"),
        digits_match=attributes.patterns("digitsMatch"),
        digits_match_b=attributes.patterns("digitsMatchBLeg"),
        sip_headers=attributes.sip_headers(),
    )


def _unused(attributes: Attributes) -> None:
    kind = attributes.word("callType", ("voice", "whatsapp"))
    if kind == "whatsapp":
        raise attributes.wrong("callType", "only voice calls are placed")
    attributes.text("machineDetection")


def _target(element: XmlElement, attributes: Attributes) -> DialTarget:
    to = (element.text or "").strip()
    if element.tag == "Number":
        _check_number(to)
        attributes.text("sendDigitsMode")
    else:
        _check_user(to)
    user = element.tag == "User"
    return DialTarget(
        to=to,
        send_digits=attributes.digits("sendDigits"),
        send_on_preanswer=attributes.flag("sendOnPreanswer", False),
        sip_headers=attributes.sip_headers(),
        caller_id=caller_id(attributes),
        caller_name=caller_name(attributes),
        username=(attributes.text("sipAuthUsername") or "") if user else "",
        password=(attributes.text("sipAuthPassword") or "") if user else "",
    )


def _check_number(to: str) -> None:
    if not _NUMBER.fullmatch(to.replace("-", "").replace(" ", "")):
        raise InvalidDocument(f"<Number> {to[:80]!r}: must be digits with or without a leading +")


def _check_user(to: str) -> None:
    try:
        if not to.lower().startswith(("sip:", "sips:")) or not parse_uri(to).host:
            raise ProtocolError("no sip: address")
    except ProtocolError:
        raise InvalidDocument(f"<User> {to[:80]!r}: must be a sip:user@host address") from None


def caller_id(attributes: Attributes) -> str:
    """A number, or a ``sip:`` address."""
    value = attributes.text("callerId") or ""
    if not value or value.lower() == "none":
        return ""
    if value.lower().startswith("sip:"):
        _check_user(value)
    elif not re.fullmatch(r"\+?[0-9A-Za-z_.-]{1,64}", value):
        raise attributes.wrong("callerId", "must be a number or a sip: address")
    return value


def caller_name(attributes: Attributes) -> str:
    value = "" if attributes.absent("callerName") else attributes.text("callerName") or ""
    if len(value) > LONGEST_NAME or not value.isprintable():
        raise attributes.wrong("callerName", f"must be at most {LONGEST_NAME} printable characters")
    return value


def confirm_key(attributes: Attributes) -> str:
    value = attributes.keys("confirmKey", "")
    if len(value) > 1:
        raise attributes.wrong("confirmKey", "must be one key out of 0-9, * and #")
    return value


def conference(element: XmlElement, attributes: Attributes) -> ConferenceElement:
    name = (element.text or "").strip()
    if not name or len(name) > 255 or not name.isprintable():
        raise InvalidDocument("<Conference> must have a name of 1 to 255 characters as its text")
    for ignored in ("recordWhenAlone", "transcriptionType", "transcriptionUrl", "transcriptionMethod", "relayDTMF"):
        attributes.text(ignored)
    return ConferenceElement(
        name=name,
        muted=attributes.flag("muted", False),
        enter_sound=attributes.sound("enterSound", "none"),
        exit_sound=attributes.sound("exitSound", "none"),
        start_on_enter=attributes.flag("startConferenceOnEnter", True),
        end_on_exit=attributes.flag("endConferenceOnExit", False),
        stay_alone=attributes.flag("stayAlone", True),
        wait_sound=attributes.url("waitSound"),
        max_members=attributes.number("maxMembers", 20, 1, 1000),
        time_limit=attributes.number("timeLimit", 86_400, 1, 604_800),
        hangup_on_star=attributes.flag("hangupOnStar", False),
        record=attributes.flag("record", False),
        record_format="wav" if attributes.word("recordFileFormat", ("mp3", "wav")) == "wav" else "mp3",
        action=attributes.target(),
        callback=attributes.target("callbackUrl", "callbackMethod"),
        redirect=attributes.flag("redirect", True),
        digits_match=attributes.patterns("digitsMatch"),
        floor_event=attributes.flag("floorEvent", False),
        send_digits=attributes.digits("sendDigits"),
    )
