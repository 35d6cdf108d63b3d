"""G.722: sound goes through, state is each stream's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g722

Pcm = NDArray[np.int16]


def through(hertz: float, seconds: float = 0.5, peak: float = 8000) -> tuple[Pcm, Pcm]:
    pcm = np.rint(peak * np.sin(2 * np.pi * hertz / g722.RATE * np.arange(round(seconds * g722.RATE)))).astype(np.int16)
    encoder, decoder = g722.Encoder(), g722.Decoder()
    frames = [encoder.encode(frame) for frame in pcm.reshape(-1, 320)]
    assert {len(frame) for frame in frames} == {g722.FRAME_BYTES}
    return pcm, np.concatenate([decoder.decode(frame) for frame in frames])


def test_tones_of_the_whole_band_keep_their_level() -> None:
    for hertz in (300, 1000, 3000, 5000, 6500):
        sent, heard = through(hertz)
        ratio = 20 * np.log10(np.std(heard[800:]) / np.std(sent[800:]))
        assert abs(ratio) < 1.0, f"{hertz} Hz: {ratio:.1f} dB"


def test_noise_is_30_db_below_a_tone() -> None:
    _sent, heard = through(1000)
    turn = np.exp(-2j * np.pi * 1000 / g722.RATE * np.arange(heard.size - 1600))
    inner = heard[1600:].astype(np.float64)
    amplitude = 2 * (inner * turn).mean()
    noise = inner - (amplitude * np.conj(turn)).real
    assert 20 * np.log10(np.std(inner) / np.std(noise)) > 30


def test_pieces_of_10_ms_decode_to_the_same() -> None:
    pcm = np.random.default_rng(1).integers(-5000, 5000, 3200).astype(np.int16)
    payload = g722.Encoder().encode(pcm)
    whole, pieces = g722.Decoder(), g722.Decoder()
    parts = [pieces.decode(payload[at : at + 80]) for at in range(0, len(payload), 80)]
    assert np.array_equal(whole.decode(payload), np.concatenate(parts))


def test_repeated_silence_is_silent_also_to_a_decoder_that_heard_sound() -> None:
    encoder, decoder = g722.Encoder(), g722.Decoder()
    loud = np.random.default_rng(1).integers(-9000, 9000, 3200).astype(np.int16)
    decoder.decode(encoder.encode(loud))
    for _ in range(10):
        decoder.decode(encoder.encode(np.zeros(320, np.int16)))
    heard = np.concatenate([decoder.decode(g722.SILENCE) for _ in range(50)])
    assert np.abs(heard).max() <= 24
