"""The sound of all virtual phones: what they say as packets of one batch, what they hear out of one batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixminus.clock import Clock
from mixminus.media.batch import ADDRESS_BYTES, Bytes, DatagramBatch, PacketBatch, pack_address
from mixminus.media.codecs import g711
from mixminus.media.engine import Engine
from mixminus.media.protocol import Command
from mixminus.rtp.packet import RtpHeader
from mixminus.sdp.answer import MediaPlan
from mixminus.testing.audio import PhoneAudio
from mixminus.testing.sources import FRAME, Mouth, Samples, silence
from mixminus.testing.virtual.tape import LAWS, Tape

_FIRST_PORT = 40000
MOST_TICKS = 250
"""Of one stretch."""
MOST_FRAMES = 26000
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
        self._law_encoded, self._sound_encoded = -1, silence(0)
        self._codes: Bytes = np.zeros(0, np.uint8)
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

    def codes(self, out: Bytes) -> None:
        """Write what it will send to ``out``, (S,)."""
        assert self._plan is not None
        law, done = LAWS[self._plan.codec], 0
        for sound, begin, end in self.mouth.coming(out.size):
            until = done + end - begin
            out[done:until] = g711.SILENCE[law] if sound is None else self._encoded(law, sound)[begin:end]
            done = until

    def _encoded(self, law: int, sound: Samples) -> Bytes:
        """The whole sound, of which there will be more to send; encoded once."""
        if self._law_encoded != law or self._sound_encoded is not sound:
            self._law_encoded, self._sound_encoded, self._codes = law, sound, g711.encode(law, sound)
        return self._codes

    def head(self, ports: dict[int, int]) -> tuple[int, int, int, int, int]:
        """Of its next packet: payload type, sequence number, time stamp, SSRC, and the local port it goes to."""
        plan = self._plan
        assert plan is not None and plan.remote is not None
        return plan.payload_type, self._sequence, self._timestamp, self._ssrc, ports[plan.remote[1]]

    def skip(self, ticks: int, codes: Bytes, first_ns: int) -> None:
        """It has sent ``codes``, which are its to keep, in ``ticks`` packets."""
        assert self._plan is not None
        self.mouth.skip(ticks * FRAME)
        self._sequence = (self._sequence + ticks) % (1 << 16)
        self._timestamp = (self._timestamp + ticks * FRAME) % (1 << 32)
        self.sent += ticks
        self._gap = max(0, self._gap - ticks)
        self.said.append(first_ns, LAWS[self._plan.codec], codes)
        if not self.mouth.talking:
            self.quiet.set()

    def hears(self, codes: Bytes, first_ns: int) -> None:
        """``codes``, which are its to keep, came, one packet per tick."""
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
            self.ear.append(now_ns, LAWS[plan.codec], codes.copy())
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
        self._first = PacketBatch(16)

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

    def _heads(self, talking: list[BankAudio], sound: Bytes) -> PacketBatch:
        """The next packet of each, all headers at once (RFC 3550 §5.1)."""
        count = len(talking)
        if self._first.length.size < count:
            self._first = PacketBatch(2 * count)
        heads = self._first
        values = np.array([audio.head(self.ports) for audio in talking], np.int64).reshape(count, 5)
        heads.data[:count, 0] = 0x80
        heads.data[:count, 1] = values[:, 0]
        heads.data[:count, 2:4] = values[:, 1].astype(">u2").view(np.uint8).reshape(count, 2)
        heads.data[:count, 4:12] = values[:, 2:4].astype(">u4").view(np.uint8).reshape(count, 8)
        heads.data[:count, 12 : 12 + FRAME] = sound[:, :FRAME]
        heads.length[:count] = 12 + FRAME
        heads.address[:count] = [audio.raw for audio in talking]
        heads.port[:count] = values[:, 4]
        heads.count = count
        return heads

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
        sound = np.empty((len(talking), ticks * FRAME), np.uint8)
        for row, audio in zip(sound, talking, strict=True):
            audio.codes(row)
        sent = engine.many_ticks(first_ns, self._heads(talking, sound), sound, ticks)
        if sent is None:
            return 0
        if sent.ticks < ticks:
            sound = sound[:, : sent.ticks * FRAME].copy()
        for audio, codes in zip(talking, sound, strict=True):
            audio.skip(sent.ticks, codes, first_ns)
        payload, addresses = list(sent.payload), sent.batch.address.tobytes()
        for index, row in enumerate(sent.payload_row.tolist()):
            hearer = self._by_address.get(addresses[index * ADDRESS_BYTES : (index + 1) * ADDRESS_BYTES])
            if hearer is not None:
                hearer.hears(payload[row], first_ns)
        return sent.ticks
