"""What levels and tones cost: the engine as it is, and with each of them at work for everybody, in turns in one run.

``python -m bench levels [participants]``
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
from bench.engine import build, run

from mixminus.media import protocol
from mixminus.media.batch import PacketBatch
from mixminus.media.codecs import g711
from mixminus.media.engine import Engine

TICKS = 10
ROUNDS = 20
LOUD = 14000.0
"""Root mean square of a voice: of four at once, every sum is over the ceiling in every tick."""
OFFSET = 1000


def voices(engine: Engine, batch: PacketBatch, level: float, offset: int = 0) -> None:
    """Other voices for everybody, each of its own sound."""
    noise = np.random.default_rng(2).normal(0, level, (batch.count, 160))
    noise += offset - noise.mean(axis=1, keepdims=True)
    pcm = noise.clip(-32768, 32767).astype(np.int16)
    batch.data[: batch.count, 12:172] = g711.ENCODE[g711.PCMU][pcm.view(np.uint16)]


def set_up(name: str, participants: int) -> tuple[Engine, PacketBatch]:
    engine, batch = build(participants, 1.0)
    voices(engine, batch, LOUD if name == "limiter" else 2000, OFFSET if name == "offset" else 0)
    for leg in range(participants):
        if name == "agc":
            engine.apply(protocol.SetGainControl(f"leg {leg}", True), 0)
        if name in ("inband keys", "comfort noise"):
            remote = (f"127.0.{leg // 200}.1", 10000 + leg % 200)
            inband, comfort = name == "inband keys", name == "comfort noise"
            signal = protocol.UpdateLeg(f"leg {leg}", remote, inband_keys=inband, comfort_noise=comfort)
            engine.apply(signal, 0)
    run(engine, batch, 60, 0)
    return engine, batch


def main(options: Sequence[str] = ()) -> None:
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        # As in a worker: else the threads of the matrix product, which wait by spinning, are counted too.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "bench.levels", *options], env=environment, check=True)
        return
    participants = int(options[0]) if options else 2000
    names = ("nothing", "limiter", "offset", "agc", "inband keys", "comfort noise")
    engines = {name: set_up(name, participants) for name in names}
    spent: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(ROUNDS):
        for name, (engine, batch) in engines.items():
            took = run(engine, batch, TICKS, 60 + turn * TICKS)
            spent[name].append(took / (1000 * participants * TICKS))
    plain = float(np.median(spent["nothing"]))
    print(f"{participants} participants, everyone talking, µs of CPU each and tick, the median of {ROUNDS} turns")
    for name in names:
        middle = float(np.median(spent[name]))
        print(f"  {name:14} {middle:5.2f}  {'' if name == 'nothing' else f'{middle - plain:+.2f}'}")


if __name__ == "__main__":
    main(sys.argv[1:])
