"""Frames on a local stream: a 4-byte big-endian length, then that many bytes. Pure."""

from __future__ import annotations

from mixminus.errors import ProtocolError

MAX_FRAME = 16 * 1024 * 1024
"""Bytes; more is taken for a stream that lost its place."""
_PREFIX = 4


def frame(payload: bytes) -> bytes:
    """One frame around ``payload``."""
    return len(payload).to_bytes(_PREFIX, "big") + payload


class FrameReader:
    """Cuts a stream into frames, however it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """The payloads completed by ``data``. Raises ProtocolError when a length is beyond :data:`MAX_FRAME`."""
        self._buffer += data
        payloads, at = [], 0
        while len(self._buffer) - at >= _PREFIX:
            length = int.from_bytes(self._buffer[at : at + _PREFIX], "big")
            if length > MAX_FRAME:
                raise ProtocolError(f"a frame of {length} bytes; at most {MAX_FRAME} are allowed")
            end = at + _PREFIX + length
            if end > len(self._buffer):
                break
            payloads.append(bytes(self._buffer[at + _PREFIX : end]))
            at = end
        del self._buffer[:at]
        return payloads
