"""What a spool amounts to, sample by sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from mixminus.media.wide.resample import low_pass
from mixminus.recording import journal
from mixminus.recording.journal import Kind, SegmentHeader, SegmentParser, encode_gap, encode_segment, encode_track
from mixminus.recording.pieces import Audio, Silence
from mixminus.recording.timeline import MAX_GAP_SECONDS, Assembler, Marker, Timeline, timeline
from recording.segments import SECOND, SHORT, Segment


def heard(result: Timeline) -> bytes:
    return b"".join(piece.pcm if isinstance(piece, Audio) else bytes(2 * piece.samples) for piece in result.pieces)


def test_damaged_audio_becomes_silence_of_its_length() -> None:
    segment = Segment().audio(5).audio(6, 2).audio(7, 3)
    garbled = bytearray(segment.data)
    garbled[segment.edges[1] + journal.BLOCK_HEADER_BYTES] ^= 1
    result = timeline([bytes(garbled)])
    assert result.samples == 18
    assert heard(result) == heard(timeline([Segment().audio(5).audio(6, 0).audio(7, 3).data]))
    assert result.markers == (Marker("damage", 5, 6, 750_000),)
    assert result.damage == 1


def test_after_a_damaged_resume_the_audio_is_heard() -> None:
    segment = Segment().audio(5).add(Kind.PAUSE, at=1).add(Kind.RESUME, at=2).audio(3, 2)
    garbled = bytearray(segment.data)
    garbled[segment.edges[2] + 3] ^= 1
    assert timeline([bytes(garbled)]).samples == 8


def test_audio_of_a_paused_spool_is_not_let_out() -> None:
    segment = Segment().audio(5).add(Kind.PAUSE, at=1).audio(99, 7).add(Kind.RESUME, at=2).audio(1)
    assert timeline([segment.data]).pieces == (Audio(b"\1\0" * 5), Audio(b"\1\0"))


def test_paused_time_is_cut_out_and_marked() -> None:
    result = timeline([SHORT.data])
    assert heard(result) == b"\1\0" * 5 + b"\2\0" * 3 + b"\0\0" * 4 + b"\3\0" * 2
    assert result.markers == (Marker("pause", 5, 0, SECOND), Marker("gap", 8, 4, 500_000))
    assert result.ended


def test_time_between_segments_becomes_silence() -> None:
    first = Segment(at=1).audio(8000)
    second = Segment(at=2.5).audio(8, 2)
    result = timeline([first.data, second.data])
    assert result.pieces == (Audio(b"\1\0" * 8000), Silence(4000), Audio(b"\2\0" * 8))
    assert result.markers == (Marker("gap", 8000, 4000, SECOND // 2),)
    assert not result.ended


def test_pauses_do_not_stretch_the_gap_after_them() -> None:
    first = Segment(at=0).audio(8000).add(Kind.PAUSE, at=1).add(Kind.RESUME, at=61).audio(8000)
    result = timeline([first.data, Segment(at=62.25).audio(1).data])
    assert result.samples == 16000 + 2000 + 1


def test_a_gap_beside_a_pause_is_cut_out() -> None:
    paused = Segment().audio(8).add(Kind.PAUSE, at=0.001)
    assert timeline([paused.data, Segment(at=9).audio(8).data]).samples == 16
    assert timeline([Segment().audio(8).data, Segment(at=9, paused=True).data]).samples == 8
    carried = timeline([paused.data, Segment(at=9, paused=True).add(Kind.RESUME, at=10.001).audio(2).data])
    assert carried.samples == 10
    assert carried.markers == (Marker("pause", 8, 0, 10 * SECOND),)


def test_after_a_reboot_wall_time_counts() -> None:
    later = SegmentHeader(8000, 5, 10**18 + 2 * SECOND, bytes(16))
    result = timeline([Segment(at=0).audio(8000).data, encode_segment(later)])
    assert result.samples == 16000


def test_a_gap_is_bounded_and_never_negative() -> None:
    first = Segment(at=100).audio(8)
    assert timeline([first.data, Segment(at=1).audio(8).data]).samples == 16
    long = timeline([first.data, Segment(at=1e6).data])
    assert long.samples == 8 + MAX_GAP_SECONDS * 8000
    assert long.markers[0].elapsed_ns > 10**14


def test_a_segment_of_another_rate_or_without_header_is_left_out() -> None:
    other = Segment(rate=11025).audio(100, 9)
    assert timeline([Segment().audio(8).data, other.data, Segment().audio(2).data]).samples == 10
    assert timeline([b"garbage" * 50, Segment().audio(2).data]).samples == 2
    assert timeline([]) == (0, 0, (), (), False, 0)


def _samples_of(result: Timeline) -> npt.NDArray[np.int16]:
    return np.frombuffer(heard(result), "<i2")


@given(st.lists(st.tuples(st.sampled_from((8000, 16000, 48000)), st.integers(0, 7)), min_size=1, max_size=5), st.data())
def test_segments_of_other_rates_are_brought_to_the_highest_sample_by_sample(
    asked: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Against zeros put between the samples of each whole segment, and the low-pass over that."""
    highest = max(rate for rate, _ in asked)
    segments, expected, at = [], [np.zeros(0)], 0.0
    for rate, frames in asked:
        sizes = [rate // 50 * frames, data.draw(st.integers(0, 50))]
        pcm = np.random.default_rng(frames).integers(-9000, 9000, sum(sizes)).astype("<i2")
        segment = Segment(at=at, rate=rate)
        segment.add(Kind.AUDIO, payload=pcm[: sizes[0]].tobytes()).add(Kind.AUDIO, payload=pcm[sizes[0] :].tobytes())
        segments.append(segment.data)
        at += pcm.size / rate
        times = highest // rate
        spread = np.zeros(pcm.size * times)
        spread[::times] = pcm
        if times > 1 and pcm.size:
            spread = np.convolve(spread, times * low_pass(rate, highest))[: spread.size]
        expected.append(np.rint(spread).clip(-32768, 32767))
    result = timeline(segments)
    assert (result.rate, result.markers) == (highest, ())
    assert result.samples == sum(part.size for part in expected)
    assert np.abs(_samples_of(result) - np.concatenate(expected)).max(initial=0) <= 1


def test_tracks_gaps_damage_and_notes_are_counted_in_samples_of_the_file() -> None:
    narrow = Segment().audio(160)
    narrow.add(Kind.GAP, payload=encode_gap(80))
    narrow.add(Kind.TRACK, payload=encode_track("a", b"\x10\x27" * 160))
    narrow.add(Kind.NOTES, payload=b'[[40,"speech","a",0]]').audio(160, 2)
    wide = Segment(at=400 / 8000 + 0.01, rate=48000).audio(960, 3)
    assembler = Assembler(rate=48000)
    pieces = []
    for data in (narrow.data, wide.data):
        parser = SegmentParser()
        blocks = parser.feed(data)
        assert parser.header is not None
        pieces += assembler.segment(parser.header)
        for block in blocks:
            pieces += assembler.block(block)
    assert [piece.samples for piece in pieces] == [960, 480, 960, 480, 960]
    assert assembler.samples == 3840
    assert [(marker.kind, marker.at, marker.samples) for marker in assembler.markers] == [
        ("gap", 960, 480),
        ("gap", 2400, 480),
    ]
    assert [(one.at, one.kind) for one in assembler.happenings] == [(1440 + 240, "speech")]
    (track,) = [
        np.frombuffer(piece.tracks["a"], "<i2") for piece in pieces if isinstance(piece, Audio) and piece.tracks
    ]
    assert track.size == 960
    assert np.abs(track[400:] - 10000.0).max() < 100
