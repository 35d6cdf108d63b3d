from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixminus.errors import ProtocolError
from mixminus.media.fleet.frames import MAX_FRAME, FrameReader, frame


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 400), max_size=6))
def test_frames_survive_any_cutting(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(payload) for payload in payloads)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = FrameReader()
    found = [payload for a, b in pairwise(edges) for payload in reader.feed(stream[a:b])]
    assert found == payloads


def test_an_absurd_length_is_refused() -> None:
    with pytest.raises(ProtocolError, match="bytes"):
        FrameReader().feed((MAX_FRAME + 1).to_bytes(4, "big"))
