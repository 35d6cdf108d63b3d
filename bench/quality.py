"""How speech sounds after a bad network: ``python -m bench.quality [--seeds 3]``, the table of docs/quality.md.

Synthesised speech is sent over emulated networks into the engine, all conditions at once. What another participant
hears and what the recording holds are compared with what was said. The same packets are played once more with two
simpler concealments: the last 20 ms repeated, and silence. Beside them, what ITU-T G.711 Appendix I makes of those that
were not lost, each in time (:mod:`bench.appendix_i`).

Scores: PESQ narrowband (ITU-T P.862.1, MOS-LQO 1.0 to 4.55), and STOI (0 to 1) of half-second pieces, each laid on the
original where it fits best.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from bench import appendix_i
from bench.engine import Discard
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mixminus.media import protocol
from mixminus.media.batch import PacketBatch, pack_address, unpack_address
from mixminus.media.codecs import g711
from mixminus.media.engine import Engine
from mixminus.media.jitter import conceal
from mixminus.media.state import FRAME, RATE, TICK_NS
from mixminus.rtp.packet import RtpHeader
from mixminus.testing import sources
from mixminus.testing.netem import Link, Weather

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Pcm = NDArray[np.int16]
VOICES: tuple[sources.Voice, ...] = ("agent", "customer", "supervisor")
LOSSES = (0.0, 0.01, 0.03, 0.05, 0.1)
JITTERS = (0.0, 20.0, 50.0, 100.0)
LEAD = 100
"""Ticks of quiet before the speech and after it."""
PORT = 20000
REACH_MS = 600
"""How much later than at once sound may be heard."""
_EXTRAPOLATE = "extrapolate"
ScoreT = TypeVar("ScoreT", bound="DataclassInstance")


@dataclass
class Caller(Discard):
    """One talker on one bad line, who is alone in a room with a listener and a tape."""

    voice: Pcm
    weather: Weather
    link: Link
    address: protocol.Address
    ear: protocol.Address
    heard: list[Pcm] = field(default_factory=list)
    tape: list[Pcm] = field(default_factory=list)
    came: list[Pcm | None] = field(default_factory=list)
    """What was sent, as it sounds, frame by frame; None: lost on the way."""
    delay_ms: float = 0.0

    def write(self, pcm: Pcm, now_ns: int) -> None:
        self.tape.append(pcm.copy())


@dataclass(frozen=True)
class Score:
    pesq: float
    stoi: float
    recorded: float
    """PESQ of the recording."""
    yardstick: float
    """PESQ of Appendix I."""
    delay_ms: float
    """Mean depth of the jitter buffer while there was speech."""


def callers(weathers: Sequence[Weather], seeds: int) -> list[Caller]:
    made: list[Caller] = []
    for weather in weathers:
        for seed in range(seeds):
            for name in VOICES:
                number = len(made)
                host = f"127.{number // 250}.{number % 250}"
                link = Link(weather, seed=1000 * seed + VOICES.index(name))
                made.append(Caller(sources.voice(name), weather, link, (f"{host}.1", 4000), (f"{host}.2", 4000)))
    return made


def play(lines: list[Caller]) -> None:
    """Every line from the first word to the last."""
    by_tap = {f"tape {number}": line for number, line in enumerate(lines)}
    engine = Engine([PORT], capacity=4 * len(lines), seed=1, open_tap=lambda command, now_ns: by_tap[command.tap])
    for number, line in enumerate(lines):
        room = f"room {number}"
        engine.apply(protocol.OpenLeg(f"talker {number}", room, PORT, line.address, talk=1, hear=0), 0)
        engine.apply(protocol.OpenLeg(f"listener {number}", room, PORT, line.ear, talk=0, hear=1), 0)
        engine.apply(protocol.StartTap(f"tape {number}", room, 1, "nowhere"), 0)
    ears = {line.ear: line for line in lines}
    addresses = [pack_address(line.address) for line in lines]
    said = [_frames(line.voice) for line in lines]
    ticks = max(map(len, said)) + 2 * LEAD
    batch = PacketBatch(16 * len(lines))
    depth = np.zeros((ticks, len(lines)))
    for tick in range(ticks):
        now_ns = tick * TICK_NS
        batch.count = 0
        for line, frames, address in zip(lines, said, addresses, strict=True):
            at = tick - LEAD
            payload = frames[at] if 0 <= at < len(frames) else bytes([0xFF]) * FRAME
            header = RtpHeader(0, tick & 0xFFFF, tick * FRAME, 7)
            lost = line.link.lost
            line.link.send(header.pack() + payload, now_ns)
            codes = np.frombuffer(payload, np.uint8)
            line.came.append(g711.DECODE[g711.PCMU][codes] if line.link.lost == lost else None)
            for packet in line.link.arrived(now_ns + TICK_NS // 2):
                batch.append(packet, address, 0)
        out = engine.tick(now_ns, batch)
        for index in range(out.count):
            listener = ears.get(unpack_address(out.address[index]))
            if listener is not None:
                codes = out.payload[out.payload_row[index], : out.payload_length[index]]
                listener.heard.append(g711.DECODE[g711.PCMU][codes])
        if tick % 10 == 0:
            stats = engine.apply(protocol.GetStats(legs=True), now_ns)
            assert stats is not None
            depth[tick : tick + 10] = [leg.delay_ms for leg in stats.leg_stats if leg.leg.startswith("talker")]
    for number, line in enumerate(lines):
        engine.apply(protocol.StopTap(f"tape {number}"), ticks * TICK_NS)
        line.delay_ms = float(depth[LEAD : LEAD + len(said[number]), number].mean())


def _frames(voice: Pcm) -> list[bytes]:
    whole = np.concatenate((voice, np.zeros(-voice.size % FRAME, np.int16)))
    return [frame.tobytes() for frame in g711.ENCODE[g711.PCMU][whole.view(np.uint16)].reshape(-1, FRAME)]


def mos(said: Pcm, heard: Pcm) -> float:
    """PESQ narrowband, MOS-LQO."""
    from pesq import pesq  # needs a C compiler to install, so only this bench asks for it

    return float(pesq(RATE, said, heard, "nb"))


def intelligibility(said: Pcm, heard: Pcm, rate: int) -> float:
    """Mean STOI of half-second pieces, each laid where it fits best; ``heard`` begins :data:`LEAD` ticks before."""
    from pystoi import stoi

    spoken, sound, size = said.astype(np.float64), heard.astype(np.float64), rate // 2
    fitted = np.zeros(spoken.size)
    for begin in range(0, spoken.size - size + 1, size):
        piece = spoken[begin : begin + size]
        at = LEAD * rate // 50 + begin
        around = sound[at - size // 8 : at + size + rate * REACH_MS // 1000]
        match = np.correlate(around, piece, "valid")
        energy = np.sqrt(np.convolve(around**2, np.ones(size), "valid") + 1)
        best = int(np.argmax(match / energy))
        fitted[begin : begin + size] = around[best : best + size]
    return float(stoi(spoken, fitted, rate))


def score(lines: list[Caller]) -> dict[Weather, Score]:
    by_weather: dict[Weather, list[Caller]] = {}
    for line in lines:
        by_weather.setdefault(line.weather, []).append(line)
    return {weather: mean([_score(line) for line in those]) for weather, those in by_weather.items()}


def _score(line: Caller) -> Score:
    heard, tape = np.concatenate(line.heard), np.concatenate(line.tape)
    first = LEAD * FRAME
    span = slice(first, first + line.voice.size + RATE * REACH_MS // 1000)
    return Score(
        mos(line.voice, heard[span]),
        intelligibility(line.voice, heard, RATE),
        mos(line.voice, tape[span]),
        mos(line.voice, appendix_i.conceal(line.came)[span]),
        line.delay_ms,
    )


def mean(scores: Sequence[ScoreT]) -> ScoreT:
    """Of scores of one kind, a dataclass of numbers."""
    kind = type(scores[0])
    return kind(*(float(np.mean([getattr(one, each.name) for one in scores])) for each in fields(kind)))


def repeat(history: Pcm, length: int) -> Pcm:
    """The last 20 ms again and again."""
    return history[:, -FRAME:][:, :length]


def hush(history: Pcm, length: int) -> Pcm:
    """Silence."""
    return np.zeros((len(history), length), np.int16)


@contextmanager
def concealed_by(method: Callable[[Pcm, int], Pcm] | None) -> Iterator[None]:
    """Have the engine fill gaps in another way."""
    real = conceal.extrapolate
    if method is not None:
        setattr(conceal, _EXTRAPOLATE, method)
    try:
        yield
    finally:
        setattr(conceal, _EXTRAPOLATE, real)


METHODS: dict[str, Callable[[Pcm, int], Pcm] | None] = {
    "mixminus": None,
    "repetition": repeat,
    "silence": hush,
}


def measure(weathers: Sequence[Weather], seeds: int) -> dict[str, dict[Weather, Score]]:
    found = {}
    for name, method in METHODS.items():
        lines = callers(weathers, seeds)
        with concealed_by(method):
            play(lines)
        found[name] = score(lines)
    return found


def also(weather: Weather) -> str:
    """What else is bad about a network, in words."""
    words = {
        "out of order": not weather.in_order,
        f"{weather.reorder:.0%} overtake": weather.reorder,
        f"{weather.duplicate:.0%} twice": weather.duplicate,
        f"{weather.drift_ppm:+.0f} ppm": weather.drift_ppm,
    }
    return ", ".join(word for word, there in words.items() if there)


def show(found: dict[str, dict[Weather, Score]]) -> None:
    table = Table(title="speech after a bad network: PESQ (narrowband MOS-LQO)")
    heads = (
        "loss",
        "burst",
        "jitter ms",
        "also",
        *METHODS,
        "Appendix I",
        "recording",
        "STOI",
        "STOI repetition",
        "buffer ms",
    )
    for head in heads:
        table.add_column(head, justify="right")
    for weather, ours in found["mixminus"].items():
        table.add_row(
            f"{weather.loss:.0%}",
            f"{weather.burst:.0f}",
            f"{weather.jitter_ms:.0f}",
            also(weather),
            *(f"{found[name][weather].pesq:.2f}" for name in METHODS),
            f"{ours.yardstick:.2f}",
            f"{ours.recorded:.2f}",
            f"{ours.stoi:.3f}",
            f"{found['repetition'][weather].stoi:.3f}",
            f"{ours.delay_ms:.0f}",
        )
    Console(width=160).print(table)


def need_scores() -> None:
    """Raises SystemExit: what scores is not installed."""
    if find_spec("pesq") is None or find_spec("pystoi") is None:
        raise SystemExit("this needs pesq (built with a C compiler) and pystoi: pip install 'mixminus[quality]'")


def conditions() -> list[Weather]:
    table = [Weather(loss=loss, jitter_ms=jitter) for loss in LOSSES for jitter in JITTERS]
    table += [Weather(loss=loss, burst=3) for loss in (0.03, 0.1)]
    table += [Weather(loss=0.1, burst=5), Weather(jitter_ms=5), Weather(jitter_ms=10)]
    table += [Weather(jitter_ms=jitter, in_order=False) for jitter in (20, 50)]
    table += [Weather(jitter_ms=20, reorder=0.1), Weather(duplicate=0.1, jitter_ms=10)]
    table += [Weather(drift_ppm=ppm) for ppm in (-500, 500)]
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="bad minutes of each kind, for each of three voices")
    parser.add_argument("--quick", action="store_true", help="loss alone, without jitter")
    options = parser.parse_args(arguments)
    need_scores()
    weathers = conditions()
    if options.quick:
        weathers = [weather for weather in weathers if not weather.jitter_ms]
    show(measure(weathers, options.seeds))


if __name__ == "__main__":
    main()
