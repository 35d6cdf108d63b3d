"""What Opus and G.722 cost in the engine, against the codec's library alone on the very frames that were coded.

``python -m bench codecs [participants]``: rooms of 4, one, then all of each room talking; then what the crew of threads
saves. Figures are CPU time of the process per tick of 20 ms; the receiving and sending of packets is not included.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixminus.media import protocol
from mixminus.media.batch import PacketBatch, pack_address
from mixminus.media.codecs import g722, opus
from mixminus.media.engine import Engine
from mixminus.media.state import TICK_NS
from mixminus.media.wide.crew import Crew
from mixminus.media.wide.streams import Run, on_this_thread
from mixminus.rtp.packet import RtpHeader

Pcm = NDArray[np.int16]

ROOM_SIZE: Final = 4
TICKS: Final = 100
WARM_UP: Final = 50
ROUNDS: Final = 3
"""Times each is measured; the least counts, for the machine may be busy."""


def voice(seed: int, rate: int) -> Pcm:
    """(WARM_UP + TICKS, S): harmonics of a gliding pitch under the envelope of syllables."""
    t = np.arange((WARM_UP + TICKS) * rate // 50) / rate
    phase = 2 * np.pi * np.cumsum(110 + 15 * seed + 20 * np.sin(2 * np.pi * 0.7 * t)) / rate
    sound = sum(np.sin(n * phase + n * n) / n for n in range(1, 25))
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * t + seed)
    pcm: Pcm = np.rint(2000 * envelope * sound).astype(np.int16)
    return pcm.reshape(-1, rate // 50)


class Codec(NamedTuple):
    """One codec, and its library's calls as the benchmark finds them."""

    name: protocol.Codec
    payload_type: int
    clock: int
    """Time stamps in a frame."""
    code: Callable[[Pcm], list[bytes]]
    silence: Callable[[], bytes]


def _code_opus(sound: Pcm) -> list[bytes]:
    encoder, out = opus.Encoder(), np.zeros(opus.MAX_PACKET, np.uint8)
    return [out[: encoder.encode(frame, out)].tobytes() for frame in sound]


def _code_g722(sound: Pcm) -> list[bytes]:
    encoder = g722.Encoder()
    return [encoder.encode(frame) for frame in sound]


OPUS: Final = Codec("opus", 111, 960, _code_opus, opus.silence)
G722: Final = Codec("G722", 9, 160, _code_g722, lambda: g722.SILENCE)


class Scene:
    """Rooms full of phones, and what each of them sends in each tick."""

    def __init__(self, codec: Codec, participants: int, talkers: int) -> None:
        self.codec, self.participants = codec, participants
        rate = 48000 if codec is OPUS else 16000
        voices = [codec.code(voice(seed, rate)) for seed in range(talkers)]
        quiet = [codec.silence()] * (WARM_UP + TICKS)
        self.sent = [voices[seat] if seat < talkers else quiet for seat in range(ROOM_SIZE)]
        self.remotes = [(f"127.0.{number // 200}.1", 10000 + number % 200) for number in range(participants)]

    def engine(self, run: Run) -> Engine:
        engine = Engine([20000], capacity=2 * self.participants, seed=1, run=run)
        for number, remote in enumerate(self.remotes):
            room, codec = f"room {number // ROOM_SIZE}", self.codec
            engine.apply(
                protocol.OpenLeg(str(number), room, 20000, remote, codec.name, codec.payload_type, talk=1, hear=1), 0
            )
        return engine

    def play(
        self,
        run: Run = on_this_thread,
        clock: Callable[[], int] = time.process_time_ns,
        each_tick: Callable[[], None] = lambda: None,
    ) -> int:
        """Nanoseconds of ``clock`` that the engine takes for :data:`TICKS`."""
        engine, batch, spent = self.engine(run), PacketBatch(self.participants), 0
        addresses = [pack_address(remote) for remote in self.remotes]
        for tick in range(WARM_UP + TICKS):
            batch.count = 0
            each_tick()
            for number, address in enumerate(addresses):
                header = RtpHeader(self.codec.payload_type, tick, self.codec.clock * tick, number, False).pack()
                batch.append(header + self.sent[number % ROOM_SIZE][tick], address, 0)
            begin = clock()
            engine.tick(tick * TICK_NS, batch)
            if tick >= WARM_UP:
                spent += clock() - begin
        return spent


class Log:
    """Which frames the engine had coded, tick by tick, for them to be coded again without it."""

    NAMES: Final = ((opus, "decode_each"), (opus, "encode_each"), (g722, "decode_each"), (g722, "encode_each"))

    def __init__(self) -> None:
        self.ticks: list[list[tuple[str, list[int], list[bytes]]]] = []
        """What was called, by which decoders or encoders, with what."""

    def note(self, kind: str, coders: list[int], frames: list[bytes]) -> None:
        self.ticks[-1].append((kind, coders, frames))

    def count(self, kind: str) -> float:
        """Frames a tick."""
        return sum(len(frames) for tick in self.ticks[WARM_UP:] for name, _, frames in tick if name == kind) / TICKS

    def opus_decode_each(self, inner: Callable[..., None], tasks: Iterable[Any], results: list[int]) -> None:
        tasks = list(tasks)
        for _, at, before, packet, _ in tasks:
            pair = [packet] if before is None else [before, packet]
            self.note("decode", [at] * len(pair), pair)
        inner(iter(tasks), results)

    def opus_encode_each(self, inner: Callable[..., None], tasks: Iterable[Any], results: list[int]) -> None:
        tasks = list(tasks)
        frames = [ctypes.string_at(pcm, 2 * opus.FRAME) for _, _, pcm, _ in tasks]
        self.note("encode", [at for _, at, _, _ in tasks], frames)
        inner(iter(tasks), results)

    def g722_decode_each(self, inner: Callable[..., Pcm], decoders: list[Any], payload: bytes, size: int) -> Pcm:
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
        self.note("decode", [id(decoder) for decoder in decoders], pieces)
        return inner(decoders, payload, size)

    def g722_encode_each(self, inner: Callable[..., Any], encoders: list[Any], pcm: list[Pcm]) -> Any:
        self.note("encode", [id(encoder) for encoder in encoders], [frame.tobytes() for frame in pcm])
        return inner(encoders, pcm)

    def listen(self, scene: Scene) -> None:
        """Note what one run of a scene has coded."""
        originals = [getattr(module, name) for module, name in self.NAMES]
        for (module, name), inner in zip(self.NAMES, originals, strict=True):
            family = module.__name__.rpartition(".")[2]
            setattr(module, name, partial(getattr(self, f"{family}_{name}"), inner))
        try:
            scene.play(each_tick=lambda: self.ticks.append([]))
        finally:
            for (module, name), inner in zip(self.NAMES, originals, strict=True):
                setattr(module, name, inner)


def bare(log: Log, codec: Codec) -> int:
    """Nanoseconds of the library alone for what is in the log, in its order: one call after the other."""
    steps = (_bare_opus if codec is OPUS else _bare_g722)(log)
    spent = 0
    for tick, calls in enumerate(steps):
        begin = time.process_time_ns()
        for call in calls:
            call()
        if tick >= WARM_UP:
            spent += time.process_time_ns() - begin
    return spent


def _bare_opus(log: Log) -> Iterator[list[Callable[[], Any]]]:
    out, pcm = np.zeros(opus.MAX_PACKET, np.uint8), np.zeros(opus.FRAME, np.int16)
    coders: dict[int, Any] = {}
    keep: list[Any] = []
    for tick in log.ticks:
        calls: list[Callable[[], Any]] = []
        for kind, keys, frames in tick:
            for key in keys:
                if key not in coders:
                    coders[key] = opus.Encoder() if kind == "encode" else opus.Decoder()
            if kind == "decode":
                tasks = [
                    (0, coders[key].at, None, data, pcm.ctypes.data) for key, data in zip(keys, frames, strict=True)
                ]
                calls.append(partial(opus.decode_each, iter(tasks), [0]))
            else:
                keep = [np.frombuffer(data, np.int16) for data in frames]
                coding = [
                    (0, coders[key].at, x.ctypes.data, out.ctypes.data) for key, x in zip(keys, keep, strict=True)
                ]
                calls.append(partial(opus.encode_each, iter(coding), [0]))
        yield calls


def _bare_g722(log: Log) -> Iterator[list[Callable[[], Any]]]:
    coders: dict[int, Any] = {}
    for tick in log.ticks:
        calls: list[Callable[[], Any]] = []
        for kind, keys, frames in tick:
            for key, data in zip(keys, frames, strict=True):
                if key not in coders:
                    coders[key] = (g722.Encoder() if kind == "encode" else g722.Decoder()).codec
                given = np.frombuffer(data, np.int16) if kind == "encode" else data
                calls.append(partial(getattr(coders[key], kind), given))
        yield calls


def measure(codec: Codec, participants: int, talkers: int) -> None:
    """Print one row: engine, library, ratio."""
    scene, log = Scene(codec, participants, talkers), Log()
    log.listen(scene)
    engine, library = scene.play(), bare(log, codec)
    for _ in range(ROUNDS - 1):
        engine, library = min(engine, scene.play()), min(library, bare(log, codec))
    print(
        f"{participants} of {codec.name}, {talkers} of {ROOM_SIZE} talking: "
        f"engine {engine / TICKS / 1e6:.2f} ms a tick, "
        f"library alone {library / TICKS / 1e6:.2f} ms ({log.count('decode'):.0f} decoded, "
        f"{log.count('encode'):.0f} encoded), ratio {engine / library:.2f}; "
        f"{engine / TICKS / participants / 1000:.1f} µs each"
    )


def measure_crew(participants: int) -> None:
    """Print how long a tick takes by the clock with helpers on the other cores, everybody talking."""
    scene, cores = Scene(OPUS, participants, ROOM_SIZE), os.cpu_count() or 1
    took = {}
    for helpers in (0, *([cores - 1] if cores > 1 else [])):
        crew = Crew(helpers)
        took[helpers] = min(scene.play(crew.run, time.perf_counter_ns) for _ in range(ROUNDS)) / TICKS / 1e6
        crew.stop()
    told = ", ".join(f"{helpers} helpers {tick:.2f} ms" for helpers, tick in took.items())
    print(f"{participants} of Opus, all talking, a tick by the clock on {cores} cores: {told}")


def main(options: Sequence[str] = ()) -> None:
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        # As in a worker: else the threads of the matrix product, which wait by spinning, are counted too.
        os.execve(sys.executable, [sys.executable, "-m", "bench.codecs", *options], _environment())
    participants = int(options[0]) if options else 160
    for codec in (OPUS, G722):
        for talkers in (1, ROOM_SIZE):
            measure(codec, participants, talkers)
    for size in (4, 8, participants // 2):
        measure_crew(size)


def _environment() -> dict[str, str]:
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1"}


if __name__ == "__main__":
    main(sys.argv[1:])
