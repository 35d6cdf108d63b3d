"""What a decision wants done once it is committed, as values. The service runs them in order."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from mixminus.calls.commands import Callback, DialParameters, MpcParameters, ParticipantParameters, Requester
from mixminus.calls.events import DocumentRequest, MemberLeftForAction
from mixminus.calls.hearing import Masks
from mixminus.calls.model import ExitCause, HangupCause, HangupSource
from mixminus.calls.sounds.request import AnyProgram
from mixminus.store.rows import RecordingRow


class Admit(msgspec.Struct, frozen=True):
    """Put a leg into the multiparty call's room, with these masks."""

    call_uuid: str
    room: str
    masks: Masks


class Rehear(msgspec.Struct, frozen=True):
    """Change who hears whom in a room: call uuid → new masks, all at one tick."""

    room: str
    changes: tuple[tuple[str, Masks], ...]


class LevelVoice(msgspec.Struct, frozen=True):
    """Begin or end automatic gain control of a leg's voice."""

    call_uuid: str
    on: bool


class PlaySound(msgspec.Struct, frozen=True):
    """Play something once to everybody in the talk."""

    room: str
    program: AnyProgram


class StartMusic(msgspec.Struct, frozen=True):
    """Play music in a loop on one channel of a room, instead of what plays there."""

    room: str
    channel: int
    program: AnyProgram


class StopMusic(msgspec.Struct, frozen=True):
    room: str
    channel: int


class ReadyPrompt(msgspec.Struct, frozen=True):
    """Fetch or speak what a prompt needs; feeds ``PromptReady``."""

    prompt_id: str
    program: AnyProgram


class StartPrompt(msgspec.Struct, frozen=True):
    """Play a prompt that is ready; feeds ``PromptEnded``."""

    prompt_id: str
    room: str
    program: AnyProgram
    talk: int


class StopPrompt(msgspec.Struct, frozen=True):
    prompt_id: str


class RelayKey(msgspec.Struct, frozen=True):
    """Send a key that one member pressed to the others."""

    call_uuids: tuple[str, ...]
    key: str


class ArmWait(msgspec.Struct, frozen=True):
    """Feed ``WaitedLongEnough`` for this member in ``seconds``."""

    member_id: str
    seconds: float


class BeginTap(msgspec.Struct, frozen=True):
    """Start recording a room, or one leg in it, into a new spool. ``present``: what is known of those in it."""

    recording: RecordingRow
    room: str
    present: tuple[dict[str, str | bool], ...] = ()
    heard: bool = False
    """Of a leg outside of multiparty calls: besides its own voice also what it hears."""


class PauseTap(msgspec.Struct, frozen=True):
    recording_id: str
    by: str = ""
    """Auth id of who asked for it; so too of :class:`ResumeTap`."""


class ResumeTap(msgspec.Struct, frozen=True):
    recording_id: str
    by: str = ""


class AnnounceRecording(msgspec.Struct, frozen=True):
    """Play ``start_recording_audio`` to everybody; feeds ``RecordingAnnounced`` at its end, or when it cannot be
    played.
    """

    recording_id: str
    room: str
    audio: Callback


class AnnounceStop(msgspec.Struct, frozen=True):
    """Play ``stop_recording_audio`` to everybody."""

    room: str
    audio: Callback


class Annotate(msgspec.Struct, frozen=True):
    """Note in recordings what happened now: ``kind`` and what is known of it."""

    recording_ids: tuple[str, ...]
    kind: str
    facts: dict[str, str | bool] = {}


class EndTap(msgspec.Struct, frozen=True):
    """Stop recording, finish the file, and announce it."""

    recording: RecordingRow


class AbandonTap(msgspec.Struct, frozen=True):
    """The recording has failed: stop what still runs of it; its spool stays on disk."""

    recording_id: str


class CreateLeg(msgspec.Struct, frozen=True, kw_only=True):
    """Place one outgoing call for a multiparty call."""

    call_uuid: str
    request_uuid: str
    by: Requester
    mpc_uuid: str
    mpc_name: str
    to: str
    index: int
    """Position among the destinations of the request."""
    dial: DialParameters
    participant: ParticipantParameters


class MoveHere(msgspec.Struct, frozen=True, kw_only=True):
    """Take a live leg out of what it does and bring it into this multiparty call."""

    call_uuid: str
    request_uuid: str
    mpc_uuid: str
    mpc_name: str
    participant: ParticipantParameters


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A leg has left the multiparty call and goes on by its own rules: exit action, next element, or hang-up with
    this cause.
    """

    call_uuid: str
    exit_cause: ExitCause
    hangup_cause: HangupCause
    hangup_source: HangupSource
    action: MemberLeftForAction


class CancelDials(msgspec.Struct, frozen=True):
    """End the calls of a request that have not joined: one was first, or the multiparty call is over."""

    call_uuids: tuple[str, ...]
    cause: HangupCause


class ArmTimer(msgspec.Struct, frozen=True):
    """Feed ``MaxDurationReached`` to the multiparty call in ``seconds``."""

    seconds: float


class Forget(msgspec.Struct, frozen=True):
    """The multiparty call is over: free its name, timer and room."""

    room: str


MpcEffect: TypeAlias = (
    Admit
    | Rehear
    | LevelVoice
    | PlaySound
    | StartMusic
    | StopMusic
    | ReadyPrompt
    | StartPrompt
    | StopPrompt
    | RelayKey
    | ArmWait
    | BeginTap
    | PauseTap
    | ResumeTap
    | AnnounceRecording
    | AnnounceStop
    | Annotate
    | EndTap
    | AbandonTap
    | CreateLeg
    | MoveHere
    | Release
    | CancelDials
    | ArmTimer
    | Forget
)


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """A leg's wish to be in a multiparty call. ``uuid`` when a certain one is meant, else the live or a new one of
    that name.
    """

    name: str
    participant: ParticipantParameters
    parameters: MpcParameters = MpcParameters()
    uuid: str = ""
    request_uuid: str = ""
    """Of the Add Participant request behind it, if there is one."""


class Fetch(msgspec.Struct, frozen=True):
    """Fetch call-control XML and feed the leg ``Fetched`` or ``FetchFailed``."""

    callback: Callback
    request: DocumentRequest
    kind: str
    """``answer``, ``action``, ``transfer`` or ``redirect``: which hangup cause a failure has."""
    fallback: Callback = Callback()
    number: int = 0
    """Comes back in the answer: a leg heeds the one to its last request only."""


class SignalRinging(msgspec.Struct, frozen=True):
    """180 to the caller."""


class PlaceCall(msgspec.Struct, frozen=True, kw_only=True):
    """INVITE, with media reserved for a room (a multiparty call's uuid names its room); feeds ``Rang``, then
    ``Answered``, ``Refused`` or ``Gone``.
    """

    room: str
    to: str
    from_: str
    caller_name: str
    sip_headers: tuple[tuple[str, str], ...]
    credentials: tuple[str, str] | None = None
    """User and password for the far end's challenge."""


class PickUp(msgspec.Struct, frozen=True):
    """200 to the caller, with media reserved for the call that ``join`` names, or for its private room; feeds
    ``PickedUp`` or ``Gone``.
    """

    join: Join | None = None


class Refuse(msgspec.Struct, frozen=True):
    """A final refusal to an INVITE we have not answered."""

    status: int


class HangUpLine(msgspec.Struct, frozen=True):
    """BYE or CANCEL, whatever the line needs."""

    cause: HangupCause


class CloseMedia(msgspec.Struct, frozen=True):
    """The leg is over: its media row and port go."""


class JoinMpc(msgspec.Struct, frozen=True):
    """Ask the multiparty call to let this leg in (``Enter``); feeds ``Admission``."""

    join: Join


class LeaveMpc(msgspec.Struct, frozen=True):
    """Tell the multiparty call the leg is in, or has asked to enter, that it has gone."""

    cause: ExitCause


class ReportRinging(msgspec.Struct, frozen=True):
    """Tell the multiparty call what is to be heard of this dialled call: ``DialRang``."""

    mpc_uuid: str
    request_uuid: str
    sound: Literal["tone", "early", "none"]


class ReportDial(msgspec.Struct, frozen=True):
    """Tell the multiparty call that this dialled call came to nothing."""

    mpc_uuid: str
    request_uuid: str


class SendDigits(msgspec.Struct, frozen=True):
    digits: str


TimerName: TypeAlias = Literal[
    "delay", "ring", "hangup", "element", "silence", "limit", "on_ring", "record", "play", "speak"
]


class Wake(msgspec.Struct, frozen=True):
    """Feed the leg ``TimedOut(timer)`` in ``seconds``; a timer of the same name is replaced, ``None`` only stops it."""

    timer: TimerName
    seconds: float | None
    number: int = 0
    """Comes back in the input: one that was on its way when the timer was set anew is told from the new one's."""


LegEffect: TypeAlias = (
    Fetch
    | SignalRinging
    | PlaceCall
    | PickUp
    | Refuse
    | HangUpLine
    | CloseMedia
    | JoinMpc
    | LeaveMpc
    | ReportRinging
    | ReportDial
    | SendDigits
    | Wake
    | BeginTap
    | EndTap
    | AbandonTap
)
