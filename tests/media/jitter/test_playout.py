"""One talker over a bad network: what comes out of the jitter buffer, slot (10 ms) by slot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from media.kit import Peer, Studio, through, tone
from mixminus.media import protocol
from mixminus.media.jitter.conceal import CROSS_MS, FADE_SLOTS
from mixminus.media.jitter.depth import MAX_DELAY, WINDOW
from mixminus.media.jitter.ingest import MAX_WAVES, OVERFULL
from mixminus.media.jitter.playout import MOST_JOINTS, _due
from mixminus.media.state import FRAME, SLOT, MediaState
from mixminus.testing import sources

FAKED = -1
SILENT = -2


class Line:
    """A talker whose every slot is different, and a tape of what it sounds like in the room."""

    def __init__(self, frames: int, *, packet_slots: int = 2, codec: protocol.Codec = "PCMU") -> None:
        self.studio = Studio()
        self.talker = self.studio.join("talker", codec=codec)
        self.studio.apply(protocol.StartTap("tape", "room", 1, "spool"))
        noise = np.random.default_rng(1).integers(-20000, 20000, frames * FRAME).astype(np.int16)
        self.sent = through(self.talker.law, noise).reshape(-1, SLOT)
        self.packets = noise.reshape(-1, packet_slots * SLOT)
        self._number = {slot.tobytes(): number for number, slot in enumerate(self.sent)}
        assert len(self._number) == len(self.sent)

    def say(self, packet: int) -> bytes:
        """Make packet number ``packet``; it has to be the next, or after a ``skip``."""
        return self.talker.packet(self.packets[packet])

    def run(self, arrivals: dict[int, list[bytes]], ticks: int) -> None:
        for tick in range(ticks):
            self.studio.deliver(self.talker, *arrivals.get(tick, []))
            self.studio.tick()

    def heard(self) -> list[int]:
        """Number of the slot that was sent, FAKED or SILENT, for each slot so far; ends the tape."""
        self.studio.apply(protocol.StopTap("tape"))
        slots = self.studio.tapes["tape"].pcm.reshape(-1, SLOT)
        return [self._number.get(slot.tobytes(), FAKED if slot.any() else SILENT) for slot in slots]

    @property
    def stats(self) -> protocol.LegStats:
        return self.studio.stats("talker")


def after_start(heard: list[int]) -> list[int]:
    return heard[next(at for at, slot in enumerate(heard) if slot >= 0) :]


def on_time(line: Line, packets: int, per_tick: Callable[[int], int] = lambda packet: packet) -> dict[int, list[bytes]]:
    """Packets 0..n-1, each at the tick that ``per_tick`` says."""
    arrivals: dict[int, list[bytes]] = defaultdict(list)
    for packet in range(packets):
        arrivals[per_tick(packet)].append(line.say(packet))
    return arrivals


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_on_a_clean_network_all_is_heard_one_frame_later(codec: protocol.Codec) -> None:
    line = Line(50, codec=codec)
    line.run(on_time(line, 50), 51)
    assert line.stats.delay_ms == 0
    assert line.heard() == [SILENT, SILENT, *range(100)]
    assert (line.stats.lost, line.stats.late, line.stats.concealed, line.stats.received) == (0, 0, 0, 50)


@pytest.mark.parametrize("milliseconds", [10, 20, 30, 40, 60])
def test_packets_may_be_of_any_usual_length(milliseconds: int) -> None:
    slots = milliseconds // 10
    line = Line(120, packet_slots=slots)
    line.run(on_time(line, len(line.packets), lambda packet: packet * slots // 2), 121)
    heard = line.heard()
    assert after_start(heard) == list(range(240))[: len(after_start(heard))]
    assert heard.index(0) <= 2 + slots
    assert (line.stats.lost, line.stats.concealed) == (0, 0)


def test_sequence_and_timestamp_may_wrap() -> None:
    line = Line(50)
    line.talker.sequence = 65530
    line.talker.timestamp = (1 << 32) - 5 * FRAME
    line.run(on_time(line, 50), 51)
    assert line.heard() == [SILENT, SILENT, *range(100)]
    assert line.stats.lost == 0


def test_a_lost_frame_is_concealed_and_the_next_slot_crossed_over_to() -> None:
    line = Line(20)
    arrivals = {tick: [line.say(tick)] for tick in range(20)}
    del arrivals[7]
    line.run(arrivals, 21)
    heard = line.heard()
    assert heard == [SILENT, SILENT, *range(14), FAKED, FAKED, FAKED, *range(17, 40)]
    crossed = line.studio.tapes["tape"].pcm.reshape(-1, SLOT)[18]
    assert (crossed[SLOT * CROSS_MS // 10 :] == line.sent[16][SLOT * CROSS_MS // 10 :]).all()
    assert (line.stats.lost, line.stats.concealed, line.stats.late) == (1, 1, 0)


def test_concealment_goes_on_in_pitch_and_fades_within_60_ms() -> None:
    line = Line(20)
    said = through(line.talker.law, tone(190, 20, 8000).reshape(-1)).reshape(-1, SLOT)
    line.packets = tone(190, 20, 8000)
    arrivals = {tick: [line.say(tick)] for tick in range(20)}
    for tick in range(8, 14):
        del arrivals[tick]
    line.run(arrivals, 21)
    line.studio.apply(protocol.StopTap("tape"))
    slots = line.studio.tapes["tape"].pcm.reshape(-1, SLOT).astype(float)
    gap = slots[18:30]
    assert not gap[FADE_SLOTS:].any()
    for made, meant in zip(gap[:4], said[16:20], strict=True):
        assert np.corrcoef(made, meant)[0, 1] > 0.95
    loudness = np.abs(gap[:FADE_SLOTS]).max(axis=1)
    assert loudness[0] == pytest.approx(8000, rel=0.05)
    assert (np.diff(loudness) < 300).all()
    assert abs(gap[FADE_SLOTS - 1][-5:]).max() < 300
    steps = np.abs(np.diff(slots[4:40].reshape(-1)))
    assert steps.max() < 1.5 * 8000 * 2 * np.pi * 190 / 8000
    assert (line.stats.lost, line.stats.concealed) == (6, 3)


def test_packets_out_of_order_are_put_in_order() -> None:
    line = Line(40)
    arrivals = {tick: [line.say(tick)] for tick in range(40)}
    for tick in range(4, 36, 4):
        arrivals[tick], arrivals[tick + 1] = [], arrivals[tick + 1] + arrivals[tick]
    line.run(arrivals, 41)
    assert line.heard() == [SILENT, SILENT, *range(80)]
    assert (line.stats.lost, line.stats.late) == (0, 0)


def test_twice_is_counted_and_heard_once() -> None:
    line = Line(20)
    arrivals = {tick: [packet, packet] for tick, (packet,) in on_time(line, 20).items()}
    arrivals[12] += arrivals[8]
    line.run(arrivals, 21)
    assert line.heard() == [SILENT, SILENT, *range(40)]
    assert (line.stats.duplicate, line.stats.lost, line.stats.received) == (22, 0, 42)


def test_too_late_is_late() -> None:
    line = Line(20)
    arrivals = on_time(line, 20)
    arrivals[12] += arrivals[6]
    del arrivals[6]
    line.run(arrivals, 21)
    assert (line.stats.late, line.stats.lost, line.stats.duplicate) == (1, 1, 0)


def test_when_all_are_delayed_nothing_is_lost_and_the_delay_grows() -> None:
    line = Line(40)
    line.run(on_time(line, 40, lambda packet: packet if packet < 10 else packet + 3), 43)
    heard = line.heard()
    numbered = [slot for slot in heard if slot >= 0]
    assert numbered == [slot for slot in range(80) if slot != 20][: len(numbered)]
    assert len(numbered) > 60, "then a pitch period is put in, for depth to spare"
    assert heard[: heard.index(60)].count(FAKED) == 5, "two frames, and the slot crossed over to"
    assert (line.stats.lost, line.stats.late, line.stats.concealed) == (0, 0, 2)


@pytest.mark.parametrize("jump", [1000 * FRAME, -1000 * FRAME, 12345677, 37, -37])
def test_the_clock_of_the_peer_may_jump(jump: int) -> None:
    line = Line(40)
    arrivals: dict[int, list[bytes]] = {}
    for tick in range(40):
        if tick == 20:
            line.talker.timestamp += jump
        arrivals[tick] = [line.say(tick)]
    line.run(arrivals, 42)
    heard = [slot for slot in line.heard() if slot >= 0]
    assert set(range(80)) - set(heard) == set()
    assert heard == sorted(heard)
    assert line.stats.lost == 0


def test_a_new_source_goes_on_without_a_gap() -> None:
    line = Line(40)
    arrivals: dict[int, list[bytes]] = {}
    for tick in range(40):
        if tick == 20:
            line.talker.ssrc, line.talker.sequence, line.talker.timestamp = 99, 7, 7_000_000
        arrivals[tick] = [line.say(tick)]
    line.run(arrivals, 41)
    assert line.heard() == [SILENT, SILENT, *range(80)]
    assert line.stats.lost == 0


def test_a_peer_that_begins_again_is_heard_again_though_its_source_is_the_same() -> None:
    line = Line(40)
    arrivals: dict[int, list[bytes]] = {}
    for tick in range(40):
        if tick == 20:
            line.talker.sequence -= 5000
            line.talker.timestamp -= 5000 * FRAME
        arrivals[tick] = [line.say(tick)]
    line.run(arrivals, 42)
    assert len(set(range(80)) & set(line.heard())) >= 76


def test_silence_suppression_is_neither_loss_nor_concealed() -> None:
    line = Line(60)
    arrivals: dict[int, list[bytes]] = {}
    for tick in range(60):
        if tick % 20 < 8:
            arrivals[tick] = [line.say(tick)]
        else:
            line.talker.pause()
    line.run(arrivals, 61)
    heard = line.heard()
    spoken = [slot for packet in sorted(arrivals) for slot in (2 * packet, 2 * packet + 1)]
    assert [slot for slot in heard if slot >= 0] == spoken
    assert (line.stats.lost, line.stats.concealed, line.stats.late) == (0, 0, 0)


def test_comfort_noise_is_a_pause_at_once() -> None:
    line = Line(60)
    arrivals: dict[int, list[bytes]] = {}
    for tick in range(60):
        if tick % 20 < 8:
            arrivals[tick] = [line.say(tick)]
            continue
        if tick % 20 in (8, 14):
            arrivals[tick] = [line.talker.raw(b"\x7f", payload_type=13)]
        line.talker.pause()
    line.run(arrivals, 61)
    heard = line.heard()
    assert FAKED not in heard
    assert len([slot for slot in heard if slot >= 0]) == 48
    assert (line.stats.lost, line.stats.concealed) == (0, 0)


def drifting(seconds: int, parts_per_million: float) -> tuple[Line, list[float]]:
    """A peer whose clock is off; the delay at every tick."""
    ticks = seconds * 50
    line = Line(1)
    line.talker.ssrc = 5
    sound = tone(440, ticks + 100)
    delays = []
    sent = 0
    for tick in range(ticks):
        while sent < (tick + 0.5) * (1 + parts_per_million / 1e6):
            line.studio.deliver(line.talker, line.talker.packet(sound[sent]))
            sent += 1
        line.studio.tick()
        if tick % 10 == 0:
            delays.append(line.stats.delay_ms)
    return line, delays


@pytest.mark.parametrize(("parts_per_million", "seconds"), [(200, 60), (-200, 60), (2000, 20), (-2000, 20)])
def test_a_clock_that_is_off_does_not_add_up(parts_per_million: float, seconds: int) -> None:
    line, delays = drifting(seconds, parts_per_million)
    assert max(delays[20:]) <= (40 if abs(parts_per_million) <= 500 else 60)
    assert (line.stats.lost, line.stats.late, line.stats.concealed) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("parts_per_million", [200, -200, 500])
def test_minutes_with_a_clock_that_is_off_cost_neither_delay_nor_sound(parts_per_million: float) -> None:
    line, delays = drifting(600, parts_per_million)
    assert max(delays[20:]) <= 60
    assert np.mean(delays[-500:]) <= np.mean(delays[100:600]) + 20
    assert (line.stats.lost, line.stats.late, line.stats.concealed) == (0, 0, 0)


def jittered(line: Line, packets: int, mean_ms: float, seed: int) -> dict[int, list[bytes]]:
    """Exponential delay of each packet; those of one tick in order of arrival."""
    random = np.random.default_rng(seed)
    made = [(20 * packet + 10 + random.exponential(mean_ms), line.say(packet)) for packet in range(packets)]
    arrivals: dict[int, list[bytes]] = defaultdict(list)
    for time, packet in sorted(made, key=lambda pair: pair[0]):
        arrivals[int(time // 20)].append(packet)
    return arrivals


@pytest.mark.parametrize(
    ("mean_ms", "missed", "most_ms"), [(1, 0, 20), (5, 0.002, 45), (20, 0.01, 130), (40, 0.03, 200)]
)
def test_jitter_costs_delay_but_hardly_a_frame(mean_ms: float, missed: float, most_ms: float) -> None:
    packets = 1500
    line = Line(packets)
    line.run(jittered(line, packets, mean_ms, 7), packets + 20)
    assert line.stats.lost <= missed * packets
    line.studio.apply(protocol.StopTap("tape"))
    sent = line.sent.tobytes()
    slots = line.studio.tapes["tape"].pcm.reshape(-1, SLOT)
    found = {at: sent.find(slot.tobytes()) // 2 for at, slot in enumerate(slots) if slot.any()}
    delay = [(at * SLOT - begin) / 8 for at, begin in found.items() if begin > 200 * SLOT]
    assert len(delay) > 0.9 * 2 * packets - 200
    assert np.mean(delay) <= most_ms


def test_delay_is_given_back_when_the_network_calms_down() -> None:
    line = Line(2000)
    arrivals = jittered(line, 300, 30, 3)
    last = max(arrivals)
    for packet in range(300, 2000):
        arrivals.setdefault(max(packet, last), []).append(line.say(packet))
    delays = []
    for tick in range(2000):
        line.studio.deliver(line.talker, *arrivals.get(tick, []))
        line.studio.tick()
        delays.append(line.stats.delay_ms)
    assert max(delays[:400]) >= 60
    assert max(delays[-50:]) <= 60
    assert delays[-1] < delays[400]


def test_delay_is_given_back_at_once_in_silence() -> None:
    line = Line(1)
    studio, talker = line.studio, line.talker
    studio.deliver(talker, *(talker.packet(np.zeros(FRAME, np.int16)) for _ in range(6)))
    studio.tick()
    assert line.stats.delay_ms == 120
    for _ in range(4 * WINDOW + 20):
        studio.deliver(talker, talker.packet(np.zeros(FRAME, np.int16)))
        studio.tick()
    assert line.stats.delay_ms == 20


def test_after_an_outage_the_delay_stays_within_its_limit() -> None:
    line = Line(700)
    made = [line.say(packet) for packet in range(700)]
    arrivals = {tick: [made[tick]] for tick in range(50)}
    arrivals[70] = made[50:71]
    arrivals |= {tick: [made[tick]] for tick in range(71, 700)}
    delays = []
    for tick in range(700):
        line.studio.deliver(line.talker, *arrivals.get(tick, []))
        line.studio.tick()
        delays.append(line.stats.delay_ms)
    assert max(delays) <= 10 * OVERFULL
    assert max(delays[-50:]) <= 10 * (MAX_DELAY + 2)
    assert (line.stats.lost, line.stats.late) == (0, 0), "what came after the stall was played, only faster"


def test_a_stalled_tick_loop_loses_nothing_when_it_catches_up() -> None:
    line = Line(60)
    made = [line.say(packet) for packet in range(60)]
    arrivals = {tick: [made[tick]] for tick in range(60) if not 20 <= tick < 30}
    arrivals[20] = made[20:30]
    line.run(arrivals, 61)
    heard = line.heard()
    assert [slot for slot in heard if slot >= 0] == list(range(120))
    assert FAKED not in heard


def test_a_flood_is_cut_off() -> None:
    line = Line(1)
    talker = line.talker
    frame = tone(440, 1)[0]
    line.studio.deliver(talker, *(talker.packet(frame) for _ in range(1000)))
    line.studio.tick()
    assert line.stats.received == MAX_WAVES
    for _ in range(100):
        line.studio.deliver(talker, talker.packet(frame))
        line.studio.tick()
    assert line.stats.delay_ms <= 10 * OVERFULL


def test_giving_back_delay_while_there_is_sound_makes_no_click() -> None:
    studio = Studio()
    talker = studio.join("talker")
    studio.apply(protocol.StartTap("tape", "room", 1, "spool"))
    ticks = 9 * WINDOW
    sound = tone(200, ticks, 8000)
    studio.deliver(talker, *(talker.packet(sound[n]) for n in range(4)))
    for n in range(4, ticks):
        studio.deliver(talker, talker.packet(sound[n]))
        studio.tick()
    studio.apply(protocol.StopTap("tape"))
    assert studio.stats("talker").delay_ms <= 30
    steps = np.abs(np.diff(studio.tapes["tape"].pcm[4 * FRAME : (ticks - 20) * FRAME].astype(np.int32)))
    assert steps.max() < 2.5 * 8000 * 2 * np.pi * 200 / 8000


def test_scaled_speech_is_the_very_same_but_for_its_joints() -> None:
    studio = Studio()
    talker = studio.join("talker")
    studio.apply(protocol.StartTap("tape", "room", 1, "spool"))
    voice = np.concatenate([sources.voice("agent"), sources.voice("customer")])
    sound = voice[: voice.size // FRAME * FRAME].reshape(-1, FRAME)
    studio.deliver(talker, *(talker.packet(sound[n]) for n in range(7)))
    for n in range(7, len(sound)):
        studio.deliver(talker, talker.packet(sound[n]))
        studio.tick()
    studio.apply(protocol.StopTap("tape"))
    assert studio.stats("talker").delay_ms <= 40
    assert studio.stats("talker").concealed == 0
    sent = through(talker.law, sound.reshape(-1)).tobytes()
    pieces = studio.tapes["tape"].pcm[2 * FRAME :].reshape(-1, FRAME // 2)
    loud = [piece for piece in pieces if np.abs(piece).max() > 500]
    found = [sent.find(piece.tobytes()) // 2 for piece in loud]
    joints = found.count(-1)
    assert 5 <= joints <= 30
    assert {at % SLOT for at in found if at >= 0} - {0}, "pitch periods do not keep to the grid of slots"
    assert np.count_nonzero(np.diff([at for at in found if at >= 0]) < 0) == 0


def weather(peer: Peer, seed: int, ticks: int) -> dict[int, list[bytes]]:
    """Loss, lateness, duplicates and pauses; packets by tick of arrival."""
    random = np.random.default_rng(seed)
    arrivals: dict[int, list[bytes]] = defaultdict(list)
    for tick in range(ticks):
        if random.random() < 0.9:
            packet = peer.packet(random.integers(-20000, 20000, FRAME).astype(np.int16))
            arrivals[tick + int(random.exponential(0.8))] += [packet] * (1 + int(random.random() < 0.1))
        elif random.random() < 0.5:
            peer.pause()
        else:
            peer.skip()
    return arrivals


def test_many_lines_at_once_are_as_good_as_each_alone() -> None:
    """The vectorised stages against themselves one leg at a time: rows do not touch one another.

    A leg that is alone has the same row, because it tells in which tick it is a leg's turn.
    """
    legs = [f"leg {number}" for number in range(6)]
    ticks = 3 * WINDOW
    together = Studio()
    alone = {leg: Studio() for leg in legs}
    arrivals = {leg: weather(together.join(leg, leg), seed, ticks) for seed, leg in enumerate(legs)}
    for number, leg in enumerate(legs):
        for other in legs[:number]:
            alone[leg].join(other, other)
        alone[leg].join(leg, leg)
        for studio in (together, alone[leg]):
            studio.apply(protocol.StartTap(leg, leg, 1, "spool"))
    for tick in range(ticks):
        for leg in legs:
            together.deliver(together.peers[leg], *arrivals[leg][tick])
            alone[leg].deliver(alone[leg].peers[leg], *arrivals[leg][tick])
            alone[leg].tick()
        together.tick()
    for leg in legs:
        for studio in (together, alone[leg]):
            studio.apply(protocol.StopTap(leg))
        assert together.tapes[leg].pcm.any()
        assert (together.tapes[leg].pcm == alone[leg].tapes[leg].pcm).all()
        stats = (studio.stats(leg) for studio in (together, alone[leg]))
        first, second = ((one.received, one.lost, one.late, one.duplicate, one.concealed) for one in stats)
        assert first == second


@pytest.mark.parametrize("ticks", [11, 20, 60])
def test_ticks_that_were_left_out_leave_no_delay_behind(ticks: int) -> None:
    line = Line(150)
    made = [line.say(packet) for packet in range(150)]
    line.run({tick: [made[tick]] for tick in range(30)}, 30)
    line.studio.ticks += ticks
    line.studio.deliver(line.talker, *made[30 : 31 + ticks])
    line.studio.tick(late=True)
    line.run({tick: [made[31 + ticks + tick]] for tick in range(50)}, 50)
    assert line.stats.delay_ms <= 20
    assert (line.stats.late, line.stats.concealed) == (0, 0)
    stamps = [header.timestamp for header in line.talker.headers]
    assert np.diff(stamps[28:32]).tolist() == [FRAME, (ticks + 1) * FRAME, FRAME]
    heard = line.heard()
    assert FAKED not in heard, "nothing is hurried: what belonged into the ticks left out is over"
    assert heard[-1] >= 2 * (30 + ticks + 49)


def test_should_all_legs_be_late_at_once_they_wait_their_turn() -> None:
    state = MediaState(8 * MOST_JOINTS)
    row = np.arange(8 * MOST_JOINTS)
    state.owed[row] = 100 * SLOT
    due = np.array([_due(state, row, tick) for tick in range(8)])
    assert (due.sum(axis=1) == MOST_JOINTS).all()
    assert due.any(axis=0).all(), "each has its turn"
