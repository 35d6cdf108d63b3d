"""``GetDigits``, ``GetInput``, ``Record``: what the caller presses and says (API reference 5.5). Pure."""

from __future__ import annotations

from xml.etree.ElementTree import Element as XmlElement

from mixminus.calls.document.attributes import Attributes, InvalidDocument
from mixminus.calls.document.elements import CollectElement, RecordElement
from mixminus.calls.document.prompts import prompts

AUTO_DIGIT_END = 3
"""Seconds that ``digitEndTimeout="auto"`` waits for another key."""


def get_digits(element: XmlElement, attributes: Attributes) -> CollectElement:
    attributes.boolean("log")
    return CollectElement(
        kind="GetDigits",
        action=attributes.target(),
        redirect=attributes.flag("redirect", True),
        prompts=prompts(element),
        timeout=attributes.number("timeout", 5, 1, 3600),
        digit_timeout=attributes.number("digitTimeout", 2, 1, 3600),
        finish_on=attributes.keys("finishOnKey", "#"),
        most=attributes.number("numDigits", 99, 1, 99),
        retries=attributes.number("retries", 1, 1, 100),
        valid=attributes.keys("validDigits", "1234567890*#"),
        beep=attributes.flag("playBeep", False),
        invalid_sound=attributes.url("invalidDigitsSound"),
    )


def get_input(element: XmlElement, attributes: Attributes) -> CollectElement:
    """Speech is not recognised: asking for nothing else is an error, asking for it too is fine."""
    if not attributes.url("action"):
        raise InvalidDocument("<GetInput> has no action; it must be the URL that gets the input")
    wanted = (attributes.text("inputType") or "dtmf").lower().split()
    if not set(wanted) <= {"dtmf", "speech"}:
        raise attributes.wrong("inputType", "must be dtmf, speech or dtmf speech")
    if "dtmf" not in wanted:
        raise attributes.wrong("inputType", "speech is not recognised by mixminus; use dtmf or dtmf speech")
    _speech_attributes(attributes)
    digit_end = attributes.text("digitEndTimeout") or "auto"
    auto = digit_end.lower() in ("auto", "none")
    return CollectElement(
        kind="GetInput",
        action=attributes.target(),
        redirect=attributes.flag("redirect", True),
        prompts=prompts(element),
        timeout=attributes.number("executionTimeout", 15, 5, 60),
        digit_timeout=AUTO_DIGIT_END if auto else attributes.number("digitEndTimeout", AUTO_DIGIT_END, 2, 10),
        finish_on=attributes.keys("finishOnKey", "#"),
        most=attributes.number("numDigits", 32, 1, 32),
        retries=attributes.number("retries", 1, 1, 100),
    )


def _speech_attributes(attributes: Attributes) -> None:
    """Read and without effect: there is no speech recognition."""
    for name in ("speechEndTimeout", "language", "speechModel", "hints", "profanityFilter"):
        attributes.text(name)
    for name in ("interimSpeechResultsCallback", "interimSpeechResultsCallbackMethod", "log"):
        attributes.text(name)


def record(element: XmlElement, attributes: Attributes) -> RecordElement:
    for name in ("transcriptionType", "transcriptionUrl", "transcriptionMethod", "transcriptionReportType"):
        attributes.text(name)
    attributes.word("recordChannelType", ("stereo", "mono"))
    return RecordElement(
        action=attributes.target(),
        callback=attributes.target("callbackUrl", "callbackMethod"),
        redirect=attributes.flag("redirect", True),
        format="wav" if attributes.word("fileFormat", ("mp3", "wav")) == "wav" else "mp3",
        timeout=attributes.number("timeout", 15, 1, 3600),
        max_length=attributes.number("maxLength", 60, 1, 86_400),
        beep=attributes.flag("playBeep", True),
        finish_on=attributes.keys("finishOnKey", "#"),
        session=attributes.flag("recordSession", False),
        on_dial_answer=attributes.flag("startOnDialAnswer", False),
    )
