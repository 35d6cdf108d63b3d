"""Parameters of calls, conferences and numbers (API reference 6.1, 6.5, 6.6), declared once."""

from __future__ import annotations

import re
from typing import Any, Literal

from mixminus.api import parameters as p
from mixminus.api import values
from mixminus.api.parameters import bounded
from mixminus.api.reading import Parameter

MAX_CALLS = 1000
"""Destinations of one Call request."""


def _text(name: str, sentence: str = "", maximum: int = values.MAX_TEXT, **more: Any) -> Parameter[str]:
    return Parameter(name, values.text(maximum), sentence, {"type": "string", "maxLength": maximum}, **more)


def _url(name: str, sentence: str = "") -> Parameter[str]:
    return Parameter(name, values.url, sentence, {"type": "string", "format": "uri"})


def _method(name: str) -> Parameter[Literal["GET", "POST"]]:
    return Parameter(name, values.http_method, "", {"type": "string", "enum": ["GET", "POST"]})


def _integer(name: str, low: int, high: int, sentence: str = "") -> Parameter[int]:
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Parameter(name, values.integer(low, high), sentence, schema)


def _boolean(name: str, sentence: str = "") -> Parameter[bool]:
    return Parameter(name, values.boolean, sentence, {"type": "boolean"})


def _many_destinations(raw: Any) -> tuple[str, ...]:
    parts = list(raw) if isinstance(raw, (list, tuple)) else str(raw).split("<")
    if len(parts) > MAX_CALLS:
        raise ValueError(f"must name at most {MAX_CALLS} destinations")
    try:
        return tuple(values.address(part) for part in parts)
    except ValueError as error:
        raise ValueError(f"{error}; several are joined by <") from None


def _urls(raw: Any) -> tuple[str, ...]:
    parts = list(raw) if isinstance(raw, (list, tuple)) else re.split(r",(?=\s*https?://)", str(raw))
    return tuple(values.url(str(part).strip()) for part in parts)


# -- create --------------------------------------------------------------------------------------------------------

CALL_TO = Parameter("to", _many_destinations, "A number or sip: address; several joined by <, each a call of its own.",
                    keeps_lists=True)  # fmt: skip
RING_URL = _url("ring_url", "Told when the callee rings.")
RING_METHOD = _method("ring_method")
FALLBACK_URL = _url("fallback_url", "Fetched when the answer_url fails.")
CALL_HANGUP_URL = _url("hangup_url", "Told when the call ends; default the answer_url.")
TIME_LIMIT = _integer("time_limit", 1, 86_400, "Seconds after the answer; default 14400.")
HANGUP_ON_RING = _integer("hangup_on_ring", 0, 3600, "Hang up so many seconds after it begins to ring.")
CALL_RING_TIMEOUT = _integer("ring_timeout", 1, 3600, "Seconds; default 120.")
PARENT_CALL_UUID = _text("parent_call_uuid", "Kept in the request; without effect.", 64)
ERROR_IF_PARENT_NOT_FOUND = _boolean("error_if_parent_not_found", "400 when parent_call_uuid is not a live call.")

_NO_DETECTION = "Accepted without effect: machines are not told from people."
MACHINE_DETECTION: tuple[Parameter[Any], ...] = (
    _text("machine_detection", _NO_DETECTION, 20),
    _integer("machine_detection_time", 0, 60_000, _NO_DETECTION),
    _url("machine_detection_url", _NO_DETECTION),
    _method("machine_detection_method"),
    _integer("machine_detection_maximum_speech_length", 0, 60_000, _NO_DETECTION),
    _integer("machine_detection_initial_silence", 0, 60_000, _NO_DETECTION),
    _integer("machine_detection_maximum_words", 0, 100, _NO_DETECTION),
    _integer("machine_detection_initial_greeting", 0, 60_000, _NO_DETECTION),
)

CREATE_PARAMETERS: tuple[Parameter[Any], ...] = (
    p.FROM, CALL_TO, p.ANSWER_URL, p.ANSWER_METHOD, RING_URL, RING_METHOD, CALL_HANGUP_URL, p.HANGUP_METHOD,
    FALLBACK_URL, p.FALLBACK_METHOD, p.CALLER_NAME, p.SEND_DIGITS, p.SEND_ON_PREANSWER, TIME_LIMIT, HANGUP_ON_RING,
    CALL_RING_TIMEOUT, p.SIP_HEADERS, PARENT_CALL_UUID, ERROR_IF_PARENT_NOT_FOUND, *MACHINE_DETECTION,
)  # fmt: skip

# -- lists ---------------------------------------------------------------------------------------------------------

CALL_STATUS = Parameter(
    "status", values.choice({"live": "live", "queued": "queued"}), "live or queued; without it, calls that have ended."
)
CALL_DIRECTION = Parameter("call_direction", values.choice({"inbound": "inbound", "outbound": "outbound"}))
HANGUP_CAUSE_CODE = _integer("hangup_cause_code", 0, 9999)
HANGUP_SOURCE = _text("hangup_source", "", 40)
BILL_DURATION = bounded("bill_duration", values.integer(0, 10_000_000), {"type": "integer"})

LIST_PARAMETERS: tuple[Parameter[Any], ...] = (
    CALL_STATUS, p.SUBACCOUNT, CALL_DIRECTION, p.FROM_NUMBER, p.TO_NUMBER, PARENT_CALL_UUID, HANGUP_CAUSE_CODE,
    HANGUP_SOURCE, *BILL_DURATION.values(), *p.END_TIME.values(), p.LIMIT, p.OFFSET, p.CURSOR,
)  # fmt: skip

# -- live calls ----------------------------------------------------------------------------------------------------

_LEGS: dict[str, Literal["aleg", "bleg", "both"]] = {"aleg": "aleg", "bleg": "bleg", "both": "both"}
LEGS: Parameter[Literal["aleg", "bleg", "both"]] = Parameter(
    "legs", values.choice(_LEGS), "Default aleg.", {"type": "string", "enum": [*_LEGS]}, aliases=("leg",)
)
ALEG_URL = _url("aleg_url", "Answers the document the call runs from now on.")
ALEG_METHOD = _method("aleg_method")
BLEG_URL = _url("bleg_url", "Answers the document the connected call runs from now on.")
BLEG_METHOD = _method("bleg_method")
TRANSFER_PARAMETERS: tuple[Parameter[Any], ...] = (LEGS, ALEG_URL, ALEG_METHOD, BLEG_URL, BLEG_METHOD)

URLS = Parameter("urls", _urls, "Audio files, joined by commas.", aliases=("url",), keeps_lists=True)
PLAY_LENGTH = _integer("length", 1, 86_400, "Seconds after which it is stopped.")
LOOP = _boolean("loop", "Over and over. Default false.")
MIX = _boolean("mix", "Heard with the other voices, not in their place. Default true.")
PLAY_PARAMETERS: tuple[Parameter[Any], ...] = (URLS, PLAY_LENGTH, LEGS, LOOP, MIX)

TEXT = _text("text", "What is said; SSML is understood where the voice does.", 3000)
VOICE = _text("voice", "WOMAN, MAN or Polly.…; default WOMAN.", 50)
VOICE_AS_LENGTH = _text("length", "One SDK sends the voice under this name.", 50)
LANGUAGE = _text("language", "Default en-US.", 20)
SPEAK_PARAMETERS: tuple[Parameter[Any], ...] = (TEXT, VOICE, LANGUAGE, LEGS, LOOP, MIX)

RECORD_TIME_LIMIT = _integer("time_limit", 1, 86_400, "Seconds; default 60.")
_NO_TRANSCRIPT = "Accepted without effect: calls are not transcribed."
TRANSCRIPTION: tuple[Parameter[Any], ...] = (
    _text("transcription_type", _NO_TRANSCRIPT, 20),
    _url("transcription_url", _NO_TRANSCRIPT),
    _method("transcription_method"),
    _text("transcription_report_type", _NO_TRANSCRIPT, 20),
)
RECORD_CHANNEL_TYPE = _text("record_channel_type", "Accepted without effect: fetch the file with ?layout=stereo.", 20)
FILE_READY_URL = _url("callback_url", "Told when the file is ready.")
FILE_READY_METHOD = _method("callback_method")
RECORD_PARAMETERS: tuple[Parameter[Any], ...] = (
    RECORD_TIME_LIMIT, p.FILE_FORMAT, *TRANSCRIPTION, RECORD_CHANNEL_TYPE, FILE_READY_URL, FILE_READY_METHOD,
)  # fmt: skip
RECORD_URL = _text("URL", "The recording to stop; default all.", 2048, aliases=("url",))
DIGITS = Parameter(
    "digits",
    values.pattern(r"[0-9A-D*#wW]{1,100}", "must be up to 100 of 0-9, A-D, *, #, w (0.5 s) and W (1 s)"),
    "Keys pressed on the line.",
)

# -- conferences and numbers ---------------------------------------------------------------------------------------

PLAY_URL = _url("url", "An audio file.")
CONFERENCE_RECORD_PARAMETERS: tuple[Parameter[Any], ...] = (
    p.FILE_FORMAT, *TRANSCRIPTION, FILE_READY_URL, FILE_READY_METHOD,
)  # fmt: skip
NUMBER_ALIAS = _text("alias", "A name of yours for it.", 100)
CNAM_LOOKUP = _text("cnam_lookup", "Accepted without effect: there is no name service.", 20)
