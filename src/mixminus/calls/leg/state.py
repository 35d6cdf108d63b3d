"""A live call leg, and the draft in which one decision on it is made. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from mixminus.calls.commands import Callback, Requester
from mixminus.calls.decision import Decision, Ledger
from mixminus.calls.document.elements import (
    CollectElement,
    ConferenceElement,
    DialElement,
    Element,
    Prompt,
    RecordElement,
    SpeakElement,
    WaitElement,
)
from mixminus.calls.effects import Fetch, Join, Wake
from mixminus.calls.events import CallEvent, DocumentRequest, RecordedSound
from mixminus.calls.leg.effects import LegEffect, Origin, Seat, StartPrompt, StopPrompt
from mixminus.calls.leg.rooms import ASIDE_A, ASIDE_B, HEAR_A, HEAR_B, TALK, private_room
from mixminus.calls.sounds.program import PlayItem, Program, SpeakItem, WaitItem
from mixminus.calls.sounds.request import AnyProgram
from mixminus.ids import Mint
from mixminus.store.rows import CallRow, RecordingRow

Phase: TypeAlias = Literal[
    "fetching", "delayed", "dialling", "picking_up", "joining", "in_mpc", "running", "confirming", "ready", "connected"
]
"""``running``: an element of its document waits for something. The last three are a dialled leg's: it is asked for a
key, waits to be wanted, is connected.
"""


class Prompting(msgspec.Struct, frozen=True):
    """``Speak``, ``Play``, ``PreAnswer``: until the prompt is over."""

    player: str
    early: tuple[Prompt, ...] = ()
    """What is to be played once the unanswered caller can hear."""


class Waiting(msgspec.Struct, frozen=True):
    """``Wait``."""


class Collecting(msgspec.Struct, frozen=True):
    """``GetDigits``, ``GetInput``."""

    element: CollectElement
    player: str = ""
    """Set while a prompt plays."""
    digits: str = ""
    round: int = 1
    invalid: bool = False
    """The prompt that plays says that a key was not a valid one."""


class Taking(msgspec.Struct, frozen=True):
    """``Record``: the beep, then the recording."""

    element: RecordElement
    player: str = ""
    row: RecordingRow | None = None


class Dialling(msgspec.Struct, frozen=True):
    """``Dial``."""

    element: DialElement
    callees: tuple[str, ...]
    """Call uuids that have not come to nothing."""
    dialled: tuple[str, ...]
    """All, in the order of the targets."""
    player: str = ""
    rang: bool = False
    winner: str = ""
    connected_at: datetime | None = None
    pressed: tuple[str, str] = ("", "")
    """What the caller and the callee have pressed lately, for digit patterns."""


class Meeting(msgspec.Struct, frozen=True):
    """``Conference``. ``uuid`` once admitted."""

    element: ConferenceElement
    uuid: str = ""
    member_id: str = ""
    pressed: str = ""
    sound: RecordedSound | None = None
    """The recording that ran when it entered."""


Task: TypeAlias = Prompting | Waiting | Collecting | Taking | Dialling | Meeting


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One live call leg."""

    row: CallRow
    phase: Phase
    by: Requester
    room: str
    """Where it sits while it is in no multiparty call or conference: its private room, or its caller's."""
    elements: tuple[Element, ...] = ()
    """What is left of its document."""
    from_xml: bool = False
    """It runs documents, and so goes on with its own when it is let go."""
    kind: str = "answer"
    """What the document came from: ``answer``, ``action``, ``transfer``, ``redirect``."""
    task: Task | None = None
    join: Join | None = None
    """The multiparty call it is in or on its way into."""
    origin: Origin | None = None
    """Of an outgoing leg."""
    peer: str = ""
    """Call uuid of the leg it is connected to."""
    seated: bool = False
    """Its media sits in ``room``, with the channels of a leg that is talked to."""
    early: bool = False
    """The unanswered caller can hear."""
    recordings: tuple[RecordingRow, ...] = ()
    """Those that run, whoever began them."""
    on_dial_answer: RecordElement | None = None
    plays: tuple[tuple[str, str, bool], ...] = ()
    """What the API plays here: kind, player, and whether it replaces the other voices."""
    serial: int = 0
    """Of players and of document requests."""
    timers: dict[str, int] = {}
    """How often the timers of elements have been set."""
    hangup_callback: Callback = Callback()
    status_callback: Callback = Callback()
    headers: dict[str, str] = {}

    @property
    def answered(self) -> bool:
        return self.row.answered_at is not None

    @property
    def is_callee(self) -> bool:
        """Some leg of ours dialled it, and it is not on its own yet."""
        return self.origin is not None and bool(self.origin.parent)

    @property
    def aside(self) -> int:
        """The channel that only this leg hears."""
        return ASIDE_B if self.room != private_room(self.row.id) else ASIDE_A

    @property
    def hear(self) -> int:
        return HEAR_B if self.aside == ASIDE_B else HEAR_A


LegDecision: TypeAlias = Decision[Leg, LegEffect]
EventName: TypeAlias = Literal["Ring", "StartApp", "StatusChange", "Hangup", "Redirect"]
Timer: TypeAlias = Literal[
    "delay", "ring", "hangup", "element", "silence", "limit", "on_ring", "record", "play", "speak"
]


ELEMENT_TIMERS: tuple[Timer, ...] = ("element", "silence")


@dataclass
class Draft:
    """The leg while one decision is made."""

    leg: Leg
    now: datetime
    mint: Mint
    effects: list[LegEffect] = field(default_factory=list)
    over: bool = False
    proceed: bool = False
    """The element that ran is done: the document goes on when the handler returns."""
    result: object = None

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.mint, self.now)

    def change(self, **fields: object) -> None:
        self.leg = msgspec.structs.replace(self.leg, **fields)

    def change_row(self, **fields: object) -> None:
        self.change(row=msgspec.structs.replace(self.leg.row, **fields))
        self.ledger.save(self.leg.row)

    def do(self, *effects: LegEffect) -> None:
        self.effects.extend(effects)

    def wake(self, timer: Timer, seconds: float | None) -> None:
        self.do(Wake(timer, None if seconds is None else float(seconds), self._renew(timer)))

    def _renew(self, timer: Timer) -> int:
        """From now on the timer has another number, if it is one of an element's; 0 for the others."""
        if timer not in ELEMENT_TIMERS:
            return 0
        number = self.leg.timers.get(timer, 0) + 1
        self.change(timers={**self.leg.timers, timer: number})
        return number

    def next(self) -> None:
        """The element is done; a timer of its that has run out meanwhile is not heeded."""
        for timer in ELEMENT_TIMERS:
            self._renew(timer)
        self.change(task=None)
        self.proceed = True

    def report(
        self, callback: Callback, name: EventName, own: dict[str, str] | None = None, sound: RecordedSound | None = None
    ) -> None:
        """Owe ``callback`` the leg as it is now."""
        row = self.leg.row
        self.ledger.owe(
            callback,
            call_event(self.leg, name, self.now, own, sound),
            subject=row.id,
            account=row.account,
            sub_account=row.sub_account,
        )

    def fetch(
        self, callback: Callback, kind: str, request: DocumentRequest | None = None, fallback: Callback | None = None
    ) -> None:
        """Ask for a document; what is left of the present one is dropped when it comes."""
        name: EventName = "StartApp" if kind == "answer" else "Redirect"
        number = self.leg.serial + 1
        self.change(phase="fetching", task=None, serial=number, from_xml=True, kind=kind)
        wanted = request or call_event(self.leg, name, self.now)
        self.do(Fetch(callback, wanted, kind, fallback or Callback(), number))

    def act(self, action: Callback, redirect: bool, own: dict[str, str], sound: RecordedSound | None = None) -> None:
        """An element is done and its ``action`` is told: its answer is the new document, or (``redirect`` false) is
        ignored.
        """
        if action.url and redirect:
            self.fetch(action, "action", call_event(self.leg, "Redirect", self.now, own, sound))
            return
        self.report(action, "Redirect", own, sound)
        self.next()

    def seat(self) -> None:
        """Sit where prompts can be heard."""
        if not self.leg.seated:
            self.change(seated=True)
            self.do(Seat(self.leg.room, TALK, self.leg.hear))

    def prompt(self, program: AnyProgram, *, loop: bool = False) -> str:
        """Play to this leg alone; the player's name."""
        self.seat()
        player = f"{self.leg.row.id}:{self.leg.serial + 1}"
        self.change(serial=self.leg.serial + 1)
        self.do(StartPrompt(player, self.leg.room, program, self.leg.aside, loop))
        return player

    def hush(self, player: str) -> None:
        if player:
            self.do(StopPrompt(player))

    def finish(self) -> LegDecision:
        state = None if self.over else self.leg
        return Decision(state, self.ledger.rows, self.ledger.outbox, tuple(self.effects), self.result)


def call_event(
    leg: Leg,
    name: EventName,
    now: datetime,
    own: dict[str, str] | None = None,
    sound: RecordedSound | None = None,
) -> CallEvent:
    """The leg as it is now, for a callback or a document request."""
    row = leg.row
    return CallEvent(
        name=name,
        at=now,
        call_uuid=row.id,
        account=row.account,
        from_number=row.from_number,
        to_number=row.to_number,
        status=row.status,
        direction=row.direction,
        request_uuid=row.request_uuid,
        started_at=row.initiated_at,
        answered_at=row.answered_at,
        ended_at=row.ended_at,
        hangup_cause_code=row.hangup_cause_code,
        hangup_cause_name=row.hangup_cause_name,
        hangup_source=row.hangup_source,
        sip_headers=leg.headers,
        own=own or {},
        sound=sound,
    )


def program_of(prompts: tuple[Prompt, ...]) -> Program:
    """What a player plays for these elements."""
    return tuple(_item(prompt) for prompt in prompts)


def _item(prompt: Prompt) -> PlayItem | SpeakItem | WaitItem:
    if isinstance(prompt, SpeakElement):
        return SpeakItem(prompt.text, prompt.voice, prompt.language, prompt.loop)
    if isinstance(prompt, WaitElement):
        return WaitItem(float(prompt.seconds))
    return PlayItem(prompt.url, prompt.loop)
