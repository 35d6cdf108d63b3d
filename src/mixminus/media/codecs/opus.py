"""Opus (RFC 6716) by way of libopus: 48 kHz mono, 20 ms frames. Calls into the library hold no GIL.

RTP: clock 48 kHz whatever is coded (RFC 7587 §4.1). Received packets may hold anything the standard allows, stereo
included; the decoder answers one channel. Frame sizes below 10 ms are not taken.
"""

from __future__ import annotations

import ctypes
import os
from ctypes.util import find_library
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import MediaError

OPUS_CODE: Final = 120
"""Its code in ``MediaState.law``; payload types of Opus are dynamic."""
RATE: Final = 48000
FRAME: Final = 960
SLOT: Final = 480
"""Samples of 10 ms."""
MAX_PACKET: Final = 160
"""Bytes of a packet we send: 64 kbit/s at most in any 20 ms, so that one fits where a frame of G.711 does."""
BIT_RATE: Final = 32000
COMPLEXITY: Final = 5
EXPECTED_LOSS: Final = 10
"""Percent: makes the encoder spend bits on forward error correction where it codes speech."""
MAX_RECEIVED: Final = 1275 * 3
"""Bytes of the longest packet that RFC 6716 knows at frame sizes up to 60 ms."""
MAX_SLOTS: Final = 12

LIBRARY_VARIABLE: Final = "MIXMINUS_LIBOPUS"
"""Environment: path of the library to load before any other."""

_APPLICATION_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC, _SET_LOSS = 4002, 4010, 4012, 4014
_RESET_STATE = 4028
_MONO = 1

Pcm = NDArray[np.int16]


@cache
def library() -> ctypes.CDLL:
    """libopus: the one named by :data:`LIBRARY_VARIABLE`, else the bundled one, else the system's.

    Raises:
        MediaError: there is none.
    """
    tried = []
    for path in _candidates():
        try:
            return _declared(ctypes.CDLL(path))
        except (OSError, AttributeError) as error:
            tried.append(f"{path} ({error})")
    raise MediaError(f"Opus needs libopus: install opuslib-next-bundled or set {LIBRARY_VARIABLE}. Tried: {tried}")


def available() -> bool:
    """Whether :func:`library` finds one."""
    try:
        library()
    except MediaError:
        return False
    return True


def _candidates() -> list[str]:
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        return [named]
    found = []
    spec = find_spec("opuslib_next")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        found += [str(path) for path in sorted((Path(folder) / "_native").glob("*opus*")) if path.is_file()]
    system = find_library("opus")
    return [*found, system] if system else found


def _declared(lib: ctypes.CDLL) -> ctypes.CDLL:
    """Types of what is called; ``*_ctl`` are variadic and stay undeclared."""
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, answer, arguments in (
        ("opus_encoder_get_size", number, [number]),
        ("opus_encoder_init", number, [pointer, ctypes.c_int32, number, number]),
        ("opus_encode", ctypes.c_int32, [pointer, pointer, number, pointer, ctypes.c_int32]),
        ("opus_decoder_get_size", number, [number]),
        ("opus_decoder_init", number, [pointer, ctypes.c_int32, number]),
        ("opus_decode", number, [pointer, ctypes.c_char_p, ctypes.c_int32, pointer, number, number]),
        ("opus_strerror", ctypes.c_char_p, [number]),
    ):
        function: Any = getattr(lib, name)
        function.restype, function.argtypes = answer, arguments
    return lib


def _checked(result: int) -> int:
    if result < 0:
        raise MediaError(f"libopus: {library().opus_strerror(result).decode()}")
    return result


class Encoder:
    """One stream out. Its whole state is one flat block of memory."""

    def __init__(self, bit_rate: int = BIT_RATE) -> None:
        lib = library()
        self._encode = lib.opus_encode
        self._size = lib.opus_encoder_get_size(_MONO)
        self._state = ctypes.create_string_buffer(self._size)
        self._at = ctypes.addressof(self._state)
        _checked(lib.opus_encoder_init(self._at, RATE, _MONO, _APPLICATION_VOIP))
        for option, value in (
            (_SET_BITRATE, bit_rate),
            (_SET_COMPLEXITY, COMPLEXITY),
            (_SET_INBAND_FEC, 1),
            (_SET_LOSS, EXPECTED_LOSS),
        ):
            _checked(lib.opus_encoder_ctl(ctypes.c_void_p(self._at), option, ctypes.c_int(value)))

    def encode(self, pcm: Pcm, out: NDArray[np.uint8]) -> int:
        """(960,) int16, contiguous → bytes written into ``out``, (:data:`MAX_PACKET`,) or longer, contiguous."""
        return _checked(self._encode(self._at, pcm.ctypes.data, FRAME, out.ctypes.data, MAX_PACKET))

    def encode_at(self, pcm: int, out: int) -> int:
        """The same with addresses: asking an array for its address takes longer than a call."""
        return _checked(self._encode(self._at, pcm, FRAME, out, MAX_PACKET))

    def clone(self) -> Encoder:
        """Another encoder that goes on from exactly here: whoever decoded this one's packets may go over to it."""
        twin = object.__new__(Encoder)
        twin._encode, twin._size = self._encode, self._size
        twin._state = ctypes.create_string_buffer(self._state.raw, self._size)
        twin._at = ctypes.addressof(twin._state)
        return twin


class Decoder:
    """One stream in, at 48 kHz."""

    def __init__(self) -> None:
        lib = library()
        self._decode = lib.opus_decode
        self._state = ctypes.create_string_buffer(lib.opus_decoder_get_size(_MONO))
        self._at = ctypes.addressof(self._state)
        _checked(lib.opus_decoder_init(self._at, RATE, _MONO))

    def decode(self, packet: bytes, out: Pcm) -> int:
        """A packet → samples written into ``out`` ((5760,) int16, contiguous). Raises MediaError: it is no Opus."""
        return _checked(self._decode(self._at, packet, len(packet), out.ctypes.data, out.size, 0))

    def decode_at(self, packet: bytes, out: int, size: int) -> int:
        """The same with the address of ``size`` samples: asking an array for its address takes longer than a call."""
        return _checked(self._decode(self._at, packet, len(packet), out, size, 0))

    def conceal(self, samples: int, out: Pcm) -> int:
        """What may have been lost: a whole number of 2.5 ms."""
        return _checked(self._decode(self._at, None, 0, out.ctypes.data, samples, 0))

    def recover(self, packet: bytes, samples: int, out: Pcm) -> int:
        """What was lost right before ``packet``, from the redundancy in it, concealed as far as there is none."""
        return _checked(self._decode(self._at, packet, len(packet), out.ctypes.data, samples, 1))

    def reset(self) -> None:
        """As new."""
        _checked(library().opus_decoder_ctl(ctypes.c_void_p(self._at), _RESET_STATE))


_SILK_SLOTS = (1, 2, 4, 6)


def packet_slots(first: int, second: int, size: int) -> int:
    """10 ms slots in a packet, from its first two bytes (RFC 6716 §3.1, §3.2); 0: malformed, or not whole slots."""
    if not 0 < size <= MAX_RECEIVED:
        return 0
    config, code = first >> 3, first & 3
    if config < 12:
        quarters = 4 * _SILK_SLOTS[config & 3]
    elif config < 16:
        quarters = 4 << (config & 1)
    else:
        quarters = 1 << (config & 3)
    if code == 3:
        if size < 2:
            return 0
        frames = second & 63
    else:
        frames = 1 if code == 0 else 2
    total = quarters * frames
    return total // 4 if total % 4 == 0 and 0 < total <= 4 * MAX_SLOTS else 0


@cache
def silence() -> bytes:
    """A packet of silence, as an encoder codes it that has heard nothing else for a second."""
    encoder, out = Encoder(), np.zeros(MAX_PACKET, np.uint8)
    quiet = np.zeros(FRAME, np.int16)
    size = 0
    for _ in range(50):
        size = encoder.encode(quiet, out)
    return out[:size].tobytes()
