"""Text to speech: a program of this machine speaks, in a process of its own; what was spoken is kept. A shell.

``espeak-ng`` is the built-in voice where it is installed; ``piper`` sounds better and takes models, one file per voice.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path
from typing import Final, Literal, Protocol

import structlog

from mixminus.clock import Clock
from mixminus.errors import SoundError
from mixminus.sounds.cache import SoundFolder
from mixminus.sounds.command import run
from mixminus.sounds.decode import write_wavs
from mixminus.sounds.ssml import Speech, read_speech
from mixminus.sounds.voices import Voice, pick

log = structlog.get_logger(__name__)

LONGEST_TEXT: Final = 10_000
"""Characters, tags included."""
SPEAK_SECONDS: Final = 60.0
LONGEST_SPEECH: Final = 600.0
AT_ONCE: Final = 2
WORDS_PER_MINUTE: Final = 160
NO_VOICE: Final = (
    "no text-to-speech voice is installed: install espeak-ng, or piper with voices in the folder tts_piper_voices names"
)


class Engine(Protocol):
    """One way to speak."""

    name: str

    async def say(self, speech: Speech, voice: Voice, target: Path) -> None:
        """Write a WAV file. Raises SoundError."""


class EspeakNg:
    """``espeak-ng``: small, fast, dozens of languages."""

    name = "espeak-ng"
    _ALIASES: Final = {
        "zh": "cmn", "cmn-cn": "cmn", "yue-cn": "yue", "arb": "ar", "nb-no": "nb", "no-no": "nb", "no": "nb",
        "en": "en-us", "en-gb-wls": "en-gb", "es-mx": "es-419", "es-us": "es-419", "pt-pt": "pt", "pt": "pt-br",
        "fr": "fr-fr", "fr-ca": "fr-fr",
    }  # fmt: skip
    _WHOLE: Final = frozenset({"en-us", "en-gb", "es-419", "pt-br", "fr-fr", "fr-be", "fr-ch", "cmn", "yue", "nb"})
    """Tags it knows with their second part; of the others it is given the first."""

    def __init__(self, program: str) -> None:
        self._program = program

    async def say(self, speech: Speech, voice: Voice, target: Path) -> None:
        tag = self._ALIASES.get(voice.language, voice.language)
        tag = tag if tag in self._WHOLE else self._ALIASES.get(tag.partition("-")[0], tag.partition("-")[0])
        name = f"{tag}+{'f3' if voice.gender == 'female' else 'm3'}"
        arguments = [self._program, "-m", "-b", "1", "-v", name, "-s", str(WORDS_PER_MINUTE), "-w", str(target)]
        await run([*arguments, "--stdin"], stdin=speech.markup.encode(), seconds=SPEAK_SECONDS)


class Piper:
    """``piper`` with voice models (``en_US-lessac-medium.onnx``) in one folder."""

    name = "piper"

    def __init__(self, program: str, voices: Path) -> None:
        self._program = program
        self._voices = voices

    def _model(self, voice: Voice) -> Path:
        """The first model of the language and region, else of the language."""
        language, _, region = voice.language.partition("-")
        models = sorted(self._voices.glob("*.onnx"))
        for prefix in (f"{language}_{region.upper()}-", f"{language}_"):
            found = next((model for model in models if model.name.startswith(prefix)), None)
            if found is not None:
                return found
        raise SoundError(f"no piper voice for {voice.language} in {self._voices}")

    async def say(self, speech: Speech, voice: Voice, target: Path) -> None:
        model = await asyncio.to_thread(self._model, voice)
        arguments = [self._program, "--model", str(model), "--output_file", str(target)]
        await run(arguments, stdin=speech.plain.encode(), seconds=SPEAK_SECONDS)


def find_engine(choice: Literal["auto", "piper", "espeak-ng", "none"], piper_voices: Path | None) -> Engine | None:
    """What there is to speak with, piper first. None when nothing is installed, or ``none`` was chosen."""
    piper, espeak = shutil.which("piper"), shutil.which("espeak-ng")
    if choice in ("auto", "piper") and piper and piper_voices is not None and any(piper_voices.glob("*.onnx")):
        return Piper(piper, piper_voices)
    if choice in ("auto", "espeak-ng") and espeak:
        return EspeakNg(espeak)
    return None


class Speaker:
    """Says texts. ``rate``: Hz of the files, unless another is asked for."""

    def __init__(self, engine: Engine | None, folder: SoundFolder, *, clock: Clock, rate: int = 8000) -> None:
        self._engine = engine
        self._folder = folder
        self._clock = clock
        self._rate = rate
        self._speaking = asyncio.Semaphore(AT_ONCE)

    @property
    def missing(self) -> str:
        """Why nothing can be spoken; empty when it can."""
        return NO_VOICE if self._engine is None else ""

    async def file(self, text: str, *, voice: str = "", language: str = "", rate: int | None = None) -> Path:
        """A mono 16-bit WAV file of ``text``, SSML or not.

        Raises:
            SoundError: no voice is installed, none of that name or language, or it failed.
        """
        engine = self._engine
        if engine is None:
            raise SoundError(NO_VOICE)
        if len(text) > LONGEST_TEXT:
            raise SoundError(f"text of {len(text)} characters; at most {LONGEST_TEXT} are spoken")
        try:
            picked = pick(voice, language)
        except ValueError as error:
            raise SoundError(str(error)) from None
        speech = read_speech(text)
        if not any(character.isalnum() for character in speech.plain):
            raise SoundError("the text to speak is empty")
        place = self._folder.wav(_name(engine, picked, speech), rate or self._rate)
        if not await asyncio.to_thread(self._folder.use, place):
            await self._make(engine, speech, picked, place, rate or self._rate)
        return place

    async def _make(self, engine: Engine, speech: Speech, voice: Voice, place: Path, rate: int) -> None:
        spoken, made = self._folder.fresh_path(), self._folder.fresh_path()
        try:
            async with self._speaking:
                await engine.say(speech, voice, spoken)
                rates = self._folder.rates(rate)
                await asyncio.to_thread(write_wavs, spoken, made, rates=rates, longest_seconds=LONGEST_SPEECH)
            await asyncio.to_thread(self._folder.adopt, made, place)
        except SoundError as error:
            raise SoundError(f"{engine.name} could not speak ({error})") from None
        except OSError as error:
            raise SoundError(f"a spoken prompt could not be written: {error}") from None
        finally:
            spoken.unlink(missing_ok=True)
            self._folder.discard(made)
        await asyncio.to_thread(self._folder.tidy, self._clock.now().wall.timestamp())


def _name(engine: Engine, voice: Voice, speech: Speech) -> str:
    whole = "\0".join((engine.name, voice.language, voice.gender, speech.markup))
    return f"speech-{hashlib.sha256(whole.encode()).hexdigest()}"
