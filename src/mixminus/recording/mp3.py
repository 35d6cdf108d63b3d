"""MP3 with the exact length in its first frame.

LAME delays what it encodes by 576 samples and fills up the last frame. Only the LAME extension of the Info frame tells
a player how much to cut at either end, and it can be written only once the length is known: its place is kept and it
is put there last. (ISO/IEC 11172-3 §2.4, 13818-3; LAME tag revision 1.)
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import lameenc

from mixminus.errors import StorageError
from mixminus.recording.rendering import Growing, GrowingFile, OpenFile

ENCODER_DELAY = 576
"""Samples LAME puts before the first; told in the Info frame."""
DECODER_DELAY = 529
"""Samples every decoder adds (polyphase and IMDCT); players know it."""
_QUALITY = 5
_MAX_PADDING = 4095
_TAG_BYTES, _DELAYS = 156, 141
"""Length of the tag in the Info frame; place of the two 12-bit delays in it."""

_VERSION_1, _VERSION_2, _VERSION_2_5 = 3, 2, 0
_RATES = {_VERSION_1: (44100, 48000, 32000), _VERSION_2: (22050, 24000, 16000), _VERSION_2_5: (11025, 12000, 8000)}
_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
SAMPLE_RATES = frozenset(rate for rates in _RATES.values() for rate in rates)


class Frame(NamedTuple):
    """A frame header, read. ``length`` in bytes with the header, ``samples`` per frame."""

    length: int
    samples: int
    rate: int
    mono: bool

    @property
    def side_info_bytes(self) -> int:
        if self.samples == 1152:
            return 17 if self.mono else 32
        return 9 if self.mono else 17


def parse_frame(data: bytes | bytearray | memoryview, offset: int = 0) -> Frame | None:
    """The layer III frame header at ``offset``; ``None`` if there is none."""
    word = int.from_bytes(data[offset : offset + 4], "big") if len(data) >= offset + 4 else 0
    version, layer, bitrate, rate_index = word >> 19 & 3, word >> 17 & 3, word >> 12 & 15, word >> 10 & 3
    if word >> 21 != 0x7FF or layer != 1 or version not in _RATES or bitrate in (0, 15) or rate_index == 3:
        return None
    rate = _RATES[version][rate_index]
    kbps, slots = (_KBPS_1[bitrate], 144) if version == _VERSION_1 else (_KBPS_2[bitrate], 72)
    return Frame(slots * 1000 * kbps // rate + (word >> 9 & 1), 8 * slots, rate, word >> 6 & 3 == 3)


def bit_rate(rate: int, channels: int = 1) -> int:
    """kb/s chosen for speech at ``rate`` Hz; constant, so that a place in time is a place in the file."""
    if rate <= 12000:
        return 32 * channels
    if rate <= 24000:
        return (48 if rate <= 16000 else 64) * channels
    return 96 * channels


def info_bytes(rate: int, channels: int = 1) -> int:
    """Length of the Info frame: offset of the first audio frame."""
    return (144 if rate >= 32000 else 72) * 1000 * bit_rate(rate, channels) // rate


class Mp3Rendering:
    """A :class:`~mixminus.recording.rendering.Rendering`. 8 kHz: 32 kb/s, 14.4 MB an hour; two channels, the double."""

    def __init__(self, path: Path, rate: int, channels: int = 1, open_file: OpenFile = GrowingFile) -> None:
        if rate not in SAMPLE_RATES:
            raise StorageError(f"mp3 cannot hold {rate} Hz; it can {', '.join(map(str, sorted(SAMPLE_RATES)))}")
        self.rate = rate
        self.samples = 0
        self._frames = 0
        self._first_header = b""
        self._held = bytearray()
        self._channels = channels
        self._encoder = _encoder(rate, channels)
        self.file: Growing = open_file(path, bytes(info_bytes(rate, channels)))

    def write(self, pcm: bytes) -> None:
        self._take(bytes(self._encoder.encode(pcm)))
        self.samples += len(pcm) // (2 * self._channels)

    def finish(self) -> int:
        self._take(bytes(self._encoder.flush()))
        assert not self._held, "LAME ends on a whole frame"
        info = _info_frame(self._first_header, self._frames, self.file.size, self.samples)
        assert len(info) == info_bytes(self.rate, self._channels), "the place kept for the Info frame fits"
        self.file.rewrite(0, info)
        self.file.complete()
        return self.samples

    def close(self) -> None:
        self.file.close()

    def _take(self, data: bytes) -> None:
        """Only whole frames go to the file, so that it can be read back at any time."""
        self._held += data
        end = 0
        while (frame := parse_frame(self._held, end)) and end + frame.length <= len(self._held):
            self._first_header = self._first_header or bytes(self._held[:4])
            self._frames += 1
            end += frame.length
        self.file.append(bytes(self._held[:end]))
        del self._held[:end]


def _encoder(rate: int, channels: int) -> lameenc.Encoder:
    encoder = lameenc.Encoder()
    encoder.set_bit_rate(bit_rate(rate, channels))
    encoder.set_in_sample_rate(rate)
    encoder.set_out_sample_rate(rate)  # LAME would resample at low bit rates
    encoder.set_channels(channels)
    encoder.set_quality(_QUALITY)
    encoder.silence()
    return encoder


def _info_frame(first_header: bytes, frames: int, size: int, samples: int) -> bytes:
    """The Info frame: ``frames`` audio frames, ``size`` bytes of file with this frame, ``samples`` to be heard."""
    word = int.from_bytes(first_header, "big") & ~(1 << 9)
    header = word.to_bytes(4, "big")
    frame = parse_frame(header)
    assert frame is not None, "LAME wrote a frame header"
    padding = frames * frame.samples - ENCODER_DELAY - samples
    assert 0 <= padding <= _MAX_PADDING, "the last frames hold less than a padding field can tell"
    toc = bytes(position * 256 // 100 for position in range(100))
    body = header + bytes(frame.side_info_bytes) + struct.pack(">4sIII", b"Info", 0x0F, frames, size) + toc
    body += struct.pack(">I9sBB8x", 0, b"LAME3.100", 1, 0)  # quality untold; tag revision 0, CBR; no lowpass told
    body += struct.pack(">BB", 0, min(255, bit_rate(frame.rate, 1 if frame.mono else 2))) + (
        ENCODER_DELAY << 12 | padding
    ).to_bytes(3, "big")
    body += struct.pack(">BBHIH", 0, 0, 0, size, 0)  # checksum of the music: 0, not computed
    return (body + struct.pack(">H", _crc16(body))).ljust(frame.length, b"\0")


class Info(NamedTuple):
    """What an Info frame tells: ``frames`` after it, bytes in the file, samples to be heard."""

    frames: int
    size: int
    samples: int


def parse_info(data: bytes) -> Info | None:
    """The Info frame at the start of ``data``, if it is one of ours and whole; ``None`` else."""
    frame = parse_frame(data)
    at = 4 + frame.side_info_bytes if frame is not None else 0
    if frame is None or len(data) < at + _TAG_BYTES or data[at : at + 4] != b"Info":
        return None
    end = at + _TAG_BYTES - 2
    if int.from_bytes(data[end : end + 2], "big") != _crc16(data[:end]):
        return None
    frames, size = struct.unpack_from(">II", data, at + 8)
    delays = int.from_bytes(data[at + _DELAYS : at + _DELAYS + 3], "big")
    return Info(frames, size, frames * frame.samples - (delays >> 12) - (delays & 0xFFF))


def _crc16(data: bytes) -> int:
    """CRC-16 with polynomial x¹⁶+x¹⁵+x²+1, least significant bit first, as LAME signs its tag."""
    value = 0
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC = tuple(map(_crc_of, range(256)))
