"""What Opus costs in the engine, against libopus alone on the very frames that were coded.

``python -m bench.codecs [participants]``: rooms of 4, phones of Opus at 48 kHz; one, then all of each room talking. CPU
time of the process, packets' receiving and sending not included.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixminus.media import protocol
from mixminus.media.batch import PacketBatch, pack_address
from mixminus.media.codecs import opus
from mixminus.media.engine import Engine
from mixminus.media.state import TICK_NS
from mixminus.rtp.packet import RtpHeader

ROOM_SIZE = 4
TICKS = 150
WARM_UP = 50


def voice(seed: int) -> NDArray[np.int16]:
    """(TICKS, 960): harmonics of a gliding pitch under the envelope of syllables."""
    t = np.arange(TICKS * opus.FRAME) / opus.RATE
    phase = 2 * np.pi * np.cumsum(110 + 15 * seed + 20 * np.sin(2 * np.pi * 0.7 * t)) / opus.RATE
    sound = sum(np.sin(n * phase + n * n) / n for n in range(1, 25))
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * t + seed)
    pcm: NDArray[np.int16] = np.rint(2000 * envelope * sound).astype(np.int16)
    return pcm.reshape(-1, opus.FRAME)


def coded(sound: NDArray[np.int16]) -> list[bytes]:
    encoder, out = opus.Encoder(), np.zeros(opus.MAX_PACKET, np.uint8)
    return [out[: encoder.encode(frame, out)].tobytes() for frame in sound]


class Meter:
    """Counts calls of a function of libopus and the time in them."""

    def __init__(self, inner: Callable[..., int]) -> None:
        self.inner, self.calls, self.spent = inner, 0, 0

    def __call__(self, *args: Any) -> int:
        begin = time.thread_time_ns()
        result = self.inner(*args)
        self.spent += time.thread_time_ns() - begin
        self.calls += 1
        return result


def measure(participants: int, talkers: int) -> None:
    """Print one row: engine, libopus within it, ratio; per tick of all."""
    library = opus.library()
    meters = {name: Meter(getattr(library, name)) for name in ("opus_encode", "opus_decode")}
    for name, meter in meters.items():
        setattr(library, name, meter)
    try:
        engine, legs = Engine([20000], capacity=2 * participants, seed=1), []
        for number in range(participants):
            remote = (f"127.0.{number // 200}.1", 10000 + number % 200)
            room = f"room {number // ROOM_SIZE}"
            engine.apply(protocol.OpenLeg(str(number), room, 20000, remote, "opus", 111, talk=1, hear=1), 0)
            legs.append(pack_address(remote))
        voices = [coded(voice(seed)) for seed in range(ROOM_SIZE)]
        quiet = [opus.silence()] * TICKS
        batch, spent = PacketBatch(participants), 0
        for tick in range(TICKS):
            if tick == WARM_UP:
                spent = 0
                for meter in meters.values():
                    meter.calls = meter.spent = 0
            batch.count = 0
            for number, address in enumerate(legs):
                seat = number % ROOM_SIZE
                packet = (voices[seat] if seat < talkers else quiet)[tick]
                header = RtpHeader(111, tick, 960 * tick, number, False).pack()
                batch.append(header + packet, address, 0)
            begin = time.process_time_ns()
            engine.tick(tick * TICK_NS, batch)
            spent += time.process_time_ns() - begin
    finally:
        for name, meter in meters.items():
            setattr(library, name, meter.inner)
    bare = sum(meter.spent for meter in meters.values())
    ticks = TICKS - WARM_UP
    counts = ", ".join(f"{meter.calls / ticks:.0f} {name}" for name, meter in meters.items())
    print(
        f"{participants} of Opus, {talkers} of {ROOM_SIZE} talking: engine {spent / ticks / 1e6:.2f} ms a tick, "
        f"libopus in it {bare / ticks / 1e6:.2f} ms ({counts}), ratio {spent / bare:.3f}; "
        f"{spent / ticks / participants / 1000:.1f} µs each"
    )


def main() -> None:
    participants = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    for talkers in (1, ROOM_SIZE):
        measure(participants, talkers)


if __name__ == "__main__":
    main()
