"""The one door for change: command → decide → commit → effects → answer. A shell around the pure machines.

Every multiparty call and every leg has a mailbox, so that one decision on it is complete, effects included, before the
next begins; different calls go side by side and share commits. Machines tell each other things by posting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Unpack, get_args

import msgspec

from mixminus.calls import recording
from mixminus.calls.commands import (
    AddParticipant,
    Callback,
    Command,
    DeleteRecording,
    Done,
    MpcRef,
    Requester,
    Result,
)
from mixminus.calls.conference.book import Conferences
from mixminus.calls.decision import Decision, Ledger
from mixminus.calls.effects import MpcEffect
from mixminus.calls.events import AsyncResponse
from mixminus.calls.inputs import Enter, HangUp, KeyPressed, ShutDown, Speaking
from mixminus.calls.leg import machine as legs
from mixminus.calls.leg.carry_out import LegEffects
from mixminus.calls.leg.door import CALL_COMMANDS, LEG_COMMANDS, CallDoor, OtherCommand, wants_speech
from mixminus.calls.leg.inputs import KeyOnLeg, SpeakingOnLeg
from mixminus.calls.leg.machine import Incoming
from mixminus.calls.mailbox import Mailbox
from mixminus.calls.model import HangupCause, HangupSource
from mixminus.calls.mpc import machine as multiparty_call
from mixminus.calls.mpc.carry_out import MpcEffects
from mixminus.calls.mpc.draft import Context, MultiPartyCall
from mixminus.calls.recovery import end_call, end_interrupted, rebuild, stop_orphan
from mixminus.calls.switchboard import BoardPorts, LiveLeg, LiveMpc, MpcOver, Switchboard
from mixminus.errors import Conflict, NotFound
from mixminus.media.protocol import TapFailed
from mixminus.recording import retention
from mixminus.store.rows import CallRow, MpcRow, RecordingRow


class Service(Switchboard):
    """Everything that changes a live call comes through here, on one event loop."""

    conferences: Conferences

    def __init__(self, **ports: Unpack[BoardPorts]) -> None:
        super().__init__(**ports)
        self.recording_defaults: Mapping[str, Any] = {}
        """Settings of recordings whose request says nothing else: ``tracks``, ``pause_as``."""
        self._quiet = asyncio.Event()
        """Set when the last live call has gone."""
        self._mpc_effects = MpcEffects(self)
        self._leg_effects = LegEffects(self)
        self.conferences = Conferences(self)
        self.calls = CallDoor(self, self.conferences)

    # -- the door -------------------------------------------------------------------------------------------------

    async def apply(self, command: Command | OtherCommand) -> Any:
        """Do what the API asks; returns once it is committed and done.

        Raises:
            RequestError: it cannot be done; nothing has changed.
            StorageError: it could not be written; nothing has changed.
        """
        if isinstance(command, DeleteRecording):
            return await self._delete_recording(command)
        if isinstance(command, CALL_COMMANDS):
            return await self.calls.apply(command)
        while True:
            wanted = self._prepare_add(command) if isinstance(command, AddParticipant) else command
            try:
                result: Result = await self.post_mpc(self._resolve_for(wanted), wanted)
            except MpcOver:
                continue  # it ended while the command waited its turn: the name may mean another call now
            return result

    def incoming(self, call: Incoming) -> None:
        """A new inbound call. The lines know it by ``call.call_uuid``."""
        self.new_leg(call.call_uuid).mailbox.post(call)

    def key_pressed(self, call_uuid: str, key: str) -> None:
        self._tell_mpc_of(call_uuid, KeyPressed(call_uuid, key))
        self.post_leg(call_uuid, KeyOnLeg(key))

    def speaking(self, call_uuid: str, on: bool) -> None:
        self._tell_mpc_of(call_uuid, Speaking(call_uuid, on))
        if call_uuid in self.legs and wants_speech(self.legs[call_uuid].state):
            self.post_leg(call_uuid, SpeakingOnLeg(on))

    def tap_failed(self, event: TapFailed) -> None:
        self.taps.failed(event)

    async def deliver_async(self, url: str, method: str, body: dict[str, Any], by: Requester) -> None:
        """Owe the real answer of an asynchronous request to the ``callback_url`` it named."""
        ledger = Ledger(self.mint, self.clock.now().wall)
        event = AsyncResponse(api_id=str(body.get("api_id", "")), response=msgspec.json.encode(body).decode())
        callback = Callback(url, "GET" if method == "GET" else "POST")
        ledger.owe(callback, event, subject=event.api_id, account=by.account, sub_account=by.sub_account)
        await self.books.command(Decision(None, (), ledger.outbox))

    def _tell_mpc_of(self, call_uuid: str, message: object) -> None:
        live = self.legs.get(call_uuid)
        if live is not None and live.mpc_uuid in self.mpcs:
            self.post_mpc(live.mpc_uuid, message)

    # -- names ----------------------------------------------------------------------------------------------------

    def _live_name(self, by: Requester, name: str) -> str:
        """uuid of the live multiparty call of that name; the main account sees those of its sub-accounts too."""
        uuid = self.names.get((by.account, by.sub_account, name), "")
        if not uuid and not by.sub_account:
            uuid = next((u for (account, _, n), u in self.names.items() if account == by.account and n == name), "")
        return uuid

    def _resolve_for(self, command: Any) -> str:
        """The uuid a command goes to; Add Participant has its own already, which need not be live yet."""
        if isinstance(command, AddParticipant):
            return command.mpc.uuid
        return self._resolve(command.by, command.mpc)

    def _resolve(self, by: Requester, ref: MpcRef) -> str:
        if ref.either:
            found = self._visible(by, ref.either) or self._live_name(by, ref.either)
        else:
            found = self._visible(by, ref.uuid) if ref.uuid else self._live_name(by, ref.name)
        if not found:
            raise NotFound(f"no live multiparty call {ref.uuid or ref.name or ref.either!r}")
        return found

    def _visible(self, by: Requester, uuid: str) -> str:
        live = self.mpcs.get(uuid)
        if live is None or live.state is None:
            return ""
        return uuid if _owns(by, live.state.row) else ""

    def _prepare_add(self, command: AddParticipant) -> AddParticipant:
        """Say which call is meant, making its uuid if the name is new; check the leg to be moved."""
        if self.draining:
            raise Conflict("the server is shutting down and takes no new calls")
        if command.dial is not None and (why := self.overloaded()):
            raise Conflict(why)
        if command.call_uuid:
            live = self.legs.get(command.call_uuid)
            if live is None or live.state is None or not _owns(command.by, live.state.row):
                raise NotFound(f"call_uuid: no live call {command.call_uuid!r}")
        try:
            uuid = self._resolve(command.by, command.mpc)
        except NotFound:
            if command.mpc.uuid:
                raise
            uuid = self.claim(command.by, command.mpc.name or command.mpc.either)
        name = command.mpc.name or command.mpc.either
        return msgspec.structs.replace(command, mpc=MpcRef(name=name, uuid=uuid))

    # -- the multiparty calls' mailboxes --------------------------------------------------------------------------

    async def handle_mpc(self, live: LiveMpc, message: Any) -> Any:
        if live.over:
            raise MpcOver(f"multiparty call {live.uuid} has ended")
        try:
            decision = await self._decide_mpc(live, message)
            await self._mpc_effects.run(live.uuid, decision.effects)
        finally:
            if live.state is None:
                self._drop(live)
        return decision.result

    async def _decide_mpc(self, live: LiveMpc, message: Any) -> Decision[MultiPartyCall, MpcEffect]:
        member_id = await self.store.next_member_id() if isinstance(message, Enter) else ""
        context = Context(self.clock.now().wall, self.mint, lambda: member_id, self.recording_defaults)
        decision = multiparty_call.decide(live.state, message, context)
        if isinstance(message, _COMMANDS):
            await self.books.command(decision)
        else:
            await self.books.fact(decision)
        live.state = decision.state
        return decision

    def _drop(self, live: LiveMpc) -> None:
        """A call that is over, or never began, leaves the tables; what still waits in its mailbox learns so."""
        live.over = True
        live.cancel_timer()
        if self.mpcs.get(live.uuid) is live:
            del self.mpcs[live.uuid]
        for key in [key for key, claimed in self.names.items() if claimed == live.uuid]:
            del self.names[key]
        self._note_quiet()

    def _note_quiet(self) -> None:
        if not self.mpcs and not self.legs:
            self._quiet.set()

    # -- the legs' mailboxes --------------------------------------------------------------------------------------

    async def handle_leg(self, live: LiveLeg, message: Any) -> Any:
        if live.uuid not in self.legs:
            return None
        decision = legs.decide(live.state, message, self.clock.now().wall, self.mint)
        if isinstance(message, LEG_COMMANDS):
            await self.books.command(decision)
        else:
            await self.books.fact(decision)
        live.state = decision.state
        await self._leg_effects.run(live.uuid, decision.effects)
        if live.state is None:
            del self.legs[live.uuid]
            self._note_quiet()
        return decision.result

    # -- recordings ---------------------------------------------------------------------------------------------

    async def _delete_recording(self, command: DeleteRecording) -> Done:
        by = command.by.sub_account or command.by.account
        row = await self.store.recording(command.recording_id)
        mine = row is not None and row.account == command.by.account
        if row is None or not mine or row.deleted_at or command.by.sub_account not in ("", row.sub_account):
            raise NotFound(f"no recording {command.recording_id!r}")
        if row.state not in recording.OVER:
            raise Conflict(f"recording {row.id} is {row.state}; stop it and wait for its file before deleting it")
        why_not = await self.recorder.held(row)
        if why_not:
            raise Conflict(f"recording {row.id} cannot be deleted: {why_not}")
        now = self.clock.now().wall
        deleted, left = (
            msgspec.structs.replace(row, deleted_at=now, file=""),
            retention.receipt(row, now, "request", by),
        )
        await self.books.command(Decision(None, (deleted, left)))
        await self.recorder.delete(left)
        return Done(row.mpc_uuid, row.mpc_name)

    # -- start and end --------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """After a crash: end what was live, finish every open recording. Returns once that is committed and under
        way.
        """
        now = self.clock.now().wall
        members = await self.store.members_present()
        unfinished = {row.id: row for row in await self.store.unfinished_recordings()}
        for row in await self.store.live_mpcs():
            running = next((r for r in unfinished.values() if r.mpc_uuid == row.id and r.state in recording.LIVE), None)
            state = rebuild(row, (member for member in members if member.mpc_uuid == row.id), running)
            decision = end_interrupted(state, Context(now, self.mint, lambda: ""))
            await self.books.fact(decision)
            unfinished.update({saved.id: saved for saved in decision.rows if isinstance(saved, RecordingRow)})
        for call in await self.store.live_calls():
            await self.books.fact(Decision(None, (end_call(call, now),)))
        for unclosed in unfinished.values():
            stopped = unclosed
            if unclosed.state in recording.LIVE:
                stopped, orphan = stop_orphan(unclosed, self.mint, now)
                await self.books.fact(orphan)
            self.finish_recording(stopped)

    async def drain(self, seconds: float) -> None:
        """Take no new calls, give those that are live ``seconds`` to end, then end them and finish every recording."""
        self.draining = True
        if self.mpcs or self.legs:
            self._quiet.clear()
            cancel = self.timers.call_later(seconds, self._quiet.set)
            await self._quiet.wait()
            cancel()
        await self.end_everything()

    async def end_everything(self) -> None:
        """End every call now; returns when every recording is announced."""
        self.draining = True
        for uuid in list(self.mpcs):
            self.post_mpc(uuid, ShutDown())
        for call_uuid in list(self.legs):
            self.post_leg(call_uuid, HangUp(HangupCause.NORMAL_HANGUP, HangupSource.PLIVO))
        await self.settle()

    def _mailboxes(self) -> list[Mailbox[Any]]:
        return [live.mailbox for live in self.mpcs.values()] + [live.mailbox for live in self.legs.values()]

    async def settle(self) -> None:
        """Wait until no call is being changed and no recording is being finished."""
        while self._tasks or not (self.conferences.idle and all(mailbox.idle for mailbox in self._mailboxes())):
            if self._tasks:
                await asyncio.wait(self._tasks)
            else:
                await asyncio.sleep(0)


def _owns(by: Requester, row: MpcRow | CallRow) -> bool:
    """A main account owns its sub-accounts' things too, a sub-account only its own."""
    return by.account == row.account and by.sub_account in ("", row.sub_account)


_COMMANDS = get_args(Command)
