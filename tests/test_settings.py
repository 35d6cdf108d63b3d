from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from mixminus import settings as settings_module
from mixminus.errors import ConfigurationError
from mixminus.recording.layouts import LAYOUTS, wanted
from mixminus.recording.opening import key_maker
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


LONG = "x" * 501


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ('file_name = "{account}.{format}"', r"storage\.file_name \(.*\): must end in {recording_id}\.{format}"),
        ('file_name = "{nothing}/{recording_id}.{format}"', "{nothing} is unknown; there are account, yyyy"),
        ('file_name = "{}{recording_id}.{format}"', "{} is unknown"),
        ('file_name = "{account:>30}/{recording_id}.{format}"', "{account} cannot be formatted"),
        ('file_name = "{account!r}/{recording_id}.{format}"', "{account} cannot be formatted"),
        ('file_name = "{account}}/{recording_id}.{format}"', r"storage\.file_name \(.*\): Single '}'"),
        ('file_name = "../{recording_id}.{format}"', "use letters"),
        ('file_name = "/{recording_id}.{format}"', "use letters"),
        (f'file_name = "{LONG}/{{recording_id}}.{{format}}"', "500 are the most"),
        ('prefixes = {MA = "../up"}', r"storage\.prefixes \(.*\): MA: '../up' is no path"),
        ('prefixes = {MA = ""}', r"storage\.prefixes \(.*\): MA: '' is no path"),
        (f'prefixes = {{MA = "{LONG}"}}', "200 at most"),
    ],
)
def test_a_template_that_is_not_safe_is_refused_when_it_is_read(tmp_path: Path, lines: str, complaint: str) -> None:
    file = tmp_path / "mixminus.toml"
    file.write_text(f"[storage]\n{lines}\n")
    with pytest.raises(ConfigurationError, match=complaint):
        load({}, environ={}, file=file)


def test_every_name_that_the_settings_take_is_a_key(tmp_path: Path) -> None:
    """The longest of everything, and characters that no name may have."""
    file = tmp_path / "mixminus.toml"
    template = f"{'{mpc_name}' * 2}{'y' * 400}-{{account}}{{dd}}/{{recording_id}}.{{format}}"
    file.write_text(f'[storage]\nfile_name = "{template}"\nprefixes = {{MA = "/{"p" * 190}/"}}\n')
    made = key_maker(load({}, environ={}, file=file))
    at = datetime(2026, 3, 1, tzinfo=UTC)
    for name in ("", "é" * 99, "n" * 99, "../../etc", "-"):
        assert made.key("MA", at, "a" * 36, "flac", mpc_name=name)
