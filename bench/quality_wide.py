"""How wide speech sounds after a bad network: ``python -m bench quality_wide [--seeds 1]``, a table of docs/quality.md.

As ``quality``, for legs of Opus and G.722, beside what a reference decoder makes of the very packets that came. It has
what no receiver has: every one of them in time (:mod:`mixminus.testing.reference`). Both are scored as decoded, ours as
the recording has it: PESQ wideband (ITU-T P.862.2, MOS-LQO 1.0 to 4.64). Needs espeak-ng, which speaks the voices.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Literal

import numpy as np
import soundfile
import soxr
from bench.engine import Discard
from bench.quality import LEAD, LOSSES, REACH_MS, intelligibility, mean, need_scores
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mixminus.media import protocol
from mixminus.media.batch import PacketBatch, pack_address
from mixminus.media.codecs import g722, opus
from mixminus.media.engine import Engine
from mixminus.media.jitter.depth import MAX_DELAY
from mixminus.media.state import TICK_NS
from mixminus.rtp.packet import RtpHeader
from mixminus.testing import reference
from mixminus.testing.netem import Link, Weather

Pcm = NDArray[np.int16]
Name = Literal["opus", "G722"]
TEXTS = (
    ("en-us+f3", 62, 165, "Good morning, you are speaking with Alice from support. I can see your order on my screen."
     " It left our warehouse on Tuesday, and it should reach you before noon tomorrow."),
    ("en-gb+m1", 28, 150, "Hello, this is Bob. I have been waiting for a parcel since last week. Could you please tell"
     " me where it is, and whether I need to be at home to receive it?"),
    ("en-gb-scotland+m7", 48, 178, "Alice, this is Carol, and only you can hear me. Offer him free delivery on his next"
     " order, and thank him for his patience. You are doing very well."),
)  # fmt: skip
"""Voice, pitch, words per minute and text: those of ``testing/voices``, which are narrow."""
JITTERS = (0.0, 20.0, 50.0)
DEEPEST_MS = 10 * MAX_DELAY
"""What no jitter buffer of ours holds back for longer."""
PORT = 20000
SCORED = 16000
"""Hz at which PESQ wideband compares."""
LEVEL = 3000
"""Root mean square of the voices: -20 dBFS or so."""


@dataclass(frozen=True)
class Codec:
    name: Name
    payload_type: int
    rate: int
    clock: int
    """Of RTP, ticks a frame."""
    encode: Callable[[Pcm], list[bytes]]
    """(N, S) frames → their payloads."""
    decode: Callable[[Sequence[bytes | None]], Pcm]


def _encode_opus(frames: Pcm) -> list[bytes]:
    encoder, out = opus.Encoder(), np.zeros(opus.MAX_PACKET, np.uint8)
    return [out[: encoder.encode(frame, out)].tobytes() for frame in frames]


def _encode_g722(frames: Pcm) -> list[bytes]:
    encoder = g722.Encoder()
    return [encoder.encode(frame) for frame in frames]


CODECS = (
    Codec("opus", 111, opus.RATE, opus.FRAME, _encode_opus, reference.decode_opus),
    Codec("G722", 9, g722.RATE, g722.FRAME_BYTES, _encode_g722, reference.decode_g722),
)


class Line(Discard):
    """One talker on one bad line, and a tape that records him alone."""

    def __init__(self, codec: Codec, voice: Pcm, weather: Weather, seed: int, number: int) -> None:
        self.codec, self.weather = codec, weather
        self.said = voice
        """At 16 kHz."""
        self.address: protocol.Address = (f"127.{number // 250}.{number % 250}.1", 4000)
        self.link = Link(weather, seed=seed)
        self.packets = codec.encode(framed(voice, codec.rate))
        self.came: list[bytes | None] = []
        """The payloads, in order of sending; None: lost on the way."""
        self.in_time: list[bytes | None] = [None] * len(self.packets)
        """Those that came within DEEPEST_MS of being sent."""
        self.tape: list[Pcm] = []
        self.delays: list[float] = []

    def send(self, tick: int, now_ns: int) -> list[bytes]:
        """The packet of a tick goes off; what comes during it."""
        payload, lost = self.packets[tick], self.link.lost
        header = RtpHeader(self.codec.payload_type, tick & 0xFFFF, tick * self.codec.clock, 7)
        self.link.send(header.pack() + payload, now_ns)
        self.came.append(payload if self.link.lost == lost else None)
        here = self.link.arrived(now_ns + TICK_NS // 2)
        for packet in here:
            number = int.from_bytes(packet[2:4], "big")
            if (tick - number) * TICK_NS <= DEEPEST_MS * 1_000_000:
                self.in_time[number] = self.packets[number]
        return here

    def write(self, pcm: Pcm, now_ns: int) -> None:
        self.tape.append(pcm.copy())


@dataclass(frozen=True)
class Score:
    ours: float
    reference: float
    in_time: float
    """Of the reference decoder, had it had every packet that was not later than DEEPEST_MS, and no other."""
    stoi: float
    reference_stoi: float
    delay_ms: float
    """Mean depth of the jitter buffer while there was speech."""


def speak(folder: Path) -> list[Pcm]:
    """The voices, at 16 kHz."""
    spoken = []
    for number, (voice, pitch, speed, text) in enumerate(TEXTS):
        file = str(folder / f"{number}.wav")
        subprocess.run(["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "-w", file, text], check=True)
        sound, rate = soundfile.read(file, dtype="float64")
        sound = soxr.resample(sound, rate, SCORED)
        sound *= LEVEL / np.sqrt(np.mean(sound**2))
        spoken.append(np.rint(sound).clip(-32768, 32767).astype(np.int16))
    return spoken


def framed(voice: Pcm, rate: int) -> Pcm:
    """What is sent of a voice at 16 kHz, quiet before and after it included: (N, S) frames at ``rate``."""
    size = rate // 50
    sound = soxr.resample(voice, SCORED, rate) if rate != SCORED else voice
    whole = np.zeros((2 * LEAD - (-sound.size // size), size), np.int16)
    whole.reshape(-1)[LEAD * size : LEAD * size + sound.size] = sound
    return whole


def play(lines: Sequence[Line]) -> None:
    """Every line from the first word to the last."""
    by_tap = {f"tape {number}": line for number, line in enumerate(lines)}
    engine = Engine([PORT], capacity=2 * len(lines), seed=1, open_tap=lambda command, now_ns: by_tap[command.tap])
    for number, line in enumerate(lines):
        room, codec = f"room {number}", line.codec
        leg = protocol.OpenLeg(
            f"talker {number}", room, PORT, line.address, codec.name, codec.payload_type, talk=1, hear=0
        )
        engine.apply(leg, 0)
        engine.apply(protocol.StartTap(f"tape {number}", room, 1, "nowhere", rate=codec.rate), 0)
    addresses = [pack_address(line.address) for line in lines]
    ticks = max(len(line.packets) for line in lines)
    batch = PacketBatch(32 * len(lines))
    for tick in range(ticks):
        now_ns = tick * TICK_NS
        batch.count = 0
        for line, address in zip(lines, addresses, strict=True):
            for packet in line.send(tick, now_ns) if tick < len(line.packets) else ():
                batch.append(packet, address, 0)
        engine.tick(now_ns, batch)
        if tick % 10 == 0:
            _note_delays(engine, lines, tick, now_ns)
    for tap in by_tap:
        engine.apply(protocol.StopTap(tap), ticks * TICK_NS)


def _note_delays(engine: Engine, lines: Sequence[Line], tick: int, now_ns: int) -> None:
    stats = engine.apply(protocol.GetStats(legs=True), now_ns)
    assert stats is not None
    for line, leg in zip(lines, stats.leg_stats, strict=True):
        if LEAD <= tick < len(line.packets) - LEAD:
            line.delays.append(leg.delay_ms)


def judge(line: Line) -> Score:
    ours, ideal = np.concatenate(line.tape), line.codec.decode(line.came)
    found = [(mos(line, sound), intelligibility(line.said, _scored(line, sound), SCORED)) for sound in (ours, ideal)]
    in_time = mos(line, line.codec.decode(line.in_time))
    return Score(found[0][0], found[1][0], in_time, found[0][1], found[1][1], float(np.mean(line.delays)))


def _scored(line: Line, sound: Pcm) -> Pcm:
    return sound if line.codec.rate == SCORED else np.asarray(soxr.resample(sound, line.codec.rate, SCORED), np.int16)


def mos(line: Line, sound: Pcm) -> float:
    """PESQ wideband, MOS-LQO, of what came of a line's speech."""
    from pesq import pesq  # needs a C compiler to install, so only these benches ask for it

    first = LEAD * SCORED // 50
    heard = _scored(line, sound)[first : first + line.said.size + SCORED * REACH_MS // 1000]
    return float(pesq(SCORED, line.said, heard, "wb"))


def measure(weathers: Sequence[Weather], seeds: int) -> dict[tuple[Weather, Name], Score]:
    with tempfile.TemporaryDirectory() as folder:
        voices = speak(Path(folder))
    lines: list[Line] = []
    for codec in CODECS:
        for weather in weathers:
            for seed in range(seeds):
                for at, voice in enumerate(voices):
                    lines.append(Line(codec, voice, weather, 1000 * seed + at, len(lines)))
    play(lines)
    by_kind: dict[tuple[Weather, Name], list[Score]] = {}
    for line in lines:
        by_kind.setdefault((line.weather, line.codec.name), []).append(judge(line))
    return {kind: mean(scores) for kind, scores in by_kind.items()}


def show(found: dict[tuple[Weather, Name], Score]) -> None:
    table = Table(title="wide speech after a bad network: PESQ (wideband MOS-LQO) and STOI")
    heads = ["loss", "run", "jitter ms"]
    for codec in CODECS:
        heads += [f"{codec.name} {what}" for what in ("ours", "reference", "in time", "STOI", "ref. STOI", "buffer ms")]
    for head in heads:
        table.add_column(head, justify="right")
    for weather in dict.fromkeys(weather for weather, _ in found):
        cells = [f"{weather.loss:.0%}", f"{weather.burst:.0f}", f"{weather.jitter_ms:.0f}"]
        for codec in CODECS:
            score = found[weather, codec.name]
            cells += [f"{score.ours:.2f}", f"{score.reference:.2f}", f"{score.in_time:.2f}"]
            cells += [f"{score.stoi:.3f}", f"{score.reference_stoi:.3f}", f"{score.delay_ms:.0f}"]
        table.add_row(*cells)
    Console(width=200).print(table)


def conditions() -> list[Weather]:
    return [Weather(loss=loss, jitter_ms=jitter) for loss in LOSSES for jitter in JITTERS] + [Weather(0.1, burst=3)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench quality_wide", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="bad minutes of each kind, for each of three voices")
    parser.add_argument("--quick", action="store_true", help="loss alone, without jitter")
    options = parser.parse_args(arguments)
    need_scores()
    if which("espeak-ng") is None:
        raise SystemExit("quality_wide needs espeak-ng, which speaks its voices: apt install espeak-ng")
    weathers = conditions()
    if options.quick:
        weathers = [weather for weather in weathers if not weather.jitter_ms]
    show(measure(weathers, options.seeds))


if __name__ == "__main__":
    main()
