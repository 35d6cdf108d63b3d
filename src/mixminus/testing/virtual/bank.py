"""The sound of all virtual phones: what they say as packets of one batch, what they hear out of one batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mixminus.clock import Clock
from mixminus.media.batch import Bytes, DatagramBatch, PacketBatch, pack_address
from mixminus.media.codecs import g711
from mixminus.media.engine import Engine
from mixminus.media.protocol import Command
from mixminus.media.state import FOREVER
from mixminus.rtp.packet import RtpHeader
from mixminus.sdp.answer import MediaPlan
from mixminus.testing.audio import PhoneAudio
from mixminus.testing.sources import FRAME, Mouth, Samples, silence
from mixminus.testing.virtual.steady import MOST_TICKS, Steady, Voice
from mixminus.testing.virtual.tape import LAWS, Codes, Tape

_FIRST_PORT = 40000
MOST_FRAMES = 52_000
"""Of all phones together in one stretch."""
FEW_TICKS = 16
"""Tried at least, however often something has come between lately."""


_SILENCES = {law: np.full((MOST_TICKS + 1) * FRAME, code, np.uint8) for law, code in g711.SILENCE.items()}


class BankMouth(Mouth):
    """``disturb`` is called before it is told anything, or asked for its next samples."""

    def __init__(self, disturb: Callable[[], None]) -> None:
        super().__init__()
        self._disturb = disturb

    def say(self, sound: Samples) -> None:
        self._disturb()
        super().say(sound)

    def loop(self, sound: Samples) -> None:
        self._disturb()
        super().loop(sound)

    def hush(self) -> None:
        self._disturb()
        super().hush()

    def take(self, wanted: int) -> Samples:
        self._disturb()
        return super().take(wanted)


class BankAudio(PhoneAudio):
    """A phone's sound without socket and clock: the bank moves it."""

    def __init__(self, bank: Bank, *, seed: int, clock: Clock) -> None:
        super().__init__(BankMouth(bank.disturb), seed=seed, clock=clock)
        self._bank = bank
        self.raw: Bytes = np.zeros(32, np.uint8)
        self._loses = 0.0
        self.out: list[bytes] = []
        self._law_encoded, self._sound_encoded = -1, silence(0)
        self._codes: Bytes = np.zeros(0, np.uint8)
        self._said, self._ear = Tape(), Tape()

    async def open(self, host: str) -> tuple[str, int]:
        self.address = self._bank.add(self, host)
        self.raw = pack_address(self.address)
        return self.address

    def begin(self, plan: MediaPlan) -> None:
        self._bank.disturb()
        super().begin(plan)
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._bank.begin(self)

    def change(self, plan: MediaPlan) -> None:
        self._bank.disturb()
        super().change(plan)

    def press(self, keys: str) -> None:
        self._bank.disturb()
        super().press(keys)

    def end(self) -> None:
        self._bank.disturb()
        super().end()
        self._bank.end(self)

    def close(self) -> None:
        self.end()
        self._bank.remove(self)

    @property
    def plan(self) -> MediaPlan | None:
        return self._plan

    @property
    def loses(self) -> float:
        """Share of its packets that get lost on the way out."""
        return self._loses

    @loses.setter
    def loses(self, share: float) -> None:
        self._bank.disturb()
        self._loses = share

    @property
    def said(self) -> Tape:
        """What it sent, lost packets included."""
        self._bank.settle()
        return self._said

    @property
    def ear(self) -> Tape:
        """What came to it."""
        self._bank.settle()
        return self._ear

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
            self._said.append(self._clock.now().monotonic_ns, *self._as_said(plan, payload))
        if not self._loses or self._random.random() >= self.loses:
            self.out.append(header.pack() + payload)

    def _as_said(self, plan: MediaPlan, payload: bytes) -> tuple[int, Codes]:
        """As the tape keeps what was sent."""
        return LAWS[plan.codec], np.frombuffer(payload, np.uint8)

    def _as_heard(self, plan: MediaPlan, payload: Bytes) -> tuple[int, Codes]:
        """As the tape keeps what came."""
        return LAWS[plan.codec], payload.copy()

    @property
    def sends(self) -> bool:
        return self._plan is not None and self._plan.send and self._plan.remote is not None

    @property
    def regular(self) -> bool:
        """Whether it goes on with one packet of sound per tick."""
        return self.sent > 0 and not self.pressing and not self._loses

    @property
    def frames_left(self) -> int:
        """Frames for which what it says does not come to an end."""
        return self.mouth.frames_left or FOREVER

    def voice(self) -> Voice:
        """What it will say for :attr:`frames_left` frames."""
        assert self._plan is not None
        law = LAWS[self._plan.codec]
        if not self.mouth.talking:
            sound, begin, _ = self.mouth.coming(1)[0]
            if sound is None:
                return Voice(_SILENCES[law], 0, FRAME)
            return Voice(self._round(law, sound), begin, sound.size)
        codes = np.empty(self.frames_left * FRAME, np.uint8)
        done = 0
        for sound, begin, end in self.mouth.coming(codes.size):
            until = done + end - begin
            codes[done:until] = g711.SILENCE[law] if sound is None else g711.encode(law, sound[begin:end])
            done = until
        return Voice(codes, 0)

    def _round(self, law: int, sound: Samples) -> Bytes:
        """A whole sound and its begin again, so that a stretch that starts anywhere in it is one piece."""
        if self._law_encoded != law or self._sound_encoded is not sound:
            self._law_encoded, self._sound_encoded = law, sound
            self._codes = np.resize(g711.encode(law, sound), sound.size + MOST_TICKS * FRAME)
        return self._codes

    def head(self, ports: Mapping[int, int]) -> tuple[int, int, int, int, int]:
        """Of its next packet: payload type, sequence number, time stamp, SSRC, and the local port it goes to."""
        plan = self._plan
        assert plan is not None and plan.remote is not None
        return plan.payload_type, self._sequence, self._timestamp, self._ssrc, ports[plan.remote[1]]

    def skip(self, ticks: int, starts: Sequence[int], codes: Sequence[Bytes]) -> None:
        """It has sent ``codes``, which are its to keep, in ``ticks`` packets."""
        assert self._plan is not None
        self.mouth.skip(ticks * FRAME)
        self._sequence = (self._sequence + ticks) % (1 << 16)
        self._timestamp = (self._timestamp + ticks * FRAME) % (1 << 32)
        self.sent += ticks
        self._gap = max(0, self._gap - ticks)
        for first_ns, piece in zip(starts, codes, strict=True):
            self._said.append(first_ns, LAWS[self._plan.codec], piece)
        if not self.mouth.talking:
            self.quiet.set()

    def rests(self, ticks: int) -> None:
        """So many ticks have passed while it was held: it has talked on, to nobody."""
        self.mouth.skip(ticks * FRAME)
        self._timestamp = (self._timestamp + ticks * FRAME) % (1 << 32)
        if not self.mouth.talking:
            self.quiet.set()

    def hears(self, starts: Sequence[int], codes: Sequence[Codes]) -> None:
        """``codes``, which are its to keep, came, one packet per tick."""
        plan = self._plan
        if plan is not None and plan.receive:
            for first_ns, piece in zip(starts, codes, strict=True):
                self._ear.append(first_ns, LAWS[plan.codec], piece)

    def takes(self, sent: DatagramBatch, index: int, port: int, now_ns: int) -> None:
        """Datagram ``index`` of a batch, from the server's ``port``: sound to the tape, the rest as on a socket."""
        plan = self._plan
        if plan is None or plan.remote is None:
            return
        if sent.header[index, 1] & 0x7F == plan.payload_type and plan.receive and plan.remote[1] == port:
            codes = sent.payload[sent.payload_row[index], : sent.payload_length[index]]
            self._ear.append(now_ns, *self._as_heard(plan, codes))
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
        self._steady: Steady | None = None
        self._hope = MOST_TICKS
        """Ticks of which the next stretch may consist: few after something has come between."""
        self._alone = False
        """The next tick is to be taken by itself."""

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
        self.disturb()
        self.on_command(command)

    def happened(self) -> bool:
        """Whether a phone has just finished what it was told to say."""
        return False

    def send(self, packets: PacketBatch) -> None:
        """One tick of every phone."""
        self.disturb()
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
        """Let up to ``ticks`` pass in one go; returns how many did, 0 if the next must be taken by itself."""
        ticks = min(ticks, self._hope, MOST_FRAMES // max(1, len(self.sending)))
        steady = self._gone_on() if ticks > 1 and not self._alone else None
        self._alone = False
        if steady is None:
            return 0
        ticks = min(ticks, steady.left)
        sound = steady.sound(ticks)
        sent = engine.many_ticks(first_ns, steady.packets(sound), sound, ticks)
        done = 0 if sent is None else sent.ticks
        self._hope = MOST_TICKS if done == ticks else max(FEW_TICKS, 2 * done)
        if sent is None:
            return 0
        self._alone = done < ticks  # what came between comes next
        steady.went(first_ns, sent, self._by_address)
        if not steady.left:
            self.disturb()
        return done

    def _gone_on(self) -> Steady | None:
        """Everybody who talks, if nobody does anything but go on."""
        if self._steady is None:
            talking = [audio for audio in self.sending if audio.sends]
            if all(audio.regular for audio in talking):
                held = [audio for audio in self.sending if not audio.sends]
                self._steady = Steady(talking, held, self.ports)
        return self._steady

    def settle(self) -> None:
        """Bring all phones up to date."""
        if self._steady is not None:
            self._steady.settle()

    def disturb(self) -> None:
        """Something about a phone is going to change: all phones are brought up to date before."""
        steady, self._steady = self._steady, None
        if steady is not None:
            steady.settle()
