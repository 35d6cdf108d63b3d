"""Which leg a datagram belongs to: its sender's address, looked up for the local port on which it came.

A stranger never redirects anything. The one way for an unknown address to become a leg's is latching (symmetric RTP,
RFC 4961): see :class:`mixminus.media.protocol.OpenLeg`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media.batch import FAMILY_IPV6, PacketBatch, pack_address, unpack_address
from mixminus.media.protocol import Address, Event, LegLatched
from mixminus.media.state import (
    CLAIMED,
    CONFIRMED,
    LATCHED,
    NOWHERE,
    SIGNALLED,
    UNLATCHED,
    MediaState,
)
from mixminus.rtp.packet import HeaderBatch

UInt64s = NDArray[np.uint64]
Index = NDArray[np.intp]

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93], np.uint64)
_PORT_AND_FAMILY = np.uint64(0xFFFFFFFF)
_FAMILY = np.uint64(0xFFFF)


class AddressTable:
    """Open-addressing hash table from uint64 keys to values >= 0, looked up P keys at a time."""

    def __init__(self, capacity: int) -> None:
        self._allocate(max(4, (4 * capacity - 1).bit_length()))

    def _allocate(self, bits: int) -> None:
        self._shift = np.uint64(64 - bits)
        self._mask = (1 << bits) - 1
        self._key = np.zeros(1 << bits, np.uint64)
        self._value = np.full(1 << bits, -1, np.int32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def find(self, keys: UInt64s) -> NDArray[np.int32]:
        """(P,) values, -1 where a key is not in the table."""
        at = self._home(keys)
        value: NDArray[np.int32] = self._value[at]
        wrong = np.flatnonzero((self._key[at] != keys) & (value >= 0))
        while wrong.size:
            at[wrong] = (at[wrong] + 1) & self._mask
            value[wrong] = self._value[at[wrong]]
            wrong = wrong[(self._key[at[wrong]] != keys[wrong]) & (value[wrong] >= 0)]
        return value

    def insert(self, key: np.uint64, value: int) -> bool:
        """False, and nothing changed, if the key is there already."""
        if 2 * self._count >= self._mask:
            self._double()
        at = int(self._home(np.array([key], np.uint64))[0])
        while self._value[at] >= 0:
            if self._key[at] == key:
                return False
            at = (at + 1) & self._mask
        self._key[at] = key
        self._value[at] = value
        self._count += 1
        return True

    def remove(self, key: np.uint64) -> None:
        """Take a key out and close the gap, so that no probe ends early. The key must be there."""
        at = int(self._home(np.array([key], np.uint64))[0])
        while self._key[at] != key or self._value[at] < 0:
            assert self._value[at] >= 0, "a key to remove is in the table"
            at = (at + 1) & self._mask
        self._count -= 1
        hole = at
        while True:
            self._value[hole] = -1
            at = (at + 1) & self._mask
            while self._value[at] >= 0 and not self._may_move(at, hole):
                at = (at + 1) & self._mask
            if self._value[at] < 0:
                return
            self._key[hole] = self._key[at]
            self._value[hole] = self._value[at]
            hole = at

    def _may_move(self, at: int, hole: int) -> bool:
        home = int(self._home(self._key[at : at + 1])[0])
        return (at - home) & self._mask >= (at - hole) & self._mask

    def _home(self, keys: UInt64s) -> Index:
        return ((keys * _SPREAD) >> self._shift).astype(np.intp)

    def _double(self) -> None:
        entries = [(key, int(value)) for key, value in zip(self._key, self._value, strict=True) if value >= 0]
        self._allocate(self._mask.bit_length() + 1)
        for key, value in entries:
            self.insert(key, value)


def _words(address: NDArray[np.uint8]) -> UInt64s:
    """(P, 3) what makes an address itself: family, UDP port, host. Flow label and scope are left out."""
    words = address.view(np.uint64)[:, :3].copy()
    six = address[:, 0] == FAMILY_IPV6
    words[six, 0] &= _PORT_AND_FAMILY
    words[~six, 1:] = 0
    return words


def _keys(words: UInt64s, port: NDArray[np.int32]) -> UInt64s:
    """(P,) key of address and local port: exact for IPv4; for IPv6 a hash, to be verified."""
    key = (words[:, 0] & ~_FAMILY) | port.astype(np.uint64)
    six = (words[:, 0] & _FAMILY) == FAMILY_IPV6
    if six.any():
        folded = words[six] * _FOLD
        folded ^= folded >> np.uint64(29)
        key[six] ^= (folded[:, 1] ^ (folded[:, 2] * _SPREAD) ^ folded[:, 0]) | np.uint64(1 << 63)
    return key


class Demux:
    """Keys of all legs, and the rule of latching. Values of the table are ``2 * row + (SIGNALLED or LATCHED)``."""

    def __init__(self, state: MediaState) -> None:
        self._state = state
        self._table = AddressTable(2 * state.capacity)
        self._hosts: dict[int, NDArray[np.uint8]] = {}
        self._waiting: dict[int, set[int]] = {}
        """Local port → rows on it that may yet be claimed."""

    def signal(self, row: int, remote: Address | None, latch_hosts: Sequence[str]) -> None:
        """New signalling of a leg: its SDP address and the hosts that may claim it.

        An address latched to before stays in use, if it may still claim the leg, until a new one does.

        Raises:
            MediaError: an address is malformed, or another leg of the same local port has it; nothing was changed.
        """
        state = self._state
        address = None if remote is None else pack_address(remote)
        hosts = np.array([pack_address((host, 1)) for host in latch_hosts], np.uint8).reshape(-1, 32)
        moved = address is None or not np.array_equal(address, state.peer[row, SIGNALLED])
        if address is not None and moved:
            self._refuse_taken(row, address)
        self._stop_waiting(row)
        if moved or not self._may_claim(hosts, state.peer[row, LATCHED][None])[0]:
            self._forget(row, LATCHED)
        if moved:
            self._forget(row, SIGNALLED)
            if address is not None:
                self._learn(row, SIGNALLED, address)
        state.latch[row] = UNLATCHED
        state.target[row] = self._best_target(row)
        state.routes_changed = True
        if hosts.size:
            self._hosts[row] = hosts
            self._waiting.setdefault(int(state.port[row]), set()).add(row)

    def close(self, row: int) -> None:
        self._stop_waiting(row)
        self._forget(row, LATCHED)
        self._forget(row, SIGNALLED)

    def find(self, packets: PacketBatch, headers: HeaderBatch, now_ns: int) -> tuple[Index, list[Event]]:
        """(P,) row of each packet's leg, -1 for strangers; and the legs that latched on the way."""
        count = packets.count
        words = _words(packets.address[:count])
        entry = self._look_up(words, packets.port[:count])
        events: list[Event] = []
        strangers = np.flatnonzero((entry < 0) & headers.valid)
        if strangers.size and self._waiting and self._claim(strangers, packets, headers, now_ns, events):
            entry[strangers] = self._look_up(words[strangers], packets.port[strangers])
        row = (entry >> 1).astype(np.intp)
        self._confirm(entry, row, headers, now_ns, events)
        return row, events

    def _look_up(self, words: UInt64s, port: NDArray[np.int32]) -> NDArray[np.int32]:
        entry = self._table.find(_keys(words, port))
        six = np.flatnonzero(((words[:, 0] & _FAMILY) == FAMILY_IPV6) & (entry >= 0))
        if six.size:
            row = entry[six] >> 1
            held = _words(self._state.peer[row, entry[six] & 1])
            same = (held == words[six]).all(axis=1) & (self._state.port[row] == port[six])
            entry[six[~same]] = -1
        return entry

    def _confirm(
        self, entry: NDArray[np.int32], row: Index, headers: HeaderBatch, now_ns: int, events: list[Event]
    ) -> None:
        """First audio of a leg from an address it already has settles where its media comes from."""
        state = self._state
        settled = np.where(entry & 1 == LATCHED, CLAIMED, CONFIRMED)
        news = (entry >= 0) & (state.latch[row] < settled) & headers.valid
        for packet in np.flatnonzero(news & (headers.payload_type == state.payload_type[row])):
            leg = int(row[packet])
            if state.latch[leg] >= settled[packet]:  # an earlier packet of this batch did it
                continue
            if settled[packet] == CONFIRMED:
                self._settle(leg, SIGNALLED, CONFIRMED, now_ns, events)
                self._forget(leg, LATCHED)
            else:
                self._settle(leg, LATCHED, CLAIMED, now_ns, events)

    def _claim(
        self, strangers: Index, packets: PacketBatch, headers: HeaderBatch, now_ns: int, events: list[Event]
    ) -> bool:
        """Let a stranger claim the one waiting leg of its local port; with two waiting, nobody can know whose it is."""
        claimed = False
        for port, rows in list(self._waiting.items()):
            if len(rows) != 1:
                continue
            (row,) = rows
            fits = (packets.port[strangers] == port) & (
                headers.payload_type[strangers] == self._state.payload_type[row]
            )
            near = strangers[fits & (headers.size[strangers] > 0)]
            near = near[self._may_claim(self._hosts[row], packets.address[near])]
            if near.size:
                self._forget(row, LATCHED)
                self._learn(row, LATCHED, packets.address[near[0]].copy())
                self._settle(row, LATCHED, CLAIMED, now_ns, events)
                claimed = True
        return claimed

    def _settle(self, row: int, target: int, latch: int, now_ns: int, events: list[Event]) -> None:
        state = self._state
        if state.latch[row] == UNLATCHED:
            events.append(LegLatched(state.names[row], unpack_address(state.peer[row, target]), now_ns))
        state.latch[row] = latch
        state.target[row] = target
        state.routes_changed = True
        self._stop_waiting(row)

    def _best_target(self, row: int) -> int:
        for which in (LATCHED, SIGNALLED):
            if self._state.peer[row, which, 0]:
                return which
        return NOWHERE

    @staticmethod
    def _may_claim(hosts: NDArray[np.uint8], address: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """(P,) whether the host of each raw address is among ``hosts`` ((H, 32), raw)."""
        host = _words(np.ascontiguousarray(address))
        host[:, 0] &= ~np.uint64(0xFFFF0000)
        allowed = _words(hosts)
        allowed[:, 0] &= ~np.uint64(0xFFFF0000)
        same: NDArray[np.bool_] = (host[:, None, :] == allowed[None, :, :]).all(axis=2).any(axis=1)
        return same

    def _stop_waiting(self, row: int) -> None:
        self._hosts.pop(row, None)
        port = int(self._state.port[row])
        waiting = self._waiting.get(port)
        if waiting is not None:
            waiting.discard(row)
            if not waiting:
                del self._waiting[port]

    def _key_of(self, row: int, address: NDArray[np.uint8]) -> np.uint64:
        key: np.uint64 = _keys(_words(address[None]), self._state.port[row : row + 1])[0]
        return key

    def _refuse_taken(self, row: int, address: NDArray[np.uint8]) -> None:
        entry = int(self._table.find(np.array([self._key_of(row, address)]))[0])
        if entry >= 0 and entry != 2 * row + LATCHED:
            host, port = unpack_address(address)
            raise MediaError(
                f"another leg of this local port already has the remote address {host}:{port}: use another local port"
            )

    def _learn(self, row: int, which: int, address: NDArray[np.uint8]) -> None:
        self._state.peer[row, which] = address
        added = self._table.insert(self._key_of(row, address), 2 * row + which)
        assert added, "an address belongs to one leg of a local port"

    def _forget(self, row: int, which: int) -> None:
        address = self._state.peer[row, which]
        if address[0]:
            self._table.remove(self._key_of(row, address))
            address[:] = 0
