"""Peers around an engine, without a network: each has an address, a sequence of packets and ears."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mixminus.media import protocol
from mixminus.media.batch import PacketBatch, pack_address, unpack_address
from mixminus.media.codecs import g711, g722, opus
from mixminus.media.engine import Engine
from mixminus.media.state import FRAME, TICK_NS
from mixminus.media.taping.tap import TapSink
from mixminus.media.taping.tracks import Note, Track
from mixminus.rtp.packet import RtpHeader, parse_packet

Pcm = NDArray[np.int16]
LAWS = {"PCMU": g711.PCMU, "PCMA": g711.PCMA, "G722": g722.G722_CODE, "opus": opus.OPUS_CODE}
TYPES = {**LAWS, "opus": 111}
RATES = {"PCMU": 8000, "PCMA": 8000, "G722": 16000, "opus": 48000}
PORTS = (20000, 20002)
SILENCE = np.zeros(FRAME, np.int16)


def tone(hertz: float, ticks: int, peak: float = 3000, rate: int = 8000) -> Pcm:
    """(T, S) int16: a sine, frame after frame."""
    samples = np.arange(ticks * rate // 50)
    sine: Pcm = np.rint(peak * np.sin(2 * np.pi * hertz / rate * samples)).astype(np.int16)
    return sine.reshape(-1, rate // 50)


def voice(seconds: float = 2.0, seed: int = 1, pitch: float = 140.0) -> Pcm:
    """(T, 960): harmonics of a gliding pitch under the envelope of syllables, and a little noise."""
    t = np.arange(round(seconds * opus.RATE)) / opus.RATE
    phase = 2 * np.pi * np.cumsum(pitch + 20 * np.sin(2 * np.pi * 0.7 * t)) / opus.RATE
    sound = sum(np.sin(n * phase + n * n) / n for n in range(1, 25))
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * t + seed)
    noise = np.random.default_rng(seed).normal(0, 60, t.size)
    pcm: Pcm = np.rint(3000 * envelope * sound + noise).astype(np.int16)
    return pcm.reshape(-1, opus.FRAME)


def through(law: int, pcm: Pcm) -> Pcm:
    """What is left of samples after once through G.711."""
    decoded: Pcm = g711.DECODE[law][g711.ENCODE[law][pcm.view(np.uint16)]]
    return decoded


def strength(pcm: NDArray[np.generic], hertz: float, rate: int = 8000) -> float:
    """Amplitude of one frequency in (N,) samples, N a whole number of its periods."""
    samples = np.asarray(pcm, np.float64).reshape(-1)
    turn = np.exp(-2j * np.pi * hertz / rate * np.arange(samples.size))
    return float(2 * abs((samples * turn).mean()))


class Codec:
    """Both directions of one peer's codec."""

    def __init__(self, name: protocol.Codec) -> None:
        self.name = name
        self._g722 = (g722.Encoder(), g722.Decoder())
        self._opus = (opus.Encoder(), opus.Decoder()) if name == "opus" else None

    def encode(self, pcm: Pcm) -> bytes:
        if self.name == "G722":
            return self._g722[0].encode(pcm)
        if self._opus:
            out = np.zeros(opus.MAX_PACKET, np.uint8)
            return out[: self._opus[0].encode(np.ascontiguousarray(pcm), out)].tobytes()
        return g711.ENCODE[LAWS[self.name]][pcm.view(np.uint16)].tobytes()

    def decode(self, payload: bytes) -> Pcm:
        if self.name == "G722":
            return self._g722[1].decode(payload)
        if self._opus:
            out = np.zeros(5760, np.int16)
            return out[: self._opus[1].decode(payload, out)]
        decoded: Pcm = g711.DECODE[LAWS[self.name]][np.frombuffer(payload, np.uint8)]
        return decoded


@dataclass
class Peer:
    """A phone: what it sends is numbered, what it gets is kept."""

    leg: str
    address: protocol.Address
    codec: protocol.Codec = "PCMU"
    port: int = PORTS[0]
    ssrc: int = 1
    sequence: int = 100
    timestamp: int = 5000
    payload_type: int | None = None
    heard: list[Pcm] = field(default_factory=list)
    headers: list[RtpHeader] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    voice: Codec = field(init=False)

    def __post_init__(self) -> None:
        self.voice = Codec(self.codec)

    @property
    def law(self) -> int:
        return LAWS[self.codec]

    def packet(self, pcm: Pcm, *, marker: bool = False) -> bytes:
        """The next packet of its stream, (S,) samples of any length."""
        data = self.raw(self.voice.encode(pcm), marker=marker)
        self.timestamp += pcm.size // (2 if self.codec == "G722" else 1)
        return data

    def raw(self, payload: bytes, *, payload_type: int | None = None, marker: bool = False) -> bytes:
        """The next packet, of any payload; time does not go on."""
        if payload_type is None:
            payload_type = TYPES[self.codec] if self.payload_type is None else self.payload_type
        header = RtpHeader(payload_type, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc, marker)
        self.sequence += 1
        return header.pack() + payload

    def skip(self, frames: int = 1) -> None:
        """Lose packets: they were sent, and never come."""
        self.sequence += frames
        self.timestamp += frames * self.step

    def pause(self, frames: int = 1) -> None:
        """Send nothing for a while (silence suppression)."""
        self.timestamp += frames * self.step

    @property
    def step(self) -> int:
        """Of the time stamp, in 20 ms."""
        return 960 if self.codec == "opus" else FRAME


class Tape:
    """A sink that keeps all, and what was done to it."""

    def __init__(self) -> None:
        self.blocks: list[Pcm] = []
        self.marks: list[tuple[str, int, int]] = []
        """What, samples so far, time."""
        self.tracks: dict[str, list[tuple[int, Pcm]]] = {}
        """Name → pieces, each with the sample at which it begins."""
        self.notes: list[tuple[int, str, str, int]] = []
        """Sample, kind, leg, value."""
        self.rates: list[tuple[int, int]] = []
        """Samples so far, Hz from there on."""

    @property
    def pcm(self) -> Pcm:
        return np.concatenate(self.blocks) if self.blocks else np.zeros(0, np.int16)

    def write(self, pcm: Pcm, now_ns: int) -> None:
        assert pcm.dtype == np.int16
        assert pcm.ndim == 1
        self.blocks.append(pcm.copy())

    def beside(self, tracks: Sequence[Track], notes: Sequence[Note]) -> None:
        for name, pcm in tracks:
            self.tracks.setdefault(name, []).append((self.pcm.size, pcm))
        self.notes += [(self.pcm.size + note.at, note.kind, note.leg, note.value) for note in notes]

    def track(self, name: str) -> Pcm:
        """A whole track, silence where there are no samples."""
        whole = np.zeros(self.pcm.size, np.int16)
        for at, pcm in self.tracks.get(name, []):
            whole[at : at + pcm.size] = pcm
        return whole

    def pause(self, now_ns: int) -> None:
        self.marks.append(("pause", self.pcm.size, now_ns))

    def resume(self, now_ns: int) -> None:
        self.marks.append(("resume", self.pcm.size, now_ns))

    def change_rate(self, rate: int, now_ns: int) -> None:
        self.rates.append((self.pcm.size, rate))

    def close(self, now_ns: int) -> None:
        self.marks.append(("close", self.pcm.size, now_ns))


class Studio:
    """An engine, the peers of its legs, the tapes of its taps."""

    def __init__(
        self,
        *,
        capacity: int = 4,
        prompts: Mapping[str, Pcm] | None = None,
        wide: Mapping[tuple[str, int], Pcm] | None = None,
        seed: int = 1,
    ) -> None:
        self.tapes: dict[str, Tape] = {}
        self.opened: dict[str, protocol.StartTap] = {}
        """Commands of the taps, as their sinks were told."""
        self.prompts, self.wide = dict(prompts or {}), dict(wide or {})
        self.loaded: list[tuple[str, int]] = []
        """Which prompts were asked for at which rate above 8 kHz."""
        self.engine = Engine(
            PORTS,
            capacity=capacity,
            seed=seed,
            open_tap=self._open_tap,
            load_prompt=self.prompts.__getitem__,
            load_wide=self._load_wide,
        )
        self.peers: dict[str, Peer] = {}
        self.events: list[protocol.Event] = []
        self.batch = PacketBatch(4096)
        self.ticks = 0
        self._joined = 0
        self._routes: dict[tuple[protocol.Address, int], Peer] = {}

    def _open_tap(self, command: protocol.StartTap, now_ns: int) -> TapSink:
        self.opened[command.tap] = command
        return self.tapes.setdefault(command.tap, Tape())

    def _load_wide(self, path: str, rate: int, samples: int) -> Pcm | None:
        self.loaded.append((path, rate))
        found = self.wide.get((path, rate))
        assert found is None or found.size == samples
        return found

    @property
    def now(self) -> int:
        return self.ticks * TICK_NS

    def apply(self, command: protocol.Command) -> protocol.Stats | None:
        return self.engine.apply(command, self.now)

    def join(
        self,
        leg: str,
        room: str = "room",
        *,
        talk: int = 1,
        hear: int = 1,
        codec: protocol.Codec = "PCMU",
        dtmf_payload_type: int | None = 101,
        send: bool = True,
        receive: bool = True,
        port: int = PORTS[0],
    ) -> Peer:
        number = self._joined
        self._joined += 1
        peer = Peer(leg, (f"127.0.{number // 250}.{number % 250 + 1}", 4000), codec, port, ssrc=1000 + number)
        self.add(peer)
        self.apply(
            protocol.OpenLeg(
                leg,
                room,
                port,
                peer.address,
                codec,
                TYPES[codec],
                dtmf_payload_type,
                dtmf_clock=48000 if codec == "opus" else 8000,
                send=send,
                receive=receive,
                talk=talk,
                hear=hear,
            )
        )
        return peer

    def add(self, peer: Peer) -> None:
        self.peers[peer.leg] = peer
        self._routes[peer.address, peer.port] = peer

    def leave(self, peer: Peer) -> None:
        self.apply(protocol.CloseLeg(peer.leg))
        del self.peers[peer.leg], self._routes[peer.address, peer.port]

    def deliver(self, peer: Peer, *packets: bytes, source: protocol.Address | None = None) -> None:
        """Have packets arrive before the next tick."""
        address = pack_address(source or peer.address)
        for data in packets:
            assert self.batch.append(data, address, PORTS.index(peer.port))

    def tick(self, sounds: Mapping[str, Pcm] | None = None, *, late: bool = False) -> None:
        """20 ms: peers named send one frame each; what all get is decoded and kept."""
        for leg, pcm in (sounds or {}).items():
            self.deliver(self.peers[leg], self.peers[leg].packet(pcm))
        out = self.engine.tick(self.now, self.batch, late=late)
        self.batch.count = 0
        self.ticks += 1
        for index in range(out.count):
            peer = self._routes[unpack_address(out.address[index]), PORTS[out.port[index]]]
            header, payload = parse_packet(out.datagram(index))
            peer.headers.append(header)
            peer.payloads.append(payload)
            if header.payload_type in (g711.PCMU, g711.PCMA):
                codes = np.frombuffer(payload, np.uint8)
                peer.heard.append(g711.DECODE[header.payload_type][codes])
            elif header.payload_type == TYPES[peer.codec]:
                peer.heard.append(peer.voice.decode(payload))
        self.events += self.engine.events()

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick()

    def stats(self, leg: str) -> protocol.LegStats:
        stats = self.apply(protocol.GetStats(legs=True))
        assert stats is not None
        return next(entry for entry in stats.leg_stats if entry.leg == leg)

    def told(self, kind: type[protocol.Event]) -> list[protocol.Event]:
        return [event for event in self.events if isinstance(event, kind)]


def joined(frames: Iterable[Pcm]) -> Pcm:
    return np.concatenate(list(frames))
