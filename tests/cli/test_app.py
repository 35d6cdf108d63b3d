from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mixminus import __version__
from mixminus.cli.app import run


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in ("serve", "demo", "doctor", "version"):
        assert command in shown
    assert "finisher" not in shown


def test_help_of_serve_names_every_option_of_the_contract(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["serve", "--help"]) == 0
    shown = capsys.readouterr().out
    for option in ("--http", "--sip", "--rtp-ports", "--data", "--workers", "--dev"):
        assert option in shown
        assert f"MIXMINUS_{option[2:].upper().replace('-', '_')}" in shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == 0
    assert capsys.readouterr().out == f"mixminus {__version__}\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["serve", "--nope"], "mixminus: No such option: --nope"),
        (["nope"], "mixminus: No such command 'nope'."),
        (["serve", "--workers", "many"], "mixminus: Invalid value for '--workers':"),
        (["serve", "--http", "here"], "mixminus: http (command line): 'here' is not HOST:PORT"),
        (["serve", "--rtp-ports", "9-1"], "mixminus: rtp_ports (command line): '9-1' is not LOW-HIGH"),
        (["serve", "--config", "/nowhere.toml"], "mixminus: /nowhere.toml: "),
        (["doctor", "--sip", "5060"], "mixminus: sip (command line): '5060' is not HOST:PORT"),
    ],
)
def test_a_wrong_word_is_one_clear_line_and_code_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(complaint)
    assert captured.err.count("\n") == 1


def test_an_unknown_environment_setting_is_refused_by_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIXMINUS_HTPP", "127.0.0.1:1")
    assert run(["serve"]) == 2
    assert capsys.readouterr().err.startswith("mixminus: htpp (environment): no such setting")


def test_help_costs_little_processor_time() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "mixminus", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.8, "0.2 s here; 0.4 s is the budget"


def test_options_may_stand_before_the_name_of_what_webhooks_shall_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("--data", str(tmp_path), "show", "x"), ("show", "x", "--data", str(tmp_path))):
        assert run(["webhooks", *words]) != 0
        assert f"no server runs in {tmp_path}" in capsys.readouterr().err
