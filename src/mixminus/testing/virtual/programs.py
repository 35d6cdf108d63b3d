"""Programs of a world in virtual time: real ones, which take no time.

A program runs from its begin to its end while everything else stands still, as work for threads does: what it makes is
there at the instant at which it was asked for, and the order of things does not depend on which program is quicker.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from typing import Any

LONGEST_SECONDS = 600.0
"""Real time after which a program is killed. Whoever started it does not give up before: its patience is virtual."""


class Program(asyncio.SubprocessTransport):
    """What ``asyncio.create_subprocess_exec`` works with. It runs when its input is complete: at once if that is no
    pipe, or when the pipe is closed. Raises OSError if it cannot be started.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.SubprocessProtocol, words: tuple[Any, ...], **how: Any
    ) -> None:
        super().__init__()
        self._loop, self._protocol = loop, protocol
        self._process: subprocess.Popen[bytes] = subprocess.Popen(words, **how)
        piped = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._pipes = {fd: _Pipe(self._run) if fd == 0 else _Pipe() for fd, pipe in enumerate(piped) if pipe}
        self._ended: asyncio.Future[int] = loop.create_future()
        protocol.connection_made(self)
        if 0 not in self._pipes:
            loop.call_soon(self._run)

    def get_pid(self) -> int:
        return self._process.pid

    def get_returncode(self) -> int | None:
        return self._process.returncode

    def get_pipe_transport(self, fd: int) -> Any:
        return self._pipes.get(fd)

    def send_signal(self, signal: int) -> None:
        self._process.send_signal(signal)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        """For a program that was given up before its input was complete."""
        self._process.kill()
        self._run()

    def close(self) -> None:
        """There is nothing to close any more: it is told of its end only after that."""

    async def _wait(self) -> int:
        """For ``asyncio.subprocess.Process.wait``."""
        return await asyncio.shield(self._ended)

    def _run(self, given: bytes | None = None) -> None:
        if self._ended.done():
            return
        try:
            told = self._process.communicate(given, LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            told = self._process.communicate()
        self._ended.set_result(self._process.returncode)
        self._loop.call_soon(self._tell, told)

    def _tell(self, told: tuple[bytes | None, bytes | None]) -> None:
        for fd, data in enumerate(told, 1):
            if data:
                self._protocol.pipe_data_received(fd, data)
        for fd in self._pipes:
            self._protocol.pipe_connection_lost(fd, None)
        self._protocol.process_exited()
        self._protocol.connection_lost(None)


class _Pipe(asyncio.Transport):
    """Keeps what is written until it is closed; ``complete`` takes it then."""

    def __init__(self, complete: Callable[[bytes], None] = lambda written: None) -> None:
        super().__init__()
        self._complete, self._written, self._closing = complete, bytearray(), False

    def write(self, data: Any) -> None:
        self._written += data

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._complete(bytes(self._written))
