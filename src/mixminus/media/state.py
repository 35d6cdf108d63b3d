"""Every per-row array of the engine, with shape, type and unit.

A row is a leg, a player or a tap. Axis letters are the same everywhere: R rows, S samples of a frame, J jitter slots,
P packets.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

RATE: Final = 8000
FRAME: Final = 160
"""Samples of one tick."""
TICK_NS: Final = 20_000_000
SLOT: Final = 80
"""Samples of one jitter slot, 10 ms: the step in which packets may be long and delay may change."""
FRAME_SLOTS: Final = FRAME // SLOT
SLOTS: Final = 64
"""J: slots of a row's ring, 640 ms. Even, so that a frame on an even slot never wraps."""
TAIL: Final = 6 * SLOT
"""Samples of what was played that concealment looks back on, 60 ms."""
GIVEN: Final = 5 * SLOT
"""Samples of what was given away, and of what is ready to be, that time scaling works on."""
BINS: Final = 128
"""Of the histogram of how late packets are: twice the ring. What came before the depth changed by all that the ring
holds is within it still, and not taken for something else.
"""
NEVER: Final = -(1 << 62)
FOREVER: Final = 1 << 62

FREE, LEG, PLAYER, TAP = 0, 1, 2, 3
UNLATCHED, CLAIMED, CONFIRMED = 0, 1, 2
NOWHERE, SIGNALLED, LATCHED = -1, 0, 1
"""Which of a leg's two peer addresses is sent to: none, the one of its SDP, the one latched to."""

_ARRAYS: Final[dict[str, tuple[tuple[int, ...], Any, int]]] = {
    # name: (shape behind R, type, value in a fresh row)
    "kind": ((), np.uint8, FREE),
    "room": ((), np.int32, -1),
    "talk": ((), np.uint64, 0),
    "hear": ((), np.uint64, 0),
    "law": ((), np.uint8, 0),
    "rate": ((), np.int32, RATE),
    "payload_type": ((), np.int16, -1),
    "event_type": ((), np.int16, -1),
    "event_scale": ((), np.uint8, 1),
    "inband": ((), np.bool_, 0),
    "sends": ((), np.bool_, 0),
    "receives": ((), np.bool_, 0),
    "port": ((), np.int32, -1),
    "peer": ((2, 32), np.uint8, 0),
    "target": ((), np.int8, NOWHERE),
    "latch": ((), np.uint8, UNLATCHED),
    "tx_ssrc": ((), np.uint32, 0),
    "tx_sequence": ((), np.uint16, 0),
    "tx_timestamp": ((), np.uint32, 0),
    "tx_step": ((), np.uint32, FRAME),
    "tx_marker": ((), np.bool_, 1),
    "sent": ((), np.int64, 0),
    "excess": ((), np.int64, 0),
    "started": ((), np.bool_, 0),
    "ssrc": ((), np.uint32, 0),
    "sequence": ((), np.uint16, 0),
    "suspect": ((), np.int32, -1),
    "timestamp": ((), np.uint32, 0),
    "newest": ((), np.int64, 0),
    "end": ((), np.int64, 0),
    "play": ((), np.int64, 0),
    "margin": ((), np.int64, FRAME_SLOTS),
    "lateness": ((BINS,), np.int32, 0),
    "unsteady": ((), np.bool_, 0),
    "owed": ((), np.int64, 0),
    "bounded": ((), np.bool_, 0),
    "held": ((), np.int32, 0),
    "given": ((GIVEN,), np.int16, 0),
    "quiet_from": ((), np.int64, NEVER),
    "quiet_to": ((), np.int64, NEVER),
    "good": ((), np.int64, NEVER),
    "gap": ((), np.int64, 0),
    "faked_run": ((), np.int64, 0),
    "tended_at": ((), np.int64, NEVER),
    "tail_at": ((), np.int64, NEVER),
    "tail": ((TAIL,), np.int16, 0),
    "stamp": ((SLOTS,), np.int64, NEVER),
    "ring": ((SLOTS, SLOT), np.uint8, 0),
    "decoded_at": ((), np.int64, NEVER),
    "rests": ((), np.int16, 0),
    "rested": ((), np.int64, NEVER),
    "rtcp": ((32,), np.uint8, 0),
    "rtcp_mux": ((), np.bool_, 0),
    "reports_received": ((), np.int64, 0),
    "timeout": ((), np.int64, 0),
    "silent": ((), np.int64, 0),
    "seen": ((), np.int64, 0),
    "round_trip": ((), np.float32, -1),
    "far_loss": ((), np.float32, -1),
    "far_jitter": ((), np.float32, -1),
    "rating": ((), np.float32, -1),
    "far_rating": ((), np.float32, -1),
    "received": ((), np.int64, 0),
    "expected": ((), np.int64, 0),
    "late": ((), np.int64, 0),
    "dropped": ((), np.int64, 0),
    "duplicate": ((), np.int64, 0),
    "concealed": ((), np.int64, 0),
    "transit": ((), np.uint32, 0),
    "jitter": ((), np.float32, 0),
    "offset": ((), np.bool_, 0),
    "offset_run": ((), np.int16, 0),
    "offset_level": ((), np.float64, 0),
    "offset_begun": ((), np.bool_, 0),
    "agc": ((), np.bool_, 0),
    "gain": ((), np.float32, 1),
    "headroom": ((2,), np.float64, 1),
    "noise_db": ((), np.float32, 120),
    "voice_power": ((), np.float32, 0),
    "voiced": ((), np.int16, 0),
    "comfort": ((), np.bool_, 0),
    "hangover": ((), np.int16, 0),
    "loud": ((), np.int16, 0),
    "quiet": ((), np.int16, 0),
    "speaking": ((), np.bool_, 0),
    "frame": ((FRAME,), np.int16, 0),
    "active": ((), np.bool_, 0),
}


class MediaState:
    """The arrays, (R, ...) each. ``claim`` takes a row, ``release`` returns it; both leave it fresh."""

    kind: NDArray[np.uint8]
    """FREE, LEG, PLAYER or TAP."""
    room: NDArray[np.int32]
    talk: NDArray[np.uint64]
    """As a source: masks of who may hear it."""
    hear: NDArray[np.uint64]
    """As a listener. Row l hears row s of its room when ``hear[l] & talk[s]`` and l is not s."""

    law: NDArray[np.uint8]
    """The codec: g711.PCMU, g711.PCMA, g722.G722_CODE or opus.OPUS_CODE."""
    rate: NDArray[np.int32]
    """Hz of what a leg's codec can carry, and of what a tap records. All else here is at 8 kHz, whatever the codec."""
    payload_type: NDArray[np.int16]
    event_type: NDArray[np.int16]
    """Payload type of RFC 4733 events, -1: not negotiated."""
    event_scale: NDArray[np.uint8]
    """Their clock, in 8 kHz: 1, or 6."""
    inband: NDArray[np.bool_]
    """Keys are looked for in its sound, whether or not anybody hears it."""
    sends: NDArray[np.bool_]
    receives: NDArray[np.bool_]
    port: NDArray[np.int32]
    """Index of the local port in the pool."""
    peer: NDArray[np.uint8]
    """(R, 2, 32) raw addresses: SIGNALLED and LATCHED; all zero: none."""
    target: NDArray[np.int8]
    """Which of them we send to: NOWHERE, SIGNALLED or LATCHED."""
    latch: NDArray[np.uint8]
    """UNLATCHED; CLAIMED by another address than the SDP's; CONFIRMED by the SDP's own."""

    tx_ssrc: NDArray[np.uint32]
    tx_sequence: NDArray[np.uint16]
    """Of the next packet."""
    tx_timestamp: NDArray[np.uint32]
    """Of this tick, on the codec's clock; runs whether or not anything is sent."""
    tx_step: NDArray[np.uint32]
    """What a tick adds to it: 160, or 960 for Opus."""
    tx_marker: NDArray[np.bool_]
    """The next packet is the first after a pause (RFC 3551 §4.1)."""
    sent: NDArray[np.int64]
    excess: NDArray[np.int64]
    """Bytes of payload sent beyond 160 a packet; below zero for Opus."""

    started: NDArray[np.bool_]
    """A stream has begun; the fields below mean something."""
    ssrc: NDArray[np.uint32]
    sequence: NDArray[np.uint16]
    """Highest received."""
    suspect: NDArray[np.int32]
    """Sequence number that would prove that the stream restarted behind our back (RFC 3550 A.1), else -1."""
    timestamp: NDArray[np.uint32]
    """Of the newest audio packet, which begins in slot ``newest``."""
    newest: NDArray[np.int64]
    end: NDArray[np.int64]
    """First slot after the newest audio packet. Slot numbers only rise and never wrap."""
    play: NDArray[np.int64]
    """Next slot to be played."""
    margin: NDArray[np.int64]
    """Slots of delay with which a talk spurt begins; follows what the network needed."""
    lateness: NDArray[np.int32]
    """(R, BINS) how many packets came how late: weights, by lateness in slots modulo BINS."""
    unsteady: NDArray[np.bool_]
    """Packets came unevenly, or it begins: the depth is to be looked at soon."""
    owed: NDArray[np.int64]
    """Samples that the buffer holds too much, negative: too few."""
    bounded: NDArray[np.bool_]
    """The deepest buffer there may be loses some packets: what is later is given up, and not waited for."""
    held: NDArray[np.int32]
    """Samples that were taken from the slots, and not yet given away."""
    given: NDArray[np.int16]
    """(R, 400) the last samples given away by tick ``tail_at``, then those held; kept only around gaps and joints."""
    quiet_from: NDArray[np.int64]
    quiet_to: NDArray[np.int64]
    """Slots the peer left out on purpose (comfort noise, silence suppression, keys): neither lost nor concealed."""
    good: NDArray[np.int64]
    """Last slot that was played as received."""
    gap: NDArray[np.int64]
    """Slots concealed in the present gap, until it is known whether it was loss or silence."""
    faked_run: NDArray[np.int64]
    """Slots made up just before the next one to be played."""
    tended_at: NDArray[np.int64]
    """Tick in which something was last made up, or time was scaled."""
    tail_at: NDArray[np.int64]
    tail: NDArray[np.int16]
    """(R, 480) what came out of the slots up to tick ``tail_at``; kept only around gaps and joints."""
    stamp: NDArray[np.int64]
    """(R, J) slot number held by each place of the ring."""
    ring: NDArray[np.uint8]
    """(R, J, 80) payload, still encoded."""
    decoded_at: NDArray[np.int64]
    """Tick in which a stream with a decoder of its own was last played; this and the following of G.722 and Opus."""
    rests: NDArray[np.int16]
    """Packets that were not decoded, one after the other, because they are silence."""
    rested: NDArray[np.int64]
    """Number of the last packet, if it was not decoded."""

    rtcp: NDArray[np.uint8]
    """(R, 32) raw address that reports go to, unless ``rtcp_mux``; all zero: nowhere."""
    rtcp_mux: NDArray[np.bool_]
    """Reports go where the audio goes (RFC 5761)."""
    reports_received: NDArray[np.int64]
    timeout: NDArray[np.int64]
    """Ticks without a packet after which the peer is given up; 0: never, or told already."""
    silent: NDArray[np.int64]
    """Ticks without a packet so far, in steps of five seconds."""
    seen: NDArray[np.int64]
    """Packets that had come when it was last looked."""
    round_trip: NDArray[np.float32]
    """Milliseconds; this and the following are -1 until known."""
    far_loss: NDArray[np.float32]
    """Share of our packets the peer missed, lately."""
    far_jitter: NDArray[np.float32]
    """Of our packets at the peer, samples at 8 kHz."""
    rating: NDArray[np.float32]
    """How others hear this leg, R of ITU-T G.107."""
    far_rating: NDArray[np.float32]
    """How it hears them."""

    received: NDArray[np.int64]
    expected: NDArray[np.int64]
    late: NDArray[np.int64]
    dropped: NDArray[np.int64]
    """Packets' worth of audio skipped because the buffer was over its limit."""
    duplicate: NDArray[np.int64]
    concealed: NDArray[np.int64]
    """In slots."""
    transit: NDArray[np.uint32]
    """Arrival minus timestamp of the last packet, samples."""
    jitter: NDArray[np.float32]
    """RFC 3550 §6.4.1, samples at 8 kHz."""

    offset: NDArray[np.bool_]
    """A constant in what it sends is being taken out."""
    offset_run: NDArray[np.int16]
    """Looks that found one, more than did not; below zero if it is below zero."""
    offset_level: NDArray[np.float64]
    """That constant, samples."""
    offset_begun: NDArray[np.bool_]
    agc: NDArray[np.bool_]
    """Its voice is brought to the usual level; this and the following are of :mod:`mixminus.media.sound.agc`."""
    gain: NDArray[np.float32]
    headroom: NDArray[np.float64]
    """(R, 2) gain of the limiter behind it, at 8 kHz and at the leg's own rate."""
    noise_db: NDArray[np.float32]
    """The quietest it has been lately."""
    voice_power: NDArray[np.float32]
    voiced: NDArray[np.int16]
    """Frames of voice that this is the mean of."""
    comfort: NDArray[np.bool_]
    """It is sent a little noise where there is nothing to be heard."""
    hangover: NDArray[np.int16]
    """Ticks for which the gate stays open."""
    loud: NDArray[np.int16]
    quiet: NDArray[np.int16]
    speaking: NDArray[np.bool_]
    frame: NDArray[np.int16]
    """(R, S) this tick's samples; of meaning where ``active``."""
    active: NDArray[np.bool_]
    """Has something to be heard in this tick."""

    def __init__(self, capacity: int) -> None:
        self.capacity = max(capacity, 1)
        for name, (tail, dtype, fill) in _ARRAYS.items():
            setattr(self, name, np.full((self.capacity, *tail), fill, dtype))
        self.names: list[str] = [""] * self.capacity
        self._free = list(range(self.capacity - 1, -1, -1))
        self.masks_changed = True
        """Membership, rooms or masks are not those of the last plan."""
        self.routes_changed = True
        """Who is sent to, where, or in which law is not that of the last tick."""

    def claim(self, kind: int, name: str) -> int:
        """A fresh row. Doubles all arrays when none is free, so views of them must not be kept."""
        if not self._free:
            self._grow()
        row = self._free.pop()
        self.kind[row] = kind
        self.names[row] = name
        self.masks_changed = self.routes_changed = True
        return row

    def release(self, row: int) -> None:
        for name, (_, _, fill) in _ARRAYS.items():
            getattr(self, name)[row] = fill
        self.names[row] = ""
        self._free.append(row)
        self.masks_changed = self.routes_changed = True

    def nbytes(self) -> int:
        """Memory of all arrays, bytes."""
        return sum(getattr(self, name).nbytes for name in _ARRAYS)

    def _grow(self) -> None:
        old = self.capacity
        self.capacity = 2 * old
        for name, (tail, dtype, fill) in _ARRAYS.items():
            grown = np.full((self.capacity, *tail), fill, dtype)
            grown[:old] = getattr(self, name)
            setattr(self, name, grown)
        self.names.extend([""] * old)
        self._free.extend(range(self.capacity - 1, old - 1, -1))
