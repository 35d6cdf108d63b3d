"""Load generator: many RTP peers in one process, each with a source address of its own.

Every peer is an address of 127.0.0.0/8 on one shared UDP socket; ``IP_PKTINFO`` names the source of each datagram sent
and the destination of each received, so that ten thousand peers need one socket and two system calls every two
milliseconds. Peers are spread evenly over the 20 ms of a tick. Every packet that comes is counted, and its sequence
number looked at; once in a tick, for all at once. It prints its port, reads one JSON line saying what to do
(:class:`Plan`), and prints one JSON line of :class:`Result`.
"""

from __future__ import annotations

import ctypes
import socket
import sys
import time
from collections import deque

import msgspec
import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g711
from mixminus.media.loop import prefer_this_thread, sleeper

PHASES = 10
PHASE_NS = 2_000_000
FRAME = 160
LOOP_FRAMES = 100
TONES = (400.0, 700.0, 1100.0, 1700.0)
"""Hz; each of the four seats of a room speaks with its own."""
KEPT_FRAMES = 1000
"""Last frames of a sampled peer that are kept (20 s)."""
MARK_EVERY = 25
"""Frames between two marks of a marking peer."""
MARK_LEVEL = 8000
"""A decoded frame with a louder peak is a mark; a marking peer is otherwise silent."""
ROWS = 16384
FIRST_ADDRESS = 0x7F010000
"""127.1.0.0"""
RECEIVED_BYTES = 200
_HEADER = np.dtype(
    [("first", "u1"), ("second", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")],
)
_RECEIVED = np.dtype(
    {
        "names": ["second", "sequence", "payload"],
        "formats": ["u1", ">u2", ("u1", FRAME)],
        "offsets": [1, 2, 12],
        "itemsize": RECEIVED_BYTES,
    }
)

_IOVEC = np.dtype([("base", "<u8"), ("length", "<u8")])
_MMSGHDR = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["<u8", "<u4", "<u8", "<u8", "<u8", "<u8", "<i4", "<u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
_PKTINFO = np.dtype(
    [
        ("length", "<u8"),
        ("level", "<i4"),
        ("type", "<i4"),
        ("interface", "<i4"),
        ("local", "u1", 4),
        ("to", ">u4"),
        ("pad", "<i4"),
    ]
)
_IP_PKTINFO = 8
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_PROBE = 3
_MSG_DONTWAIT = 0x40


class Plan(msgspec.Struct, frozen=True):
    """``ports``: where peer ``n`` sends to, on 127.0.0.1. It has seat ``n // rooms`` of room ``n % rooms``."""

    ports: list[int]
    rooms: int
    seconds: float
    marks: int = 0
    """The last so many peers sit in pairs instead: the first of each sends marks, the other listens for them."""
    samples: list[int] = []
    """Peers whose received audio is kept and returned as spectrum."""


class Result(msgspec.Struct, frozen=True):
    sent: int
    received: int
    lost: int
    """By gaps in the sequence numbers that each peer received."""
    silent_peers: int
    """Peers that received nothing at all."""
    delays_ms: list[float]
    """From sending a mark's packet to receiving the packet it is in."""
    spectra: dict[int, list[float]]
    """Peer → level of each of :data:`TONES` in what it heard, dBFS."""
    cpu_seconds: float


def peer_address(peer: int) -> str:
    """The source address of a peer: 127.1.0.0 and on."""
    return f"127.{1 + (peer >> 16)}.{peer >> 8 & 255}.{peer & 255}"


def voice(tone: float, seed: int) -> NDArray[np.uint8]:
    """(LOOP_FRAMES, FRAME) uint8 µ-law: a tone and noise under the envelope of syllables, never quite silent."""
    rng = np.random.default_rng(seed)
    t = np.arange(LOOP_FRAMES * FRAME) / 8000
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * t + seed)
    pcm = 4000 * envelope * np.sin(2 * np.pi * tone * t) + rng.normal(0, 300, len(t))
    return encode(pcm).reshape(LOOP_FRAMES, FRAME)


def encode(pcm: NDArray[np.float64]) -> NDArray[np.uint8]:
    return g711.ENCODE[g711.PCMU][pcm.astype(np.int16).view(np.uint16)]


class Load:
    """All peers. Rows of the arrays are peers in the order of their phases."""

    def __init__(self, sock: socket.socket, plan: Plan) -> None:
        self.plan = plan
        self._fd = sock.fileno()
        libc = ctypes.CDLL(None, use_errno=True)
        self._sendmmsg, self._recvmmsg = libc.sendmmsg, libc.recvmmsg
        self._sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
        self._recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
        peers = len(plan.ports)
        rng = np.random.default_rng(1)
        self.order = rng.permutation(peers)
        self.edges = np.linspace(0, peers, PHASES + 1).astype(int).tolist()
        self._lay_out_sends(rng)
        self._lay_out_receives()
        self.sent = self.received = 0
        self.count = np.zeros(peers, np.int64)
        self.first = np.full(peers, -1, np.int64)
        self.last = np.zeros(peers, np.int64)
        """Highest sequence number of each peer, counted on beyond 16 bits."""
        self.kept = {peer: deque[bytes](maxlen=KEPT_FRAMES) for peer in plan.samples}
        self._listens = np.zeros(peers, np.bool_)
        self._listens[plan.samples] = True
        self._listens[peers - plan.marks + 1 :: 2] = True
        self.marked_at: dict[int, int] = {}
        self.delays_ms: list[float] = []

    def _lay_out_sends(self, rng: np.random.Generator) -> None:
        plan, peers = self.plan, len(self.order)
        quiet = np.full((1, FRAME), 0xFF, np.uint8)
        mark = encode(20_000 * np.sin(2 * np.pi * 1000 * np.arange(FRAME) / 8000)).reshape(1, FRAME)
        self._payload = np.concatenate([*(voice(tone, n) for n, tone in enumerate(TONES)), quiet, mark])
        self._quiet_row, self._mark_row = len(self._payload) - 2, len(self._payload) - 1
        talkers = peers - plan.marks
        voice_row = (self.order // plan.rooms % len(TONES)) * LOOP_FRAMES
        offset = rng.integers(0, LOOP_FRAMES, peers)
        said = np.where(
            self.order < talkers,
            voice_row + (offset + np.arange(LOOP_FRAMES)[:, None]) % LOOP_FRAMES,
            self._quiet_row,
        )
        self._said = np.uint64(self._payload.ctypes.data) + said.astype(np.uint64) * np.uint64(FRAME)
        """(LOOP_FRAMES, peers) where each frame of each peer lies."""
        markers = np.flatnonzero((self.order >= talkers) & ((self.order - talkers) % 2 == 0))
        self._markers = [
            [(int(row), int(offset[row])) for row in markers if first <= row < end] for first, end in self._phases()
        ]
        self._header = np.zeros((peers, 12), np.uint8)
        self._header[:, 0] = 0x80
        self._fields = self._header.view(_HEADER)[:, 0]
        self._fields["sequence"] = rng.integers(0, 65536, peers)
        self._fields["timestamp"] = rng.integers(0, 2**32, peers)
        self._fields["ssrc"] = rng.integers(0, 2**32, peers)
        self._name = np.zeros((peers, 16), np.uint8)
        self._name[:, 0] = socket.AF_INET
        ports = np.array(plan.ports)[self.order]
        self._name[:, 2], self._name[:, 3] = ports >> 8, ports & 255
        self._name[:, 4:8] = (127, 0, 0, 1)
        self._source = np.zeros(peers, _PKTINFO)
        self._source["length"], self._source["type"] = 28, _IP_PKTINFO
        self._source["local"] = [[int(b) for b in peer_address(int(peer)).split(".")] for peer in self.order]
        self._vectors = np.zeros((peers, 2), _IOVEC)
        self._vectors["base"][:, 0] = _rows(self._header)
        self._vectors["length"] = (12, FRAME)
        self._out = np.zeros(peers, _MMSGHDR)
        self._out["name"], self._out["namelen"] = _rows(self._name), 16
        self._out["iov"], self._out["iovlen"] = _rows(self._vectors), 2
        self._out["control"], self._out["controllen"] = _rows(self._source), 32

    def _phases(self) -> list[tuple[int, int]]:
        return list(zip(self.edges, self.edges[1:], strict=False))

    def _lay_out_receives(self) -> None:
        self._in_data = np.zeros((ROWS, RECEIVED_BYTES), np.uint8)
        self._in_fields = self._in_data.view(_RECEIVED)[:, 0]
        self._in_control = np.zeros(ROWS, _PKTINFO)
        self._in_vectors = np.zeros((ROWS, 1), _IOVEC)
        self._in_vectors["base"][:, 0], self._in_vectors["length"] = _rows(self._in_data), RECEIVED_BYTES
        self._in = np.zeros(ROWS, _MMSGHDR)
        self._in["iov"], self._in["iovlen"] = _rows(self._in_vectors), 1
        self._in["control"], self._in["controllen"] = _rows(self._in_control), _PKTINFO.itemsize
        self._filled = 0
        self._came: list[tuple[int, int]] = []
        """Rows filled so far, and when they were."""

    def send_phase(self, frame: int, phase: int) -> None:
        """The ``frame``-th packet of every peer of ``phase``."""
        at, end = self._phases()[phase]
        fields = self._fields[at:end]
        fields["sequence"] += 1
        fields["timestamp"] += FRAME
        self._vectors["base"][at:end, 1] = self._said[frame % LOOP_FRAMES, at:end]
        self._mark(frame, phase)
        self.sent += end - at
        while at < end:
            done = self._sendmmsg(self._fd, self._out.ctypes.data + 64 * at, min(end - at, 1024), 0)
            if done < 0:
                raise OSError(ctypes.get_errno(), "the load generator cannot send")
            at += done

    def _mark(self, frame: int, phase: int) -> None:
        for row, offset in self._markers[phase]:
            if (frame + offset) % MARK_EVERY == 0:
                self._vectors["base"][row, 1] = self._payload.ctypes.data + self._mark_row * FRAME
                self.marked_at[int(self.order[row])] = time.monotonic_ns()

    def receive(self) -> None:
        """Everything that has come."""
        while True:
            room = min(1024, ROWS - self._filled)
            if not room:
                self.account()
                continue
            got = self._recvmmsg(self._fd, self._in.ctypes.data + 64 * self._filled, room, _MSG_DONTWAIT, None)
            if got <= 0:
                return
            self._filled += got
            self._came.append((self._filled, time.monotonic_ns()))
            if got < room:
                return

    def account(self) -> None:
        """Count what was received since the last time."""
        got, self._filled = self._filled, 0
        came, self._came = self._came, []
        if not got:
            return
        fields, peer = self._in_fields[:got], self._in_control["to"][:got].astype(np.int64) - FIRST_ADDRESS
        sequence = fields["sequence"].astype(np.int64)
        rtp = (fields["second"] < 192) | (fields["second"] > 223)  # not RTCP, RFC 5761 section 4
        row = np.arange(got) if rtp.all() else np.flatnonzero(rtp)
        if len(row) < got:
            peer, sequence = peer[row], sequence[row]
        self.received += len(row)
        new = self.first[peer] < 0
        if new.any():
            self.first[peer[new][::-1]] = sequence[new][::-1]  # the earliest, should a peer be there twice
            self.last[peer[new]] = self.first[peer[new]]
        self.count += np.bincount(peer, minlength=len(self.count))
        last = self.last[peer]
        np.maximum.at(self.last, peer, last + ((sequence - last + 0x8000 & 0xFFFF) - 0x8000))
        listened = np.flatnonzero(self._listens[peer])
        for at in listened.tolist():
            self._listen(int(peer[at]), fields["payload"][row[at]], next(when for end, when in came if row[at] < end))
        self._in["controllen"][:got] = _PKTINFO.itemsize

    def _listen(self, peer: int, payload: NDArray[np.uint8], now_ns: int) -> None:
        if peer in self.kept:
            self.kept[peer].append(payload.tobytes())
            return
        peak = np.abs(g711.DECODE[g711.PCMU][payload].astype(np.int32)).max()
        if peak > MARK_LEVEL and peer - 1 in self.marked_at:
            self.delays_ms.append((now_ns - self.marked_at.pop(peer - 1)) / 1e6)

    def drain(self) -> None:
        """Throw away what was sent here before the start, when nobody read."""
        while self._recvmmsg(self._fd, self._in.ctypes.data, 1024, _MSG_DONTWAIT, None) > 0:
            pass

    def run(self) -> None:
        self.drain()
        sleep_until = sleeper()
        start_ns = time.monotonic_ns() + 20_000_000
        for step in range(round(self.plan.seconds * 1e9 / PHASE_NS)):
            sleep_until(start_ns + step * PHASE_NS)
            self.send_phase(step // PHASES, step % PHASES)
            self.receive()
            if step % PHASES == PHASES - 1:
                self.account()
        self.account()

    def result(self, cpu_seconds: float) -> Result:
        heard = self.first >= 0
        lost = int((self.last[heard] - self.first[heard] + 1 - self.count[heard]).clip(0).sum())
        delays = self.delays_ms[self.plan.marks :]  # the first ones met an empty jitter buffer
        spectra = {peer: spectrum(b"".join(list(frames)[100:])) for peer, frames in self.kept.items()}
        return Result(self.sent, self.received, lost, int((~heard).sum()), delays, spectra, cpu_seconds)


def spectrum(payload: bytes) -> list[float]:
    """Level of each of :data:`TONES`, dBFS."""
    pcm = g711.DECODE[g711.PCMU][np.frombuffer(payload, np.uint8)].astype(np.float64)
    if not len(pcm):
        return [-np.inf] * len(TONES)
    window = np.hanning(len(pcm))
    t = np.arange(len(pcm)) / 8000
    levels = [2 * abs(np.sum(pcm * window * np.exp(-2j * np.pi * hz * t))) / window.sum() for hz in TONES]
    return [float(20 * np.log10(max(level, 1e-3) / 32768)) for level in levels]


def _rows(array: NDArray[np.generic]) -> NDArray[np.uint64]:
    return np.uint64(array.ctypes.data) + np.arange(len(array), dtype=np.uint64) * np.uint64(array.strides[0])


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 0))
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        # As the media sockets do: it spares the kernel choosing an IP id for each packet.
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
        sock.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE: a late generator must not look like loss
        sock.setsockopt(socket.SOL_SOCKET, 32, 32 << 20)
        print(sock.getsockname()[1], flush=True)
        plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=Plan)
        load = Load(sock, plan)
        prefer_this_thread()
        before = time.process_time()
        load.run()
        print(msgspec.json.encode(load.result(time.process_time() - before)).decode(), flush=True)


if __name__ == "__main__":
    main()
