"""Reference decoders: the engine's sound where nothing is lost, and the best that is known where something is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from media.kit import Studio, voice
from mixminus.errors import MediaError
from mixminus.media import protocol
from mixminus.media.codecs import g722, opus
from mixminus.testing import reference

Pcm = NDArray[np.int16]
SPEECH = voice(2.0)


def encoded(speech: Pcm) -> list[bytes]:
    encoder, out = opus.Encoder(), np.zeros(opus.MAX_PACKET, np.uint8)
    return [out[: encoder.encode(frame, out)].tobytes() for frame in speech]


@pytest.mark.parametrize("codec", ["opus", "G722"])
def test_without_loss_the_engine_sounds_as_the_reference_to_the_sample(codec: protocol.Codec) -> None:
    speech = SPEECH if codec == "opus" else np.ascontiguousarray(SPEECH[:, ::3])
    studio = Studio()
    talker = studio.join("talker", codec=codec)
    studio.apply(protocol.StartTap("tape", "room", 1, "nowhere"))
    payloads = []
    for frame in speech:
        packet = talker.packet(frame)
        payloads.append(packet[12:])
        studio.deliver(talker, packet)
        studio.tick()
    studio.run(5)
    studio.apply(protocol.StopTap("tape"))
    heard = studio.tapes["tape"].pcm
    decode = reference.decode_opus if codec == "opus" else reference.decode_g722
    expected = decode(payloads)
    frame_size = speech.shape[1]
    matches = [
        delay
        for delay in range(5)
        if np.array_equal(heard[delay * frame_size :][: expected.size][: -5 * frame_size], expected[: -5 * frame_size])
    ]
    assert len(matches) == 1


def error(sound: Pcm, whole: Pcm, lost: list[int]) -> float:
    """Mean square of what differs in the frames that were lost."""
    difference = (sound.astype(np.float64) - whole).reshape(len(SPEECH), -1)
    return float((difference[lost] ** 2).mean())


def test_what_is_lost_of_opus_is_taken_from_the_packet_behind_it() -> None:
    packets: list[bytes | None] = [*encoded(SPEECH)]
    whole, lost = reference.decode_opus(packets), list(range(20, 90, 10))
    apart = [None if at in lost else packet for at, packet in enumerate(packets)]
    in_pairs = [None if at in lost or at - 1 in lost else packet for at, packet in enumerate(packets)]
    sound = reference.decode_opus(apart)
    assert sound.size == whole.size
    assert error(sound, whole, lost) < 0.5 * error(reference.decode_opus(in_pairs), whole, lost)


def test_a_stream_may_end_or_begin_with_a_gap() -> None:
    assert reference.decode_opus([None, *encoded(SPEECH[:3]), None]).size == 5 * opus.FRAME
    assert not reference.decode_g722([None]).any()
    assert reference.decode_g722([]).size == reference.decode_opus([]).size == 0


def test_the_last_packet_of_g722_stands_for_one_that_is_lost() -> None:
    encoder = g722.Encoder()
    first, second, third = (encoder.encode(np.ascontiguousarray(frame[::3])) for frame in SPEECH[:3])
    assert np.array_equal(
        reference.decode_g722([first, None, None, third]), reference.decode_g722([first, first, first, third])
    )
    assert not np.array_equal(reference.decode_g722([first, None]), reference.decode_g722([first, second]))


def test_what_is_no_opus_is_told() -> None:
    with pytest.raises(MediaError, match="libopus"):
        reference.decode_opus([b"\xff"])
