"""Carrying out what legs decided: signalling, fetching documents, entering and leaving calls, timers. A shell."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import structlog

from mixminus.calls import effects
from mixminus.calls.carry_out import Answer, Handler, Runner, tell
from mixminus.calls.commands import Callback
from mixminus.calls.document import InvalidDocument, read_document
from mixminus.calls.inputs import (
    Admission,
    DialEnded,
    DialRang,
    Enter,
    Entered,
    Fetched,
    FetchFailed,
    Leave,
    LegInput,
    TimedOut,
)
from mixminus.calls.leg import effects as wanted
from mixminus.calls.leg.inputs import LegRecordingBroke, PromptEnded
from mixminus.calls.leg.rooms import private_room
from mixminus.calls.switchboard import MpcOver, Switchboard
from mixminus.errors import MixminusError, OutboundError
from mixminus.media import protocol as media

log = structlog.get_logger(__name__)


class LegEffects:
    def __init__(self, board: Switchboard) -> None:
        self._board = board
        handlers: dict[type, Handler[str]] = {
            effects.Fetch: self._fetch,
            effects.SignalRinging: self._ring,
            effects.PlaceCall: self._place,
            effects.PickUp: self._pick_up,
            effects.Refuse: self._refuse,
            effects.HangUpLine: self._hang_up,
            effects.CloseMedia: self._close,
            effects.JoinMpc: self._join,
            effects.LeaveMpc: self._leave,
            effects.ReportDial: self._report_dial,
            effects.ReportRinging: self._report_ringing,
            effects.SendDigits: self._send_digits,
            effects.Wake: self._wake,
            wanted.PlaceOrder: self._place_order,
            wanted.StartPrompt: self._start_prompt,
            wanted.StopPrompt: self._stop_prompt,
            wanted.Seat: self._seat,
            wanted.EarlyMedia: self._early_media,
            wanted.Tell: self._tell,
            effects.BeginTap: self._begin_tap,
            effects.EndTap: board.taps.end,
            effects.AbandonTap: board.taps.abandon,
            wanted.JoinConference: self._join_conference,
            wanted.LeaveConference: self._leave_conference,
        }
        self.run = Runner(handlers).run

    async def _fetch(self, call_uuid: str, effect: effects.Fetch) -> None:
        self._board.spawn(self._fetch_and_tell(call_uuid, effect))

    async def _fetch_and_tell(self, call_uuid: str, effect: effects.Fetch) -> None:
        self._board.post_leg(call_uuid, await self._document(call_uuid, effect))

    async def _document(self, call_uuid: str, effect: effects.Fetch) -> LegInput:
        """What the URL answers; the fallback is asked when it cannot be reached or answers what cannot be used."""
        answer = await self._ask(call_uuid, effect, effect.callback)
        if isinstance(answer, Fetched) or not effect.fallback.url:
            return answer
        return await self._ask(call_uuid, effect, effect.fallback)

    async def _ask(self, call_uuid: str, effect: effects.Fetch, callback: Callback) -> Fetched | FetchFailed:
        live = self._board.legs.get(call_uuid)
        if live is None or live.state is None:
            return FetchFailed(effect.kind, True, "the call is over", effect.number)
        by, told = live.state.by, log.bind(call_uuid=call_uuid, url=callback.url)
        try:
            body = await self._board.documents.fetch(
                callback, effect.request, account=by.account, sub_account=by.sub_account, fallback=Callback()
            )
            elements = read_document(body, lambda sentence: told.warning("document", warning=sentence))
            return Fetched(elements, effect.number)
        except OutboundError as error:
            told.warning("document not fetched", error=str(error))
            return FetchFailed(effect.kind, True, str(error), effect.number)
        except InvalidDocument as error:
            told.warning("document unusable", error=str(error))
            return FetchFailed(effect.kind, False, str(error), effect.number)

    async def _ring(self, call_uuid: str, effect: effects.SignalRinging) -> None:
        self._board.lines.ring(call_uuid)

    async def _place(self, call_uuid: str, effect: effects.PlaceCall) -> None:
        self._board.lines.place(call_uuid, effect, effect.room)

    async def _pick_up(self, call_uuid: str, effect: effects.PickUp) -> None:
        live = self._board.legs[call_uuid]
        assert live.state is not None
        join = effect.join
        room = self._board.room_of(live.state.by, join) if join else private_room(call_uuid)
        self._board.post_leg(call_uuid, await self._board.lines.pick_up(call_uuid, room))

    async def _refuse(self, call_uuid: str, effect: effects.Refuse) -> None:
        self._board.lines.refuse(call_uuid, effect.status)

    async def _hang_up(self, call_uuid: str, effect: effects.HangUpLine) -> None:
        self._board.lines.hang_up(call_uuid, effect.cause)

    async def _close(self, call_uuid: str, effect: effects.CloseMedia) -> None:
        for cancel in self._board.legs[call_uuid].timers.values():
            cancel()
        await self._board.lines.close(call_uuid)

    async def _join(self, call_uuid: str, effect: effects.JoinMpc) -> None:
        live = self._board.legs[call_uuid]
        leg = live.state
        assert leg is not None
        if effect.join.uuid and effect.join.uuid not in self._board.mpcs:
            self._board.post_leg(call_uuid, Admission(Entered(False, reason="the multiparty call has ended")))
            return
        live.mpc_uuid = self._board.room_of(leg.by, effect.join)
        outbound = leg.row.direction == "outbound"
        request = Enter(
            by=leg.by,
            mpc_uuid=live.mpc_uuid,
            name=effect.join.name,
            call_uuid=call_uuid,
            call_from=leg.row.from_number,
            call_to=leg.row.to_number,
            call_direction=leg.row.direction,
            address=leg.row.to_number if outbound else leg.row.from_number,
            participant=effect.join.participant,
            parameters=effect.join.parameters,
            request_uuid=effect.join.request_uuid,
        )
        answer = self._board.post_mpc(live.mpc_uuid, request)
        self._board.spawn(self._admission(call_uuid, effect, answer))

    async def _admission(self, call_uuid: str, effect: effects.JoinMpc, answer: Awaitable[Any]) -> None:
        try:
            entered = await answer
        except MpcOver as error:
            if not effect.join.uuid and call_uuid in self._board.legs:
                await self._join(call_uuid, effect)  # the name is free again: a new call under it
                return
            entered = Entered(False, reason=str(error))
        except MixminusError as error:
            log.error("a leg could not enter", call_uuid=call_uuid, error=str(error))
            entered = Entered(False, reason=str(error))
        self._board.post_leg(call_uuid, Admission(entered))

    async def _leave(self, call_uuid: str, effect: effects.LeaveMpc) -> None:
        live = self._board.legs[call_uuid]
        if live.mpc_uuid in self._board.mpcs:
            self._board.post_mpc(live.mpc_uuid, Leave(call_uuid, effect.cause))
        live.mpc_uuid = ""

    async def _report_ringing(self, call_uuid: str, effect: effects.ReportRinging) -> None:
        if effect.mpc_uuid in self._board.mpcs:
            self._board.post_mpc(effect.mpc_uuid, DialRang(effect.request_uuid, call_uuid, effect.sound))

    async def _report_dial(self, call_uuid: str, effect: effects.ReportDial) -> None:
        if effect.mpc_uuid in self._board.mpcs:
            self._board.post_mpc(effect.mpc_uuid, DialEnded(effect.request_uuid, call_uuid))

    async def _send_digits(self, call_uuid: str, effect: effects.SendDigits) -> None:
        self._board.spawn(self._board.lines.send_digits(call_uuid, effect.digits))

    async def _wake(self, call_uuid: str, effect: effects.Wake) -> None:
        timers = self._board.legs[call_uuid].timers
        timers.pop(effect.timer, lambda: None)()
        if effect.seconds is not None:
            timers[effect.timer] = self._board.timers.call_later(
                effect.seconds, lambda: self._board.post_leg(call_uuid, TimedOut(effect.timer, effect.number))
            )

    # -- legs outside of multiparty calls --------------------------------------------------------------------------

    async def _place_order(self, call_uuid: str, effect: wanted.PlaceOrder) -> None:
        self._board.create_leg(effect)

    async def _start_prompt(self, call_uuid: str, effect: wanted.StartPrompt) -> None:
        self._board.players.start(
            effect.player,
            effect.room,
            effect.program,
            talk=effect.talk,
            loop=effect.loop,
            on_end=lambda error: self._board.post_leg(call_uuid, PromptEnded(effect.player, error)),
        )

    async def _stop_prompt(self, call_uuid: str, effect: wanted.StopPrompt) -> None:
        self._board.players.stop(effect.player)

    async def _seat(self, call_uuid: str, effect: wanted.Seat) -> Answer:
        return tell(self._board.media, media.MoveLeg(call_uuid, effect.room, effect.talk, effect.hear))

    async def _early_media(self, call_uuid: str, effect: wanted.EarlyMedia) -> None:
        self._board.post_leg(call_uuid, await self._board.lines.pre_answer(call_uuid, effect.room))

    async def _tell(self, call_uuid: str, effect: wanted.Tell) -> None:
        self._board.post_leg(effect.call_uuid, effect.message)

    async def _begin_tap(self, call_uuid: str, effect: effects.BeginTap) -> Answer:
        recording_id = effect.recording.id
        return await self._board.taps.begin(
            effect,
            lambda reason, begun: self._board.post_leg(call_uuid, LegRecordingBroke(recording_id, reason, begun)),
        )

    async def _join_conference(self, call_uuid: str, effect: wanted.JoinConference) -> None:
        self._board.conferences.join(call_uuid, effect.element)

    async def _leave_conference(self, call_uuid: str, effect: wanted.LeaveConference) -> None:
        self._board.conferences.leave(call_uuid)
