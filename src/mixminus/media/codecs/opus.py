"""Opus (RFC 6716) by way of libopus: 48 kHz mono, 20 ms frames. Calls into the library hold no GIL.

RTP: clock 48 kHz whatever is coded (RFC 7587 §4.1). Received packets may hold anything the standard allows, stereo
included; the decoder answers one channel. Frame sizes below 10 ms are not taken.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from ctypes.util import find_library
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeAlias

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


def reason(result: int) -> str:
    """What a negative result of the library means."""
    return str(library().opus_strerror(result).decode())


def _checked(result: int) -> int:
    if result < 0:
        raise MediaError(f"libopus: {reason(result)}")
    return result


class Encoder:
    """One stream out. Its whole state is one flat block of memory."""

    def __init__(self, bit_rate: int = BIT_RATE) -> None:
        lib = library()
        self._encode = lib.opus_encode
        self._size = lib.opus_encoder_get_size(_MONO)
        self._state = ctypes.create_string_buffer(self._size)
        self.at = ctypes.addressof(self._state)
        """Its address, for :func:`encode_each`."""
        _checked(lib.opus_encoder_init(self.at, RATE, _MONO, _APPLICATION_VOIP))
        for option, value in (
            (_SET_BITRATE, bit_rate),
            (_SET_COMPLEXITY, COMPLEXITY),
            (_SET_INBAND_FEC, 1),
            (_SET_LOSS, EXPECTED_LOSS),
        ):
            _checked(lib.opus_encoder_ctl(ctypes.c_void_p(self.at), option, ctypes.c_int(value)))

    def encode(self, pcm: Pcm, out: NDArray[np.uint8]) -> int:
        """(960,) int16, contiguous → bytes written into ``out``, (:data:`MAX_PACKET`,) or longer, contiguous."""
        return _checked(self._encode(self.at, pcm.ctypes.data, FRAME, out.ctypes.data, MAX_PACKET))

    def clone(self) -> Encoder:
        """Another encoder that goes on from exactly here: whoever decoded this one's packets may go over to it."""
        twin = object.__new__(Encoder)
        twin._encode, twin._size = self._encode, self._size
        twin._state = ctypes.create_string_buffer(self._state.raw, self._size)
        twin.at = ctypes.addressof(twin._state)
        return twin


class Decoder:
    """One stream in, at 48 kHz."""

    def __init__(self) -> None:
        lib = library()
        self._decode = lib.opus_decode
        self._state = ctypes.create_string_buffer(lib.opus_decoder_get_size(_MONO))
        self.at = ctypes.addressof(self._state)
        """Its address, for :func:`decode_each`."""
        _checked(lib.opus_decoder_init(self.at, RATE, _MONO))

    def decode(self, packet: bytes, out: Pcm) -> int:
        """A packet → samples written into ``out`` ((5760,) int16, contiguous). Raises MediaError: it is no Opus."""
        return _checked(self._decode(self.at, packet, len(packet), out.ctypes.data, out.size, 0))

    def conceal(self, samples: int, out: Pcm) -> int:
        """What may have been lost: a whole number of 2.5 ms."""
        return _checked(self._decode(self.at, None, 0, out.ctypes.data, samples, 0))

    def recover(self, packet: bytes, samples: int, out: Pcm) -> int:
        """What was lost right before ``packet``, from the redundancy in it, concealed as far as there is none."""
        return _checked(self._decode(self.at, packet, len(packet), out.ctypes.data, samples, 1))

    def reset(self) -> None:
        """As new."""
        _checked(library().opus_decoder_ctl(ctypes.c_void_p(self.at), _RESET_STATE))


Decoding: TypeAlias = tuple[int, int, bytes | None, bytes, int]
"""Number of the result, address of a decoder (:attr:`Decoder.at`), a packet for it to hear first, of which nothing is
kept, a packet of 20 ms, address of 960 samples.
"""
Encoding: TypeAlias = tuple[int, int, int, int]
"""Number of the result, address of an encoder, of 960 samples, and of :data:`MAX_PACKET` bytes."""


def decode_each(tasks: Iterator[Decoding], results: list[int]) -> None:
    """Decode until ``tasks`` have run out, which other threads may take from too: each is 960, or an error's number.

    All that stands between two calls of the library is in these few lines, for it is paid for every frame.
    """
    decode = library().opus_decode
    for number, decoder, before, packet, out in tasks:
        if before is not None:
            decode(decoder, before, len(before), out, FRAME, 0)
        results[number] = decode(decoder, packet, len(packet), out, FRAME, 0)


def encode_each(tasks: Iterator[Encoding], results: list[int]) -> None:
    """Encode until ``tasks`` have run out, as :func:`decode_each`: each result is the bytes of a payload."""
    encode = library().opus_encode
    for number, encoder, pcm, out in tasks:
        results[number] = encode(encoder, pcm, FRAME, out, MAX_PACKET)


def _quarters() -> NDArray[np.int64]:
    """(32,) 2.5 ms in a frame of each configuration (RFC 6716 §3.1)."""
    silk, hybrid, celt = (4, 8, 16, 24) * 3, (4, 8) * 2, (1, 2, 4, 8) * 4
    return np.array(silk + hybrid + celt, np.int64)


_QUARTERS = _quarters()
_FRAMES = np.array([1, 2, 2, 0], np.int64)
"""In a packet of each code (RFC 6716 §3.2), but for code 3, which has its own count."""


def packet_slots(first: NDArray[np.uint8], second: NDArray[np.uint8], size: NDArray[np.int32]) -> NDArray[np.int64]:
    """(P,) 10 ms slots in packets, from their first two bytes and sizes; 0: malformed, or not whole slots."""
    code = first & 3
    frames = np.where(code == 3, np.where(size >= 2, second & 63, 0), _FRAMES[code])
    total = _QUARTERS[first >> 3] * frames
    whole = (total % 4 == 0) & (total <= 4 * MAX_SLOTS) & (size > 0) & (size <= MAX_RECEIVED)
    return np.where(whole, total // 4, 0)


_SILK_CONFIGS = 16
_SILK_FRAMES = np.array((1, 1, 2, 3) * 3 + (1, 1) * 2 + (1, 1, 1, 1) * 4, np.uint8)
"""Frames of 20 ms or less, with a flag each, that a packet of one frame is made of; those of CELT have none."""


def is_voiceless(first: NDArray[np.uint8], second: NDArray[np.uint8], size: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(P,) whether its sender has marked all of a packet as holding no voice; from their first two bytes and sizes.

    Mono packets of one frame with a SILK layer begin with a flag for every 20 ms (RFC 6716 §4.2.3); no other tells.
    """
    config, stereo_or_more = first >> 3, first & 7
    tells = (config < _SILK_CONFIGS) & (stereo_or_more == 0) & (size >= 2)
    voiceless: NDArray[np.bool_] = tells & (second >> (8 - _SILK_FRAMES[config]) == 0)
    return voiceless


@cache
def silence() -> bytes:
    """A packet of silence, as an encoder codes it that has heard nothing else for a second."""
    encoder, out = Encoder(), np.zeros(MAX_PACKET, np.uint8)
    quiet = np.zeros(FRAME, np.int16)
    size = 0
    for _ in range(50):
        size = encoder.encode(quiet, out)
    return out[:size].tobytes()
