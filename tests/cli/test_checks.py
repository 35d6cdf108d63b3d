from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mixminus.cli import checks
from mixminus.cli.doctor import doctor
from mixminus.intercept.authority import LEAF_LIFE, Authority
from mixminus.settings import Settings, load

NOW = datetime.now(UTC)


def _settings(**overrides: object) -> Settings:
    return load(overrides, environ={}, file=None)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 that somebody else uses, UDP and TCP."""
    with socket.socket(type=socket.SOCK_STREAM) as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        stream.bind(("127.0.0.1", 0))
        stream.listen()
        port = stream.getsockname()[1]
        datagram.bind(("127.0.0.1", port))
        yield port


def test_a_taken_port_is_in_the_way_and_the_option_named(taken: int) -> None:
    finding = checks.port("HTTP port", f"127.0.0.1:{taken}", "http", [socket.SOCK_STREAM])
    assert finding.verdict == "block"
    assert "Address already in use" in finding.detail
    assert "--http" in finding.advice


def test_a_free_port_is_well() -> None:
    assert checks.port("SIP port", "127.0.0.1:0", "sip", [socket.SOCK_DGRAM, socket.SOCK_STREAM]).verdict == "ok"


def test_too_few_media_ports_are_in_the_way(taken: int) -> None:
    finding = checks.media_ports(_settings(sip="127.0.0.1:0", rtp_ports=f"{taken}-{taken}", rtp_pool=1))
    assert (finding.verdict, finding.detail) == ("block", f"0 free in {taken}-{taken} of 127.0.0.1, 1 needed")


def test_a_data_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    assert checks.data_folder(tmp_path / "new").verdict in ("ok", "warn")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").touch()
    finding = checks.data_folder(tmp_path / "file" / "below")
    assert finding.verdict == "block"
    assert "--data" in finding.advice


def test_a_machine_that_sleeps_too_long_cannot_keep_ticks() -> None:
    def oversleep(seconds: float) -> None:
        end = os.times().elapsed + seconds + 0.04
        while os.times().elapsed < end:
            pass

    assert checks.clock(oversleep).verdict == "block"


def test_more_workers_than_processors_is_a_warning() -> None:
    assert checks.processors(_settings(workers=64)).verdict == "warn"
    assert checks.processors(_settings(workers=1)).verdict == "ok"


def test_the_doctor_says_what_to_do_and_fails(
    taken: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = {"http": f"127.0.0.1:{taken}", "sip": "127.0.0.1:0"}
    assert doctor(overrides, None) == 1
    shown = capsys.readouterr().out
    assert "in the way" in shown
    assert "--http HOST:PORT" in " ".join(shown.split())


def test_the_doctor_is_content_with_free_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctor({"http": "127.0.0.1:0", "sip": "127.0.0.1:0"}, None) == 0


def _with_store(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "mixminus.toml").write_text(text)
    return load({"data": tmp_path / "data"}, file=tmp_path / "mixminus.toml")


def test_without_a_store_recordings_stay_in_the_data_folder(tmp_path: Path) -> None:
    found = checks.recording_store(_with_store(tmp_path, ""))
    assert (found.verdict, found.detail) == ("ok", "the data folder, not sealed")


def test_a_store_is_written_read_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ab" * 32)
    table = f'[storage]\nurl = "file://{tmp_path}/store"\nencryption_key_file = "{tmp_path}/key"'
    found = checks.recording_store(_with_store(tmp_path, table))
    assert found.verdict == "ok" and "written, read back and removed; sealed" in found.detail
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('url = "s3://calls"\n[storage.options]\nregoin = "x"', "regoin"),
        ('encryption_key_file = "/nowhere/key"', "/nowhere/key"),
    ],
)
def test_a_wrong_setting_of_the_store_is_named(tmp_path: Path, table: str, said: str) -> None:
    found = checks.recording_store(_with_store(tmp_path, f"[storage]\n{table}"))
    assert found.verdict == "block" and said in found.detail and "[storage]" in found.advice


def test_a_store_that_is_away_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "STORE_SECONDS", 0.5)
    table = 'url = "s3://calls"\n[storage.options]\nendpoint = "http://127.0.0.1:9"\naccess_key_id = "a"\n'
    found = checks.recording_store(_with_store(tmp_path, f'[storage]\n{table}secret_access_key = "b"\nregion = "c"'))
    assert found.verdict == "warn" and "storage.options.endpoint" in found.advice


def test_certificates_are_looked_at_before_they_end(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, NOW)
    fresh = authority.issue(("fresh.test",), NOW)
    ending = authority.issue(("ending.test",), NOW - LEAF_LIFE + timedelta(days=5, hours=1))
    own = checks.certificates(_settings(sip_tls="127.0.0.1:5061"))
    assert (own.verdict, own.detail) == ("ok", "made by the server's own authority")
    good = checks.certificates(_settings(tls="fresh.test", tls_cert=fresh))
    assert (good.verdict, good.detail) == ("ok", f"good for {LEAF_LIFE.days - 1} days")
    soon = checks.certificates(
        _settings(tls="fresh.test", tls_cert=fresh, sip_tls="127.0.0.1:5061", sip_tls_cert=ending)
    )
    assert (soon.verdict, soon.detail) == ("warn", "sip_tls_cert ends in 5 days")
    missing = checks.certificates(_settings(sip_tls="127.0.0.1:5061", sip_tls_cert=tmp_path / "nowhere.pem"))
    assert missing.verdict == "block"
    assert "sip_tls_cert" in missing.advice


def test_a_taken_tls_port_is_to_be_changed_in_the_file(taken: int) -> None:
    finding = checks.port("SIP TLS port", f"127.0.0.1:{taken}", "sip_tls", [socket.SOCK_STREAM])
    assert "sip_tls in mixminus.toml" in finding.advice
