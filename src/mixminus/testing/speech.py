"""Texts as sounds, by the very voices that speak the server's prompts."""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from mixminus.clock import SystemClock
from mixminus.sounds.cache import SoundFolder
from mixminus.sounds.speech import Speaker, find_engine
from mixminus.testing.sources import RATE, Samples, from_file

_MOST_BYTES = 1 << 30


def spoken(
    text: str,
    *,
    voice: str = "",
    language: str = "",
    engine: Literal["auto", "piper", "espeak-ng", "none"] = "auto",
    piper_voices: Path | None = None,
) -> Samples:
    """``text``, SSML or not, spoken by what is installed here: (S,) int16 at 8 kHz. Waits; call it from anywhere.

    Raises:
        SoundError: nothing is installed that could speak, it has no such voice or language, or it failed.
    """

    async def speak() -> Samples:
        with tempfile.TemporaryDirectory(prefix="mixminus-") as folder:
            speaker = Speaker(
                find_engine(engine, piper_voices),
                SoundFolder(Path(folder), _MOST_BYTES),
                clock=SystemClock(),
                rate=RATE,
            )
            return from_file(await speaker.file(text, voice=voice, language=language))

    with ThreadPoolExecutor(1) as thread:  # the caller's own may have a loop that runs
        return thread.submit(asyncio.run, speak()).result()
