from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mixminus.errors import SoundError
from mixminus.testing.speech import spoken
from mixminus.testing.virtual.replay import freeze, replay, thaw
from mixminus.testing.virtual.world import World
from testing.virtual.kit import add

needs_voice = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def test_without_a_voice_the_error_says_what_to_install() -> None:
    with pytest.raises(SoundError, match="install espeak-ng"):
        spoken("hello", engine="none")


@pytest.mark.mixminus(tts_engine="none")
def test_a_phone_without_a_voice_says_so(mixminus: World) -> None:
    with pytest.raises(SoundError, match="install espeak-ng"):
        mixminus.phone("agent").speaks("hello")


@needs_voice
async def test_a_text_becomes_samples_while_a_loop_runs() -> None:
    samples = spoken("My account number is five.")
    assert samples.dtype == np.int16 and 8_000 < samples.size < 80_000
    assert np.abs(samples.astype(np.int32)).max() > 1000
    assert np.array_equal(samples, spoken("My account number is five."))


@needs_voice
def test_a_phone_speaks_and_its_run_can_be_repeated(mixminus: World, tmp_path: Path) -> None:
    agent, customer = mixminus.phone("agent"), mixminus.phone("customer")
    add(mixminus, "agent", agent)
    add(mixminus, "customer", customer)
    customer.speaks("My account number is five.", voice="MAN", language="en-GB")
    mixminus.advance(4)
    assert agent.heard(customer).seconds > 0.8
    replay(thaw(freeze(mixminus)), tmp_path).stop()
