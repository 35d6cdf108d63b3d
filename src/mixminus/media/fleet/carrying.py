"""Recordings of single legs change their worker with their leg: the old one leaves the spool, the new one goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from mixminus.media.fleet.endpoint import WorkerEndpoint
from mixminus.media.fleet.leg_taps import LegTaps
from mixminus.media.protocol import (
    Command,
    Event,
    OpenLeg,
    PauseTap,
    ResumeTap,
    StartTap,
    Stats,
    StopTap,
    TapClosed,
    TapFailed,
)

TapOrder: TypeAlias = PauseTap | ResumeTap | StopTap
Answer: TypeAlias = "asyncio.Future[Stats | None]"


class _Waiting(NamedTuple):
    """Told to a tap that is between two workers."""

    command: TapOrder
    answer: Answer


class TapCarrier:
    """Taps of legs, and those of them that are between two workers."""

    def __init__(
        self,
        legs: Mapping[str, OpenLeg],
        *,
        worker_of: Callable[[str], WorkerEndpoint],
        put: Callable[[str, str], WorkerEndpoint],
        drop: Callable[[str], None],
        failed: Callable[[str, str], None],
    ) -> None:
        """``legs``: as they are now. ``worker_of(tap)``; ``put(tap, room)``: it is there now, on the worker returned;
        ``drop(tap)``; ``failed(tap, reason)``: tell everyone.
        """
        self._legs = legs
        self._worker_of, self._put, self._drop, self._failed = worker_of, put, drop, failed
        self._taps = LegTaps()
        self._between: dict[str, list[_Waiting]] = {}

    def sent(self, command: Command, answer: Answer) -> None:
        """A worker was told ``command``."""
        self._taps.sent(command)
        if isinstance(command, StartTap) and command.leg:
            answer.add_done_callback(lambda done: self._taps.refused(command) if done.exception() else None)

    def is_between(self, tap: str) -> bool:
        """Whether no worker can be told anything about ``tap`` now."""
        return tap in self._between

    def tell_later(self, command: TapOrder) -> Answer:
        """Have it carried out where the tap will be."""
        waiting = _Waiting(command, asyncio.get_running_loop().create_future())
        self._between[command.tap].append(waiting)
        return waiting.answer

    def leave(self, leg: str, old: WorkerEndpoint) -> None:
        """The leg is about to be closed on ``old``: its taps follow it."""
        for tap in self._taps.of(leg):
            if tap not in self._between:
                self._between[tap] = []
                old.submit(StopTap(tap, elsewhere=True)).add_done_callback(self._stay_if_refused(tap, old))

    def observed(self, event: Event) -> bool:
        """Take a worker's event; True: it was about the change alone, and is nobody else's."""
        if isinstance(event, TapClosed) and event.tap in self._between:
            self._go_on(event.tap)
            return True
        if isinstance(event, TapFailed) and not event.writing and event.tap in self._between:
            self._give_up(event.tap)
        self._taps.observed(event)
        return False

    def _stay_if_refused(self, tap: str, old: WorkerEndpoint) -> Callable[[Answer], None]:
        def check(done: Answer) -> None:
            if done.exception() and tap in self._between:
                for waiting in self._between.pop(tap):
                    _pass_on(old.submit(waiting.command), waiting.answer)

        return check

    def _go_on(self, tap: str) -> None:
        """The old worker has left the spool: open it where the leg is now, and tell it what it was told meanwhile."""
        start = self._taps.again(tap, self._legs)
        handle = self._put(tap, start.room)
        handle.submit(start).add_done_callback(
            lambda done: self._failed(tap, str(done.exception())) if done.exception() else None
        )
        for waiting in self._between.pop(tap):
            self._taps.sent(waiting.command)
            _pass_on(handle.submit(waiting.command), waiting.answer)

    def _give_up(self, tap: str) -> None:
        """The spool failed while its old worker closed it. There is nothing left that could be paused or stopped."""
        stopped = False
        for waiting in self._between.pop(tap):
            waiting.answer.set_result(None)
            stopped |= isinstance(waiting.command, StopTap)
        if stopped:
            self._drop(tap)
        else:
            self._worker_of(tap).mirror.fail(self._taps.again(tap, {}))


def _pass_on(answer: Answer, to: Answer) -> None:
    """What comes of ``answer`` comes of ``to``, if somebody still waits."""

    def pass_on(done: Answer) -> None:
        if to.done():
            return
        error = done.exception()
        if error is None:
            to.set_result(done.result())
        else:
            to.set_exception(error)

    answer.add_done_callback(pass_on)
