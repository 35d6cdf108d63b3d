"""Many ticks in one pass are limited as tick by tick: the same payloads and recordings to the byte."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from media.kit import PORTS, Pcm, Tape
from mixminus.media import protocol
from mixminus.media.batch import PacketBatch, pack_address
from mixminus.media.codecs import g711
from mixminus.media.engine import Engine
from mixminus.media.mixing.layout import CROWD
from mixminus.media.state import FRAME, TICK_NS
from mixminus.rtp.packet import RtpHeader

Bytes = NDArray[np.uint8]


class Call:
    """Legs in one room and one that only listens; all is kept that is sent."""

    def __init__(self, legs: int) -> None:
        self.legs = legs
        self.tape = Tape()
        self.engine = Engine(PORTS, seed=1, open_tap=lambda command, now_ns: self.tape)
        self.addresses = [("127.0.0.1", 4000 + leg) for leg in range(legs + 1)]
        self.sent: list[list[bytes]] = [[] for _ in self.addresses]
        self.batch = PacketBatch(64)
        self.tick = 0
        self.passes = 0
        for leg, address in enumerate(self.addresses):
            talk = 1 if leg < legs else 0
            self.engine.apply(protocol.OpenLeg(f"{leg}", "room", PORTS[0], address, talk=talk, hear=1), 0)
        self.engine.apply(protocol.StartTap("tap", "room", 1, "spool"), 0)

    def deliver(self, codes: Bytes) -> None:
        self.batch.count = 0
        for leg in range(self.legs):
            header = RtpHeader(0, self.tick & 0xFFFF, self.tick * FRAME, leg + 1, False).pack()
            payload = codes[leg, self.tick * FRAME : (self.tick + 1) * FRAME].tobytes()
            assert self.batch.append(header + payload, pack_address(self.addresses[leg]), 0)

    def go(self, codes: Bytes, *, quick: bool) -> None:
        ticks = codes.shape[1] // FRAME
        while self.tick < ticks:
            self.deliver(codes)
            most = ticks - self.tick
            rest = codes[:, self.tick * FRAME :]
            sent = self.engine.many_ticks(self.tick * TICK_NS, self.batch, list(rest), most) if quick else None
            if sent is None:
                out = self.engine.tick(self.tick * TICK_NS, self.batch)
                for at in range(out.count):
                    self.sent[at].append(out.datagram(at)[12:])
                self.tick += 1
                continue
            for at, row in enumerate(sent.payload_row.tolist()):
                self.sent[at].append(sent.payload[row].tobytes())
            self.tick += sent.ticks
            self.passes += 1


def voices(seed: int, legs: int, peak: float, ticks: int = 300) -> Pcm:
    """Bursts of noise and tone of all strengths, begun and ended at any time, with pauses long enough for the gate."""
    random = np.random.default_rng(seed)
    sound = random.integers(-10, 11, (legs, ticks * FRAME)).astype(np.float64)  # below the gate
    for leg in range(legs):
        at = 0
        while at < ticks:
            length, pause = int(random.integers(5, 90)), int(random.integers(0, 60))
            t = np.arange(length * FRAME)
            hertz = random.uniform(150, 900)
            burst = random.uniform(0.1, 1) * peak * np.sin(2 * np.pi * hertz / 8000 * t)
            end = min(ticks, at + length)
            sound[leg, at * FRAME : end * FRAME] += burst[: (end - at) * FRAME]
            at = end + pause
    return np.rint(sound).astype(np.int16)


@pytest.mark.parametrize(
    ("seed", "legs", "peak"),
    [(6, 5, 30000), (7, 5, 30000), (2, 5, 20000), (3, 5, 12000), (5, 5, 7000), (8, CROWD + 12, 12000)],
)
def test_a_loud_call_sounds_the_same_in_one_pass(seed: int, legs: int, peak: float) -> None:
    codes = g711.encode(g711.PCMU, voices(seed, legs, peak))
    quick, slow = Call(legs), Call(legs)
    quick.go(codes, quick=True)
    slow.go(codes, quick=False)
    assert quick.passes > 5, "the quick way was hardly taken"
    for leg, (one, other) in enumerate(zip(quick.sent, slow.sent, strict=True)):
        assert b"".join(one) == b"".join(other), leg
    quick.engine.apply(protocol.StopTap("tap"), 0)
    slow.engine.apply(protocol.StopTap("tap"), 0)
    assert (quick.tape.pcm == slow.tape.pcm).all()
    if peak > 10000:
        assert np.abs(quick.tape.pcm.astype(int)).max() > 32000
