"""The conference's state machine: ``decide(state, command, now, mint, key)`` → decision. Pure.

It begins with its first member and waits until one comes who starts it; it ends with its last, or with one that
``endConferenceOnExit`` names. What it tells applications, the members' legs tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from mixminus.calls import recording
from mixminus.calls.commands import Callback
from mixminus.calls.conference.commands import (
    Arrive,
    ConferencePromptEnded,
    ConferenceRecordingBroke,
    Depart,
    EndConference,
    PlayToMembers,
    RecordConference,
    RemoveMembers,
    SetMembers,
    StopPlayToMembers,
    StopRecordConference,
)
from mixminus.calls.conference.effects import (
    ConferenceEffect,
    PutMember,
    ReleaseMember,
    StartSound,
    StopSound,
)
from mixminus.calls.decision import Decision, Ledger
from mixminus.calls.document.elements import ConferenceElement
from mixminus.calls.effects import BeginTap, EndTap
from mixminus.calls.events import RecordedSound, SoundRequest
from mixminus.calls.hearing import SOUNDS, TALK, WAIT, Masks
from mixminus.calls.leg.inputs import CallRecordingStarted, ConferenceJoined
from mixminus.calls.sounds.program import BuiltIn
from mixminus.calls.sounds.request import AnyProgram, DocumentItem
from mixminus.errors import Conflict, NotFound
from mixminus.ids import Mint
from mixminus.store.rows import RecordingRow

FIRST_ASIDE, ASIDES = 42, 21
"""Channels of which each carries one thing played to chosen members."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    arrival: Arrive
    joined_at: datetime
    muted: bool
    deaf: bool = False


class Aside(msgspec.Struct, frozen=True):
    """Something played to chosen members."""

    kind: str
    channel: int
    members: tuple[str, ...]


class Conference(msgspec.Struct, frozen=True, kw_only=True):
    """``members`` by id in the order of their entry; ``asides`` by player."""

    uuid: str
    name: str
    account: str
    sub_account: str
    created_at: datetime
    members: dict[str, Member] = {}
    started: bool = False
    asides: dict[str, Aside] = {}
    music: str = ""
    """The player of the wait sound."""
    recording: RecordingRow | None = None
    serial: int = 0


ConferenceDecision: TypeAlias = Decision[Conference, ConferenceEffect]


@dataclass
class _Draft:
    state: Conference
    now: datetime
    mint: Mint
    effects: list[ConferenceEffect] = field(default_factory=list)
    result: object = None
    over: bool = False

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.mint, self.now)
        self._before = {member.call_uuid: masks for member, masks in self._standing()}

    def _standing(self) -> list[tuple[Arrive, Masks]]:
        return [(member.arrival, masks_of(self.state, member)) for member in self.state.members.values()]

    def change(self, **fields: object) -> None:
        self.state = msgspec.structs.replace(self.state, **fields)

    def do(self, *effects: ConferenceEffect) -> None:
        self.effects.extend(effects)

    def player(self) -> str:
        self.change(serial=self.state.serial + 1)
        return f"{self.state.uuid}:{self.state.serial}"

    def sound(self, source: str, member: Member) -> None:
        """Let everybody hear a beep, or what a URL answers."""
        if self.state.started and self.state.members and source != "none":
            self.do(StartSound(self.player(), self.state.uuid, self.program(source, member), SOUNDS))

    def program(self, source: str, member: Member) -> AnyProgram:
        if source.startswith("beep:"):
            return (BuiltIn(source),)
        by = member.arrival.by
        request = SoundRequest(mpc_name=self.state.name, mpc_uuid=self.state.uuid)
        return (DocumentItem(Callback(source, "GET"), request, by.account, by.sub_account),)

    def finish(self) -> ConferenceDecision:
        """Everybody whose channels have changed is put on the new ones before anything else is done."""
        moves = tuple(
            PutMember(arrival.call_uuid, self.state.uuid, masks)
            for arrival, masks in self._standing()
            if self._before.get(arrival.call_uuid) != masks
        )
        state = None if self.over else self.state
        return Decision(state, self.ledger.rows, self.ledger.outbox, (*moves, *self.effects), self.result)


def masks_of(state: Conference, member: Member) -> Masks:
    """The channels a member talks on and hears."""
    asides = sum(1 << aside.channel for aside in state.asides.values() if member.id in aside.members)
    if not state.started:
        return Masks(0, WAIT | asides)
    return Masks(0 if member.muted else TALK, 0 if member.deaf else TALK | SOUNDS | asides)


def decide(state: Conference | None, command: Any, now: datetime, mint: Mint) -> ConferenceDecision:
    """What follows from ``command``.

    Raises:
        RequestError: it cannot be done; nothing has changed.
    """
    if state is None:
        if not isinstance(command, Arrive):
            raise NotFound(f"no live conference {getattr(command, 'name', '')!r}")
        state = Conference(
            uuid=mint.uuid(),
            name=command.element.name,
            account=command.by.account,
            sub_account=command.by.sub_account,
            created_at=now,
        )
    draft = _Draft(state, now, mint)
    _HANDLERS[type(command)](draft, command)
    return draft.finish()


def _arrive(draft: _Draft, command: Arrive) -> None:
    element, state = command.element, draft.state
    if len(state.members) >= element.max_members:
        draft.result = ConferenceJoined(False, reason=f"the conference is full: maxMembers is {element.max_members}")
        return
    member = Member(id=draft.mint.digits(10), arrival=command, joined_at=draft.now, muted=element.muted)
    draft.change(members={**state.members, member.id: member})
    if not state.started and element.start_on_enter:
        draft.change(started=True)
        _tune_music(draft, element, member)
    elif not state.started:
        _tune_music(draft, element, member)
    if element.record and draft.state.recording is None:
        _begin_recording(draft, element.record_format, element.callback)
    draft.sound(element.enter_sound, member)
    row = draft.state.recording
    sound = row and row.started_at and RecordedSound(recording_id=row.id, format=row.format, started_at=row.started_at)
    draft.result = ConferenceJoined(True, state.uuid, member.id, sound=sound or None)


def _tune_music(draft: _Draft, element: ConferenceElement, member: Member) -> None:
    """The wait sound plays while nobody has started the conference."""
    if draft.state.started and draft.state.music:
        draft.do(StopSound(draft.state.music))
        draft.change(music="")
    elif not draft.state.started and not draft.state.music and element.wait_sound:
        player = draft.player()
        draft.change(music=player)
        draft.do(StartSound(player, draft.state.uuid, draft.program(element.wait_sound, member), WAIT, loop=True))


def _depart(draft: _Draft, command: Depart) -> None:
    gone = [member for member in draft.state.members.values() if member.arrival.call_uuid == command.call_uuid]
    if gone:
        _drop(draft, gone)


def _drop(draft: _Draft, gone: list[Member]) -> None:
    left = {key: member for key, member in draft.state.members.items() if member not in gone}
    draft.change(members=left)
    last = gone[-1].arrival.element
    alone = len(left) == 1 and draft.state.started and not last.stay_alone
    if not left or alone or any(member.arrival.element.end_on_exit for member in gone):
        _end(draft)
    else:
        draft.sound(last.exit_sound, gone[-1])


def _end(draft: _Draft) -> None:
    for member in draft.state.members.values():
        draft.do(ReleaseMember(member.arrival.call_uuid, False))
    for player in (*draft.state.asides, *([draft.state.music] if draft.state.music else [])):
        draft.do(StopSound(player))
    _stop_recording(draft)
    draft.change(members={})
    draft.over = True


def _selected(draft: _Draft, members: tuple[str, ...]) -> list[Member]:
    missing = [member for member in members if member not in draft.state.members]
    if missing:
        raise NotFound(f"no such member in conference {draft.state.name!r}: {', '.join(missing)}")
    return [draft.state.members[member] for member in members] if members else list(draft.state.members.values())


def _ids(members: list[Member]) -> tuple[str, ...]:
    return tuple(member.id for member in members)


def _end_asked(draft: _Draft, command: EndConference) -> None:
    draft.result = _ids(list(draft.state.members.values()))
    _end(draft)


def _remove(draft: _Draft, command: RemoveMembers) -> None:
    gone = _selected(draft, command.members)
    for member in gone:
        draft.do(ReleaseMember(member.arrival.call_uuid, command.hangup))
    draft.result = _ids(gone)
    if gone:
        _drop(draft, gone)


def _set(draft: _Draft, command: SetMembers) -> None:
    chosen = _selected(draft, command.members)
    changed = {
        member.id: msgspec.structs.replace(
            member,
            muted=member.muted if command.muted is None else command.muted,
            deaf=member.deaf if command.deaf is None else command.deaf,
        )
        for member in chosen
    }
    draft.change(members={**draft.state.members, **changed})
    draft.result = _ids(chosen)


def _play(draft: _Draft, command: PlayToMembers) -> None:
    chosen = _selected(draft, command.members)
    used = {aside.channel for aside in draft.state.asides.values()}
    free = [channel for channel in range(FIRST_ASIDE, FIRST_ASIDE + ASIDES) if channel not in used]
    if not free:
        raise Conflict(f"{ASIDES} things are being played in conference {draft.state.name!r} already; stop one first")
    player = draft.player()
    draft.change(asides={**draft.state.asides, player: Aside(command.kind, free[0], _ids(chosen))})
    draft.do(StartSound(player, draft.state.uuid, command.program, 1 << free[0]))
    draft.result = _ids(chosen)


def _stop_play(draft: _Draft, command: StopPlayToMembers) -> None:
    chosen = set(_ids(_selected(draft, command.members)))
    kept: dict[str, Aside] = {}
    for player, aside in draft.state.asides.items():
        rest = tuple(member for member in aside.members if aside.kind != command.kind or member not in chosen)
        if rest:
            kept[player] = msgspec.structs.replace(aside, members=rest)
        else:
            draft.do(StopSound(player))
    draft.change(asides=kept)
    draft.result = tuple(sorted(chosen))


def _prompt_ended(draft: _Draft, command: ConferencePromptEnded) -> None:
    draft.change(asides={player: aside for player, aside in draft.state.asides.items() if player != command.player})


def _record(draft: _Draft, command: RecordConference) -> None:
    if draft.state.recording is None:
        _begin_recording(draft, command.file_format, command.callback)
    row = draft.state.recording
    assert row is not None
    draft.result = CallRecordingStarted(row.id, row.format)


def _begin_recording(draft: _Draft, file_format: str, callback: Callback) -> None:
    state = draft.state
    first = next(iter(state.members.values())).arrival
    row = RecordingRow(
        id=draft.mint.uuid(),
        account=state.account,
        sub_account=state.sub_account,
        mpc_uuid=state.uuid,
        mpc_name=state.name,
        call_uuid=first.call_uuid,
        source="conference",
        format=file_format,
        state="recording",
        callback_url=callback.url,
        callback_method=callback.method,
        from_number=first.call_from,
        to_number=first.call_to,
        created_at=draft.now,
    )
    draft.change(recording=recording.begin(row, draft.ledger))
    assert draft.state.recording is not None
    draft.do(BeginTap(draft.state.recording, state.uuid))


def _stop_record(draft: _Draft, command: StopRecordConference) -> None:
    if draft.state.recording is None:
        raise NotFound(f"no recording runs in conference {draft.state.name!r}")
    _stop_recording(draft)
    draft.result = True


def _stop_recording(draft: _Draft) -> None:
    if draft.state.recording is not None:
        draft.do(EndTap(recording.stop(draft.state.recording, draft.ledger)))
        draft.change(recording=None)


def _recording_broke(draft: _Draft, command: ConferenceRecordingBroke) -> None:
    row = draft.state.recording
    if row is not None and row.id == command.recording_id:
        draft.change(recording=None)
        draft.do(recording.broken(row, command.reason, draft.ledger, begun=command.begun))


_HANDLERS: dict[type, Callable[[_Draft, Any], None]] = {
    Arrive: _arrive,
    Depart: _depart,
    ConferencePromptEnded: _prompt_ended,
    ConferenceRecordingBroke: _recording_broke,
    EndConference: _end_asked,
    RemoveMembers: _remove,
    SetMembers: _set,
    PlayToMembers: _play,
    StopPlayToMembers: _stop_play,
    RecordConference: _record,
    StopRecordConference: _stop_record,
}
