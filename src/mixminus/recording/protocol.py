"""What the control process and a finisher say to each other: frames as in :mod:`mixminus.media.protocol`.

Every :class:`Finish` is answered by one :class:`Finished` or :class:`Failed`; :class:`Discard` by :class:`Discarded` or
:class:`Failed`; :class:`Follow` and :class:`Forget` by nothing.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from mixminus.errors import DiskFull, StorageError
from mixminus.recording.channels import Spec
from mixminus.recording.finish import FinishedFile, NoAudio
from mixminus.recording.rendering import Format


class Follow(msgspec.Struct, frozen=True, tag=True):
    """Render the spool in ``folder`` while it grows; the file will be ``target``. Said again, it changes nothing."""

    recording_id: str
    folder: str
    format: Format
    target: str
    spec: Spec = Spec()
    sidecar: bool = False
    """Write timeline, subtitles and peaks beside the file."""


class Finish(msgspec.Struct, frozen=True, tag=True):
    """The spool will not grow any more."""

    recording_id: str


class Forget(msgspec.Struct, frozen=True, tag=True):
    """Stop following; the partial file is removed, the spool stays."""

    recording_id: str


class Discard(msgspec.Struct, frozen=True, tag=True):
    """Remove a spool folder, or move it to ``keep``: what other renderings are made from."""

    recording_id: str
    folder: str
    keep: str = ""


class Finished(msgspec.Struct, frozen=True, tag=True):
    recording_id: str
    file: FinishedFile


class Discarded(msgspec.Struct, frozen=True, tag=True):
    recording_id: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """``reason`` is a sentence. ``empty``: there was no audio, and trying again cannot help. ``full``: the disk is."""

    recording_id: str
    reason: str
    empty: bool = False
    full: bool = False


ToFinisher: TypeAlias = Follow | Finish | Forget | Discard
FromFinisher: TypeAlias = Finished | Discarded | Failed


def failed(recording_id: str, error: StorageError) -> Failed:
    return Failed(recording_id, str(error), isinstance(error, NoAudio), isinstance(error, DiskFull))


def error_of(answer: Failed) -> StorageError:
    """What :func:`failed` was made of."""
    if answer.empty:
        return NoAudio(answer.reason)
    return DiskFull(answer.reason) if answer.full else StorageError(answer.reason)
