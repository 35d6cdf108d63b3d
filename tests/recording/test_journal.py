"""The spool format: what is written is read, whatever happened to the end of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminus.recording import journal
from mixminus.recording.journal import (
    Assembler,
    Audio,
    Block,
    Kind,
    Marker,
    SegmentHeader,
    SegmentParser,
    Silence,
    encode_block_header,
    encode_gap,
    encode_segment,
    timeline,
)

SECOND = 1_000_000_000
BOOT = bytes(range(16))


class Segment:
    """Builds the bytes of a segment, block by block."""

    def __init__(self, *, at: float = 0.0, paused: bool = False, rate: int = 8000, boot: bytes = BOOT) -> None:
        at_ns = round(at * SECOND)
        self.data = encode_segment(SegmentHeader(rate, at_ns, 10**18 + at_ns, boot, paused))
        self.edges = [len(self.data)]
        self.position = 0
        self.sequence = 0

    def add(self, kind: Kind, *, at: float = 0.0, payload: bytes = b"") -> Segment:
        head = encode_block_header(kind, self.sequence, self.position, round(at * SECOND), payload)
        self.data += head + payload
        self.edges.append(len(self.data))
        self.position += Block(kind, 0, 0, 0, payload).samples
        self.sequence += 1
        return self

    def audio(self, samples: int, value: int = 1) -> Segment:
        return self.add(Kind.AUDIO, payload=value.to_bytes(2, "little", signed=True) * samples)


def heard(result: journal.Timeline) -> bytes:
    return b"".join(piece.pcm if isinstance(piece, Audio) else bytes(2 * piece.samples) for piece in result.pieces)


SHORT = Segment().audio(5).add(Kind.PAUSE, at=1).add(Kind.RESUME, at=2).audio(3, 2).add(Kind.GAP, payload=encode_gap(4))
SHORT.audio(2, 3).add(Kind.END, at=3)


def blocks_of(data: bytes) -> list[Block]:
    return SegmentParser().feed(data)


def test_what_is_written_is_read() -> None:
    parser = SegmentParser()
    blocks = parser.feed(SHORT.data)
    assert parser.header == SegmentHeader(8000, 0, 10**18, BOOT)
    assert [block.kind for block in blocks] == [
        Kind.AUDIO,
        Kind.PAUSE,
        Kind.RESUME,
        Kind.AUDIO,
        Kind.GAP,
        Kind.AUDIO,
        Kind.END,
    ]
    assert [block.position for block in blocks] == [0, 5, 5, 5, 8, 12, 14]
    assert parser.pending == parser.damage == 0


def test_bytes_may_come_one_at_a_time() -> None:
    parser = SegmentParser()
    blocks = [block for byte in SHORT.data for block in parser.feed(bytes([byte]))]
    assert blocks == blocks_of(SHORT.data)


def test_a_prefix_of_any_length_gives_every_whole_block() -> None:
    whole = blocks_of(SHORT.data)
    for length in range(len(SHORT.data) + 1):
        parser = SegmentParser()
        blocks = parser.feed(SHORT.data[:length])
        assert blocks == whole[: max(0, sum(edge <= length for edge in SHORT.edges) - 1)]
        assert parser.damage == 0


def test_any_garbled_byte_costs_only_its_own_block() -> None:
    whole = blocks_of(SHORT.data)
    for place in range(len(SHORT.data)):
        for change in (0x01, 0x80, 0xFF):
            garbled = bytearray(SHORT.data)
            garbled[place] ^= change
            parser = SegmentParser()
            blocks = parser.feed(bytes(garbled))
            hit = sum(edge <= place for edge in SHORT.edges) - 1
            assert blocks == ([] if hit < 0 else whole[:hit] + whole[hit + 1 :]), place
            assert parser.damage == 1


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
    assert long.samples == 8 + journal.MAX_GAP_SECONDS * 8000
    assert long.markers[0].elapsed_ns > 10**14


def test_a_segment_of_another_rate_or_without_header_is_left_out() -> None:
    other = Segment(rate=16000).audio(100, 9)
    assert timeline([Segment().audio(8).data, other.data, Segment().audio(2).data]).samples == 10
    assert timeline([b"garbage" * 50, Segment().audio(2).data]).samples == 2
    assert timeline([]) == (0, 0, (), (), False, 0)


@given(st.binary(max_size=300), st.integers(0, 400), st.lists(st.integers(1, 64), max_size=8))
@settings(max_examples=200, deadline=None)
def test_nothing_is_ever_raised(junk: bytes, place: int, cuts: list[int]) -> None:
    data = SHORT.data[:place] + junk + SHORT.data[place:]
    parser, assembler, at = SegmentParser(), Assembler(), 0
    assembler.segment(SegmentHeader(8000, 0, 0, BOOT))
    for cut in [*cuts, len(data)]:
        for block in parser.feed(data[at : at + cut]):
            assembler.block(block)
        at += cut
    timeline([data, junk, SHORT.data])
