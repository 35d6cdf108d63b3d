"""A phone's sound: one UDP socket, 20 ms frames sent from absolute deadlines, telephone events both ways."""

from __future__ import annotations

import asyncio
import random
from collections import deque

from mixminus.clock import Clock, SystemClock
from mixminus.errors import ProtocolError
from mixminus.rtp.packet import RtpHeader, parse_packet
from mixminus.sdp.answer import Codec, MediaPlan
from mixminus.testing.heard import Heard
from mixminus.testing.sources import FRAME, RATE, Mouth, Samples
from mixminus.testing.tongue import Tongue

_TICK = 0.02
_KEYS = "0123456789*#ABCD"
_KEY_FRAMES = 5
"""Frames a key is held: 100 ms."""
_KEY_ENDS = 3
_GAP_FRAMES = 5


class _Press:
    """One key on its way out (RFC 4733): the same timestamp throughout, the duration rising, the end told thrice."""

    def __init__(self, key: str, timestamp: int, clock: int) -> None:
        self.timestamp = timestamp
        self._step = FRAME * clock // RATE
        self._event = _KEYS.index(key)
        self._frames = 0

    def packets(self) -> list[tuple[bytes, bool]]:
        """Payloads and marker bits due now."""
        self._frames += 1
        last = self._frames == _KEY_FRAMES
        payload = bytes([self._event, (0x80 if last else 0) | 10]) + (self._frames * self._step).to_bytes(2, "big")
        return [(payload, self._frames == 1)] * (_KEY_ENDS if last else 1)

    @property
    def over(self) -> bool:
        return self._frames >= _KEY_FRAMES


class PhoneAudio(asyncio.DatagramProtocol):
    """Sends what the :class:`~mixminus.testing.sources.Mouth` says, fills a :class:`~mixminus.testing.heard.Heard`.

    Anything may arrive on the socket: what is no RTP of this call is counted in ``strangers`` and dropped.
    """

    def __init__(self, mouth: Mouth, *, seed: int | None = None, clock: Clock | None = None) -> None:
        self.mouth = mouth
        self._clock = clock or SystemClock()
        self.heard = Heard()
        self.sent = 0
        self.strangers = 0
        self.address = ("", 0)
        self.quiet = asyncio.Event()
        """Set once everything to be said once has been said."""
        self._random = random.Random(seed)
        self._transport: asyncio.DatagramTransport | None = None
        self._task: asyncio.Task[None] | None = None
        self._plan: MediaPlan | None = None
        self._tongue = Tongue("PCMU")
        self._ssrc = self._sequence = self._timestamp = 0
        self._presses: deque[str] = deque()
        self._press: _Press | None = None
        self._gap = 0

    async def open(self, host: str) -> tuple[str, int]:
        """Bind a free port; returns its address, for the SDP."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        self.address = self._transport.get_extra_info("sockname")[:2]
        return self.address

    def begin(self, plan: MediaPlan) -> None:
        """A call was agreed on: forget the last one's sound, send and listen by ``plan``."""
        self.heard = Heard()
        self._ssrc = self._random.getrandbits(32)
        self._sequence = self._random.getrandbits(15)
        self._timestamp = self._random.getrandbits(32)
        self._presses.clear()
        self._press = None
        self.sent = 0
        self.change(plan)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._send_frames())

    def change(self, plan: MediaPlan) -> None:
        """The call was agreed on anew; sender state goes on, but for the codec's if that is another."""
        self._plan = plan
        if plan.codec != self._tongue.codec:
            self._tongue = Tongue(plan.codec)

    def end(self) -> None:
        """The call is over: send no more. What was heard stays."""
        self._plan = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def close(self) -> None:
        self.end()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    @property
    def codec(self) -> Codec:
        """That of the call, or of the last one."""
        return self._tongue.codec

    @property
    def remote(self) -> tuple[str, int] | None:
        """Where sound is sent; ``None`` without a call."""
        return self._plan.remote if self._plan is not None else None

    def say(self, sound: Samples) -> None:
        """Say a sound once, after what is being said."""
        self.quiet.clear()
        self.mouth.say(sound)

    def press(self, keys: str) -> None:
        """Send keys ``0-9*#A-D`` as telephone events, 100 ms each with 100 ms between."""
        if self._plan is None or self._plan.dtmf_payload_type is None:
            raise ValueError("keys cannot be sent: no call, or the other end takes no telephone-event")
        unknown = set(keys.upper()) - set(_KEYS)
        if unknown:
            raise ValueError(f"no such key: {''.join(sorted(unknown))}; keys are {_KEYS}")
        self._presses.extend(keys.upper())

    @property
    def pressing(self) -> bool:
        """Whether keys are still being sent."""
        return bool(self._presses) or self._press is not None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        plan = self._plan
        arrived_ns = self._clock.now().monotonic_ns
        try:
            header, payload = parse_packet(data)
        except ProtocolError:
            self.strangers += 1
            return
        if plan is None or not plan.receive or addr[:2] != plan.remote:
            self.strangers += 1
        elif header.payload_type == plan.payload_type:
            timestamp = header.timestamp * RATE // self._tongue.clock
            self.heard.audio(header.ssrc, timestamp, self._tongue.decode(payload), arrived_ns)
        elif header.payload_type == plan.dtmf_payload_type and len(payload) >= 4 and payload[0] < len(_KEYS):
            self.heard.key(header.timestamp, _KEYS[payload[0]])
        else:
            self.strangers += 1

    def error_received(self, exc: Exception) -> None:
        """The other end is not there (yet, or any more): a phone goes on talking."""

    async def _send_frames(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._send_frame()
            due += _TICK
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _send_frame(self) -> None:
        plan = self._plan
        frame = self.mouth.frame()
        if plan is not None and plan.send and plan.remote is not None and not self._send_press(plan):
            timestamp = self._time(self._tongue.clock)
            self._send(plan, plan.payload_type, timestamp, self._tongue.encode(frame), marker=self.sent == 0)
        if not self.mouth.talking:
            self.quiet.set()
        self._timestamp = (self._timestamp + FRAME) % (1 << 32)

    def _time(self, clock: int) -> int:
        """The time stamp of this frame on a clock of so many Hz, a multiple of our own."""
        return self._timestamp * (clock // RATE) % (1 << 32)

    def _send_press(self, plan: MediaPlan) -> bool:
        """Send what is due of a key in place of sound; False if no key is due."""
        if self._press is None:
            if self._gap or not self._presses or plan.dtmf_payload_type is None:
                self._gap = max(0, self._gap - 1)
                return False
            self._press = _Press(self._presses.popleft(), self._time(plan.dtmf_clock), plan.dtmf_clock)
        for payload, marker in self._press.packets():
            self._send(plan, plan.dtmf_payload_type or 0, self._press.timestamp, payload, marker=marker)
        if self._press.over:
            self._press, self._gap = None, _GAP_FRAMES
        return True

    def _send(self, plan: MediaPlan, payload_type: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        if self._transport is None or plan.remote is None:
            return
        header = RtpHeader(payload_type, self._sequence, timestamp, self._ssrc, marker)
        self._transport.sendto(header.pack() + payload, plan.remote)
        self._sequence = (self._sequence + 1) % (1 << 16)
        self.sent += 1
