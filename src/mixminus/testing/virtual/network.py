"""UDP in memory: what is sent arrives at the same virtual instant, in order, unless the network is told to lose it."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

_FIRST_PORT = 30000


class Network:
    """Addresses → sockets of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._bound: dict[tuple[str, int], MemorySocket] = {}
        self._ports = itertools.count(_FIRST_PORT, 2)

    def bind(
        self, protocol: asyncio.DatagramProtocol, address: tuple[str, int]
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """Raises OSError if the address is in use. Port 0 takes the next that is free."""
        host, port = address
        if not port:
            port = next(number for number in self._ports if (host, number) not in self._bound)
        if (host, port) in self._bound:
            raise OSError(f"{host}:{port} is in use")
        transport = self._bound[host, port] = MemorySocket(self, protocol, (host, port))
        self._loop.call_soon(protocol.connection_made, transport)
        return transport, protocol

    def has(self, address: tuple[str, int]) -> bool:
        return address in self._bound

    def send(self, data: bytes, source: tuple[str, int], target: tuple[str, int]) -> None:
        """A datagram to where nobody listens is lost, as on a network."""
        if target in self._bound:
            self._loop.call_soon(self._deliver, data, source, target)

    def _deliver(self, data: bytes, source: tuple[str, int], target: tuple[str, int]) -> None:
        socket = self._bound.get(target)
        if socket is not None:
            socket.protocol.datagram_received(data, source)

    def unbind(self, address: tuple[str, int]) -> None:
        socket = self._bound.pop(address, None)
        if socket is not None:
            self._loop.call_soon(socket.protocol.connection_lost, None)


class _Options:
    """Stands for the socket where its options are set."""

    def setsockopt(self, *option: Any) -> None: ...


class MemorySocket(asyncio.DatagramTransport):
    def __init__(self, network: Network, protocol: asyncio.DatagramProtocol, address: tuple[str, int]) -> None:
        super().__init__({"sockname": address, "socket": _Options()})
        self.protocol = protocol
        self.address = address
        self._network = network
        self._closing = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        if addr is not None and not self._closing:
            self._network.send(bytes(data), self.address, (str(addr[0]), int(addr[1])))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._network.unbind(self.address)

    def abort(self) -> None:
        self.close()
