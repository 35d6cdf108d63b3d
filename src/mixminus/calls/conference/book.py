"""All live conferences: who is in which, and what their decisions want done. A shell around the pure machine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import structlog

from mixminus.calls.carry_out import Answer, Handler, Runner, tell
from mixminus.calls.commands import Requester
from mixminus.calls.conference import effects
from mixminus.calls.conference.commands import (
    Arrive,
    ConferenceCommand,
    ConferencePromptEnded,
    ConferenceRecordingBroke,
    Depart,
    EndConference,
)
from mixminus.calls.conference.machine import Conference, decide
from mixminus.calls.document.elements import ConferenceElement
from mixminus.calls.effects import AbandonTap, BeginTap, EndTap
from mixminus.calls.leg.inputs import ConferenceJoined, ConferenceLeft
from mixminus.calls.leg.rooms import private_room
from mixminus.calls.mailbox import Mailbox
from mixminus.calls.switchboard import Switchboard
from mixminus.errors import MixminusError, NotFound
from mixminus.media import protocol as media

log = structlog.get_logger(__name__)

Key: TypeAlias = tuple[str, str, str]
"""Account, sub-account, name."""


class _Live:
    """A conference's mailbox and state; between its last member and its next first one it has none."""

    def __init__(self, key: Key, handle: Callable[[_Live, Any], Coroutine[Any, Any, Any]]) -> None:
        self.key = key
        self.state: Conference | None = None
        self.mailbox: Mailbox[Any] = Mailbox(lambda message: handle(self, message))


class Conferences:
    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._live: dict[Key, _Live] = {}
        self._of_leg: dict[str, Key] = {}
        """Call uuid → where it is, or has asked to enter."""
        handlers: dict[type, Handler[_Live]] = {
            effects.PutMember: self._put,
            effects.ReleaseMember: self._release,
            effects.StartSound: self._start_sound,
            effects.StopSound: self._stop_sound,
            BeginTap: self._begin_tap,
            EndTap: board.taps.end,
            AbandonTap: board.taps.abandon,
        }
        self._carry_out = Runner(handlers).run

    # -- from the legs ---------------------------------------------------------------------------------------------

    def join(self, call_uuid: str, element: ConferenceElement) -> None:
        """Ask to be let in; the answer is posted to the leg."""
        leg = self._board.legs[call_uuid].state
        assert leg is not None
        key = (leg.by.account, leg.by.sub_account, element.name)
        row = leg.row
        self._of_leg[call_uuid] = key
        arrival = Arrive(
            by=leg.by,
            call_uuid=call_uuid,
            call_from=row.from_number,
            call_to=row.to_number,
            caller_name=row.caller_name,
            direction=row.direction,
            element=element,
        )
        self._board.spawn(self._join(key, arrival))

    async def _join(self, key: Key, arrival: Arrive) -> None:
        try:
            joined = await self._post(key, arrival)
        except MixminusError as error:
            log.error("a leg could not enter a conference", call_uuid=arrival.call_uuid, error=str(error))
            joined = ConferenceJoined(False, reason=str(error))
        self._board.post_leg(arrival.call_uuid, joined)

    def leave(self, call_uuid: str) -> None:
        """The leg has gone by itself."""
        key = self._of_leg.pop(call_uuid, None)
        if key is not None:
            self._post(key, Depart(call_uuid))

    # -- from the API ----------------------------------------------------------------------------------------------

    async def apply(self, command: ConferenceCommand) -> Any:
        """Raises NotFound for a conference that is not live, or not the requester's."""
        return await self._post(self._key_of(command.by, command.name), command)

    async def end_all(self, by: Requester) -> None:
        for conference in self.visible(by):
            await self.apply(EndConference(by=by, name=conference.name))

    def visible(self, by: Requester) -> tuple[Conference, ...]:
        """Live conferences; the main account sees those of its sub-accounts too."""
        states = (live.state for live in self._live.values())
        return tuple(
            state
            for state in states
            if state is not None and state.account == by.account and by.sub_account in ("", state.sub_account)
        )

    def _key_of(self, by: Requester, name: str) -> Key:
        for state in self.visible(by):
            if state.name == name:
                return (state.account, state.sub_account, name)
        raise NotFound(f"no live conference {name!r}")

    @property
    def idle(self) -> bool:
        return all(live.mailbox.idle for live in self._live.values())

    # -- decisions -------------------------------------------------------------------------------------------------

    def _post(self, key: Key, message: Any) -> Any:
        if key not in self._live:
            self._live[key] = _Live(key, self._handle)
        return self._live[key].mailbox.post(message)

    async def _handle(self, live: _Live, message: Any) -> Any:
        if live.state is None and not isinstance(message, Arrive | ConferenceCommand):
            return None
        decision = decide(live.state, message, self._board.clock.now().wall, self._board.mint)
        if isinstance(message, ConferenceCommand):
            await self._board.books.command(decision)
        else:
            await self._board.books.fact(decision)
        live.state = decision.state
        await self._carry_out(live, decision.effects)
        return decision.result

    # -- effects ---------------------------------------------------------------------------------------------------

    async def _put(self, live: _Live, effect: effects.PutMember) -> Answer:
        seat = media.MoveLeg(effect.call_uuid, effect.room, effect.masks.talk, effect.masks.hear)
        return tell(self._board.media, seat)

    async def _release(self, live: _Live, effect: effects.ReleaseMember) -> Answer:
        self._of_leg.pop(effect.call_uuid, None)
        answer = tell(self._board.media, media.MoveLeg(effect.call_uuid, private_room(effect.call_uuid), 0, 0))
        self._board.post_leg(effect.call_uuid, ConferenceLeft(effect.hangup))
        return answer

    async def _start_sound(self, live: _Live, effect: effects.StartSound) -> None:
        self._board.players.start(
            effect.player,
            effect.room,
            effect.program,
            talk=effect.talk,
            loop=effect.loop,
            on_end=lambda error: self._prompt_ended(live.key, effect.player),
        )

    def _prompt_ended(self, key: Key, player: str) -> None:
        self._post(key, ConferencePromptEnded(player))

    async def _stop_sound(self, live: _Live, effect: effects.StopSound) -> None:
        self._board.players.stop(effect.player)

    async def _begin_tap(self, live: _Live, effect: BeginTap) -> Answer:
        recording_id = effect.recording.id
        return await self._board.taps.begin(
            effect,
            lambda reason, begun: self._broke(live.key, ConferenceRecordingBroke(recording_id, reason, begun)),
        )

    def _broke(self, key: Key, message: ConferenceRecordingBroke) -> None:
        self._post(key, message)
