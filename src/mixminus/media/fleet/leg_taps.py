"""Recordings of single legs, which go where their leg goes. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping

from msgspec.structs import replace

from mixminus.media.protocol import (
    Command,
    Event,
    OpenLeg,
    PauseTap,
    ResumeTap,
    StartTap,
    StopTap,
    TapClosed,
    TapFailed,
    TapOpened,
)


class LegTaps:
    """Taps of legs as they were last asked for, until they have ended."""

    def __init__(self) -> None:
        self._taps: dict[str, StartTap] = {}

    def __len__(self) -> int:
        return len(self._taps)

    def sent(self, command: Command) -> None:
        """``command`` is on its way to a worker."""
        match command:
            case StartTap() if command.leg:
                self._taps[command.tap] = command
            case PauseTap() | ResumeTap() if command.tap in self._taps:
                self._taps[command.tap] = replace(self._taps[command.tap], paused=isinstance(command, PauseTap))
            case StopTap() if not command.elsewhere:
                self._taps.pop(command.tap, None)

    def refused(self, command: Command) -> None:
        if isinstance(command, StartTap):
            self._taps.pop(command.tap, None)

    def observed(self, event: Event) -> None:
        match event:
            case TapOpened() if event.tap in self._taps:
                self._taps[event.tap] = replace(self._taps[event.tap], least_rate=event.rate)
            case TapFailed() if event.writing:
                pass
            case TapClosed() | TapFailed():
                self._taps.pop(event.tap, None)

    def of(self, leg: str) -> list[str]:
        """Names of a leg's taps."""
        return [name for name, tap in self._taps.items() if tap.leg == leg]

    def again(self, tap: str, legs: Mapping[str, OpenLeg]) -> StartTap:
        """What opens a tap anew beside its leg, if that is among ``legs``."""
        asked = self._taps[tap]
        return replace(asked, room=legs[asked.leg].room) if asked.leg in legs else without_its_leg(asked, legs)


def without_its_leg(tap: StartTap, legs: Container[str]) -> StartTap:
    """A tap whose leg is closed goes on, silent: what opens it anew when its worker was replaced."""
    return replace(tap, leg="", heard=False, hear=0) if tap.leg and tap.leg not in legs else tap
