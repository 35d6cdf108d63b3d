"""What is known of a network when the depth of a buffer changes by much at once."""

from __future__ import annotations

import numpy as np
import pytest

from mixminus.media.jitter import depth
from mixminus.media.state import FRAME_SLOTS, SLOT, MediaState

TICK = 1000


@pytest.mark.parametrize("fallen", [0, 10, 19, 20, 25, 40, 50])
def test_packets_of_a_stall_are_not_taken_for_early_ones_when_the_delay_has_gone(fallen: int) -> None:
    """They came so many slots later than the depth is now; all others just in time. The depth is kept or grows."""
    state = MediaState(1)
    row = np.array([state.claim(1, "leg")])
    state.started[row] = True
    state.play[row] = FRAME_SLOTS * TICK - 20
    for late in [20] * 97 + [20 + fallen] * 3:
        depth.note(state, row, np.array([late]))
    depth.owe(state, row, TICK)
    assert state.owed[row] <= 0
    assert state.owed[row] >= -depth.MAX_DELAY * SLOT


@pytest.mark.parametrize(("late", "bounded"), [(0, False), (0.5, False), (4, True), (15, False)])
def test_what_is_later_than_any_depth_is_given_up_where_it_is_little(late: float, bounded: bool) -> None:
    """Of 200 packets so many percent come 300 ms later than the others: seldom, often, or most of the time."""
    state = MediaState(1)
    row = np.array([state.claim(1, "leg")])
    state.started[row] = True
    state.play[row] = FRAME_SLOTS * TICK - 20
    for packet in range(200):
        depth.note(state, row, np.array([30 if packet < 2 * late else 0]))
    depth.owe(state, row, TICK)
    assert state.bounded[0] == bounded
    depth.forget(state, row)
    assert not state.bounded[0]
