"""The spool format: what is written is read, whatever happened to the end of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminus.recording.journal import Block, Kind, SegmentHeader, SegmentParser
from mixminus.recording.timeline import Assembler, timeline
from recording.segments import BOOT, SHORT


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
