"""What becomes of every element and attribute of the vendor's (API reference 5.2-5.5).

``docs/xml.md`` shows this table; tests hold it against the readers and the page.

An attribute maps to ``ACTS``, or to the sentence that says why it is accepted without effect.
"""

from __future__ import annotations

from typing import Final

ACTS: Final = "acts"

_NO_SPEECH = "speech is not recognised"
_NO_DETECTION = "nothing is detected; the wait lasts its length"
_NO_TRANSCRIPT = "XML recordings are not transcribed"
_NO_LOG = "what is pressed is never logged"


def _acting(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, ACTS)


REFUSED_ELEMENTS: dict[str, str] = {
    "Message": "messaging is outside voice calls",
    "Stream": "audio streaming to a websocket is not there",
}
"""Known elements that make a document invalid: the call ends with 8011 (8012, 8013, 8014 by where it came from)."""

ELEMENTS: dict[str, dict[str, str]] = {
    "MultiPartyCall": _acting(
        "role", "coachMode", "mute", "hold", "startMpcOnEnter", "endMpcOnExit", "enterSound", "enterSoundMethod",
        "exitSound", "exitSoundMethod", "relayDTMFInputs", "recordParticipantTrack", "onExitActionUrl",
        "onExitActionMethod", "maxDuration", "maxParticipants", "record", "recordFileFormat", "recordMinMemberCount",
        "recordingCallbackUrl", "recordingCallbackMethod", "statusCallbackUrl", "statusCallbackMethod",
        "statusCallbackEvents", "stayAlone", "waitMusicUrl", "waitMusicMethod", "agentHoldMusicUrl",
        "agentHoldMusicMethod", "customerHoldMusicUrl", "customerHoldMusicMethod", "startRecordingAudio",
        "startRecordingAudioMethod", "stopRecordingAudio", "stopRecordingAudioMethod", "transcript", "transcriptionUrl",
        "waitForAgent", "waitTime", "recordCoachVoice",
    )
    | dict.fromkeys(
        (
            "aiAgentStreamServiceUrl", "aiAgentStreamContentType", "aiAgentStreamSamplingRate",
            "aiAgentStreamStatusCallbackUrl", "aiAgentStreamStatusCallbackMethod", "aiAgentStreamExtraHeaders",
        ),
        "refused: no audio is streamed to agents",
    ),
    "Speak": _acting("voice", "language", "loop"),
    "Play": _acting("loop"),
    "Wait": {**_acting("length"), **dict.fromkeys(("silence", "minSilence", "beep"), _NO_DETECTION)},
    "DTMF": {"async": "the document goes on at once, as with true"},
    "GetDigits": {
        **_acting(
            "action", "method", "timeout", "digitTimeout", "finishOnKey", "numDigits", "retries", "redirect",
            "playBeep", "validDigits", "invalidDigitsSound",
        ),
        "log": _NO_LOG,
    },
    "GetInput": {
        **_acting(
            "action", "method", "inputType", "executionTimeout", "digitEndTimeout", "numDigits", "finishOnKey",
            "retries", "redirect",
        ),
        **dict.fromkeys(
            ("speechEndTimeout", "language", "speechModel", "hints", "profanityFilter", "interimSpeechResultsCallback",
             "interimSpeechResultsCallbackMethod"),
            _NO_SPEECH,
        ),
        "log": _NO_LOG,
    },
    "Dial": {
        **_acting(
            "action", "method", "timeout", "timeLimit", "callerId", "callerName", "hangupOnStar", "confirmSound",
            "confirmKey", "confirmTimeout", "dialMusic", "callbackUrl", "callbackMethod", "redirect", "digitsMatch",
            "digitsMatchBLeg", "sipHeaders", "callType",
        ),
        "machineDetection": "machines are not told from people",
    },
    "Number": {
        **_acting("sendDigits", "sendOnPreanswer", "sipHeaders", "callerId", "callerName"),
        "sendDigitsMode": "digits are always sent as RFC 4733 events",
    },
    "User": _acting(
        "sendDigits", "sendOnPreanswer", "sipHeaders", "callerId", "callerName", "sipAuthUsername", "sipAuthPassword"
    ),
    "Record": {
        **_acting(
            "action", "method", "fileFormat", "redirect", "timeout", "maxLength", "playBeep", "finishOnKey",
            "recordSession", "startOnDialAnswer", "callbackUrl", "callbackMethod",
        ),
        "recordChannelType": "one channel; both sides are kept apart, and fetched with `?layout=stereo`",
        **dict.fromkeys(
            ("transcriptionType", "transcriptionUrl", "transcriptionMethod", "transcriptionReportType"), _NO_TRANSCRIPT
        ),
    },
    "Hangup": _acting("reason", "schedule"),
    "Redirect": _acting("method"),
    "PreAnswer": {},
    "Conference": {
        **_acting(
            "muted", "enterSound", "exitSound", "startConferenceOnEnter", "endConferenceOnExit", "stayAlone",
            "waitSound", "maxMembers", "timeLimit", "hangupOnStar", "record", "recordFileFormat", "action", "method",
            "callbackUrl", "callbackMethod", "redirect", "digitsMatch", "floorEvent", "sendDigits",
        ),
        **dict.fromkeys(("transcriptionType", "transcriptionUrl", "transcriptionMethod"), _NO_TRANSCRIPT),
        "recordWhenAlone": "the recording runs from the first member to the last",
        "relayDTMF": "keys pressed are heard by nobody else",
    },
}  # fmt: skip
