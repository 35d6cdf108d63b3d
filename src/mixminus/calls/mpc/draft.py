"""The next state of a multiparty call while it is being decided: the old one plus what has been changed so far.

A decision opens a :class:`Draft`, calls its verbs, and takes the finished :class:`~mixminus.calls.decision.Decision`.
The
draft lives for one decision only; nothing outside sees it half done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

import msgspec

from mixminus.calls import hearing
from mixminus.calls.commands import Callback, MpcParameters
from mixminus.calls.decision import Decision, Ledger
from mixminus.calls.effects import Annotate, ArmTimer, MpcEffect, Rehear
from mixminus.calls.events import DEFAULT_EVENT_GROUPS, EVENT_GROUPS, MemberSnapshot, MpcEvent, MpcEventName
from mixminus.calls.hearing import Masks, Standing
from mixminus.calls.model import Role
from mixminus.calls.mpc.audible import DialMusic, MusicSource, Prompt
from mixminus.calls.mpc.participant import Participant, facts_of, snapshot, standing
from mixminus.ids import Mint
from mixminus.store.rows import MpcRow, RecordingRow

AGENTS = frozenset({Role.AGENT.value, Role.AI_AGENT.value})
DEFAULT_MAX_DURATION = 14_400
DEFAULT_MAX_PARTICIPANTS = 10

_DEFAULTS = MpcParameters(
    max_duration=DEFAULT_MAX_DURATION,
    max_participants=DEFAULT_MAX_PARTICIPANTS,
    record=False,
    record_file_format="mp3",
    record_min_member_count=1,
    create_mpc_with_single_participant=True,
    transcript=False,
)


def given(parameters: MpcParameters) -> dict[str, Any]:
    """The parameters that were given, as the builtins that the row keeps."""
    values: dict[str, Any] = msgspec.to_builtins(parameters)
    return {name: value for name, value in values.items() if value is not None}


def merge(earlier: MpcParameters, later: MpcParameters) -> MpcParameters:
    """Later explicit values replace earlier ones that were defaults (ruling 31); the last ``stay_alone`` wins (30)."""
    merged: dict[str, Any] = {}
    for name in MpcParameters.__struct_fields__:
        old, new = getattr(earlier, name), getattr(later, name)
        keep = old is not None and old != getattr(_DEFAULTS, name) and name != "stay_alone"
        merged[name] = old if keep or new is None else new
    return MpcParameters(**merged)


class MultiPartyCall(msgspec.Struct, frozen=True, kw_only=True):
    """A live multiparty call. ``members`` are those who are in, by member id, in the order of their entry."""

    row: MpcRow
    parameters: MpcParameters
    members: dict[str, Participant] = {}
    billed: int = 0
    """Billed seconds of those who have left."""
    recording: RecordingRow | None = None
    member_recordings: dict[str, RecordingRow] = {}
    """Running recordings of single participants: ``{member id}/{track type}`` → row."""
    announced: bool = True
    """False while it is being said that ``recording`` begins: no sample is taken yet."""
    tracked: frozenset[str] = frozenset()
    """Members whose ``record_participant_track`` has begun its recording; a stopped one is not begun again."""
    dials: dict[str, tuple[str, ...]] = {}
    """Add Participant request uuid → call uuids that have neither joined nor come to nothing."""
    music: dict[int, MusicSource] = {}
    """Channel → the music that plays on it."""
    prompts: tuple[Prompt, ...] = ()
    """Prompts that play, and those that wait for their turn."""
    speaking: frozenset[str] = frozenset()
    """Ids of the members who speak now."""
    dial_music: dict[str, DialMusic] = {}
    """Add Participant request uuid → what is heard while it dials."""
    auto_recorded: bool = False
    """``record`` has begun its recording; a stopped one is not begun again."""

    @property
    def active(self) -> bool:
        return self.row.status == "Active"


MpcDecision: TypeAlias = Decision[MultiPartyCall, MpcEffect]


@dataclass(frozen=True)
class Context:
    """What a decision may use besides state and command: the time, and new ids."""

    now: datetime
    mint: Mint
    new_member_id: Callable[[], str]
    recording_defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings of recordings that say nothing else: ``tracks``, ``pause_as``."""


@dataclass
class Draft:
    """Mutable while one decision is made."""

    context: Context
    row: MpcRow
    parameters: MpcParameters
    members: dict[str, Participant]
    billed: int = 0
    recording: RecordingRow | None = None
    dials: dict[str, tuple[str, ...]] = field(default_factory=dict)
    music: dict[int, MusicSource] = field(default_factory=dict)
    auto_recorded: bool = False
    member_recordings: dict[str, RecordingRow] = field(default_factory=dict)
    announced: bool = True
    tracked: frozenset[str] = frozenset()
    effects: list[MpcEffect] = field(default_factory=list)
    rehear: set[str] = field(default_factory=set)
    prompts: tuple[Prompt, ...] = ()
    speaking: frozenset[str] = frozenset()
    dial_music: dict[str, DialMusic] = field(default_factory=dict)
    over: bool = False

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.context.mint, self.context.now)

    @classmethod
    def of(cls, state: MultiPartyCall, context: Context) -> Draft:
        return cls(
            context,
            state.row,
            state.parameters,
            dict(state.members),
            state.billed,
            state.recording,
            dict(state.dials),
            dict(state.music),
            state.auto_recorded,
            dict(state.member_recordings),
            state.announced,
            state.tracked,
            prompts=state.prompts,
            speaking=state.speaking,
            dial_music=dict(state.dial_music),
        )

    @property
    def active(self) -> bool:
        return self.row.status == "Active"

    @property
    def room(self) -> str:
        return self.row.id

    @property
    def max_participants(self) -> int:
        return self.parameters.max_participants or DEFAULT_MAX_PARTICIPANTS

    def take_parameters(self, later: MpcParameters) -> None:
        """Merge what a later participant brought (see :func:`merge`). A new duration counts from the first."""
        before = self.parameters.max_duration or DEFAULT_MAX_DURATION
        self.parameters = merge(self.parameters, later)
        longest = self.parameters.max_duration or DEFAULT_MAX_DURATION
        if longest != before:
            gone = (self.context.now - self.row.created_at).total_seconds()
            self.do(ArmTimer(max(0.0, longest - gone)))
        self.change(stay_alone=bool(self.parameters.stay_alone), settings=given(self.parameters))

    def change(self, **fields: object) -> None:
        """Change columns of the call's row."""
        self.row = msgspec.structs.replace(self.row, **fields)

    def put(self, member: Participant) -> None:
        """Take over a member's new version."""
        self.members[member.id] = member
        self.ledger.save(member.row)

    def emit(self, name: MpcEventName, member: Participant | None = None, **fields: object) -> None:
        """Owe the status callback this event, if its group is on. Counts the sequence number only then."""
        self._annotate(name, member, str(fields.get("digit", "")))
        callback = self.parameters.status_callback or Callback()
        groups = self.parameters.status_callback_events
        groups = DEFAULT_EVENT_GROUPS if groups is None else groups
        if not callback.url or not any(name in EVENT_GROUPS[group] for group in groups):
            return
        self.change(sequence=self.row.sequence + 1)
        base = MpcEvent(
            name=name,
            at=self.context.now,
            sequence=self.row.sequence,
            mpc_uuid=self.row.id,
            mpc_name=self.row.friendly_name,
            member=snapshot(member) if member else MemberSnapshot(),
        )
        event = msgspec.structs.replace(base, **fields)
        self.ledger.owe(
            callback, event, subject=self.row.id, account=self.row.account, sub_account=self.row.sub_account
        )

    def _annotate(self, name: str, member: Participant | None, digit: str) -> None:
        """Note it in every recording it belongs to. A key is not told where it could not be heard either."""
        if member is None or not member.id or name.startswith("ParticipantSpeak"):
            return  # who speaks the media worker notes, to the sample
        rows = [row for key, row in self.member_recordings.items() if key.startswith(f"{member.id}/")]
        rows += [self.recording] if self.recording is not None and self.announced else []
        for paused in (False, True):
            ids = tuple(row.id for row in rows if (row.state == "paused") is paused)
            if ids:
                shown = {"digit": "*" if paused else digit} if digit else {}
                self.do(Annotate(ids, name, {**facts_of(member), **shown}))

    def do(self, effect: MpcEffect) -> None:
        self.effects.append(effect)

    def masks(self, member: Participant) -> Masks:
        """What this member talks on and hears now."""
        return hearing.masks(self.standing(member))

    def standing(self, member: Participant) -> Standing:
        heard = [prompt for prompt in self.prompts if prompt.channel and prompt.is_for(member.id)]
        return standing(
            member,
            waiting=self.waits(member),
            prompts=reduce(or_, (prompt.channel for prompt in heard), 0),
            alone=any(not prompt.mix for prompt in heard),
        )

    def waits(self, member: Participant) -> bool:
        """Hears wait music: the call has not started, or the agent this member waits for is not there."""
        return not self.active or (member.parameters.wait_for_agent and not self.has_agent)

    @property
    def has_agent(self) -> bool:
        return any(member.row.role in AGENTS for member in self.members.values())

    def finish(self, result: object = None) -> MpcDecision:
        """Close the draft: every changed row once, the hearing changes as one effect before all others but
        admissions.
        """
        self.ledger.save(self.row)
        if self.rehear and not self.over:
            changes = tuple(
                (member.call_uuid, self.masks(member)) for member in self.members.values() if member.id in self.rehear
            )
            self.effects.insert(0, Rehear(self.room, changes))
        state = None if self.over else self._state()
        return Decision(state, self.ledger.rows, self.ledger.outbox, tuple(self.effects), result)

    def _state(self) -> MultiPartyCall:
        return MultiPartyCall(
            row=self.row,
            parameters=self.parameters,
            members=self.members,
            billed=self.billed,
            recording=self.recording,
            dials=self.dials,
            music=self.music,
            auto_recorded=self.auto_recorded,
            member_recordings=self.member_recordings,
            announced=self.announced,
            tracked=self.tracked,
            prompts=self.prompts,
            speaking=self.speaking,
            dial_music=self.dial_music,
        )
