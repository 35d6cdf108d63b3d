"""The streams (TCP, TLS) an agent reads: framing, keep-alives, and the reaping of idle ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixminus.errors import ProtocolError
from mixminus.sip.core import Core
from mixminus.sip.timers import Alarm
from mixminus.sip.transport import Flow, Framer


@dataclass(slots=True, eq=False)
class _Stream:
    last_heard: float
    framer: Framer = field(default_factory=Framer)
    alarm: Alarm | None = None


class Streams:
    """By connection number."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._streams: dict[int, _Stream] = {}
        self._closing: list[int] = []

    def open(self, flow: Flow, now: float) -> _Stream:
        """Begin to watch a stream: one that stays silent is closed like one that fell silent."""
        stream = self._streams[flow.connection] = _Stream(now)
        self._watch(flow.connection, stream)
        return stream

    def receive(self, data: bytes, flow: Flow, now: float) -> list[tuple[bytes, bytes]]:
        """Whole messages (head, body). A stream that cannot be cut any more is to be closed."""
        stream = self._streams.get(flow.connection) or self.open(flow, now)
        stream.last_heard = now
        try:
            messages = stream.framer.feed(data)
        except ProtocolError:
            self._core.layer.dropped["broken stream"] += 1
            self._closing.append(flow.connection)
            return []
        for _ in range(min(stream.framer.pings, 8)):
            self._core.layer.outgoing.append((b"\r\n", flow))
        stream.framer.pings = 0
        return messages

    def take_closing(self) -> list[int]:
        closing, self._closing = self._closing, []
        return closing

    def forget(self, connection: int) -> None:
        stream = self._streams.pop(connection, None)
        if stream is not None and stream.alarm is not None:
            stream.alarm.cancel()

    def _watch(self, connection: int, stream: _Stream) -> None:
        def look(now: float) -> None:
            if now - stream.last_heard >= self._core.config.idle_seconds:
                self._closing.append(connection)
            else:
                self._watch(connection, stream)

        stream.alarm = self._core.alarm(stream.last_heard + self._core.config.idle_seconds, look)
