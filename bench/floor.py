"""The floor in Python: the worker's own tick and sockets with nothing between them. ``python -m bench.floor FD...``

Receives what comes and sends as many datagrams back to where they came from: what moving the packets costs by itself.
"""

from __future__ import annotations

import ctypes
import signal
import socket
import sys
import time

import numpy as np

from mixminus.media.batch import DatagramBatch, PacketBatch
from mixminus.media.loop import Schedule, prefer_this_thread, sleeper
from mixminus.media.netio import open_netio

ROWS = 8192


def echo(packets: PacketBatch, datagrams: DatagramBatch) -> None:
    """Answer each packet with its own header and a shared payload row."""
    count = datagrams.count = packets.count
    datagrams.header[:count] = packets.data[:count, :12]
    datagrams.address[:count] = packets.address[:count]
    datagrams.port[:count] = packets.port[:count]


def main(fds: list[int]) -> None:
    ctypes.CDLL(None).prctl(1, int(signal.SIGTERM), 0, 0, 0)
    net = open_netio([socket.socket(fileno=fd) for fd in fds])
    packets, datagrams = PacketBatch(ROWS), DatagramBatch(ROWS, np.full((1, 160), 0xFF, np.uint8))
    datagrams.payload_length[:] = 160
    datagrams.address_length[:] = 16
    prefer_this_thread()
    sleep_until, schedule = sleeper(), Schedule(time.monotonic_ns())
    while True:
        sleep_until(schedule.due_ns)
        schedule.begin(time.monotonic_ns())
        net.receive(packets)
        echo(packets, datagrams)
        net.send(datagrams)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]])
