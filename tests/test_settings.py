from __future__ import annotations

from typing import get_args

import pytest

from mixminus import settings as settings_module
from mixminus.errors import ConfigurationError
from mixminus.recording.layouts import LAYOUTS, wanted
from mixminus.recording.rendering import Format
from mixminus.settings import Settings, load


def renderings(text: str, tracks: str = "all") -> tuple[str, ...]:
    return load({}, environ={"MIXMINUS_RENDERINGS": text, "MIXMINUS_RECORD_TRACKS": tracks}).renderings


def test_every_rendering_a_setting_may_name_can_be_made() -> None:
    names = [f"{format}:{layout}{end}" for format in get_args(Format) for layout in LAYOUTS for end in ("", ":nocoach")]
    assert [str(wanted(name)) for name in renderings(",".join(names))] == names
    assert renderings("") == ()


@pytest.mark.parametrize("text", ["flac", "aac:mono", "flac:quad", "flac:stereo:nobody", "flac:stereo,,"])
def test_a_rendering_of_another_form_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"renderings \(environment\): '.*' is not FORMAT:LAYOUT"):
        renderings(text)
    with pytest.raises(ValueError, match="is not FORMAT:LAYOUT"):
        wanted(text)


@pytest.mark.parametrize("text", ["flac:stereo", "wav:stems", "mp3:mono:nocoach"])
def test_what_would_never_be_recorded_is_refused_at_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{text} needs a track for each voice; set record_tracks"):
        renderings(f"flac:mono,{text}", tracks="mix")
    assert renderings("flac:mono", tracks="mix") == ("flac:mono",)


@pytest.mark.parametrize(("asked", "processors", "workers"), [(0, 1, 1), (0, 2, 1), (0, 8, 7), (0, 500, 64), (3, 1, 3)])
def test_there_is_a_media_worker_for_each_processor_but_one_unless_told_otherwise(
    asked: int, processors: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_module, "processors", lambda: processors)
    assert Settings(workers=asked).media_workers == workers
