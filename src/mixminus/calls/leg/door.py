"""What the API asks of calls: placing them, and commands to live ones. A shell beside the service."""

from __future__ import annotations

from typing import Any, TypeAlias, get_args

import msgspec

from mixminus.calls.commands import Callback, Requester
from mixminus.calls.conference.book import Conferences
from mixminus.calls.conference.commands import ConferenceCommand
from mixminus.calls.document.elements import DEFAULT_TIME_LIMIT
from mixminus.calls.inputs import HangUp
from mixminus.calls.leg.effects import Origin, PlaceOrder
from mixminus.calls.leg.inputs import CallCommand
from mixminus.calls.leg.rooms import private_room
from mixminus.calls.leg.state import Leg, Meeting, Taking
from mixminus.calls.model import HangupCause, HangupSource
from mixminus.calls.switchboard import Switchboard
from mixminus.errors import Conflict, NotFound


class CreateCalls(msgspec.Struct, frozen=True, kw_only=True):
    """Place calls, each its own, that run ``answer`` when they are answered. Result: :class:`CallsCreated`."""

    by: Requester
    from_: str
    to: tuple[str, ...]
    answer: Callback
    caller_name: str = ""
    ring: Callback = Callback()
    hangup: Callback = Callback()
    fallback: Callback = Callback()
    ring_timeout: int = 120
    time_limit: int = DEFAULT_TIME_LIMIT
    hangup_on_ring: int | None = None
    sip_headers: tuple[tuple[str, str], ...] = ()
    send_digits: str = ""
    send_on_preanswer: bool = False


class CallsCreated(msgspec.Struct, frozen=True):
    """In the order of ``to``. A call's uuid is its request's."""

    request_uuids: tuple[str, ...]


class CancelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Hang up the call of a request, answered or not."""

    by: Requester
    request_uuid: str


class EndConferences(msgspec.Struct, frozen=True, kw_only=True):
    """End every conference of the requester's."""

    by: Requester


OtherCommand: TypeAlias = CallCommand | ConferenceCommand | CreateCalls | CancelRequest | EndConferences

LEG_COMMANDS = get_args(CallCommand)
CALL_COMMANDS = get_args(OtherCommand)


def wants_speech(leg: Leg | None) -> bool:
    """Whether it matters to this leg who speaks."""
    return leg is not None and isinstance(leg.task, Taking | Meeting)


class CallDoor:
    def __init__(self, board: Switchboard, conferences: Conferences) -> None:
        self._board = board
        self._conferences = conferences

    async def apply(self, command: OtherCommand) -> Any:
        """Raises RequestError when it cannot be done; nothing has changed then."""
        match command:
            case CreateCalls():
                return await self._create(command)
            case CancelRequest():
                return await self._cancel(command)
            case EndConferences():
                return await self._conferences.end_all(command.by)
        if isinstance(command, ConferenceCommand):
            return await self._conferences.apply(command)
        self._live(command.by, command.call_uuid)
        return await self._board.legs[command.call_uuid].mailbox.post(command)

    def _live(self, by: Requester, call_uuid: str) -> Leg:
        live = self._board.legs.get(call_uuid)
        state = live.state if live is not None else None
        if state is None or not _sees(by, state):
            raise NotFound(f"no live call {call_uuid!r}")
        return state

    async def _create(self, command: CreateCalls) -> CallsCreated:
        if self._board.draining:
            raise Conflict("the server is shutting down and takes no new calls")
        if why := self._board.overloaded():
            raise Conflict(why)
        uuids = tuple(self._board.mint.uuid() for _ in command.to)
        for call_uuid, to in zip(uuids, command.to, strict=True):
            await self._board.create_leg(_order(command, call_uuid, to))
        return CallsCreated(uuids)

    async def _cancel(self, command: CancelRequest) -> None:
        states = [live.state for live in self._board.legs.values() if live.state is not None]
        mine = [
            state for state in states if state.row.request_uuid == command.request_uuid and _sees(command.by, state)
        ]
        if not mine:
            raise NotFound(f"no live call of request {command.request_uuid!r}")
        for state in mine:
            if not state.is_callee:
                message = HangUp(HangupCause.NORMAL_HANGUP, HangupSource.API_REQUEST)
                await self._board.legs[state.row.id].mailbox.post(message)


def _sees(by: Requester, leg: Leg) -> bool:
    return leg.row.account == by.account and by.sub_account in ("", leg.row.sub_account)


def _order(command: CreateCalls, call_uuid: str, to: str) -> PlaceOrder:
    return PlaceOrder(
        call_uuid=call_uuid,
        request_uuid=call_uuid,
        by=command.by,
        hangup=command.hangup,
        origin=Origin(
            to=to,
            from_=command.from_,
            caller_name=command.caller_name or command.from_,
            room=private_room(call_uuid),
            ring_timeout=float(command.ring_timeout),
            sip_headers=command.sip_headers,
            send_digits=command.send_digits,
            send_on_preanswer=command.send_on_preanswer,
            answer=command.answer,
            fallback=command.fallback,
            ring=command.ring,
            time_limit=float(command.time_limit),
            hangup_on_ring=None if command.hangup_on_ring is None else float(command.hangup_on_ring),
        ),
    )
