"""What is live, and what it stands on: the tables of multiparty calls and legs, their mailboxes, the ports. A shell.

Whoever carries a decision out has this in hand; :mod:`mixminus.calls.service` is the switchboard that decides.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypedDict, Unpack

import structlog

from mixminus.calls.books import Books
from mixminus.calls.commands import Requester
from mixminus.calls.document.elements import ConferenceElement
from mixminus.calls.effects import CreateLeg, Join
from mixminus.calls.finishing import Finishing
from mixminus.calls.leg.effects import PlaceOrder
from mixminus.calls.leg.machine import Leg
from mixminus.calls.live_taps import LiveTaps
from mixminus.calls.mailbox import Mailbox
from mixminus.calls.mpc.draft import MultiPartyCall
from mixminus.calls.ports import Documents, Lines, Media, Recorder, Store, Timers
from mixminus.calls.sounds.players import Players, Sounds
from mixminus.clock import Clock
from mixminus.errors import NotFound
from mixminus.ids import Mint
from mixminus.store.rows import RecordingRow

log = structlog.get_logger(__name__)


class MpcOver(NotFound):
    """The multiparty call ended while the message waited in its mailbox."""


class LiveMpc:
    """A multiparty call's mailbox and state. ``state`` is None before its first command and after its last."""

    def __init__(self, uuid: str, handle: Callable[[LiveMpc, Any], Coroutine[Any, Any, Any]]) -> None:
        self.uuid = uuid
        self.state: MultiPartyCall | None = None
        self.over = False
        self.mailbox: Mailbox[Any] = Mailbox(lambda message: handle(self, message))
        self.cancel_timer: Callable[[], None] = lambda: None


class LiveLeg:
    """A leg's mailbox and state."""

    def __init__(self, uuid: str, handle: Callable[[LiveLeg, Any], Coroutine[Any, Any, Any]]) -> None:
        self.uuid = uuid
        self.state: Leg | None = None
        self.mailbox: Mailbox[Any] = Mailbox(lambda message: handle(self, message))
        self.mpc_uuid = ""
        """Where it is, or has asked to enter."""
        self.timers: dict[str, Callable[[], None]] = {}


class ConferenceDoor(Protocol):
    """The conferences, as a leg sees them."""

    def join(self, call_uuid: str, element: ConferenceElement) -> None:
        """Ask to be let in; the answer is posted to the leg."""

    def leave(self, call_uuid: str) -> None:
        """The leg has gone by itself."""


class BoardPorts(TypedDict):
    """What the calls need of the rest of the server."""

    store: Store
    media: Media
    lines: Lines
    recorder: Recorder
    documents: Documents
    sounds: Sounds
    timers: Timers
    clock: Clock
    mint: Mint


class Switchboard(ABC):
    """Owns all live calls. Machines tell each other things by posting; nobody waits for another's turn."""

    conferences: ConferenceDoor

    def __init__(self, **ports: Unpack[BoardPorts]) -> None:
        self.store, self.media, self.lines = ports["store"], ports["media"], ports["lines"]
        self.recorder, self.documents = ports["recorder"], ports["documents"]
        self.timers, self.clock, self.mint = ports["timers"], ports["clock"], ports["mint"]
        self.players = Players(self.media, ports["sounds"])
        self.books = Books(self.store, self.timers, self.spawn)
        self.finishing = Finishing(self.recorder, self.books, self.clock, self.mint, self._later)
        self.taps = LiveTaps(self.media, self.recorder, self.finish_recording)
        self.mpcs: dict[str, LiveMpc] = {}
        self.names: dict[tuple[str, str, str], str] = {}
        """(account, sub-account, friendly name) → uuid of the live multiparty call."""
        self.legs: dict[str, LiveLeg] = {}
        self.draining = False
        self.overloaded: Callable[[], str] = lambda: ""
        """Why no call can be placed for now; empty when it can."""
        self._tasks: set[asyncio.Task[Any]] = set()

    @abstractmethod
    async def handle_mpc(self, live: LiveMpc, message: Any) -> Any:
        """Decide on one message of a multiparty call, and carry that out."""

    @abstractmethod
    async def handle_leg(self, live: LiveLeg, message: Any) -> Any:
        """Decide on one message of a leg, and carry that out."""

    # -- posting

    def new_leg(self, call_uuid: str) -> LiveLeg:
        live = self.legs[call_uuid] = LiveLeg(call_uuid, self.handle_leg)
        return live

    def create_leg(self, order: CreateLeg | PlaceOrder) -> asyncio.Future[Any]:
        return self.new_leg(order.call_uuid).mailbox.post(order)

    def post_leg(self, call_uuid: str, message: Any) -> None:
        """Tell a leg what happened to it. A leg that is over hears nothing."""
        if call_uuid in self.legs:
            self.legs[call_uuid].mailbox.post(message)

    def post_mpc(self, uuid: str, message: Any) -> asyncio.Future[Any]:
        """Tell a multiparty call; the future has the result. Makes its mailbox if there is none."""
        if uuid not in self.mpcs:
            self.mpcs[uuid] = LiveMpc(uuid, self.handle_mpc)
        return self.mpcs[uuid].mailbox.post(message)

    def finish_recording(self, row: RecordingRow) -> None:
        """Make the file of a closed spool and announce it, in a task of its own."""
        self.spawn(self.finishing.finish(row))

    def _later(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.timers.call_later(seconds, lambda: self.spawn(work()))

    # -- names

    def room_of(self, by: Requester, join: Join) -> str:
        """The uuid, which is the room, of the multiparty call a leg wants; a name without one gets a fresh uuid."""
        return join.uuid or self.claim(by, join.name)

    def claim(self, by: Requester, name: str) -> str:
        """The uuid of the multiparty call of that name, made if it is new."""
        key = (by.account, by.sub_account, name)
        if key not in self.names:
            self.names[key] = self.mint.uuid()
        return self.names[key]

    # -- tasks

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run ``work`` beside everything else; an exception it lets out is logged."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task failed", exc_info=task.exception())
