"""What one worker is supposed to be doing: enough to make a new one do the same. Pure.

Commands enter when the worker has accepted them, events as they come; :meth:`Mirror.replay` is what a replacement is
told, and :meth:`Mirror.lost` what its clients are told in place of events that can no longer come.
"""

from __future__ import annotations

from msgspec.structs import asdict, replace

from mixminus.media.fleet.leg_taps import without_its_leg
from mixminus.media.protocol import (
    Address,
    CloseLeg,
    Command,
    DigitsSent,
    Event,
    GetStats,
    LegLatched,
    MoveLeg,
    OpenLeg,
    PauseTap,
    Play,
    PlayEnded,
    ResumeTap,
    SendDigits,
    SetGainControl,
    SetHearing,
    SpeakStart,
    SpeakStop,
    StartTap,
    StopPlay,
    StopTap,
    TapClosed,
    TapFailed,
    TapOpened,
    UpdateLeg,
)


class Mirror:
    """Desired state of one worker."""

    def __init__(self) -> None:
        self.legs: dict[str, OpenLeg] = {}
        self.latched: dict[str, Address] = {}
        self.players: dict[str, Play] = {}
        self.taps: dict[str, StartTap] = {}
        self.failed_taps: set[str] = set()
        """Told as TapFailed, written to no more, and not stopped yet."""
        self._closing: dict[str, tuple[StartTap, StopTap]] = {}
        self._speaking: set[str] = set()
        self._dialling: dict[str, int] = {}

    def rooms(self) -> set[str]:
        """Rooms that have a leg, a player or a tap."""
        holders: list[OpenLeg | Play | StartTap] = [*self.legs.values(), *self.players.values()]
        holders += [*self.taps.values(), *(tap for tap, _ in self._closing.values())]
        return {holder.room for holder in holders}

    def accepted(self, command: Command) -> None:
        """The worker carried out ``command``."""
        match command:
            case OpenLeg():
                self.legs[command.leg] = command
            case UpdateLeg():
                self.legs[command.leg] = replace(self.legs[command.leg], **asdict(command))
                self.latched.pop(command.leg, None)
            case MoveLeg():
                self.legs[command.leg] = replace(self.legs[command.leg], **asdict(command))
            case CloseLeg():
                self.forget(command.leg)
            case SetHearing():
                for row in (row for row in command.legs if row.leg in self.legs):
                    self.legs[row.leg] = replace(self.legs[row.leg], talk=row.talk, hear=row.hear)
            case SetGainControl():
                if command.leg in self.legs:
                    self.legs[command.leg] = replace(self.legs[command.leg], agc=command.on)
            case SendDigits():
                self._dialling[command.leg] = self._dialling.get(command.leg, 0) + 1
            case GetStats():
                pass
            case _:
                self._accepted_source_or_tap(command)

    def _accepted_source_or_tap(self, command: Play | StopPlay | StartTap | PauseTap | ResumeTap | StopTap) -> None:
        match command:
            case Play():
                self.players[command.player] = command
            case StopPlay():
                if command.player in self.players:  # PlayEnded follows; until then it must not begin anew
                    self.players[command.player] = replace(self.players[command.player], loop=False)
            case StartTap():
                self.taps[command.tap] = command
                self.failed_taps.discard(command.tap)
            case PauseTap() | ResumeTap():
                self.taps[command.tap] = replace(self.taps[command.tap], paused=isinstance(command, PauseTap))
            case StopTap():
                tap = self.taps.pop(command.tap)
                if command.tap not in self.failed_taps:
                    self._closing[command.tap] = tap, command
                self.failed_taps.discard(command.tap)

    def observed(self, event: Event) -> None:
        """The worker told ``event``. One about something already gone changes nothing."""
        match event:
            case LegLatched():
                if event.leg in self.legs:
                    self.latched[event.leg] = event.remote
            case SpeakStart():
                self._speaking.add(event.leg)
            case SpeakStop():
                self._speaking.discard(event.leg)
            case PlayEnded():
                self.players.pop(event.player, None)
            case DigitsSent():
                self._dialled(event.leg)
            case TapOpened() if event.tap in self.taps:
                self.taps[event.tap] = replace(self.taps[event.tap], least_rate=event.rate)
            case TapClosed():
                self._closing.pop(event.tap, None)
            case TapFailed() if not event.writing:
                self._closing.pop(event.tap, None)
                if event.tap in self.taps:
                    self.failed_taps.add(event.tap)

    def lost(self, now_ns: int) -> list[Event]:
        """The worker is gone: the ends of what it cannot end any more. Prompts under way are not started again."""
        ended: list[Event] = [SpeakStop(leg=leg, at_ns=now_ns) for leg in sorted(self._speaking)]
        ended += [PlayEnded(player=name, at_ns=now_ns) for name, play in self.players.items() if not play.loop]
        ended += [DigitsSent(leg=leg, at_ns=now_ns) for leg, runs in self._dialling.items() for _ in range(runs)]
        for event in ended:
            self.observed(event)
        return ended

    def replay(self) -> list[Command]:
        """Commands that bring a fresh worker to this state.

        A leg whose peer had latched is keyed to the address it was heard from. A tap that was being closed is opened
        again, paused, and stopped: it gains no sample, and TapClosed comes after all.
        """
        commands: list[Command] = [self.leg_now(leg) for leg in self.legs]
        commands += [play for play in self.players.values() if play.loop]
        commands += [without_its_leg(tap, self.legs) for tap in self.taps.values() if tap.tap not in self.failed_taps]
        for tap, stopping in self._closing.values():
            commands += [without_its_leg(replace(tap, paused=True), self.legs), stopping]
        return commands

    def leg_now(self, leg: str) -> OpenLeg:
        """What opens a leg anew as it is: one whose peer has latched is keyed to where it was heard from."""
        opening, remote = self.legs[leg], self.latched.get(leg)
        if remote is None:
            return opening
        rtcp = remote if opening.rtcp is not None and opening.rtcp == opening.remote else opening.rtcp
        return replace(opening, remote=remote, rtcp=rtcp, latch_hosts=())

    def left(self, leg: str, now_ns: int) -> list[Event]:
        """A leg goes to another worker: the ends of what it leaves behind."""
        ended: list[Event] = [SpeakStop(leg=leg, at_ns=now_ns)] if leg in self._speaking else []
        ended += [DigitsSent(leg=leg, at_ns=now_ns)] * self._dialling.get(leg, 0)
        return ended

    def fail(self, tap: StartTap) -> None:
        """A tap that the worker does not have any more failed: nothing can be told to it."""
        self.taps[tap.tap] = tap
        self.failed_taps.add(tap.tap)

    def forget(self, leg: str) -> None:
        """The leg is gone; one that is not there is fine."""
        self.legs.pop(leg, None)
        self.latched.pop(leg, None)
        self._speaking.discard(leg)
        self._dialling.pop(leg, None)

    def _dialled(self, leg: str) -> None:
        left = self._dialling.get(leg, 0) - 1
        if left > 0:
            self._dialling[leg] = left
        else:
            self._dialling.pop(leg, None)
