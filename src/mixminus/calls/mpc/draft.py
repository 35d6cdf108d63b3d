"""The next state of a multiparty call while it is being decided: the old one plus what has been changed so far.

A decision opens a :class:`Draft`, calls its verbs, and takes the finished :class:`~mixminus.calls.decision.Decision`.
The
draft lives for one decision only; nothing outside sees it half done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from mixminus.calls import hearing
from mixminus.calls.commands import Callback, MpcParameters
from mixminus.calls.decision import Decision, Ledger
from mixminus.calls.effects import MpcEffect, PlaySound, Rehear, StartMusic, StopMusic
from mixminus.calls.events import DEFAULT_EVENT_GROUPS, EVENT_GROUPS, MemberSnapshot, MpcEvent, MpcEventName
from mixminus.calls.mpc.participant import Participant, snapshot, standing_masks
from mixminus.ids import Mint
from mixminus.store.rows import MpcRow, RecordingRow

BUILT_IN_MUSIC = "music"
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
    dials: dict[str, tuple[str, ...]] = {}
    """Add Participant request uuid → call uuids that have neither joined nor come to nothing."""
    music: frozenset[int] = frozenset()
    """Channels on which music plays."""
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
    music: frozenset[int] = frozenset()
    auto_recorded: bool = False
    effects: list[MpcEffect] = field(default_factory=list)
    rehear: set[str] = field(default_factory=set)
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
            state.music,
            state.auto_recorded,
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
        """Merge what a later participant brought (see :func:`merge`)."""
        self.parameters = merge(self.parameters, later)
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

    def do(self, effect: MpcEffect) -> None:
        self.effects.append(effect)

    def sound(self, source: str) -> None:
        """Let everybody in the talk hear a built-in sound; ``none`` and sounds given by URL are not played."""
        if self.active and self.members and source.startswith("beep:"):
            self.do(PlaySound(self.room, source))

    def tune_music(self) -> None:
        """Play music exactly on the channels that somebody hears."""
        heard = {standing_masks(member, active=self.active).hear for member in self.members.values()}
        wanted = frozenset(channel for channel in hearing.MUSIC if channel in heard)
        for channel in sorted(wanted - self.music):
            self.do(StartMusic(self.room, channel, BUILT_IN_MUSIC))
        for channel in sorted(self.music - wanted):
            self.do(StopMusic(self.room, channel))
        self.music = wanted

    def finish(self, result: object = None) -> MpcDecision:
        """Close the draft: every changed row once, the hearing changes as one effect before all others but
        admissions.
        """
        self.ledger.save(self.row)
        if self.rehear and not self.over:
            changes = tuple(
                (member.call_uuid, standing_masks(member, active=self.active))
                for member in self.members.values()
                if member.id in self.rehear
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
        )
