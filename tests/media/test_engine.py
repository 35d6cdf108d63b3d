"""The whole pure engine against the obvious: every sample that every leg and tap gets, at every tick."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.kit import PORTS, SILENCE, Pcm, Peer, Studio, joined, strength, through, tone
from mixminus.errors import MediaError
from mixminus.media import protocol
from mixminus.media.codecs import g711
from mixminus.media.engine import Engine
from mixminus.media.mixing.matrix import expand
from mixminus.media.state import FRAME

ROOMS = ("one", "two")
CLIP = tone(523, 400).reshape(-1)
HERTZ = {leg: 300 + 50 * number for number, leg in enumerate("abcdefgh")}


class Truth:
    """The same calls, kept as plain dictionaries and summed in loops."""

    def __init__(self) -> None:
        self.studio = Studio(capacity=2, prompts={"clip.wav": CLIP})
        self.masks: dict[str, tuple[str, int, int]] = {}
        self.players: dict[str, tuple[str, int, int]] = {}
        """Room, talk, next frame."""
        self.taps: dict[str, tuple[str, int]] = {}
        self.recorded: dict[str, list[Pcm]] = {}
        self.sending: dict[str, Pcm] = {}
        """What was sent at the last tick and is played at this one."""
        self.count = 0

    def join(self, leg: str, room: str, talk: int, hear: int, codec: protocol.Codec) -> None:
        self.studio.join(leg, room, talk=talk, hear=hear, codec=codec)
        self.masks[leg] = (room, talk, hear)

    def leave(self, leg: str) -> None:
        self.studio.leave(self.studio.peers[leg])
        del self.masks[leg]
        self.sending.pop(leg, None)

    def set_hearing(self, leg: str, talk: int, hear: int) -> None:
        room = self.masks[leg][0]
        self.studio.apply(protocol.SetHearing(room, (protocol.Hearing(leg, talk, hear),)))
        self.masks[leg] = (room, talk, hear)

    def move(self, leg: str, room: str, talk: int, hear: int) -> None:
        self.studio.apply(protocol.MoveLeg(leg, room, talk, hear))
        self.masks[leg] = (room, talk, hear)

    def play(self, room: str, talk: int) -> None:
        player = f"player {self.count}"
        self.count += 1
        self.studio.apply(protocol.Play(player, room, "clip.wav", talk))
        self.players[player] = (room, talk, 0)

    def tap(self, room: str, hear: int) -> None:
        tap = f"tap {self.count}"
        self.count += 1
        self.studio.apply(protocol.StartTap(tap, room, hear, "spool"))
        self.taps[tap] = (room, hear)
        self.recorded[tap] = []

    def stop_player(self, player: str) -> None:
        self.studio.apply(protocol.StopPlay(player))
        del self.players[player]

    def stop_tap(self, tap: str) -> None:
        self.studio.apply(protocol.StopTap(tap))
        del self.taps[tap]

    def tick(self) -> None:
        tick = self.studio.ticks
        frames = {leg: tone(HERTZ[leg], tick + 1)[tick] for leg in self.masks}
        self.studio.tick(frames)
        heard = self._expected()
        for leg in self.masks:
            peer = self.studio.peers[leg]
            assert (peer.heard[-1] == through(peer.law, heard[leg])).all(), (leg, tick)
        for tap in self.taps:
            self.recorded[tap].append(heard[tap])
        self.sending = {leg: through(self.studio.peers[leg].law, frame) for leg, frame in frames.items()}
        self.players = {name: (room, talk, at + 1) for name, (room, talk, at) in self.players.items()}

    def _expected(self) -> dict[str, Pcm]:
        names = [*self.masks, *self.players, *self.taps]
        rows = [
            *self.masks.values(),
            *((room, talk, 0) for room, talk, _ in self.players.values()),
            *((room, 0, hear) for room, hear in self.taps.values()),
        ]
        sound = {name: CLIP.reshape(-1, FRAME)[at] for name, (_, _, at) in self.players.items()} | self.sending
        matrix = expand(
            np.array([ROOMS.index(room) for room, _, _ in rows], np.int32),
            np.array([talk for _, talk, _ in rows], np.uint64),
            np.array([hear for _, _, hear in rows], np.uint64),
        )
        heard = {}
        for listener, name in enumerate(names):
            total = np.zeros(FRAME, np.int64)
            for source in np.flatnonzero(matrix[listener]):
                total += sound.get(names[source], SILENCE)
            heard[name] = np.clip(total, -32768, 32767).astype(np.int16)
        return heard


def step(truth: Truth, random: np.random.Generator) -> None:
    """One change at random."""
    room = ROOMS[int(random.integers(2))]
    talk, hear = (int(mask) for mask in random.choice([0, 0, 1, 1, 2, 3, 5, 7], 2))
    absent = [leg for leg in HERTZ if leg not in truth.masks]
    legs = list(truth.masks)
    leg = legs[int(random.integers(len(legs)))] if legs else ""
    action = int(random.integers(10))
    if absent and (action < 3 or not legs):
        truth.join(absent[0], room, talk, hear, "PCMA" if random.random() < 0.4 else "PCMU")
    elif action < 6:
        truth.set_hearing(leg, talk, hear)
    elif action == 6:
        truth.move(leg, room, talk, hear)
    elif action == 7:
        truth.leave(leg)
    elif action == 8:
        if truth.players:
            truth.stop_player(next(iter(truth.players)))
        else:
            truth.play(room, talk)
    elif truth.taps and random.random() < 0.5:
        truth.stop_tap(next(iter(truth.taps)))
    else:
        truth.tap(room, hear)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9))
def test_whatever_changes_everybody_hears_exactly_what_is_granted(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = Truth()
    for _ in range(40):
        for _ in range(int(random.integers(3))):
            step(truth, random)
        truth.tick()
    for tap in list(truth.taps):
        truth.stop_tap(tap)
    for tap, frames in truth.recorded.items():
        expected = joined(frames) if frames else np.zeros(0, np.int16)
        assert (truth.studio.tapes[tap].pcm == expected).all()


def test_each_hears_all_others_and_not_itself() -> None:
    studio = Studio()
    hertz = {"a": 400, "b": 700, "c": 1100}
    for leg in hertz:
        studio.join(leg, codec="PCMA" if leg == "b" else "PCMU")
    sounds = {leg: tone(value, 60) for leg, value in hertz.items()}
    for tick in range(60):
        studio.tick({leg: sounds[leg][tick] for leg in hertz})
    for leg in hertz:
        sound = joined(studio.peers[leg].heard[10:60])
        for other, value in hertz.items():
            assert strength(sound, value) == pytest.approx(0 if other == leg else 3000, abs=30)


def test_a_leg_that_hears_nobody_gets_unbroken_silence_from_the_first_tick() -> None:
    studio = Studio()
    peers = [studio.join("u", hear=0), studio.join("a", hear=0, codec="PCMA")]
    studio.run(5)
    for peer in peers:
        assert [set(payload) for payload in peer.payloads] == [{g711.SILENCE[peer.law]}] * 5
        assert [header.marker for header in peer.headers] == [True, False, False, False, False]
        assert {len(payload) for payload in peer.payloads} == {FRAME}


def test_sequence_and_timestamp_run_on_through_new_signalling_and_wrap() -> None:
    studio = Studio(seed=3)
    peer = studio.join("a")
    studio.engine._state.tx_sequence[0] = 65530
    studio.engine._state.tx_timestamp[0] = 0xFFFFFFFF - 5 * FRAME
    studio.run(5)
    update = protocol.UpdateLeg("a", peer.address, "PCMA", 8)
    studio.apply(update)
    studio.run(5)
    sequences = [header.sequence for header in peer.headers]
    assert sequences == [(65530 + tick) & 0xFFFF for tick in range(10)]
    steps = np.diff(np.array([header.timestamp for header in peer.headers], np.uint32))
    assert set(steps.tolist()) == {FRAME}
    assert len({header.ssrc for header in peer.headers}) == 1
    assert [header.payload_type for header in peer.headers] == [0] * 5 + [8] * 5


def test_a_leg_on_hold_is_not_sent_to_and_begins_again_with_a_marker() -> None:
    studio = Studio()
    peer = studio.join("a", send=False)
    studio.run(3)
    assert peer.headers == []
    studio.apply(protocol.UpdateLeg("a", peer.address))
    studio.run(2)
    studio.apply(protocol.UpdateLeg("a", peer.address, send=False))
    studio.run(10)
    studio.apply(protocol.UpdateLeg("a", peer.address))
    studio.run(2)
    assert [header.marker for header in peer.headers] == [True, False, True, False]
    assert np.diff([header.sequence for header in peer.headers]).tolist() == [1, 1, 1]
    assert (peer.headers[2].timestamp - peer.headers[1].timestamp) & 0xFFFFFFFF == 11 * FRAME


def test_a_leg_without_an_address_is_not_sent_to() -> None:
    studio = Studio()
    studio.apply(protocol.OpenLeg("a", "room", PORTS[0], None))
    studio.run(2)
    assert studio.stats("a").sent == 0


def test_a_leg_that_may_not_send_is_not_heard() -> None:
    studio = Studio()
    listener = studio.join("a")
    studio.join("b", receive=False)
    for frame in tone(500, 10):
        studio.tick({"b": frame})
    assert not joined(listener.heard).any()
    assert studio.stats("b").received == 0


def test_waiting_audio_is_kept_when_the_law_changes() -> None:
    studio = Studio()
    listener = studio.join("a")
    talker = studio.join("b")
    frames = tone(500, 3)
    for frame in frames[:2]:
        studio.tick({"b": frame})
    studio.apply(protocol.UpdateLeg("b", talker.address, "PCMA", 8))
    talker.codec = "PCMA"
    studio.tick({"b": frames[2]})
    recoded = g711.DECODE[g711.PCMA][g711.RECODE[g711.PCMA][g711.ENCODE[g711.PCMU][frames[1].view(np.uint16)]]]
    assert (listener.heard[-1] == through(g711.PCMU, recoded)).all()


def test_rows_are_used_again_and_keep_nothing_of_the_last_call() -> None:
    studio = Studio(capacity=2)
    for name in "abcd":
        peer = studio.join(name)
        other = studio.join(name + name)
        for frame in tone(600, 6):
            studio.tick({name: frame})
        assert strength(joined(other.heard[2:6]), 600) > 2900
        studio.leave(peer)
        studio.leave(other)
        quiet = studio.join("quiet" + name)
        studio.run(4)
        assert not joined(quiet.heard).any()
        studio.leave(quiet)
    assert studio.engine._state.capacity == 2


def test_rows_double_in_the_middle_of_calls() -> None:
    studio = Studio(capacity=1)
    sounds = tone(450, 40)
    for tick in range(40):
        if tick % 2 == 0:
            studio.join(f"leg {tick}")
        studio.tick({"leg 0": sounds[tick]})
    assert studio.engine._state.capacity == 32
    late = studio.peers["leg 38"]
    assert (joined(late.heard) == through(g711.PCMU, joined(sounds[37:39]))).all()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (protocol.OpenLeg("a", "r", PORTS[0], ("127.0.0.1", 9)), "'a' is open already"),
        (protocol.OpenLeg("x", "r", 5, ("127.0.0.1", 9)), "port 5 is not one of"),
        (protocol.OpenLeg("x", "r", PORTS[0], ("host.example", 9)), "literal IP address"),
        (protocol.OpenLeg("x", "r", PORTS[0], ("127.0.0.1", 0)), "1 to 65535"),
        (protocol.OpenLeg("x", "r", PORTS[0], None, latch_hosts=("nonsense",)), "literal IP address"),
        (protocol.OpenLeg("x", "r", PORTS[0], ("127.0.0.1", 9), payload_type=72), "payload_type 72"),
        (protocol.OpenLeg("x", "r", PORTS[0], ("127.0.0.1", 9), dtmf_payload_type=200), "dtmf_payload_type 200"),
        (protocol.OpenLeg("x", "r", PORTS[0], ("127.0.0.1", 9), dtmf_payload_type=0), "payload type of the audio"),
        (protocol.OpenLeg("x", "r", PORTS[0], ("127.0.0.1", 9), "G729"), "'G729'"),  # type: ignore[arg-type]
        (protocol.OpenLeg("x", "r", PORTS[0], ("127.0.0.1", 9), talk=1 << 64), "talk"),
        (protocol.OpenLeg("x", "r", PORTS[0], ("127.0.0.1", 9), hear=-1), "hear"),
        (protocol.OpenLeg("x", "r", PORTS[0], ("127.0.0.1", 4000)), "already has the remote address"),
        (protocol.UpdateLeg("x", None), "no leg 'x'"),
        (protocol.CloseLeg("x"), "no leg 'x'"),
        (protocol.MoveLeg("x", "r", 0, 0), "no leg 'x'"),
        (protocol.MoveLeg("a", "r", 1 << 64, 0), "talk"),
        (protocol.SetHearing("room", (protocol.Hearing("x", 0, 0),)), "no leg 'x'"),
        (protocol.SetHearing("other", (protocol.Hearing("a", 0, 0),)), "not in room 'other'"),
        (protocol.SetHearing("room", (protocol.Hearing("a", 0, 1 << 64),)), "hear"),
        (protocol.SendDigits("a", "12x"), "digits '12x'"),
        (protocol.SendDigits("a", ""), "at least one"),
        (protocol.SendDigits("a", "1" * 300), "at most 256"),
        (protocol.SendDigits("b", "1"), "no telephone-event"),
        (protocol.Play("p", "room", "silence:0", 1), "silence"),
        (protocol.Play("p", "room", "beep:1", 1, gain=-1.0), "gain"),
        (protocol.Play("p", "room", "beep:1", 1 << 64), "talk"),
        (protocol.PauseTap("t"), "no tap 't'"),
        (protocol.ResumeTap("t"), "no tap 't'"),
        (protocol.StopTap("t"), "no tap 't'"),
        (protocol.StartTap("t", "room", -1, "spool"), "hear"),
    ],
)
def test_a_command_that_cannot_be_done_says_why_and_changes_nothing(command: protocol.Command, reason: str) -> None:
    studio = Studio()
    studio.apply(protocol.OpenLeg("a", "room", PORTS[0], ("127.0.0.1", 4000), dtmf_payload_type=101))
    studio.apply(protocol.OpenLeg("b", "room", PORTS[0], ("127.0.0.1", 4001)))
    before = studio.apply(protocol.GetStats(legs=True))
    with pytest.raises(MediaError, match=reason):
        studio.apply(command)
    assert studio.apply(protocol.GetStats(legs=True)) == before


def test_an_engine_without_tapes_or_files_refuses_to_record_and_to_play_them() -> None:
    engine = Engine(PORTS)
    with pytest.raises(MediaError, match="nowhere to record"):
        engine.apply(protocol.StartTap("t", "room", 1, "spool"), 0)
    with pytest.raises(MediaError, match="no way to load files"):
        engine.apply(protocol.Play("p", "room", "hello.wav", 1), 0)


def test_statistics_count_what_there_is() -> None:
    studio = Studio()
    studio.join("a", "one")
    studio.join("b", "two")
    studio.apply(protocol.StartTap("t", "two", 1, "spool"))
    studio.deliver(Peer("stranger", ("10.0.0.1", 1)), Peer("stranger", ("10.0.0.1", 1)).packet(SILENCE))
    studio.deliver(studio.peers["a"], b"\x80\x00short", b"", b"\0" * 40, b"\x80\xc8" + b"\0" * 30)
    studio.deliver(studio.peers["a"], studio.peers["a"].packet(np.zeros(33, np.int16)))
    studio.run(3)
    stats = studio.apply(protocol.GetStats(legs=True))
    assert stats is not None
    assert (stats.legs, stats.rooms, stats.taps, stats.ticks) == (2, 2, 1, 3)
    assert (stats.stranger_packets, stats.malformed_packets) == (1, 5)
    assert [entry.sent for entry in stats.leg_stats] == [3, 3]
