"""Constant coming and going in a media engine, for soaks: joins, moves, mutes, recordings, sounds, keys. Pure."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from mixminus.media.protocol import (
    Address,
    CloseLeg,
    Command,
    Event,
    Hearing,
    MoveLeg,
    OpenLeg,
    PauseTap,
    Play,
    PlayEnded,
    ResumeTap,
    SendDigits,
    SetHearing,
    StartTap,
    StopPlay,
    StopTap,
    TapFailed,
)

Reserve = Callable[[str, str, Address], int]
"""Room, leg and address of its peer → local port."""


class Churn:
    """Thinks of commands that a worker must accept. Every name is used once.

    Attributes:
        legs: those that are open, as they were opened; their rooms are as of now.
        asked: commands so far.
    """

    def __init__(
        self,
        random: Random,
        reserve: Reserve,
        spool: Callable[[str], str],
        remotes: list[Address],
        *,
        rooms: int,
        most_taps: int = 16,
    ) -> None:
        """``remotes``: addresses of the peers there are; ``spool``: name of a tap → its folder."""
        self._random = random
        self._reserve, self._spool = reserve, spool
        self._rooms = [f"room-{number}" for number in range(rooms)]
        self._free = list(remotes)
        self._most_taps = most_taps
        self.legs: dict[str, OpenLeg] = {}
        self._taps: dict[str, bool] = {}
        """Whether they are paused."""
        self._players: set[str] = set()
        self._names = 0
        self.asked = 0
        self._kinds: list[tuple[int, Callable[[], Command | None]]] = [
            (6, self._join),
            (4, self._leave),
            (4, self._move),
            (6, self._mute),
            (4, self._start_tap),
            (2, self._start_leg_tap),
            (3, self._pause_or_resume),
            (3, self._stop_tap),
            (3, self._play),
            (2, self._stop_play),
            (2, self._dial),
        ]

    def step(self) -> Command:
        """The next change."""
        weights = [weight for weight, _ in self._kinds]
        while True:
            (kind,) = self._random.choices([kind for _, kind in self._kinds], weights)
            command = kind()
            if command is not None:
                self.asked += 1
                return command

    def end(self) -> list[Command]:
        """What closes all there is."""
        closing: list[Command] = [StopPlay(player) for player in sorted(self._players)]
        closing += [StopTap(tap) for tap in self._taps]
        closing += [CloseLeg(leg) for leg in self.legs]
        self._free += [leg.remote for leg in self.legs.values() if leg.remote is not None]
        self._players.clear()
        self._taps.clear()
        self.legs.clear()
        return closing

    def observed(self, event: Event) -> None:
        """The worker told ``event``."""
        match event:
            case PlayEnded():
                self._players.discard(event.player)
            case TapFailed():
                self._taps.pop(event.tap, None)

    def _name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}-{self._names}"

    def _any_leg(self) -> OpenLeg | None:
        return self._random.choice(list(self.legs.values())) if self.legs else None

    def _join(self) -> Command | None:
        if not self._free:
            return None
        remote = self._free.pop(self._random.randrange(len(self._free)))
        leg, room = self._name("leg"), self._random.choice(self._rooms)
        port = self._reserve(room, leg, remote)
        law = self._random.randrange(2)
        opening = OpenLeg(
            leg, room, port, remote, ("PCMU", "PCMA")[law], 8 * law, dtmf_payload_type=101, talk=1, hear=1, rtcp=remote
        )
        self.legs[leg] = opening
        return opening

    def _leave(self) -> Command | None:
        leg = self._any_leg()
        if leg is None:
            return None
        del self.legs[leg.leg]
        if leg.remote is not None:
            self._free.append(leg.remote)
        return CloseLeg(leg.leg)

    def _move(self) -> Command | None:
        leg = self._any_leg()
        return leg and self._moved(leg, self._random.choice(self._rooms))

    def _moved(self, leg: OpenLeg, room: str) -> Command:
        values = {name: getattr(leg, name) for name in leg.__struct_fields__}
        self.legs[leg.leg] = OpenLeg(**{**values, "room": room})
        return MoveLeg(leg.leg, room, 1, 1)

    def _mute(self) -> Command | None:
        leg = self._any_leg()
        return leg and SetHearing(leg.room, (Hearing(leg.leg, self._random.randrange(2), 1),))

    def _start_tap(self) -> Command | None:
        return self._tap("", self._random.choice(self._rooms))

    def _start_leg_tap(self) -> Command | None:
        leg = self._any_leg()
        return leg and self._tap(leg.leg, leg.room)

    def _tap(self, leg: str, room: str) -> Command | None:
        if len(self._taps) >= self._most_taps:
            return None
        tap = self._name("tap")
        self._taps[tap] = False
        return StartTap(
            tap, room, 0 if leg else 1, self._spool(tap), leg=leg, heard=bool(leg), tracks=not leg, notes=True
        )

    def _pause_or_resume(self) -> Command | None:
        if not self._taps:
            return None
        tap = self._random.choice(list(self._taps))
        self._taps[tap] = not self._taps[tap]
        return PauseTap(tap) if self._taps[tap] else ResumeTap(tap)

    def _stop_tap(self) -> Command | None:
        if not self._taps:
            return None
        tap = self._random.choice(list(self._taps))
        del self._taps[tap]
        return StopTap(tap)

    def _play(self) -> Command | None:
        if len(self._players) >= len(self._rooms):
            return None
        player = self._name("player")
        self._players.add(player)
        music = self._random.random() < 0.3
        return Play(player, self._random.choice(self._rooms), "music" if music else "beep:1", 1, loop=music)

    def _stop_play(self) -> Command | None:
        if not self._players:
            return None
        player = self._random.choice(sorted(self._players))
        self._players.discard(player)
        return StopPlay(player)

    def _dial(self) -> Command | None:
        leg = self._any_leg()
        return leg and SendDigits(leg.leg, self._random.choice("0123456789*#"))
