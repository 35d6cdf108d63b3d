from __future__ import annotations

import numpy as np

from mixminus.media.state import _ARRAYS, FREE, LEG, NEVER, TAP, MediaState


def test_every_array_is_declared_and_every_declaration_is_an_array() -> None:
    assert list(MediaState.__annotations__) == list(_ARRAYS)
    state = MediaState(3)
    for name, (tail, dtype, fill) in _ARRAYS.items():
        array = getattr(state, name)
        assert array.shape == (3, *tail)
        assert array.dtype == dtype
        assert (array == fill).all()
    assert state.nbytes() == sum(getattr(state, name).nbytes for name in _ARRAYS)


def test_a_released_row_is_fresh() -> None:
    state = MediaState(1)
    row = state.claim(LEG, "a")
    for name in _ARRAYS:
        getattr(state, name)[row] = 1
    state.release(row)
    assert state.claim(TAP, "b") == row
    assert state.names[row] == "b"
    for name, (_, _, fill) in _ARRAYS.items():
        if name != "kind":
            assert (getattr(state, name)[row] == fill).all(), name


def test_growing_keeps_what_there_is() -> None:
    state = MediaState(1)
    rows = [state.claim(LEG, str(number)) for number in range(5)]
    assert sorted(rows) == list(range(5))
    assert state.capacity == 8
    assert state.names == ["0", "1", "2", "3", "4", "", "", ""]
    assert state.kind.tolist() == [LEG] * 5 + [FREE] * 3
    assert (state.stamp[5:] == NEVER).all()
    assert state.frame.dtype == np.int16
