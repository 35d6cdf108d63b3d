"""What a spool amounts to, sample by sample."""

from __future__ import annotations

from mixminus.recording import journal
from mixminus.recording.journal import Kind, SegmentHeader, encode_segment
from mixminus.recording.timeline import MAX_GAP_SECONDS, Audio, Marker, Silence, Timeline, timeline
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
    other = Segment(rate=16000).audio(100, 9)
    assert timeline([Segment().audio(8).data, other.data, Segment().audio(2).data]).samples == 10
    assert timeline([b"garbage" * 50, Segment().audio(2).data]).samples == 2
    assert timeline([]) == (0, 0, (), (), False, 0)
