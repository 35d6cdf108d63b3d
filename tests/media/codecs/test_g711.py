"""Against the algorithm of ITU-T G.191, written as the recommendation has it: one sample at a time."""

from __future__ import annotations

import numpy as np
import pytest

from mixminus.media.codecs import g711


def ulaw_compress(linear: int) -> int:
    magnitude = ((~linear >> 2) if linear < 0 else (linear >> 2)) + 33
    magnitude = min(magnitude, 0x1FFF)
    rest, segment = magnitude >> 6, 1
    while rest:
        segment += 1
        rest >>= 1
    low = 0x0F - (magnitude >> segment & 0x0F)
    return (8 - segment) << 4 | low | (0x80 if linear >= 0 else 0)


def ulaw_expand(code: int) -> int:
    sign = -1 if code < 0x80 else 1
    mantissa = ~code
    exponent = mantissa >> 4 & 7
    mantissa &= 0x0F
    step = 4 << (exponent + 1)
    return sign * ((0x80 << exponent) + step * mantissa + step // 2 - 4 * 33)


def alaw_compress(linear: int) -> int:
    value = (~linear >> 4) if linear < 0 else (linear >> 4)
    if value > 15:
        exponent = 1
        while value > 16 + 15:
            value >>= 1
            exponent += 1
        value = value - 16 + (exponent << 4)
    return (value | (0x80 if linear >= 0 else 0)) ^ 0x55


def alaw_expand(code: int) -> int:
    value = (code ^ 0x55) & 0x7F
    exponent = value >> 4
    mantissa = value & 0x0F
    if exponent > 0:
        mantissa += 16
    mantissa = (mantissa << 4) + 8
    if exponent > 1:
        mantissa <<= exponent - 1
    return mantissa if code > 127 else -mantissa


COMPRESS = {g711.PCMU: ulaw_compress, g711.PCMA: alaw_compress}
EXPAND = {g711.PCMU: ulaw_expand, g711.PCMA: alaw_expand}
LINEAR = np.arange(-32768, 32768).astype(np.int16)


@pytest.mark.parametrize("law", [g711.PCMU, g711.PCMA])
def test_every_sample_is_encoded_as_the_reference_does(law: int) -> None:
    expected = [COMPRESS[law](int(sample)) for sample in LINEAR]
    assert g711.encode(law, LINEAR[None])[0].tolist() == expected


@pytest.mark.parametrize("law", [g711.PCMU, g711.PCMA])
def test_every_code_is_decoded_as_the_reference_does(law: int) -> None:
    codes = np.arange(256, dtype=np.uint8)
    assert g711.decode(law, codes[None])[0].tolist() == [EXPAND[law](code) for code in range(256)]


@pytest.mark.parametrize("law", [g711.PCMU, g711.PCMA])
def test_a_code_survives_decoding_and_encoding(law: int) -> None:
    codes = np.arange(256, dtype=np.uint8)
    again = g711.encode(law, g711.decode(law, codes[None]))[0]
    negative_zero = 0x7F if law == g711.PCMU else None
    assert [code for code in range(256) if again[code] != code] == ([negative_zero] if negative_zero else [])


def test_silence_is_the_code_of_zero() -> None:
    assert g711.SILENCE == {g711.PCMU: 0xFF, g711.PCMA: 0xD5}


@pytest.mark.parametrize("law", [g711.PCMU, g711.PCMA])
def test_recoding_is_decoding_and_encoding(law: int) -> None:
    other = g711.PCMA if law == g711.PCMU else g711.PCMU
    assert g711.RECODE[law].tolist() == [COMPRESS[law](EXPAND[other](code)) for code in range(256)]


def test_many_rows_go_into_the_buffer_given() -> None:
    payload = np.random.default_rng(1).integers(0, 256, (3, 160)).astype(np.uint8)
    pcm = np.zeros((3, 160), np.int16)
    assert g711.decode(g711.PCMU, payload, pcm) is pcm
    assert (pcm == g711.DECODE[g711.PCMU][payload]).all()
    codes = np.zeros((3, 160), np.uint8)
    assert g711.encode(g711.PCMA, pcm, codes) is codes
    assert (codes == g711.ENCODE[g711.PCMA][pcm.view(np.uint16)]).all()
