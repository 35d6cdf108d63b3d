"""What the pure engine costs by stage: rooms of 4, everyone talking, every room recorded.

``python -m bench engine [participants] [share talking]``
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from time import thread_time_ns
from typing import Any

import numpy as np

from mixminus.media import engine as engine_module
from mixminus.media import level, protocol
from mixminus.media.batch import PacketBatch, pack_address
from mixminus.media.codecs import g711
from mixminus.media.engine import Engine
from mixminus.media.jitter import ingest, playout
from mixminus.media.state import TICK_NS
from mixminus.media.taping.tap import TapSink

ROOM_SIZE = 4
LEVEL = 2000.0
"""Of a talker, root mean square: -24 dBFS. Four are then rarely louder than a sample can be."""
TICKS = 500
WARM_UP = 100
HEADER = np.dtype([("first", "u1"), ("second", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")])


class Discard:
    """A sink that forgets."""

    def write(self, pcm: Any, now_ns: int) -> None: ...
    def beside(self, tracks: Any, notes: Any) -> None: ...
    def pause(self, now_ns: int) -> None: ...
    def resume(self, now_ns: int) -> None: ...
    def change_rate(self, rate: int, now_ns: int) -> None: ...
    def close(self, now_ns: int) -> None: ...


def build(participants: int, talking: float, room_size: int = ROOM_SIZE) -> tuple[Engine, PacketBatch]:
    def open_tap(command: protocol.StartTap, now_ns: int) -> TapSink:
        return Discard()

    engine = Engine([20000], capacity=2 * participants, seed=1, open_tap=open_tap)
    batch = PacketBatch(participants)
    batch.count = participants
    random = np.random.default_rng(1)
    fields = batch.data[:, :12].copy().view(HEADER)[:, 0]
    fields["first"] = 0x80
    fields["ssrc"] = np.arange(participants)
    batch.data[:, :12] = fields.view(np.uint8).reshape(-1, 12)
    batch.length[:] = 172
    voices = random.normal(0, LEVEL, (participants, 160))
    voices -= voices.mean(axis=1, keepdims=True)  # the same frame again and again: else it were an offset
    voices = voices.clip(-32768, 32767).astype(np.int16)
    batch.data[:, 12:172] = g711.ENCODE[g711.PCMU][voices.view(np.uint16)]
    batch.data[random.random(participants) >= talking, 12:172] = 0xFF
    for leg in range(participants):
        remote = (f"127.0.{leg // 200}.1", 10000 + leg % 200)
        batch.address[leg] = pack_address(remote)
        room = f"room {leg // room_size}"
        engine.apply(protocol.OpenLeg(f"leg {leg}", room, 20000, remote, talk=3, hear=1), 0)
        if leg % room_size == 0:
            engine.apply(protocol.StartTap(f"tap {room}", room, 2, "nowhere"), 0)
    return engine, batch


def watch(owner: Any, name: str, spent: dict[str, int]) -> None:
    """Add up the time spent in ``owner.name``."""
    inner: Callable[..., Any] = getattr(owner, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        begin = thread_time_ns()
        try:
            return inner(*args, **kwargs)
        finally:
            spent[name] = spent.get(name, 0) + thread_time_ns() - begin

    setattr(owner, name, timed)


def run(engine: Engine, batch: PacketBatch, ticks: int, first: int) -> int:
    spent = 0
    for tick in range(first, first + ticks):
        batch.data[:, 2:4] = (tick >> 8 & 255, tick & 255)
        batch.data[:, 4:8] = np.frombuffer((tick * 160).to_bytes(4), np.uint8)
        begin = thread_time_ns()
        engine.tick(tick * TICK_NS, batch)
        spent += thread_time_ns() - begin
    return spent


def main(arguments: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else arguments
    participants = int(words[0]) if words else 400
    talking = float(words[1]) if len(words) > 1 else 1.0
    engine, batch = build(participants, talking)
    run(engine, batch, WARM_UP, 0)
    scale = 1000 * participants * TICKS
    total = run(engine, batch, TICKS, WARM_UP)
    print(f"{participants} participants, {talking:.0%} talking: {total / scale:.2f} µs each and tick")
    spent: dict[str, int] = {}
    for owner, name in (
        (engine_module, "parse_headers"),
        (engine._demux, "find"),
        (ingest, "sort_out"),
        (ingest, "push"),
        (playout, "pull"),
        (level, "gate"),
        (level, "speaking"),
        (engine, "_arrange"),
        (engine._mixer, "run"),
        (engine._taps, "record"),
        (engine._packetiser, "write"),
    ):
        watch(owner, name, spent)
    total = run(engine, batch, TICKS, WARM_UP + TICKS)
    for name, time in spent.items():
        print(f"  {name:14} {time / scale:5.2f}")
    print(f"  {'the rest':14} {(total - sum(spent.values())) / scale:5.2f}")


if __name__ == "__main__":
    main()
