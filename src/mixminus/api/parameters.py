"""Every parameter the API takes, declared once: name, what is allowed, sentence. The OpenAPI document is made of these.

:data:`NOT_YET_ACTING` names those that are read, checked and kept but change nothing yet.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from mixminus.api import values
from mixminus.api.reading import Parameter
from mixminus.calls.events import EVENT_GROUPS
from mixminus.calls.model import Role
from mixminus.recording.layouts import LAYOUTS, Layout
from mixminus.sounds.speech import LONGEST_TEXT
from mixminus.sounds.voices import pick

T = TypeVar("T")

NOT_YET_ACTING: dict[str, str] = {}
"""Parameter → what happens instead for now."""


def _text(name: str, sentence: str = "", maximum: int = values.MAX_TEXT, **more: Any) -> Parameter[str]:
    return Parameter(name, values.text(maximum), sentence, {"type": "string", "maxLength": maximum}, **more)


def _url(name: str, sentence: str = "") -> Parameter[str]:
    return Parameter(name, values.url, sentence, {"type": "string", "format": "uri"})


def _method(name: str) -> Parameter[Literal["GET", "POST"]]:
    return Parameter(name, values.http_method, "", {"type": "string", "enum": ["GET", "POST"]})


def _boolean(name: str, sentence: str = "") -> Parameter[bool]:
    return Parameter(name, values.boolean, sentence, {"type": "boolean"})


def _integer(name: str, low: int, high: int, sentence: str = "") -> Parameter[int]:
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Parameter(name, values.integer(low, high), sentence, schema)


def _format(name: str) -> Parameter[Literal["mp3", "wav"]]:
    return Parameter(name, values.file_format, "Default mp3.", {"type": "string", "enum": ["mp3", "wav"]})


# -- every path ----------------------------------------------------------------------------------------------------

CALLBACK_URL = _url("callback_url", "Answer at once, and send the real answer here.")
CALLBACK_METHOD = _method("callback_method")
LIMIT = Parameter(
    "limit", values.integer(1, 2**31), "Page size; more than 20 gives 20. Default 20.", {"type": "integer"}
)
OFFSET = _integer("offset", 0, 2**31, "How many to skip. Default 0.")
CURSOR = _text("cursor", "From the link to the next page: go on behind its last row. Takes the place of offset.", 300)
SUBACCOUNT = Parameter(
    "subaccount", values.pattern(r"SA[A-Z0-9]{18}", "must be SA and 18 of A-Z, 0-9"), aliases=("sub_account",)
)

# -- one participant (add participant) -----------------------------------------------------------------------------


ROLE = Parameter(
    "role",
    values.choice({role.value: role for role in Role}),
    "agent, customer, supervisor or ai-agent, which is heard and hears as an agent.",
    {"type": "string", "enum": [*Role]},
)
FROM = Parameter("from", values.address, "Caller id: a number or a sip: address.")
TO = Parameter(
    "to",
    values.destinations,
    "A number or sip: address; for role agent up to 20 joined by <, the first to answer joins.",
    keeps_lists=True,
)
CALL_UUID = Parameter(
    "call_uuid", values.pattern(r"[0-9A-Za-z-]{1,64}", "must be a call's uuid"), "A live call to move in."
)
CALLER_NAME = _text("caller_name", "Default: the value of from.", 50)
CALL_STATUS_CALLBACK_URL = _url("call_status_callback_url")
CALL_STATUS_CALLBACK_METHOD = _method("call_status_callback_method")
SIP_HEADERS = Parameter("sip_headers", values.sip_headers, "name=value pairs, sent as X-PH-name.")
CONFIRM_KEY = Parameter("confirm_key", values.pattern(r"[0-9#*]", "must be one of 0-9, # and *"))
CONFIRM_KEY_SOUND_URL = _url("confirm_key_sound_url")
CONFIRM_KEY_SOUND_METHOD = _method("confirm_key_sound_method")
DIAL_MUSIC = Parameter("dial_music", values.words_or_url("real", "none"), "real, none or a URL.")
DIAL_MUSIC_METHOD = _method("dial_music_method")
RING_TIMEOUT = Parameter(
    "ring_timeout",
    values.integers(1, 600),
    "Seconds; default 45. One for all, or one per destination joined by <.",
    {"type": ["integer", "string"]},
    keeps_lists=True,
)
DELAY_DIAL = Parameter(
    "delay_dial",
    values.integers(0, 600),
    "Seconds to wait before dialling; default 0. As ring_timeout.",
    {"type": ["integer", "string"]},
    keeps_lists=True,
)
SEND_DIGITS = Parameter(
    "send_digits",
    values.pattern(r"[0-9A-D*#wW]{1,100}", "must be up to 100 of 0-9, A-D, *, #, w (0.5 s) and W (1 s)"),
    "Keys pressed after the answer.",
)
SEND_ON_PREANSWER = _boolean("send_on_preanswer")
COACH_MODE = _boolean("coach_mode", "A supervisor is heard by agents only. Default true.")
MUTE = _boolean("mute")
AGC = _boolean("agc", "Bring the voice to the usual level (automatic gain control). mixminus's own.")
HOLD = _boolean("hold")
START_MPC_ON_ENTER = _boolean("start_mpc_on_enter", "Default true.")
END_MPC_ON_EXIT = _boolean("end_mpc_on_exit", "Default false.")
RELAY_DTMF_INPUTS = _boolean("relay_dtmf_inputs")
RECORD_PARTICIPANT_TRACK = _boolean("record_participant_track")
ENTER_SOUND = Parameter("enter_sound", values.words_or_url("beep:1", "beep:2", "none"), "Default beep:1.")
ENTER_SOUND_METHOD = _method("enter_sound_method")
EXIT_SOUND = Parameter("exit_sound", values.words_or_url("beep:1", "beep:2", "none"), "Default beep:2.")
EXIT_SOUND_METHOD = _method("exit_sound_method")
ON_EXIT_ACTION_URL = _url("on_exit_action_url", "Fetched when the participant leaves; answers XML for its leg.")
ON_EXIT_ACTION_METHOD = _method("on_exit_action_method")

AI_AGENT_STREAM: tuple[Parameter[Any], ...] = tuple(
    Parameter(f"ai_agent_stream_{name}", values.refused("no audio is streamed to agents; leave it out"), "Refused.")
    for name in (
        "service_url", "content_type", "sampling_rate", "status_callback_url", "status_callback_method",
        "extra_headers",
    )
)  # fmt: skip

PARTICIPANT_PARAMETERS: tuple[Parameter[Any], ...] = (
    ROLE, FROM, TO, CALL_UUID, CALLER_NAME, CALL_STATUS_CALLBACK_URL, CALL_STATUS_CALLBACK_METHOD, SIP_HEADERS,
    CONFIRM_KEY, CONFIRM_KEY_SOUND_URL, CONFIRM_KEY_SOUND_METHOD, DIAL_MUSIC, DIAL_MUSIC_METHOD, RING_TIMEOUT,
    DELAY_DIAL, SEND_DIGITS, SEND_ON_PREANSWER, COACH_MODE, MUTE, HOLD, START_MPC_ON_ENTER, END_MPC_ON_EXIT,
    RELAY_DTMF_INPUTS, RECORD_PARTICIPANT_TRACK, ENTER_SOUND, ENTER_SOUND_METHOD, EXIT_SOUND, EXIT_SOUND_METHOD,
    ON_EXIT_ACTION_URL, ON_EXIT_ACTION_METHOD, *AI_AGENT_STREAM,
)  # fmt: skip

# -- the call as a whole (add participant) -------------------------------------------------------------------------

EXPIRES_IN = _integer("expires_in", 1, 366 * 86_400, "Seconds; default 3600.")
MAX_DURATION = _integer("max_duration", 300, 28800, "Seconds; default 14400.")
MAX_PARTICIPANTS = _integer("max_participants", 2, 10_000, "Default 10.")
RECORD = _boolean("record", "Record the call from its start. Default false.")
RECORD_FILE_FORMAT = _format("record_file_format")
RECORD_MIN_MEMBER_COUNT = _integer("record_min_member_count", 1, 2, "Members needed for recording to start. Default 1.")
RECORDING_CALLBACK_URL = _url("recording_callback_url", "Told when a recording starts, pauses, is complete or failed.")
RECORDING_CALLBACK_METHOD = _method("recording_callback_method")
STATUS_CALLBACK_URL = _url("status_callback_url", "Told of the events chosen by status_callback_events.")
STATUS_CALLBACK_METHOD = _method("status_callback_method")
STATUS_CALLBACK_EVENTS = Parameter(
    "status_callback_events",
    values.word_set(frozenset(EVENT_GROUPS)),
    "Comma-joined groups; default mpc-state-changes,participant-state-changes.",
    keeps_lists=True,
)
STAY_ALONE = _boolean("stay_alone", "The call goes on with one participant. Default false.")
WAIT_MUSIC_URL = _url("wait_music_url")
WAIT_MUSIC_METHOD = _method("wait_music_method")
AGENT_HOLD_MUSIC_URL = _url("agent_hold_music_url")
AGENT_HOLD_MUSIC_METHOD = _method("agent_hold_music_method")
CUSTOMER_HOLD_MUSIC_URL = _url("customer_hold_music_url")
CUSTOMER_HOLD_MUSIC_METHOD = _method("customer_hold_music_method")
START_RECORDING_AUDIO = _url("start_recording_audio")
START_RECORDING_AUDIO_METHOD = _method("start_recording_audio_method")
STOP_RECORDING_AUDIO = _url("stop_recording_audio")
STOP_RECORDING_AUDIO_METHOD = _method("stop_recording_audio_method")
CREATE_MPC_WITH_SINGLE_PARTICIPANT = _boolean("create_mpc_with_single_participant")
TRANSCRIPT = _boolean("transcript")
TRANSCRIPTION_URL = _url("transcription_url")

MPC_PARAMETERS: tuple[Parameter[Any], ...] = (
    MAX_DURATION, MAX_PARTICIPANTS, RECORD, RECORD_FILE_FORMAT, RECORD_MIN_MEMBER_COUNT, RECORDING_CALLBACK_URL,
    RECORDING_CALLBACK_METHOD, STATUS_CALLBACK_URL, STATUS_CALLBACK_METHOD, STATUS_CALLBACK_EVENTS, STAY_ALONE,
    WAIT_MUSIC_URL, WAIT_MUSIC_METHOD, AGENT_HOLD_MUSIC_URL, AGENT_HOLD_MUSIC_METHOD, CUSTOMER_HOLD_MUSIC_URL,
    CUSTOMER_HOLD_MUSIC_METHOD, START_RECORDING_AUDIO, START_RECORDING_AUDIO_METHOD, STOP_RECORDING_AUDIO,
    STOP_RECORDING_AUDIO_METHOD, CREATE_MPC_WITH_SINGLE_PARTICIPANT, TRANSCRIPT, TRANSCRIPTION_URL,
)  # fmt: skip

# -- other requests on multiparty calls ----------------------------------------------------------------------------

ACTIVATE_STATUS = Parameter(
    "status", values.choice({"active": "active"}, "must be active"), "", {"type": "string", "enum": ["active"]}
)
FILE_FORMAT = _format("file_format")
DISABLE_STATE_CHANGE_SOUND = _boolean("disable_state_change_sound")
PAUSE_AS: Parameter[Literal["cut", "silence", "tone"]] = Parameter(
    "pause_as",
    values.choice({word: word for word in ("cut", "silence", "tone")}),
    "mixminus only: what a pause is in the file; default the setting pause_as.",
    {"type": "string", "enum": ["cut", "silence", "tone"]},
)
RECORD_TRACKS: Parameter[Literal["mix", "all"]] = Parameter(
    "record_tracks",
    values.choice({"mix": "mix", "all": "all"}),
    "mixminus only: all keeps a track for each voice, for other renderings; default the setting record_tracks.",
    {"type": "string", "enum": ["mix", "all"]},
)
LAYOUT: Parameter[Layout] = Parameter(
    "layout",
    values.choice({layout: layout for layout in LAYOUTS}),
    "mono (default); stereo: customers left, staff right; stems: a channel for each voice.",
    {"type": "string", "enum": list(LAYOUTS)},
)
COACH = _boolean("coach", "false leaves out the voice of coaching supervisors. Default true.")
RECORD_TRACK_TYPE: Parameter[Literal["participant", "all", "both"]] = Parameter(
    "record_track_type",
    values.choice({word: word for word in ("participant", "all", "both")}),
    "participant: its voice alone; all: two channels, its voice and what it hears; both. Default all.",
    {"type": "string", "enum": ["participant", "all", "both"]},
)
START_RECORDING_PARAMETERS: tuple[Parameter[Any], ...] = (
    FILE_FORMAT, RECORDING_CALLBACK_URL, RECORDING_CALLBACK_METHOD, TRANSCRIPT, TRANSCRIPTION_URL, RECORD_TRACKS,
    PAUSE_AS,
)  # fmt: skip
START_PARTICIPANT_RECORDING_PARAMETERS: tuple[Parameter[Any], ...] = (
    FILE_FORMAT, RECORDING_CALLBACK_URL, RECORDING_CALLBACK_METHOD, RECORD_TRACK_TYPE, TRANSCRIPT, TRANSCRIPTION_URL,
    PAUSE_AS,
)  # fmt: skip
UPDATE_PARAMETERS: tuple[Parameter[Any], ...] = (MUTE, HOLD, COACH_MODE, AGC, DISABLE_STATE_CHANGE_SOUND)

PLAY_URL = Parameter(
    "url",
    values.urls,
    "Audio to play: mp3, wav, ogg or flac. Several, joined by commas or as a list, follow each other.",
    aliases=("urls",),
    keeps_lists=True,
)
PLAY_MIX = _boolean("mix", "Mixed with what the members hear, or instead of it. Default true.")
PLAY_PARAMETERS: tuple[Parameter[Any], ...] = (PLAY_URL, PLAY_MIX)
SPEAK_TEXT = Parameter(
    "text",
    values.prose(LONGEST_TEXT),
    "What to say; SSML tags are heeded or left out.",
    {"type": "string", "maxLength": LONGEST_TEXT},
)
SPEAK_VOICE = Parameter("voice", values.checked(lambda voice: pick(voice, "")), "WOMAN, MAN or Polly.…; default WOMAN.")
SPEAK_LANGUAGE = Parameter("language", values.checked(lambda tag: pick("", tag)), "Such as es-ES; default en-US.")
SPEAK_MIX = _boolean("mix", "Mixed with what the members hear, or instead of it. Default false.")
SPEAK_TYPE = _text("type", "Accepted; it means nothing here.", 40)
SPEAK_CALLBACK_URL = _url("callback_url", "Accepted; nothing is sent to it.")
SPEAK_CALLBACK_METHOD = _method("callback_method")
SPEAK_PARAMETERS: tuple[Parameter[Any], ...] = (
    SPEAK_TEXT, SPEAK_VOICE, SPEAK_LANGUAGE, SPEAK_MIX, SPEAK_TYPE, SPEAK_CALLBACK_URL, SPEAK_CALLBACK_METHOD,
)  # fmt: skip

# -- filters of lists ----------------------------------------------------------------------------------------------

FRIENDLY_NAME = _text("friendly_name")
MPC_STATUS = Parameter(
    "status", values.choice({word.lower(): word for word in ("Initialized", "Active", "Ended")}), "In any case."
)
TERMINATION_CAUSE_CODE = _integer("termination_cause_code", 0, 9999)
CALL_UUID_FILTER = _text("call_uuid")
FROM_NUMBER = _text("from_number")
TO_NUMBER = _text("to_number")
CONFERENCE_NAME = _text("conference_name")
CONFERENCE_UUID = _text("conference_uuid")
MPC_NAME = _text("mpc_name")
MPC_UUID = _text("mpc_uuid")

BOUNDS = ("gt", "gte", "lt", "lte")


def bounded(name: str, parse: values.Parse[T], schema: dict[str, Any]) -> dict[str, Parameter[T]]:
    """``name`` and its four bounds: ``""`` (equality), ``gt``, ``gte``, ``lt``, ``lte`` → parameter.

    Two underscores are the rule; one is accepted, because the Node SDK's snake-casing eats the other.
    """
    found = {"": Parameter(name, parse, "Equality.", schema)}
    for bound in BOUNDS:
        found[bound] = Parameter(f"{name}__{bound}", parse, "", schema, aliases=(f"{name}_{bound}",))
    return found


_TIME = {"type": "string", "description": "YYYY-MM-DD HH:MM[:ss[.uuuuuu]], UTC"}
CREATION_TIME = bounded("creation_time", values.timestamp, _TIME)
END_TIME = bounded("end_time", values.timestamp, _TIME)
ADD_TIME = bounded("add_time", values.timestamp, _TIME)
RECORDING_STORAGE_DURATION = bounded("recording_storage_duration", values.integer(0, 100_000), {"type": "integer"})

# -- applications and endpoints ------------------------------------------------------------------------------------

APP_NAME = Parameter(
    "app_name", values.pattern(r"[A-Za-z0-9_-]{1,100}", "must be up to 100 letters, digits, - and _"), ""
)
APP_NAME_PREFIX = _text("app_name", "Names beginning with this.", 100)
ANSWER_URL = _url("answer_url", "Fetched when a call comes in; answers XML.")
ANSWER_METHOD = _method("answer_method")
HANGUP_URL = _url("hangup_url", "Told when the call ends; default the answer_url.")
HANGUP_METHOD = _method("hangup_method")
FALLBACK_ANSWER_URL = _url("fallback_answer_url", "Fetched when the answer_url fails.")
FALLBACK_METHOD = _method("fallback_method")
MESSAGE_URL = _url("message_url", "Kept; messages are not served.")
MESSAGE_METHOD = _method("message_method")
DEFAULT_NUMBER_APP = _boolean("default_number_app")
DEFAULT_ENDPOINT_APP = _boolean("default_endpoint_app")
LOG_INCOMING_MESSAGES = _boolean("log_incoming_messages")
PUBLIC_URI = _boolean("public_uri")
CASCADE = _boolean("cascade", "Delete what belongs to it too. Default: of applications true, of sub-accounts false.")
SUBACCOUNT_NAME = _text("name", "How people tell it from others.", 100)
ENABLED = _boolean("enabled", "Whether its credentials work. Default false.")
APP_ID = Parameter("app_id", values.pattern(r"\d{1,20}", "must be an application's id, digits"))
NEW_ENDPOINT_APPLICATION = Parameter(
    "new_endpoint_application", values.pattern(r"\d{1,20}", "must be an application's id, digits")
)

APPLICATION_PARAMETERS: tuple[Parameter[Any], ...] = (
    ANSWER_URL, ANSWER_METHOD, HANGUP_URL, HANGUP_METHOD, FALLBACK_ANSWER_URL, FALLBACK_METHOD, MESSAGE_URL,
    MESSAGE_METHOD, DEFAULT_NUMBER_APP, DEFAULT_ENDPOINT_APP, LOG_INCOMING_MESSAGES, PUBLIC_URI, SUBACCOUNT,
)  # fmt: skip

USERNAME = Parameter(
    "username", values.pattern(r"[A-Za-z0-9]{1,50}", "must be up to 50 letters and digits"), "12 digits are appended."
)
PASSWORD = Parameter("password", values.pattern(r"[^\r\n]{5,128}", "must have 5 to 128 characters"))
ALIAS = _text("alias", "", 100)
NUMBER_STARTSWITH = Parameter("number_startswith", values.pattern(r"\+?\d{1,20}", "must be digits"))
