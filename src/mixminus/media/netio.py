"""Datagrams in and out, a thousand per system call.

On 64-bit Linux the arrays of a batch are handed to ``recvmmsg``/``sendmmsg`` as they are: one ``mmsghdr``, two
``iovec`` (private header, shared payload row) and one ``sockaddr`` per datagram, laid out once as NumPy records.
Elsewhere a plain loop over ``recvmsg_into``/``sendmsg`` does the same, slower. Nothing a peer or the network does
raises here: an error belongs to one datagram, which is skipped and counted by the name of its errno.
"""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mixminus.media.batch import ADDRESS_BYTES, DatagramBatch, PacketBatch, pack_address, unpack_address

MAX_MESSAGES = 1024
"""``UIO_MAXIOV``: the kernel takes no more messages per call."""
FULL_WAIT_MS = 1
"""How long one tick may wait, in all, for send buffers to drain before it gives datagrams up."""

IDLE_TURN = 50
"""Ticks in which every idle port is read once (1 s)."""
DISCARD_ROUNDS = 64

_IOVEC = np.dtype([("base", "<u8"), ("length", "<u8")])
_MMSGHDR = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["<u8", "<u4", "<u8", "<u8", "<u8", "<u8", "<i4", "<u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
_MSG_TRUNC = 0x20
_MSG_DONTWAIT = 0x40


@dataclass
class NetCounters:
    """Datagrams since the start. ``errors`` counts by errno name what the kernel refused."""

    received: int = 0
    sent: int = 0
    truncated: int = 0
    """Longer than a row of the batch; handed on with length 0, so that no parser takes them for whole."""
    dropped: int = 0
    """Not sent because the socket's buffer stayed full."""
    errors: Counter[str] = field(default_factory=Counter)


class NetIO(Protocol):
    """A pool of UDP sockets. Index in the pool is the ``port`` of both batches."""

    counters: NetCounters

    def receive(self, batch: PacketBatch, used: Sequence[int] | None = None) -> None:
        """Fill ``batch`` with what has arrived, without waiting. What does not fit stays with the kernel.

        ``used``: ports of the pool that somebody is expected on, None: all. The others are emptied now and then, and
        what waits on one when it comes into use is thrown away: it is of a time before.
        """

    def send(self, batch: DatagramBatch) -> None:
        """Send the first ``batch.count`` datagrams, each from its own port."""

    def send_one(self, data: bytes, address: NDArray[np.uint8], port: int) -> None:
        """Send one datagram to a raw address from port ``port`` of the pool."""


def open_netio(sockets: Sequence[socket.socket], *, portable: bool = False) -> NetIO:
    """The fastest way this machine has. Sockets must be bound; they are made non-blocking."""
    for sock in sockets:
        sock.setblocking(False)
    fast = sys.platform == "linux" and sys.maxsize > 2**32 and sys.byteorder == "little"
    return MmsgIO(sockets) if fast and not portable else PortableIO(sockets)


def pass_quota(rows: int, sockets: int) -> int:
    """Datagrams one socket may deliver before every other had its turn: a flood on one port starves no other."""
    return max(16, min(MAX_MESSAGES, rows // max(1, sockets)))


class _Turns:
    """In which order the ports of a pool are read in each tick."""

    def __init__(self, ports: int) -> None:
        self._all = list(range(ports))
        self._used: Sequence[int] | None = None
        self._busy: list[int] = self._all
        self._idle: list[int] = []
        self._turn = 0

    def next(self, used: Sequence[int] | None, discard: Callable[[int], None]) -> list[int]:
        """Ports to read now: those in use, each tick beginning with another, and one or some of the idle."""
        if used is not None and used is not self._used:
            busy = set(used)
            for index in busy.intersection(self._idle):
                discard(index)
            self._used, self._busy = used, sorted(busy)
            self._idle = [index for index in self._all if index not in busy]
        self._turn += 1
        first = self._turn % len(self._busy) if self._busy else 0
        return [*self._busy[first:], *self._busy[:first], *self._idle[self._turn % IDLE_TURN :: IDLE_TURN]]


class MmsgIO:
    """``recvmmsg``/``sendmmsg`` through ctypes. Give :meth:`receive` the same batch each time."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self.counters = NetCounters()
        self._sockets = tuple(sockets)
        self._fds = [sock.fileno() for sock in sockets]
        libc = ctypes.CDLL(None, use_errno=True)
        self._recvmmsg = libc.recvmmsg
        self._recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
        self._sendmmsg = libc.sendmmsg
        self._sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
        self._bound: PacketBatch | None = None
        self._in: NDArray[np.void] = np.zeros(0, _MMSGHDR)
        self._in_iov: NDArray[np.void] = np.zeros(0, _IOVEC)
        self._turns = _Turns(len(sockets))
        self._used = 0
        self._grow_out(MAX_MESSAGES)

    # -- receive

    def receive(self, batch: PacketBatch, used: Sequence[int] | None = None) -> None:
        if batch is not self._bound:
            self._bind(batch)
        rows, recvmmsg, fds = len(batch.data), self._recvmmsg, self._fds
        batch.address[: self._used] = 0
        pending = self._turns.next(used, self._discard)
        quota = pass_quota(rows, len(pending))
        count = 0
        origins, counts = [], []
        while pending and count < rows:
            full = []
            for index in pending:
                want = min(quota, rows - count)
                got = recvmmsg(fds[index], self._in_at + 64 * count, want, _MSG_DONTWAIT, None)
                if got < 0:
                    got = self._receive_again(fds[index], count, want)
                if got:
                    origins.append(index)
                    counts.append(got)
                    count += got
                    if got == want:
                        full.append(index)
            pending, quota = full, MAX_MESSAGES
        batch.port[:count] = np.repeat(origins, counts)
        self._finish(batch, count)

    def _discard(self, index: int) -> None:
        for _ in range(DISCARD_ROUNDS):
            if (
                self._recvmmsg(self._fds[index], self._in_at, min(len(self._in), MAX_MESSAGES), _MSG_DONTWAIT, None)
                <= 0
            ):
                break
        self._in["namelen"] = ADDRESS_BYTES

    def _receive_again(self, fd: int, first: int, want: int) -> int:
        """After an error: nothing there, or a pending ICMP error that was told once instead of the data behind it."""
        code = ctypes.get_errno()
        if code in (errno.EAGAIN, errno.EWOULDBLOCK) or not want:
            return 0
        if code != errno.EINTR:
            self.counters.errors[_name(code)] += 1
        got: int = self._recvmmsg(fd, self._in_at + 64 * first, want, _MSG_DONTWAIT, None)
        return max(0, got)

    def _finish(self, batch: PacketBatch, count: int) -> None:
        headers = self._in[:count]
        batch.length[:count] = headers["length"]
        cut = (headers["flags"] & _MSG_TRUNC) != 0
        if cut.any():
            batch.length[:count][cut] = 0
            self.counters.truncated += int(cut.sum())
        headers["namelen"] = ADDRESS_BYTES
        batch.count = self._used = count
        self.counters.received += count

    def _bind(self, batch: PacketBatch) -> None:
        rows = len(batch.data)
        self._bound, self._used = batch, rows
        self._in, self._in_iov = np.zeros(rows, _MMSGHDR), np.zeros(rows, _IOVEC)
        self._in_iov["base"] = _rows(batch.data, rows)
        self._in_iov["length"] = batch.data.shape[1]
        self._in["name"] = _rows(batch.address, rows)
        self._in["namelen"] = ADDRESS_BYTES
        self._in["iov"] = _rows(self._in_iov, rows)
        self._in["iovlen"] = 1
        self._in_at = self._in.ctypes.data

    # -- send

    def send(self, batch: DatagramBatch) -> None:
        count = batch.count
        if not count:
            return
        if count > len(self._out):
            self._grow_out(2 * count)
        ports = self._lay_out(batch, count)
        ends = [*(np.flatnonzero(ports[1:] != ports[:-1]) + 1).tolist(), count]
        first, self._patience = 0, FULL_WAIT_MS
        for end, port in zip(ends, ports[[0, *ends[:-1]]].tolist(), strict=True):
            self._send_range(self._fds[port], first, end)
            first = end

    def send_one(self, data: bytes, address: NDArray[np.uint8], port: int) -> None:
        _send_one(self._sockets[port], data, address, self.counters)

    def _lay_out(self, batch: DatagramBatch, count: int) -> NDArray[np.int32]:
        """Point the message headers at the batch, grouped by port; returns the ports in that order."""
        ports: NDArray[np.int32] = batch.port[:count]
        order = self._count[:count]
        lengths, sizes, rows = batch.payload_length[:count], batch.address_length[:count], batch.payload_row[:count]
        if (ports[1:] < ports[:-1]).any():
            order = np.argsort(ports, kind="stable").astype(np.uint64)
            ports, lengths, sizes, rows = ports[order], lengths[order], sizes[order], rows[order]
        headers, vectors = self._out[:count], self._out_iov[:count]
        vectors["base"][:, 0] = order * np.uint64(batch.header.strides[0]) + np.uint64(batch.header.ctypes.data)
        vectors["base"][:, 1] = rows * batch.payload.strides[0] + np.int64(batch.payload.ctypes.data)
        vectors["length"][:, 0] = batch.header.shape[1]
        vectors["length"][:, 1] = lengths
        headers["name"] = order * np.uint64(batch.address.strides[0]) + np.uint64(batch.address.ctypes.data)
        headers["namelen"] = sizes
        return ports

    def _send_range(self, fd: int, first: int, end: int) -> None:
        counters = self.counters
        while first < end:
            sent: int = self._sendmmsg(fd, self._out_at + 64 * first, min(end - first, MAX_MESSAGES), _MSG_DONTWAIT)
            if sent > 0:
                first += sent
                counters.sent += sent
                continue
            code = ctypes.get_errno()
            if code in (errno.EAGAIN, errno.EWOULDBLOCK):
                if not self._drained(fd):
                    counters.dropped += end - first
                    return
            elif code != errno.EINTR:
                counters.errors[_name(code)] += 1
                first += 1

    def _drained(self, fd: int) -> bool:
        if not self._patience:
            return False
        self._patience = 0
        return _writable(fd, FULL_WAIT_MS)

    def _grow_out(self, rows: int) -> None:
        self._count = np.arange(rows, dtype=np.uint64)
        self._out, self._out_iov = np.zeros(rows, _MMSGHDR), np.zeros((rows, 2), _IOVEC)
        self._out["iov"] = _rows(self._out_iov, rows)
        self._out["iovlen"] = 2
        self._out_at = self._out.ctypes.data


class PortableIO:
    """The same with one system call per datagram; addresses are translated to and from the Linux layout."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self.counters = NetCounters()
        self._sockets = tuple(sockets)
        self._turns = _Turns(len(sockets))

    def receive(self, batch: PacketBatch, used: Sequence[int] | None = None) -> None:
        rows = len(batch.data)
        batch.count = 0
        pending = self._turns.next(used, self._discard)
        quota = pass_quota(rows, len(pending))
        while pending and batch.count < rows:
            pending = [index for index in pending if self._receive_some(batch, index, quota)]
            quota = MAX_MESSAGES
        self.counters.received += batch.count

    def _discard(self, index: int) -> None:
        for _ in range(DISCARD_ROUNDS * MAX_MESSAGES):
            try:
                self._sockets[index].recv(1)
            except OSError:
                return

    def _receive_some(self, batch: PacketBatch, index: int, quota: int) -> bool:
        """Whether there may be more."""
        for _ in range(min(quota, len(batch.data) - batch.count)):
            row = batch.count
            try:
                length, _, flags, address = self._sockets[index].recvmsg_into([memoryview(batch.data[row])])
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                self.counters.errors[_name(error.errno)] += 1
                return False
            if flags & socket.MSG_TRUNC:
                self.counters.truncated += 1
                length = 0
            batch.address[row] = pack_address((address[0].partition("%")[0], address[1] or 1))
            batch.length[row], batch.port[row] = length, index
            batch.count += 1
        return True

    def send_one(self, data: bytes, address: NDArray[np.uint8], port: int) -> None:
        _send_one(self._sockets[port], data, address, self.counters)

    def send(self, batch: DatagramBatch) -> None:
        patience = FULL_WAIT_MS
        for row in range(batch.count):
            sock = self._sockets[batch.port[row]]
            address = unpack_address(batch.address[row])
            for _ in range(2):
                try:
                    sock.sendmsg([batch.datagram(row)], [], 0, address)
                    self.counters.sent += 1
                except BlockingIOError:
                    if patience and _writable(sock.fileno(), patience):
                        patience = 0
                        continue
                    self.counters.dropped += 1
                except OSError as error:
                    self.counters.errors[_name(error.errno)] += 1
                break


def _send_one(sock: socket.socket, data: bytes, address: NDArray[np.uint8], counters: NetCounters) -> None:
    try:
        sock.sendto(data, unpack_address(address))
        counters.sent += 1
    except BlockingIOError:
        counters.dropped += 1
    except OSError as error:
        counters.errors[_name(error.errno)] += 1


def _rows(array: NDArray[Any], rows: int) -> NDArray[np.uint64]:
    """Machine addresses of the rows of an array."""
    return np.uint64(array.ctypes.data) + np.arange(rows, dtype=np.uint64) * np.uint64(array.strides[0])


def _writable(fd: int, timeout_ms: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(timeout_ms))


def _name(code: int | None) -> str:
    return errno.errorcode.get(code or 0, str(code))
