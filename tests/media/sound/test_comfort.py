from __future__ import annotations

import numpy as np
import pytest

from media.kit import Pcm, Peer, Studio, joined, tone
from mixminus.media import protocol
from mixminus.media.codecs import g711
from mixminus.media.sound.comfort import LOUDEST_DBOV, OVERLOAD, make_loop, predictor, read_noise
from mixminus.media.state import FRAME


def dbov(pcm: Pcm) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(pcm.astype(np.float64) ** 2)) / OVERLOAD))


@pytest.mark.parametrize("level", [-30.0, -45.0, -60.0, -66.0])
def test_a_loop_has_its_level_and_no_seam(level: float) -> None:
    loop = make_loop(level)
    assert dbov(loop) == pytest.approx(level, abs=0.2)
    twice = np.concatenate((loop, loop)).reshape(-1).astype(float)
    assert abs(twice[loop.size] - twice[loop.size - 1]) < 5 * np.std(np.diff(twice))
    assert (make_loop(level) == loop).all()


def test_reflection_coefficients_colour_it() -> None:
    """The twin: the all-pole filter, sample by sample, on white noise."""
    reflection = (-0.8, 0.3)
    loop = make_loop(-40, reflection).reshape(-1).astype(float)
    poles = predictor(reflection)
    assert np.allclose(poles, [1, -0.8 - 0.8 * 0.3, 0.3])
    filtered = [0.0, 0.0]
    for sample in np.random.default_rng(1).normal(size=40000):
        filtered.append(sample - poles[1] * filtered[-1] - poles[2] * filtered[-2])
    slow = np.array(filtered[100:])
    for lag in (1, 2, 5):
        fast = np.mean(loop * np.roll(loop, lag)) / np.mean(loop**2)
        assert fast == pytest.approx(np.mean(slow[lag:] * slow[:-lag]) / np.mean(slow**2), abs=0.05)


def test_payloads_are_read_whatever_is_in_them() -> None:
    assert read_noise(b"") == (-127, ())
    assert read_noise(b"\x3c") == (-60, ())
    assert read_noise(b"\x00")[0] == LOUDEST_DBOV
    level, reflection = read_noise(bytes([0xC0, 127, 0, 255]) + bytes(300))
    assert level == -64
    assert reflection[0] == 0
    assert len(reflection) == 12
    assert all(abs(one) < 1 for one in reflection)
    assert np.isfinite(make_loop(*read_noise(bytes([40] + 12 * [255])))).all()


def call() -> tuple[Studio, Peer, Peer]:
    studio = Studio()
    return studio, studio.join("a"), studio.join("b", talk=0)


def test_noise_of_the_level_the_peer_named_is_heard_while_it_pauses() -> None:
    studio, talker, listener = call()
    for frame in tone(440, 20):
        studio.tick({"a": frame})
    studio.deliver(talker, talker.raw(b"\x32", payload_type=13))
    talker.pause(50)
    studio.run(50)
    noise = joined(listener.heard[25:])
    assert dbov(noise) == pytest.approx(-50, abs=1)
    assert studio.stats("a").concealed == 0
    for frame in tone(440, 20):
        studio.tick({"a": frame})
    assert dbov(joined(listener.heard[-10:])) > -30


def test_a_flood_of_noises_costs_two_a_tick_and_a_bounded_memory() -> None:
    studio, talker, _ = call()
    studio.tick({"a": tone(440, 1)[0]})
    comfort = studio.engine._comfort
    for number in range(130):
        payloads = (bytes([60, number, other]) for other in range(20))
        studio.deliver(talker, *(talker.raw(payload, payload_type=13) for payload in payloads))
        before = len(comfort._loops)
        studio.tick()
        assert len(comfort._loops) - before <= 2
    assert len(comfort._loops) == 256


def test_noise_is_nobody_speaking() -> None:
    studio, talker, _ = call()
    for frame in tone(440, 20):
        studio.tick({"a": frame})
    studio.deliver(talker, talker.raw(bytes([30]), payload_type=13))
    studio.run(60)
    assert len(studio.told(protocol.SpeakStop)) == 1


def test_a_key_ends_the_noise() -> None:
    studio, talker, listener = call()
    for frame in tone(440, 10):
        studio.tick({"a": frame})
    studio.deliver(talker, talker.raw(b"\x28", payload_type=13))
    studio.run(10)
    studio.deliver(talker, talker.raw(b"\x05\x8a\x03\x20", payload_type=101))
    studio.run(20)
    assert not joined(listener.heard[-5:]).any()


def test_who_has_left_leaves_no_noise() -> None:
    studio, talker, listener = call()
    for frame in tone(440, 10):
        studio.tick({"a": frame})
    studio.deliver(talker, talker.raw(b"\x28", payload_type=13))
    studio.run(10)
    studio.leave(talker)
    studio.join("c")
    studio.run(20)
    assert not joined(listener.heard[-5:]).any()


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_a_leg_that_needs_it_gets_noise_instead_of_silence(codec: protocol.Codec) -> None:
    studio = Studio()
    needs, other = studio.join("a", codec=codec), studio.join("b", codec=codec)
    law = g711.PCMU if codec == "PCMU" else g711.PCMA
    studio.apply(protocol.UpdateLeg("a", needs.address, codec, law, 101, comfort_noise=True))
    studio.run(130)
    assert dbov(joined(needs.heard[2:])) == pytest.approx(-66, abs=1.5)
    assert len(set(needs.payloads[2:66])) == 64
    assert set(other.payloads) == {bytes([g711.SILENCE[law]]) * FRAME}
    for frame in tone(440, 10):
        studio.tick({"b": frame})
    assert dbov(joined(needs.heard[-5:])) > -30
    studio.apply(protocol.UpdateLeg("a", needs.address, codec, law, 101))
    studio.run(40)
    assert needs.payloads[-1] == bytes([g711.SILENCE[law]]) * FRAME
