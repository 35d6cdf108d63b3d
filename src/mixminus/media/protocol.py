"""What the control process and a media worker say to each other.

Frames on a local stream socket: a 4-byte big-endian length, then one msgpack-encoded :class:`Request` (control →
worker)
or :class:`Reply` / event (worker → control). Every request carries an id and is answered by exactly one reply. Events
come unasked, in the order in which they happened. All times are ``CLOCK_MONOTONIC`` nanoseconds, which both processes
share.

Hearing is sent in factored form. Every source (a leg, a player) has a ``talk`` mask, every listener (a leg, a tap) a
``hear`` mask, 64 bits each, meaning given by :mod:`mixminus.calls.hearing`. Listener L hears source S of the same room
exactly when ``hear[L] & talk[S] != 0`` and L is not S. 0, the default, is silence.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Address: TypeAlias = tuple[str, int]
"""Literal IP address (v4 or v6) and UDP port."""

Codec: TypeAlias = Literal["PCMU", "PCMA", "G722", "opus"]


class OpenLeg(msgspec.Struct, frozen=True, tag=True):
    """Begin sending to and receiving from one RTP peer.

    ``remote`` is the address of the SDP, keyed at once. With ``latch_hosts`` the first valid packet on ``port`` from
    one of
    these hosts may claim the leg instead, once, and only until a packet from ``remote`` has come (symmetric RTP, RFC
    4961).
    SSRC, first sequence number and timestamp of what we send are the worker's own choice (RFC 3550 §8, §5.1), unless
    ``sender`` is given.
    """

    leg: str
    room: str
    port: int
    """Local UDP port, one of the pool's."""
    remote: Address | None
    codec: Codec = "PCMU"
    payload_type: int = 0
    dtmf_payload_type: int | None = None
    """RFC 4733 telephone-event payload type, if negotiated."""
    dtmf_clock: int = 8000
    """Hz of its time stamps and durations: 8000, or 48000 beside Opus."""
    latch_hosts: tuple[str, ...] = ()
    send: bool = True
    """False: the peer asked us not to send (its SDP is ``sendonly`` or ``inactive``)."""
    receive: bool = True
    talk: int = 0
    hear: int = 0
    rtcp: Address | None = None
    """Where reports go (RFC 3550 §6); the same as ``remote``: where the audio goes (RFC 5761). None: none are sent."""
    media_timeout: float = 0.0
    """Seconds without any packet after which :class:`LegSilent` is told, once; 0: never. While ``receive``."""
    agc: bool = False
    """Bring its voice to the usual level."""
    inband_keys: bool = False
    """Also look for keys in its sound (DTMF tones), until it sends the first telephone-event."""
    comfort_noise: bool = False
    """Send it a little noise where there is nothing to be heard (G.711 only)."""
    sender: int = 0
    """Not 0: a secret number from which, with the time, the worker works out SSRC, sequence number and timestamp. So
    the stream of a leg that is opened anew, on this worker's replacement or on another, goes on instead of beginning.
    """


class UpdateLeg(msgspec.Struct, frozen=True, tag=True):
    """New signalling for a leg (re-INVITE): replaces address, codec and direction; jitter buffer and sender state
    stay.
    """

    leg: str
    remote: Address | None
    codec: Codec = "PCMU"
    payload_type: int = 0
    dtmf_payload_type: int | None = None
    dtmf_clock: int = 8000
    latch_hosts: tuple[str, ...] = ()
    send: bool = True
    receive: bool = True
    rtcp: Address | None = None
    media_timeout: float = 0.0
    inband_keys: bool = False
    comfort_noise: bool = False


class MoveLeg(msgspec.Struct, frozen=True, tag=True):
    """Put a leg into another room of the same worker."""

    leg: str
    room: str
    talk: int
    hear: int


class CloseLeg(msgspec.Struct, frozen=True, tag=True):
    leg: str
    elsewhere: bool = False
    """It goes on on another worker: its peer is told no goodbye."""


class Hearing(msgspec.Struct, frozen=True):
    """One row of the factored matrix."""

    leg: str
    talk: int
    hear: int


class SetHearing(msgspec.Struct, frozen=True, tag=True):
    """Replace the masks of these legs of a room, all at one tick. Legs not named keep theirs."""

    room: str
    legs: tuple[Hearing, ...]


class Play(msgspec.Struct, frozen=True, tag=True):
    """Add a source that is not a leg: a prompt, music, a beep.

    ``source`` is the path of a mono 16-bit WAV file at 8 kHz, or a built-in: ``beep:1``, ``beep:2``, ``music``,
    ``ringback``, ``silence:MS``.
    """

    player: str
    room: str
    source: str
    talk: int
    loop: bool = False
    gain: float = 1.0


class StopPlay(msgspec.Struct, frozen=True, tag=True):
    player: str


class SetGainControl(msgspec.Struct, frozen=True, tag=True):
    """Begin or end to bring a leg's voice to the usual level."""

    leg: str
    on: bool


class SendDigits(msgspec.Struct, frozen=True, tag=True):
    """Send RFC 4733 events to a leg: ``0-9*#A-D``, ``w`` waits 0.5 s, ``W`` 1 s. Refused if the leg negotiated no
    telephone-event.
    """

    leg: str
    digits: str


class StartTap(msgspec.Struct, frozen=True, tag=True):
    """Record what a listener with mask ``hear`` would hear in a room, into the spool folder ``spool``.

    Sent again after a worker was replaced, with the same ``tap`` and ``spool``: the new worker goes on in a new
    segment, and
    the time between is a marked gap.

    With ``leg`` one leg is recorded instead, wherever it is moved: its own voice, while it talks on one of the channels
    of ``hear`` (0: on any; a leg that talks on none is silent); with ``heard`` also what it hears, its own voice taken
    out: then the samples are both together, and tracks ``own`` and ``heard`` hold each. ``room`` is where the leg is
    now. When the leg is closed the tap goes on, silent, until it is stopped.
    """

    tap: str
    room: str
    hear: int
    spool: str
    paused: bool = False
    leg: str = ""
    heard: bool = False
    tracks: bool = False
    """Keep a track for each leg heard, named by it, and one named ``sounds`` for everything else. Not with ``leg``."""
    notes: bool = False
    """Note in the spool who speaks and whose sound was lost."""
    rate: int = 0
    """Hz: 8000, 16000 or 48000; 0: the highest that a leg of ``room`` has, rising when a leg comes that has more."""
    least_rate: int = 0
    """Hz that a ``rate`` of 0 begins with at least: what was reached before the worker was replaced."""


class PauseTap(msgspec.Struct, frozen=True, tag=True):
    tap: str


class ResumeTap(msgspec.Struct, frozen=True, tag=True):
    tap: str


class StopTap(msgspec.Struct, frozen=True, tag=True):
    """End a tap. Acknowledged at once; :class:`TapClosed` follows when its last block is on disk."""

    tap: str
    elsewhere: bool = False
    """It goes on on another worker, in a segment of its own: none of its spool's segments is the last yet."""


class GetStats(msgspec.Struct, frozen=True, tag=True):
    """Ask for :class:`Stats` as the reply's value."""

    leg: str = ""
    """Also fill ``leg_stats`` with this leg's, if it is there."""
    legs: bool = False
    """Also fill ``leg_stats``: every leg's counters, which takes a worker with thousands of legs some milliseconds."""


Command: TypeAlias = (
    OpenLeg
    | UpdateLeg
    | MoveLeg
    | CloseLeg
    | SetHearing
    | SetGainControl
    | Play
    | StopPlay
    | SendDigits
    | StartTap
    | PauseTap
    | ResumeTap
    | StopTap
    | GetStats
)


class Request(msgspec.Struct, frozen=True, tag=True):
    id: int
    command: Command


class LegStats(msgspec.Struct, frozen=True):
    """Counters of one leg since it opened. Packets unless a unit is named."""

    leg: str
    received: int = 0
    lost: int = 0
    """Frames never played because they did not come in time."""
    late: int = 0
    duplicate: int = 0
    concealed: int = 0
    """Frames of concealment played while the peer was talking."""
    sent: int = 0
    jitter_ms: float = 0.0
    delay_ms: float = 0.0
    """Present depth of the jitter buffer."""
    remote: Address | None = None
    round_trip_ms: float | None = None
    """From the peer's reports; known to some 10 ms. This and the following are None until known."""
    far_loss: float | None = None
    """Share of our packets that the peer missed between its last two reports."""
    far_jitter_ms: float | None = None
    r_factor: float | None = None
    """How others hear this leg: ITU-T G.107, 0 to 93."""
    mos: float | None = None
    """The same as a mean opinion score, 1 to 4.5."""
    far_mos: float | None = None
    """How this leg hears others, by its own reports."""
    agc: bool = False
    """Its voice is brought to the usual level..."""
    gain_db: float = 0.0
    """... by so much now."""


class Stats(msgspec.Struct, frozen=True, tag=True):
    """The worker's counters since it started."""

    legs: int
    rooms: int
    taps: int
    ticks: int
    late_ticks: int
    """Ticks begun more than 5 ms after they were due."""
    skipped_ticks: int
    stranger_packets: int
    """Packets from addresses no leg has, dropped."""
    malformed_packets: int
    leg_stats: tuple[LegStats, ...] = ()
    received_datagrams: int = 0
    sent_datagrams: int = 0
    send_errors: int = 0
    """Datagrams the kernel refused (unreachable, too big, …), each skipped."""
    dropped_datagrams: int = 0
    """Datagrams given up because a send buffer stayed full."""
    dropped_events: int = 0
    """Events thrown away because the control process did not read."""
    spool_backlog_bytes: int = 0
    poor_legs: int = 0
    """Legs that :class:`LegQuality` last told to be hard to understand."""
    mean_mos: float | None = None
    """How legs are heard, the mean of those that send; None: none does."""
    load: float = 0.0
    """Share of the recent time spent working, 0 to 1."""
    lateness_us: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How late recent ticks began: p50, p99, maximum, microseconds."""


class Reply(msgspec.Struct, frozen=True, tag=True):
    """``error`` is empty on success, else one sentence."""

    id: int
    error: str = ""
    value: Stats | None = None


class LegLatched(msgspec.Struct, frozen=True, tag=True):
    """The peer's media comes from ``remote``; told once per signalling, also when it is the SDP's own address."""

    leg: str
    remote: Address
    at_ns: int


class Digit(msgspec.Struct, frozen=True, tag=True):
    """One key was pressed (RFC 4733), told at its end or after its first packets, once per key press."""

    leg: str
    key: str
    duration_ms: int
    at_ns: int


class SpeakStart(msgspec.Struct, frozen=True, tag=True):
    leg: str
    at_ns: int


class SpeakStop(msgspec.Struct, frozen=True, tag=True):
    leg: str
    at_ns: int


class LegQuality(msgspec.Struct, frozen=True, tag=True):
    """A leg has become hard to understand, or good again; by the loss and delay of the last five seconds."""

    leg: str
    good: bool
    mos: float
    """How others hear it, 1 to 4.5."""
    far_mos: float | None
    """How it hears others, if its peer reports."""
    loss: float
    """Share of frames not played, 0 to 1."""
    round_trip_ms: float | None
    at_ns: int


class LegSilent(msgspec.Struct, frozen=True, tag=True):
    """Nothing has come from the peer for ``seconds``, its ``media_timeout`` or up to five seconds more."""

    leg: str
    seconds: float
    at_ns: int


class PlayEnded(msgspec.Struct, frozen=True, tag=True):
    """A player that does not loop has played its last sample, or was stopped."""

    player: str
    at_ns: int


class DigitsSent(msgspec.Struct, frozen=True, tag=True):
    leg: str
    at_ns: int


class TapClosed(msgspec.Struct, frozen=True, tag=True):
    """Every recorded sample is on disk (``fdatasync`` done). ``samples`` at ``rate`` Hz, paused time left out."""

    tap: str
    samples: int
    rate: int
    at_ns: int


class TapOpened(msgspec.Struct, frozen=True, tag=True):
    """A tap has begun, or begun again, or goes on at a higher ``rate``, Hz."""

    tap: str
    rate: int
    at_ns: int


class TapFailed(msgspec.Struct, frozen=True, tag=True):
    """The spool cannot be written; told within 2 s. What was written so far stays.

    ``writing``: not for much longer; until the tap is stopped what comes is still written, and TapClosed follows.
    """

    tap: str
    reason: str
    samples: int
    at_ns: int
    writing: bool = False


Event: TypeAlias = (
    LegLatched
    | TapOpened
    | LegQuality
    | LegSilent
    | Digit
    | SpeakStart
    | SpeakStop
    | PlayEnded
    | DigitsSent
    | TapClosed
    | TapFailed
)

ToWorker: TypeAlias = Request
ToControl: TypeAlias = Reply | Event
