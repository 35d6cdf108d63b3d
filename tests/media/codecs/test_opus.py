"""Opus: the binding, loss, and what a listener hears who is moved from one encoder to another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.kit import voice
from mixminus.errors import MediaError
from mixminus.media.codecs import opus

Pcm = NDArray[np.int16]


def packets(sound: Pcm, encoder: opus.Encoder | None = None) -> list[bytes]:
    encoder, out = encoder or opus.Encoder(), np.zeros(opus.MAX_PACKET, np.uint8)
    return [out[: encoder.encode(frame, out)].tobytes() for frame in sound]


class Ear:
    """A decoder and what came out of it."""

    def __init__(self) -> None:
        self.decoder = opus.Decoder()
        self.out = np.zeros(5760, np.int16)
        self.heard: list[Pcm] = []

    def hear(self, *received: bytes) -> None:
        for packet in received:
            assert self.decoder.decode(packet, self.out) == opus.FRAME
            self.heard.append(self.out[: opus.FRAME].copy())

    @property
    def pcm(self) -> Pcm:
        return np.concatenate(self.heard)


def difference_db(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Energy of the difference of two signals over that of the first, dB."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    return float(10 * np.log10((np.sum((a - b) ** 2) + 1e-9) / (np.sum(a**2) + 1e-9)))


def test_speech_goes_through_with_its_spectrum() -> None:
    sound = voice()
    ear = Ear()
    ear.hear(*packets(sound))
    window = np.hanning(4096)
    for at in (20000, 40000, 60000):
        sent = np.abs(np.fft.rfft(sound.reshape(-1)[at : at + 4096] * window))
        # The codec's delay shifts the sound; magnitudes of a slow glide stay.
        heard = np.abs(np.fft.rfft(ear.pcm[at + 312 : at + 312 + 4096] * window))
        assert np.corrcoef(sent[:300], heard[:300])[0, 1] > 0.95


def test_packets_fit_where_they_must() -> None:
    loud = np.random.default_rng(1).integers(-32768, 32767, (50, opus.FRAME)).astype(np.int16)
    assert max(len(packet) for packet in packets(loud)) <= opus.MAX_PACKET


def test_a_clone_goes_on_where_its_original_was() -> None:
    sound = voice()
    encoder = opus.Encoder()
    packets(sound[:50], encoder)
    twin = encoder.clone()
    assert packets(sound[50:], encoder) == packets(sound[50:], twin)


def test_moving_to_a_clone_is_not_heard_and_moving_to_a_new_encoder_is() -> None:
    """The listener of a shared stream begins to talk and is given one of their own, without their own voice."""
    mix, rest = voice(seed=1), voice(seed=1)
    mix[60:] += voice(seed=5, pitch=210)[60:] // 2
    shared = opus.Encoder()
    before = packets(mix[:60], shared)
    moved, stranger, never_moved = Ear(), Ear(), Ear()
    for ear in (moved, stranger, never_moved):
        ear.hear(*before)
    moved.hear(*packets(rest[60:], shared.clone()))
    stranger.hear(*packets(rest[60:]))
    never_moved.hear(*packets(rest[60:], _after(rest[:60])))
    right = slice(60 * opus.FRAME, 66 * opus.FRAME)
    assert difference_db(never_moved.pcm[right], moved.pcm[right]) < -40
    assert difference_db(never_moved.pcm[right], stranger.pcm[right]) > -20


def test_moving_back_to_the_shared_stream_after_the_gate_closed_is_hardly_heard() -> None:
    """While the gate is open 200 ms longer than the voice, both encoders hear the same and come to agree."""
    mix, rest = voice(seed=1), voice(seed=1)
    mix[:50] += voice(seed=5, pitch=210)[:50] // 2
    shared, own = opus.Encoder(), opus.Encoder()
    theirs, ours = packets(mix, shared), packets(rest, own)
    moved, stayed = Ear(), Ear()
    moved.hear(*ours[:60], *theirs[60:])
    stayed.hear(*ours)
    right = slice(60 * opus.FRAME, 66 * opus.FRAME)
    assert difference_db(stayed.pcm[right], moved.pcm[right]) < -10
    steps = np.abs(np.diff(moved.pcm[right].astype(int)))
    assert steps.max() <= 1.5 * np.abs(np.diff(stayed.pcm[right].astype(int))).max(), "a click"


def _after(sound: Pcm) -> opus.Encoder:
    encoder = opus.Encoder()
    packets(sound, encoder)
    return encoder


def test_forward_error_correction_beats_concealment() -> None:
    """Loss of single packets of a voice, low enough for the part of the codec that has redundancy."""
    sound = voice()
    sent = packets(sound)
    whole, corrected, concealed = Ear(), Ear(), Ear()
    for at, packet in enumerate(sent):
        whole.hear(packet)
        for ear in (corrected, concealed):
            if at % 10 != 5:
                ear.hear(packet)
                continue
            if ear is corrected:
                assert ear.decoder.recover(sent[at + 1], opus.FRAME, ear.out) == opus.FRAME
            else:
                assert ear.decoder.conceal(opus.FRAME, ear.out) == opus.FRAME
            ear.heard.append(ear.out[: opus.FRAME].copy())
    lost = np.concatenate([np.arange(at * 960, at * 960 + 960) for at in range(15, 100, 10)])
    better = difference_db(whole.pcm[lost], corrected.pcm[lost])
    assert better < difference_db(whole.pcm[lost], concealed.pcm[lost])


def test_silence_is_silent_also_to_a_decoder_that_heard_speech() -> None:
    ear, encoder = Ear(), opus.Encoder()
    ear.hear(*packets(voice(0.4), encoder), *packets(np.zeros((10, opus.FRAME), np.int16), encoder))
    ear.heard.clear()
    ear.hear(*[opus.silence()] * 20)
    assert np.abs(ear.pcm[opus.FRAME :]).max() <= 24


def test_rubbish_is_an_error_and_no_crash() -> None:
    decoder = opus.Decoder()
    random = np.random.default_rng(1)
    out = np.zeros(5760, np.int16)
    refused = 0
    for _ in range(300):
        try:
            decoder.decode(random.bytes(int(random.integers(1, 200))), out)
        except MediaError:
            refused += 1
    assert 0 < refused < 300
    assert decoder.decode(packets(voice(0.02))[0], out) == opus.FRAME


def packet_slots(first: int, second: int, size: int) -> int:
    octets = np.array([[first, second]], np.uint8)
    return int(opus.packet_slots(octets[:, 0], octets[:, 1], np.array([size], np.int32))[0])


@pytest.mark.parametrize(
    ("first", "second", "size", "slots"),
    [
        (0x78, 0, 50, 2),  # hybrid, 20 ms
        (0x70, 0, 50, 1),  # hybrid, 10 ms
        (0xF8, 0, 50, 2),  # CELT, 20 ms
        (0xE0, 0, 50, 0),  # CELT, 2.5 ms
        (0xE3, 4, 50, 1),  # four of them
        (0x08, 0, 50, 2),  # SILK, 20 ms
        (0x18, 0, 50, 6),  # SILK, 60 ms
        (0x19, 0, 50, 12),
        (0x1B, 3, 50, 0),  # 180 ms
        (0x0B, 0, 1, 0),
        (0x0B, 0, 9, 0),
        (0x08, 0, 0, 0),
        (0x08, 0, 4000, 0),
    ],
)
def test_the_duration_of_a_packet(first: int, second: int, size: int, slots: int) -> None:
    assert packet_slots(first, second, size) == slots


@given(st.binary(min_size=1, max_size=60))
def test_durations_are_those_that_the_library_sees(packet: bytes) -> None:
    second = packet[1] if len(packet) > 1 else 0
    slots = packet_slots(packet[0], second, len(packet))
    try:
        samples = opus.Decoder().decode(packet, np.zeros(5760, np.int16))
    except MediaError:
        return  # what fills the packet may be wrong for other reasons
    assert slots * opus.SLOT == (samples if samples % opus.SLOT == 0 else 0)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 4000)), max_size=40))
def test_durations_of_many_packets_are_those_of_each(packets: list[tuple[int, int, int]]) -> None:
    """By the letter of RFC 6716 §3.1 and §3.2, packet by packet."""
    expected = []
    for first, second, size in packets:
        config, code = first >> 3, first & 3
        if config < 12:
            quarters = (4, 8, 16, 24)[config % 4]
        else:
            quarters = (4, 8)[config % 2] if config < 16 else (1, 2, 4, 8)[config % 4]
        frames = (1, 2, 2, second & 63 if size > 1 else 0)[code]
        total = quarters * frames
        expected.append(total // 4 if total % 4 == 0 and total <= 48 and 0 < size <= 3825 else 0)
    told = np.array(packets, np.int64).reshape(-1, 3)
    slots = opus.packet_slots(told[:, 0].astype(np.uint8), told[:, 1].astype(np.uint8), told[:, 2].astype(np.int32))
    assert slots.tolist() == expected


def voiceless(packets: Sequence[bytes]) -> NDArray[np.bool_]:
    heads = np.array([list(packet[:2].ljust(2, b"\0")) for packet in packets], np.uint8)
    return opus.is_voiceless(heads[:, 0], heads[:, 1], np.array([len(packet) for packet in packets], np.int32))


@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_who_says_nothing_is_told_by_the_flags_of_the_packet(gain: float) -> None:
    """Faint noise, and then speech: libopus marks the one as holding no voice, and its end with the very first word."""
    encoder = opus.Encoder()
    noise = np.random.default_rng(1).normal(0, 3, (50, opus.FRAME)).astype(np.int16)
    still = packets(noise, encoder)
    spoken = packets((gain * voice(0.1)).astype(np.int16), encoder)
    assert voiceless(still[5:]).all()
    assert not voiceless(spoken).any()
    assert voiceless([opus.silence()]).all()


@pytest.mark.parametrize(
    ("packet", "told"),
    [
        (b"\x78\x7f\xff", True),  # hybrid, one flag
        (b"\x78\x80\x00", False),
        (b"\x10\x3f\x00", True),  # SILK, 40 ms: two flags
        (b"\x10\x40\x00", False),
        (b"\x18\x1f\x00", True),  # SILK, 60 ms: three
        (b"\x18\x20\x00", False),
        (b"\x7c\x00\x00", False),  # stereo
        (b"\x79\x00\x00", False),  # two frames
        (b"\xf8\x00\x00", False),  # CELT does not tell
        (b"\x78", False),
        (b"", False),
    ],
)
def test_only_what_says_so_is_voiceless(packet: bytes, told: bool) -> None:
    assert voiceless([packet])[0] == told


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(opus.LIBRARY_VARIABLE, str(tmp_path / "libnone.so"))
    opus.library.cache_clear()
    try:
        with pytest.raises(MediaError, match=r"libnone\.so"):
            opus.library()
        assert not opus.available()
    finally:
        opus.library.cache_clear()
