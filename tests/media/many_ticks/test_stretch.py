"""Many ticks in one pass against the same ticks one by one: every sample, event and counter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.kit import PORTS, Pcm, Studio
from mixminus.media import protocol
from mixminus.media.batch import PacketBatch, pack_address, unpack_address
from mixminus.media.codecs import g711
from mixminus.media.many_ticks.stretch_heard import Payloads
from mixminus.media.many_ticks.stretch_mix import FEW
from mixminus.media.mixing.layout import CROWD
from mixminus.media.state import FRAME, TICK_NS

TICKS = 120
ROOMS = ("one", "two", "three")


def babble(seed: int, ticks: int, peak: int) -> Pcm:
    """(T, S): a tone with pauses, as loud as it may be."""
    rng = np.random.default_rng(seed)
    samples = np.arange(ticks * FRAME)
    gate = np.repeat(rng.random(1 + ticks // 15) < 0.7, 15 * FRAME)[: samples.size]
    sound: Pcm = np.rint(gate * peak * np.sin(samples * rng.uniform(0.05, 1))).astype(np.int16)
    return sound.reshape(ticks, FRAME)


class Hall(Studio):
    """A studio whose peers all send a frame in every tick, in one pass where that can be."""

    def __init__(self, quick: bool, sounds: dict[str, Pcm], prompts: dict[str, Pcm]) -> None:
        super().__init__(prompts=prompts)
        self.quick, self.sounds = quick, sounds
        self.passed = 0
        """Ticks taken in stretches."""
        self.unmade: list[tuple[Payloads, int, bytes]] = []
        """Payloads as they were before any was asked for, and what one of them was then."""

    def go(self, ticks: int) -> None:
        end = self.ticks + ticks
        while self.ticks < end:
            if not (self.quick and self._stretch(end - self.ticks)):
                self.tick({leg: self.sounds[leg][self.ticks] for leg in self.peers})

    def _stretch(self, most: int) -> bool:
        peers = list(self.peers.values())
        frames = [self.sounds[peer.leg][self.ticks : self.ticks + most].reshape(-1) for peer in peers]
        sound = np.stack([g711.ENCODE[peer.law][pcm.view(np.uint16)] for peer, pcm in zip(peers, frames, strict=True)])
        before = [(peer.sequence, peer.timestamp) for peer in peers]
        heads = PacketBatch(64)
        for peer, pcm in zip(peers, frames, strict=True):
            assert heads.append(peer.packet(pcm[:FRAME]), pack_address(peer.address), PORTS.index(peer.port))
        sent = self.engine.many_ticks(self.now, heads, list(sound), most)
        passed = 0 if sent is None else sent.ticks
        for peer, (sequence, timestamp) in zip(peers, before, strict=True):
            peer.sequence, peer.timestamp = sequence + passed, timestamp + passed * FRAME
        if sent is None:
            return False
        self.ticks += passed
        self.passed += passed
        for index, row in enumerate(sent.payload_row.tolist()):
            peer = self._routes[unpack_address(sent.batch.address[index]), PORTS[sent.batch.port[index]]]
            unmade = replace(sent.payload, made=dict(sent.payload.made))
            frames_heard = g711.DECODE[peer.law][sent.payload[row]].reshape(-1, FRAME)
            self.unmade.append((unmade, row, sent.payload[row].tobytes()))
            peer.heard += list(frames_heard)
        self.events += self.engine.events()
        return True


def play(quick: bool, peaks: Sequence[int], masks: Sequence[int], seed: int) -> Hall:
    """Everything of one run of a hall: three rooms, both laws, tracks, a mix with a coach left out, a prompt."""
    names = [f"leg{number}" for number in range(len(peaks))]
    sounds = {name: babble(seed + at, TICKS, peaks[at]) for at, name in enumerate(names)}
    hall = Hall(quick, sounds, {"prompt": babble(seed - 1, 40, 9000).reshape(-1)})
    for at, name in enumerate(names):
        codec: protocol.Codec = "PCMA" if at % 3 == 1 else "PCMU"
        hall.join(name, ROOMS[at % len(ROOMS)], codec=codec, talk=masks[at] & 3, hear=masks[at] >> 2)
    hall.apply(protocol.StartTap("all", "one", 3, "spool", tracks=True, notes=True))
    hall.apply(protocol.StartTap("mix", "two", 1, "spool"))
    hall.apply(protocol.StartTap("noted", "three", 3, "spool", notes=True))
    hall.go(45)
    hall.apply(protocol.Play("prompt", "one", "prompt", 1))
    hall.go(TICKS - 45)
    for tap in ("all", "mix", "noted"):
        hall.apply(protocol.StopTap(tap))
    return hall


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0, 20, 3000, 14000, 32000]), st.integers(0, 15)), min_size=1, max_size=9),
    st.integers(1, 1000),
)
def test_a_stretch_is_its_ticks_one_by_one(legs: list[tuple[int, int]], seed: int) -> None:
    peaks, masks = [peak for peak, _ in legs], [mask for _, mask in legs]
    quick, slow = play(True, peaks, masks, seed), play(False, peaks, masks, seed)
    assert quick.events == slow.events
    assert all(payloads[row].tobytes() == then for payloads, row, then in quick.unmade), "made later, it is the same"
    for name, peer in slow.peers.items():
        assert np.array_equal(np.stack(quick.peers[name].heard), np.stack(peer.heard)), name
        assert quick.stats(name) == slow.stats(name)
    for name, tape in slow.tapes.items():
        other = quick.tapes[name]
        assert np.array_equal(other.pcm, tape.pcm), name
        assert other.notes == tape.notes and other.marks == tape.marks
        assert set(other.tracks) == set(tape.tracks)
        for track in tape.tracks:
            assert np.array_equal(other.track(track), tape.track(track)), (name, track)


@pytest.mark.parametrize("peak", [3000, 32000])
def test_most_ticks_of_a_call_with_tracks_are_taken_in_stretches(peak: int) -> None:
    hall = play(True, [peak] * 6, [15] * 6, 5)
    assert hall.passed > TICKS / 2
    assert set(hall.tapes["all"].tracks) == {"leg0", "leg3", "sounds"}


@pytest.mark.parametrize("legs", [2, FEW + 1, CROWD + 2])
def test_rooms_of_all_sizes_hear_the_same_in_one_pass(legs: int) -> None:
    """Few sources are added up again for whoever listens; of many the sum is kept; crowds are summed in another way."""
    heard: list[list[bytes]] = []
    for quick in (True, False):
        hall = Hall(quick, {f"leg{at}": babble(at, 80, 900) for at in range(legs)}, {})
        for name in hall.sounds:
            hall.join(name)
        hall.go(80)
        heard.append([np.stack(peer.heard).tobytes() for peer in hall.peers.values()])
        assert (hall.passed > 40) is quick
    assert heard[0] == heard[1]


def test_a_hall_where_nobody_is_heard_passes_too() -> None:
    hall = Hall(True, {"a": babble(1, 60, 3000)}, {})
    hall.join("a", talk=0, hear=0)
    hall.go(60)
    assert hall.passed > 40
    assert hall.ticks * TICK_NS == hall.now
