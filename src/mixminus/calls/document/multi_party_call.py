"""``<MultiPartyCall>`` (API reference 5.2). Pure."""

from __future__ import annotations

from xml.etree.ElementTree import Element as XmlElement

from mixminus.calls.commands import Callback, MpcParameters, ParticipantParameters
from mixminus.calls.document.attributes import Attributes, InvalidDocument
from mixminus.calls.document.elements import MultiPartyCallElement
from mixminus.calls.document.prompts import prompts
from mixminus.calls.events import EVENT_GROUPS
from mixminus.calls.model import Role
from mixminus.calls.sounds.program import Program
from mixminus.calls.sounds.prompts import program_of


def multi_party_call(element: XmlElement, attributes: Attributes) -> MultiPartyCallElement:
    """The name is the leading text: one SDK puts hold music beside it as children."""
    name = (element.text or "").strip()
    if not name:
        raise InvalidDocument("<MultiPartyCall> has no name; write it as the element's text")
    role = attributes.word("role", tuple(Role))
    if role is None:
        raise InvalidDocument(f"<MultiPartyCall> has no role; it must be one of {', '.join(Role)}")
    for refused in _STREAM:
        if attributes.text(refused) is not None:
            raise attributes.wrong(refused, "no audio is streamed to agents; leave it out")
    return MultiPartyCallElement(name, _participant(Role(role), attributes), _mpc(element, attributes))


_STREAM = (
    "aiAgentStreamServiceUrl",
    "aiAgentStreamContentType",
    "aiAgentStreamSamplingRate",
    "aiAgentStreamStatusCallbackUrl",
    "aiAgentStreamStatusCallbackMethod",
    "aiAgentStreamExtraHeaders",
)


def _hold_music(element: XmlElement, child: str) -> Program | None:
    """Music written inside the element, as one SDK does; an empty child is none."""
    found = element.find(child)
    return program_of(prompts(found)) or None if found is not None else None


def _participant(role: Role, attributes: Attributes) -> ParticipantParameters:
    return ParticipantParameters(
        role=role,
        coach_mode=attributes.flag("coachMode", True),
        mute=attributes.flag("mute", False),
        hold=attributes.flag("hold", False),
        start_mpc_on_enter=attributes.flag("startMpcOnEnter", True),
        end_mpc_on_exit=attributes.flag("endMpcOnExit", False),
        enter_sound=attributes.sound("enterSound", "beep:1"),
        enter_sound_method=attributes.method("enterSoundMethod", "GET"),
        exit_sound=attributes.sound("exitSound", "beep:2"),
        exit_sound_method=attributes.method("exitSoundMethod", "GET"),
        relay_dtmf_inputs=attributes.flag("relayDTMFInputs", False),
        record_participant_track=attributes.flag("recordParticipantTrack", False),
        on_exit_action=attributes.callback("onExitActionUrl", "onExitActionMethod", "POST") or Callback(),
        wait_for_agent=attributes.flag("waitForAgent", False),
        wait_time=attributes.integer("waitTime", 0, 1800),
    )


def _mpc(element: XmlElement, attributes: Attributes) -> MpcParameters:
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
        agent_hold_program=_hold_music(element, "AgentHoldMusic"),
        customer_hold_program=_hold_music(element, "CustomerHoldMusic"),
        record_coach_voice=attributes.boolean("recordCoachVoice"),
        start_recording_audio=attributes.callback("startRecordingAudio", "startRecordingAudioMethod", "GET"),
        stop_recording_audio=attributes.callback("stopRecordingAudio", "stopRecordingAudioMethod", "GET"),
        transcript=attributes.boolean("transcript"),
        transcription_url=attributes.url("transcriptionUrl") or None,
    )


def _event_groups(attributes: Attributes) -> frozenset[str] | None:
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
