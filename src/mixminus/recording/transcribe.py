"""From a spool to text, each voice by itself, so that who said what needs no guessing.

An engine is anything that :func:`load` can import: a callable ``make(model) -> Engine``. Ours are faster-whisper (extra
``transcribe``), with a model folder that is on this machine, and PocketSphinx (extra ``transcribe-small``), which comes
with a model of American English. Nothing is downloaded.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from mixminus.errors import StorageError
from mixminus.recording.channels import Spec
from mixminus.recording.encryption import KeyRing
from mixminus.recording.follow import SpoolTail, read_through
from mixminus.recording.sidecar import NOTES_FILE, members_of, read_notes
from mixminus.recording.timeline import PauseAs

FASTER_WHISPER = "mixminus.recording.transcribe:faster_whisper"
POCKETSPHINX = "mixminus.recording.transcribe:pocketsphinx"
BUNDLED = "en-us"
"""The one model that PocketSphinx comes with."""
RATE = 16_000
"""Hz of what an engine gets."""


class Utterance(NamedTuple):
    """Seconds from the begin of the samples."""

    start: float
    end: float
    text: str


Engine: TypeAlias = Callable[[npt.NDArray[np.float32]], Iterable[Utterance]]
"""(S,) samples at :data:`RATE` Hz, -1 to 1 → what was said."""


def why_not(engine: str, model: str) -> str:
    """Why nothing can be transcribed here and what to do about it; empty when it can."""
    if not model:
        return "recordings are not transcribed here: set transcribe_model to the folder of a model"
    if engine == FASTER_WHISPER and importlib.util.find_spec("faster_whisper") is None:
        return "recordings cannot be transcribed here: pip install 'mixminus[transcribe]'"
    if engine == FASTER_WHISPER and not Path(model).is_dir():
        return f"recordings cannot be transcribed here: transcribe_model {model} is no folder"
    if engine == POCKETSPHINX and importlib.util.find_spec("pocketsphinx") is None:
        return "recordings cannot be transcribed here: pip install 'mixminus[transcribe-small]'"
    if engine == POCKETSPHINX and model != BUNDLED:
        return f"recordings cannot be transcribed here: PocketSphinx has the transcribe_model {BUNDLED}, not {model}"
    return ""


def load(engine: str, model: str) -> Engine:
    """``module:callable``, called with the model. Raises StorageError saying what is missing."""
    module, _, name = engine.partition(":")
    try:
        make: Callable[[str], Engine] = getattr(importlib.import_module(module), name)
        return make(model)
    except (ImportError, AttributeError, OSError, ValueError, RuntimeError) as error:
        raise StorageError(f"the transcription engine {engine} cannot be used: {error}") from error


def faster_whisper(model: str) -> Engine:
    """The extra's engine, on the CPU, from a folder on this machine."""
    module: Any = importlib.import_module("faster_whisper")
    whisper = module.WhisperModel(model, device="cpu", compute_type="int8", local_files_only=True)

    def transcribe(samples: npt.NDArray[np.float32]) -> Iterable[Utterance]:
        segments, _ = whisper.transcribe(samples, vad_filter=True)
        return (Utterance(segment.start, segment.end, segment.text.strip()) for segment in segments)

    return transcribe


def pocketsphinx(model: str) -> Engine:
    """A small engine whose wheel holds its model: rough, American English only, and there at once. Raises ValueError
    for another model.
    """
    if model != BUNDLED:
        raise ValueError(f"it has the model {BUNDLED}, not {model}")
    module: Any = importlib.import_module("pocketsphinx")
    decoder = module.Decoder(samprate=RATE, loglevel="ERROR")

    def transcribe(samples: npt.NDArray[np.float32]) -> Iterable[Utterance]:
        ear = module.Endpointer(sample_rate=RATE)
        raw = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        spoke = False
        for at in range(0, len(raw), ear.frame_bytes):
            frame = raw[at : at + ear.frame_bytes]
            heard = ear.process(frame) if len(frame) == ear.frame_bytes else ear.end_stream(frame)
            if heard is None:
                continue
            if not spoke:
                decoder.start_utt()
            decoder.process_raw(heard)
            spoke = ear.in_speech
            if not spoke:
                yield from _said(decoder, ear.speech_start, ear.speech_end)
        if spoke:
            yield from _said(decoder, ear.speech_start, len(samples) / RATE)

    return transcribe


def _said(decoder: Any, start: float, end: float) -> Iterable[Utterance]:
    decoder.end_utt()
    found = decoder.hyp()
    if found is not None and found.hypstr:
        yield Utterance(start, end, found.hypstr)


def transcript(folder: Path, engine: Engine, pause_as: PauseAs = "cut", ring: KeyRing | None = None) -> dict[str, Any]:
    """What was said in the closed spool in ``folder``, in order; without tracks nobody is named. ``ring`` opens a
    sealed one.

    Raises StorageError when the disk cannot be read.
    """
    names = _tracks(folder, pause_as, ring)
    notes_file = folder / NOTES_FILE
    members = members_of(read_notes(notes_file.read_bytes() if notes_file.exists() else b"", ring))
    said = []
    for name in names or ("",):
        who = {"call_uuid": name, **{key: members.get(name, {}).get(key, "") for key in ("member_id", "role")}}
        spec = Spec(((name,),) if name else (), pause_as)
        said += [
            {**who, "start_ms": round(1000 * one.start), "end_ms": round(1000 * one.end), "text": one.text}
            for one in engine(_samples(folder, spec, ring))
        ]
    said.sort(key=lambda one: (one["start_ms"], one["end_ms"]))
    return {"version": 1, "text": "\n".join(str(one["text"]) for one in said), "utterances": said}


def _tracks(folder: Path, pause_as: PauseAs, ring: KeyRing | None) -> tuple[str, ...]:
    tail = read_through(folder, Spec((), pause_as), ring)
    return tuple(name for name in tail.tracks() if name != "sounds")


def _samples(folder: Path, spec: Spec, ring: KeyRing | None) -> npt.NDArray[np.float32]:
    rate = read_through(folder, spec, ring).rate
    tail, parts = SpoolTail(folder, spec, ring, rate=rate), list[npt.NDArray[np.float32]]()
    stream: Any = None
    more = True
    while more:
        pcm, more = tail.read()
        if not pcm:
            continue
        stream = stream or soxr.ResampleStream(tail.rate, RATE, 1, dtype="float32")
        parts.append(stream.resample_chunk(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768))
    if stream is not None:
        parts.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
