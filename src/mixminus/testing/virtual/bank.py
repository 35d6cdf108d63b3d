"""The sound of all virtual phones: what they say as packets of one batch, what they hear out of one batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixminus.clock import Clock
from mixminus.media.batch import Bytes, DatagramBatch, PacketBatch, pack_address
from mixminus.media.engine import Engine
from mixminus.media.protocol import Command
from mixminus.rtp.packet import RtpHeader
from mixminus.sdp.answer import MediaPlan
from mixminus.testing.audio import PhoneAudio
from mixminus.testing.sources import Mouth
from mixminus.testing.virtual.tape import LAWS, Tape

_FIRST_PORT = 40000


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

    def receive(self, sent: DatagramBatch, now_ns: int) -> None:
        ports = list(self.ports)
        for index in range(sent.count):
            audio = self._by_address.get(sent.address[index].tobytes())
            if audio is not None:
                audio.takes(sent, index, ports[sent.port[index]], now_ns)

    def stretch(self, engine: Engine, first_ns: int, ticks: int) -> int:
        """Let up to ``ticks`` pass in one go; returns how many did, 0 if they must be taken one by one."""
        return 0
