"""Everything that can be asked of a multiparty call, as values. Imperative names; REST, SIP, XML and timers all speak
these.

``apply(command)`` of :mod:`mixminus.calls.service` is the one door; it answers the command's result or raises a
:class:`~mixminus.errors.RequestError`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from mixminus.calls.model import Role
from mixminus.calls.sounds.program import Program


class Requester(msgspec.Struct, frozen=True):
    """Whose request it is: the main account, and the sub-account when its credentials were used."""

    account: str
    sub_account: str = ""


class MpcRef(msgspec.Struct, frozen=True):
    """Which multiparty call is meant: by ``name`` (a live one) or by ``uuid``; a bare path segment gives ``either``."""

    name: str = ""
    uuid: str = ""
    either: str = ""


class Callback(msgspec.Struct, frozen=True):
    """A URL of the customer's and the verb to use. An empty ``url`` means none."""

    url: str = ""
    method: Literal["GET", "POST"] = "POST"


class MpcParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the call as a whole. ``None`` means not given: the creator's value, or the default, stands.

    The API's names; defaults are those of the reference, section "add participant".
    """

    max_duration: int | None = None
    """Seconds, 300-28800; default 14400."""
    max_participants: int | None = None
    """2 or more; default 10."""
    record: bool | None = None
    record_file_format: Literal["mp3", "wav"] | None = None
    record_min_member_count: int | None = None
    recording_callback: Callback | None = None
    status_callback: Callback | None = None
    status_callback_events: frozenset[str] | None = None
    """Group names, lower case; default ``mpc-state-changes``, ``participant-state-changes``."""
    stay_alone: bool | None = None
    wait_music: Callback | None = None
    agent_hold_music: Callback | None = None
    customer_hold_music: Callback | None = None
    start_recording_audio: Callback | None = None
    stop_recording_audio: Callback | None = None
    agent_hold_program: Program | None = None
    """Hold music given in the document itself; goes before ``agent_hold_music``, as does the next."""
    customer_hold_program: Program | None = None
    create_mpc_with_single_participant: bool | None = None
    """False: the call starts with its second participant, not with its first."""
    record_coach_voice: bool | None = None
    """False: supervisors are left out of the recording while they coach."""
    transcript: bool | None = None
    transcription_url: str | None = None


class ParticipantParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of one participant, defaults filled in."""

    role: Role
    coach_mode: bool = True
    """Supervisors only: heard by agents only."""
    mute: bool = False
    hold: bool = False
    start_mpc_on_enter: bool = True
    end_mpc_on_exit: bool = False
    enter_sound: str = "beep:1"
    enter_sound_method: Literal["GET", "POST"] = "GET"
    exit_sound: str = "beep:2"
    exit_sound_method: Literal["GET", "POST"] = "GET"
    relay_dtmf_inputs: bool = False
    record_participant_track: bool = False
    on_exit_action: Callback = Callback()
    wait_for_agent: bool = False
    """Hears wait music until an agent is in the call, even when it has started."""
    wait_time: int | None = None
    """Seconds it waits at most; then it is let go."""


class DialParameters(msgspec.Struct, frozen=True, kw_only=True):
    """How Add Participant places its calls. One entry of ``ring_timeouts`` and ``delays`` per destination, seconds."""

    from_: str
    to: tuple[str, ...]
    caller_name: str = ""
    ring_timeouts: tuple[int, ...] = (45,)
    delays: tuple[int, ...] = (0,)
    sip_headers: tuple[tuple[str, str], ...] = ()
    """Name without the ``X-PH-`` prefix, and value."""
    call_status_callback: Callback = Callback()
    confirm_key: str = ""
    confirm_key_sound: Callback = Callback()
    dial_music: str = "real"
    dial_music_method: Literal["GET", "POST"] = "GET"
    send_digits: str = ""
    send_on_preanswer: bool = False


class AddParticipant(msgspec.Struct, frozen=True, kw_only=True):
    """M5. Exactly one of ``dial`` (place calls) and ``call_uuid`` (move a live call) is given."""

    by: Requester
    mpc: MpcRef
    participant: ParticipantParameters
    parameters: MpcParameters
    dial: DialParameters | None = None
    call_uuid: str = ""


class AddedCall(msgspec.Struct, frozen=True):
    to: str
    from_: str
    call_uuid: str


class Added(msgspec.Struct, frozen=True):
    """Result of :class:`AddParticipant`: one entry per destination, in request order."""

    request_uuid: str
    calls: tuple[AddedCall, ...]


class ActivateMpc(msgspec.Struct, frozen=True, kw_only=True):
    """M3. NotFound unless the call is Initialized."""

    by: Requester
    mpc: MpcRef


class EndMpc(msgspec.Struct, frozen=True, kw_only=True):
    """M4."""

    by: Requester
    mpc: MpcRef


class UpdateParticipants(msgspec.Struct, frozen=True, kw_only=True):
    """M8. ``members`` empty means ``all``. ``None`` leaves a flag unchanged."""

    by: Requester
    mpc: MpcRef
    members: tuple[str, ...] = ()
    mute: bool | None = None
    hold: bool | None = None
    coach_mode: bool | None = None
    agc: bool | None = None
    """Automatic gain control of their voices; not a part of their state."""
    sound: bool = True


class KickParticipants(msgspec.Struct, frozen=True, kw_only=True):
    """M9. ``members`` empty means ``all``."""

    by: Requester
    mpc: MpcRef
    members: tuple[str, ...] = ()


class RecordingWishes(msgspec.Struct, frozen=True, kw_only=True):
    """How a recording is to be taken. ``None``: as the settings say."""

    tracks: Literal["mix", "all"] | None = None
    """``all``: a track for each voice beside the mix, for other renderings."""
    pause_as: Literal["cut", "silence", "tone"] | None = None
    transcript: bool = False
    transcription_url: str = ""


SoundKind: TypeAlias = Literal["play", "speak"]


class StartSound(msgspec.Struct, frozen=True, kw_only=True):
    """M18, M20. ``members`` empty means all. Result: :class:`SoundQueued`. NotFound for a member who is not in."""

    by: Requester
    mpc: MpcRef
    kind: SoundKind
    program: Program
    members: tuple[str, ...] = ()
    mix: bool = True
    """Mixed with what the members hear; otherwise it replaces that while it plays."""


class StopSound(msgspec.Struct, frozen=True, kw_only=True):
    """M19, M21. ``members`` as they were named when it was started (ruling 56); nothing to stop is fine."""

    by: Requester
    mpc: MpcRef
    kind: SoundKind
    members: tuple[str, ...] = ()


class StartRecording(msgspec.Struct, frozen=True, kw_only=True):
    """M10. While one runs, the running recording is the answer."""

    by: Requester
    mpc: MpcRef
    file_format: Literal["mp3", "wav"] = "mp3"
    callback: Callback = Callback()
    wishes: RecordingWishes = RecordingWishes()


class StopRecording(msgspec.Struct, frozen=True, kw_only=True):
    """M11. NotFound when none runs."""

    by: Requester
    mpc: MpcRef


class PauseRecording(msgspec.Struct, frozen=True, kw_only=True):
    """M12. NotFound when none runs; pausing a paused one changes nothing."""

    by: Requester
    mpc: MpcRef


class ResumeRecording(msgspec.Struct, frozen=True, kw_only=True):
    """M13. NotFound when none runs; resuming a running one changes nothing."""

    by: Requester
    mpc: MpcRef


TrackType: TypeAlias = Literal["participant", "all", "both"]
"""What is recorded of a participant: its voice alone; two channels, its voice and what it hears; or both of these."""


class StartParticipantRecording(msgspec.Struct, frozen=True, kw_only=True):
    """M14. What runs already is the answer. NotFound unless the member is in the call."""

    by: Requester
    mpc: MpcRef
    member: str
    track_type: TrackType = "all"
    file_format: Literal["mp3", "wav"] = "mp3"
    callback: Callback = Callback()
    wishes: RecordingWishes = RecordingWishes()


class StopParticipantRecording(msgspec.Struct, frozen=True, kw_only=True):
    """M15. ``all`` is also the API's default: when no such recording runs it means whatever runs of the member.
    NotFound when none does; so too for the next two.
    """

    by: Requester
    mpc: MpcRef
    member: str
    track_type: TrackType = "all"


class PauseParticipantRecording(msgspec.Struct, frozen=True, kw_only=True):
    """M16."""

    by: Requester
    mpc: MpcRef
    member: str
    track_type: TrackType = "all"


class ResumeParticipantRecording(msgspec.Struct, frozen=True, kw_only=True):
    """M17."""

    by: Requester
    mpc: MpcRef
    member: str
    track_type: TrackType = "all"


class DeleteRecording(msgspec.Struct, frozen=True, kw_only=True):
    """Remove a finished recording's file and mark its row. NotFound if unknown, Conflict while it runs."""

    by: Requester
    recording_id: str


class Done(msgspec.Struct, frozen=True):
    """Result of commands that answer 204 or a sentence: the call they were about."""

    mpc_uuid: str = ""
    mpc_name: str = ""


class RecordingStarted(msgspec.Struct, frozen=True):
    """Result of :class:`StartRecording` and :class:`StartParticipantRecording`."""

    recording_id: str
    file_format: str
    mpc_uuid: str
    mpc_name: str
    also: str = ""
    """Recording id of the participant's own track, when ``both`` were asked for."""


class SoundQueued(msgspec.Struct, frozen=True):
    """Result of :class:`StartSound`: who will hear it."""

    members: tuple[str, ...]
    mpc_uuid: str
    mpc_name: str


Command: TypeAlias = (
    AddParticipant
    | ActivateMpc
    | EndMpc
    | UpdateParticipants
    | KickParticipants
    | StartSound
    | StopSound
    | StartRecording
    | StopRecording
    | PauseRecording
    | ResumeRecording
    | StartParticipantRecording
    | StopParticipantRecording
    | PauseParticipantRecording
    | ResumeParticipantRecording
    | DeleteRecording
)
Result: TypeAlias = Added | Done | RecordingStarted | SoundQueued
