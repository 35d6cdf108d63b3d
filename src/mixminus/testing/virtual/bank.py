"""The sound of all virtual phones: what they say as packets of one batch, what they hear out of one batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixminus.clock import Clock
from mixminus.media.batch import Bytes, DatagramBatch, PacketBatch, pack_address
from mixminus.media.codecs import g711
from mixminus.media.engine import Engine
from mixminus.media.protocol import Command
from mixminus.rtp.packet import RtpHeader
from mixminus.sdp.answer import MediaPlan
from mixminus.testing.audio import PhoneAudio
from mixminus.testing.sources import FRAME, Mouth
from mixminus.testing.virtual.tape import LAWS, Tape

_FIRST_PORT = 40000
MOST_TICKS = 250
"""Of one stretch."""
MOST_FRAMES = 13000
"""Of all phones together in one stretch."""


class BankAudio(PhoneAudio):
    """A phone's sound without socket and clock: the bank moves it."""

    def __init__(self, bank: Bank, *, seed: int, clock: Clock) -> None:
        super().__init__(Mouth(), seed=seed, clock=clock)
        self._bank = bank
        self.raw: Bytes = np.zeros(32, np.uint8)
        self.loses = 0.0
        """Share of its packets that get lost on the way out."""
        self.out: list[bytes] = []
        self.said = Tape()
        """What it sent, lost packets included."""
        self.ear = Tape()
        """What came to it."""

    async def open(self, host: str) -> tuple[str, int]:
        self.address = self._bank.add(self, host)
        self.raw = pack_address(self.address)
        return self.address

    def begin(self, plan: MediaPlan) -> None:
        super().begin(plan)
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._bank.begin(self)

    def end(self) -> None:
        super().end()
        self._bank.end(self)

    def close(self) -> None:
        self.end()
        self._bank.remove(self)

    @property
    def plan(self) -> MediaPlan | None:
        return self._plan

    def step(self) -> list[bytes]:
        """The packets of one tick."""
        self.out = []
        self._send_frame()
        return self.out

    def _send(self, plan: MediaPlan, payload_type: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        header = RtpHeader(payload_type, self._sequence, timestamp, self._ssrc, marker)
        self._sequence = (self._sequence + 1) % (1 << 16)
        self.sent += 1
        if payload_type == plan.payload_type:
            self.said.append(self._clock.now().monotonic_ns, LAWS[plan.codec], np.frombuffer(payload, np.uint8))
        if not self.loses or self._random.random() >= self.loses:
            self.out.append(header.pack() + payload)

    @property
    def sends(self) -> bool:
        return self._plan is not None and self._plan.send and self._plan.remote is not None

    @property
    def regular(self) -> bool:
        """Whether it goes on with one packet of sound per tick."""
        return self.sent > 0 and not self.pressing and not self.loses

    @property
    def frames_left(self) -> int:
        """Frames for which what it says does not come to an end."""
        return self.mouth.frames_left or MOST_TICKS

    @property
    def law(self) -> int:
        assert self._plan is not None
        return LAWS[self._plan.codec]

    def head(self, heads: PacketBatch, codes: Bytes, ports: dict[int, int]) -> None:
        """Add its next packet."""
        plan = self._plan
        assert plan is not None and plan.remote is not None
        header = RtpHeader(plan.payload_type, self._sequence, self._timestamp, self._ssrc, False)
        heads.append(header.pack() + codes[:FRAME].tobytes(), self.raw, ports[plan.remote[1]])

    def skip(self, ticks: int, codes: Bytes, first_ns: int) -> None:
        """It has sent ``codes`` in ``ticks`` packets."""
        assert self._plan is not None
        self.mouth.take(ticks * FRAME)
        self._sequence = (self._sequence + ticks) % (1 << 16)
        self._timestamp = (self._timestamp + ticks * FRAME) % (1 << 32)
        self.sent += ticks
        self._gap = max(0, self._gap - ticks)
        self.said.append(first_ns, LAWS[self._plan.codec], codes)
        if not self.mouth.talking:
            self.quiet.set()

    def hears(self, codes: Bytes, first_ns: int) -> None:
        """``codes`` came, one packet per tick."""
        plan = self._plan
        if plan is not None and plan.receive:
            self.ear.append(first_ns, LAWS[plan.codec], codes)

    def takes(self, sent: DatagramBatch, index: int, port: int, now_ns: int) -> None:
        """Datagram ``index`` of a batch, from the server's ``port``: sound to the tape, the rest as on a socket."""
        plan = self._plan
        if plan is None or plan.remote is None:
            return
        if sent.header[index, 1] & 0x7F == plan.payload_type and plan.receive and plan.remote[1] == port:
            codes = sent.payload[sent.payload_row[index], : sent.payload_length[index]]
            self.ear.append(now_ns, LAWS[plan.codec], codes)
        else:
            self.datagram_received(sent.datagram(index), (plan.remote[0], port))


class Bank:
    """All phones that are in a call."""

    def __init__(self) -> None:
        self.ports: dict[int, int] = {}
        """Local port of the pool → its index there."""
        self.sending: list[BankAudio] = []
        self.on_command: Callable[[Command], None] = lambda command: None
        self._by_address: dict[bytes, BankAudio] = {}
        self._next_port = _FIRST_PORT
        self._heads = PacketBatch(16)

    def add(self, audio: BankAudio, host: str) -> tuple[str, int]:
        address = (host, self._next_port)
        self._next_port += 2
        self._by_address[pack_address(address).tobytes()] = audio
        return address

    def remove(self, audio: BankAudio) -> None:
        self._by_address.pop(audio.raw.tobytes(), None)

    def begin(self, audio: BankAudio) -> None:
        if audio not in self.sending:
            self.sending.append(audio)

    def end(self, audio: BankAudio) -> None:
        if audio in self.sending:
            self.sending.remove(audio)

    def obeyed(self, command: Command) -> None:
        self.on_command(command)

    def happened(self) -> bool:
        """Whether a phone has just finished what it was told to say."""
        return False

    def send(self, packets: PacketBatch) -> None:
        """One tick of every phone."""
        packets.count = 0
        for audio in self.sending:
            plan = audio.plan
            for data in audio.step():
                if plan is not None and plan.remote is not None and plan.remote[1] in self.ports:
                    packets.append(data, audio.raw, self.ports[plan.remote[1]])

    def _peek(self, talking: list[BankAudio], ticks: int) -> Bytes:
        """(P, ticks * S) what they will send."""
        pcm = np.empty((len(talking), ticks * FRAME), np.int16)
        for row, audio in zip(pcm, talking, strict=True):
            row[:] = audio.mouth.peek(ticks * FRAME)
        sound = np.empty(pcm.shape, np.uint8)
        law = np.array([audio.law for audio in talking], np.uint8)
        for one in np.unique(law).tolist():
            of = np.flatnonzero(law == one)
            sound[of] = g711.encode(one, pcm if of.size == len(talking) else pcm[of])
        return sound

    def receive(self, sent: DatagramBatch, now_ns: int) -> None:
        ports = list(self.ports)
        for index in range(sent.count):
            audio = self._by_address.get(sent.address[index].tobytes())
            if audio is not None:
                audio.takes(sent, index, ports[sent.port[index]], now_ns)

    def stretch(self, engine: Engine, first_ns: int, ticks: int) -> int:
        """Let up to ``ticks`` pass in one go; returns how many did, 0 if the next must be taken by itself."""
        ticks = min(ticks, MOST_TICKS, MOST_FRAMES // max(1, len(self.sending)))
        talking = [audio for audio in self.sending if audio.sends]
        ticks = min([ticks, *(audio.frames_left for audio in talking)])
        if ticks < 2 or not all(audio.regular for audio in talking):
            return 0
        sound = self._peek(talking, ticks)
        if self._heads.length.size < len(talking):
            self._heads = PacketBatch(2 * len(talking))
        self._heads.count = 0
        for audio, codes in zip(talking, sound, strict=True):
            audio.head(self._heads, codes, self.ports)
        sent = engine.many_ticks(first_ns, self._heads, sound, ticks)
        if sent is None:
            return 0
        for audio, codes in zip(talking, sound, strict=True):
            audio.skip(sent.ticks, codes[: sent.ticks * FRAME], first_ns)
        addresses = sent.batch.address
        for index, row in enumerate(sent.payload_row.tolist()):
            hearer = self._by_address.get(addresses[index].tobytes())
            if hearer is not None:
                hearer.hears(sent.payload[row], first_ns)
        return sent.ticks
