from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixminus.clock import ManualClock
from mixminus.errors import SoundError
from mixminus.sounds.cache import SoundFolder, at_rate
from mixminus.sounds.speech import NO_VOICE, EspeakNg, Piper, Speaker, find_engine
from mixminus.sounds.ssml import Speech
from mixminus.sounds.voices import Voice


class FakeEngine:
    name = "fake"

    def __init__(self) -> None:
        self.said: list[tuple[str, Voice]] = []

    async def say(self, speech: Speech, voice: Voice, target: Path) -> None:
        self.said.append((speech.markup, voice))
        if speech.plain == "broken":
            raise SoundError("no such phoneme")
        soundfile.write(target, np.full(22_050, 0.1), 22_050, format="WAV")


def speaker(tmp_path: Path, engine: FakeEngine | EspeakNg | Piper | None) -> Speaker:
    return Speaker(engine, SoundFolder(tmp_path, 10**9), clock=ManualClock())


def half_made(folder: Path) -> list[Path]:
    return list(folder.glob("*/*.part"))


async def test_a_text_is_spoken_once_per_voice(tmp_path: Path) -> None:
    engine = FakeEngine()
    speech = speaker(tmp_path, engine)
    first = await speech.file("hello")
    assert await speech.file("hello", voice="WOMAN", language="en-US") == first
    assert await speech.file("hello", voice="MAN") != first
    assert engine.said == [("hello", Voice("en-us", "female")), ("hello", Voice("en-us", "male"))]
    with wave.open(str(first)) as file:
        assert file.getparams()[:3] == (1, 2, 8000)
        assert file.getnframes() == pytest.approx(8000, abs=2)


async def test_what_cannot_be_spoken_is_said(tmp_path: Path) -> None:
    with pytest.raises(SoundError, match="install espeak-ng") as error:
        await speaker(tmp_path, None).file("hello")
    assert str(error.value) == NO_VOICE
    speech = speaker(tmp_path, FakeEngine())
    for text, voice, reason in (
        ("broken", "", "no such phoneme"),
        ("<p/>", "", "empty"),
        ("a", "Bob", "no voice 'Bob'"),
    ):
        with pytest.raises(SoundError, match=reason):
            await speech.file(text, voice=voice)
    assert not half_made(tmp_path)


def test_none_means_none() -> None:
    assert find_engine("none", None) is None


async def test_piper_takes_the_model_of_the_language_and_plain_text(tmp_path: Path) -> None:
    voices = tmp_path / "voices"
    voices.mkdir()
    for name in ("de_DE-thorsten-high.onnx", "en_GB-alan-low.onnx", "en_US-lessac-medium.onnx"):
        (voices / name).touch()
    program = tmp_path / "piper"
    program.write_text(f'#!/bin/sh\ncat > {tmp_path}/said\necho "$2" > {tmp_path}/model\nprintf "" > "$4"\nexit 0\n')
    program.chmod(0o755)
    piper = Piper(str(program), voices)
    await piper.say(Speech("<p>hi</p>", "hi"), Voice("en-us", "female"), tmp_path / "out.wav")
    assert (tmp_path / "said").read_text() == "hi"
    assert (tmp_path / "model").read_text().strip().endswith("en_US-lessac-medium.onnx")
    with pytest.raises(SoundError, match="no piper voice for fr-fr"):
        await piper.say(Speech("a", "a"), Voice("fr-fr", "female"), tmp_path / "out.wav")


@pytest.mark.skipif(not isinstance(find_engine("espeak-ng", None), EspeakNg), reason="espeak-ng is not installed")
@pytest.mark.parametrize("language", ["en-US", "en-GB", "de-DE", "pt-BR", "cmn-CN", "nb-NO", "es-MX", "zh-CN", "cy-GB"])
async def test_espeak_ng_speaks(tmp_path: Path, language: str) -> None:
    path = await speaker(tmp_path, EspeakNg("espeak-ng")).file('One <break time="100ms"/> & two', language=language)
    pcm, rate = soundfile.read(path, dtype="int16")
    assert rate == 8000 and pcm.size > 4000 and np.abs(pcm).max() > 3000


async def test_speech_is_kept_at_wide_rates_too(tmp_path: Path) -> None:
    folder = SoundFolder(tmp_path, 10**9, wide=(16_000, 48_000))
    path = await Speaker(FakeEngine(), folder, clock=ManualClock()).file("hello")
    with wave.open(str(path)) as narrow, wave.open(str(at_rate(path, 48_000))) as wide:
        assert (wide.getframerate(), wide.getnframes()) == (48_000, 6 * narrow.getnframes())
    assert not half_made(tmp_path)
