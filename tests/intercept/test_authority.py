from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mixminus.errors import ConfigurationError
from mixminus.intercept.authority import CA_LIFE, Authority
from mixminus.intercept.trust import system_bundle, variables, write_trust

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_it_is_made_once_and_kept_private(tmp_path: Path) -> None:
    made = Authority.open(tmp_path, NOW)
    assert Authority.open(tmp_path, NOW + timedelta(days=1)).pem == made.pem
    assert stat.S_IMODE((tmp_path / "authority" / "ca.key").stat().st_mode) == 0o600
    leaf = made.issue(("api.plivo.com", "127.0.0.1"), NOW)
    assert stat.S_IMODE(leaf.stat().st_mode) == 0o600


def test_it_is_made_anew_before_its_certificates_would_outlive_it(tmp_path: Path) -> None:
    made = Authority.open(tmp_path, NOW)
    assert Authority.open(tmp_path, NOW + CA_LIFE - timedelta(days=100)).pem != made.pem


def test_a_broken_one_is_named_with_the_remedy(tmp_path: Path) -> None:
    Authority.open(tmp_path, NOW)
    (tmp_path / "authority" / "ca.key").write_text("no key")
    with pytest.raises(ConfigurationError, match="remove the folder"):
        Authority.open(tmp_path, NOW)


def test_the_files_trust_the_authority_and_the_systems(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, NOW)
    other = Authority.open(tmp_path / "other", NOW)
    (tmp_path / "system.pem").write_bytes(b"# a comment\n" + other.pem + b"-----BEGIN CERTIFICATE-----\nxx\n")
    environ = {"SSL_CERT_FILE": str(tmp_path / "system.pem")}
    trust = write_trust(authority, environ)
    assert system_bundle(environ).startswith(b"# a comment")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(trust.authority)
    names = {str(dict(sum(one["subject"], ()))["commonName"]) for one in context.get_ca_certs()}  # type: ignore[arg-type]
    assert len(names) == 1
    assert trust.bundle.read_bytes().endswith(authority.pem)
    assert trust.java.stat().st_size > 500
    assert str(trust.bundle) in (trust.php / "mixminus.ini").read_text()


def test_the_variables_add_to_what_was_there(tmp_path: Path) -> None:
    trust = write_trust(Authority.open(tmp_path, NOW), {})
    environ = {"JAVA_TOOL_OPTIONS": "-Xmx64m", "PYTHONPATH": "/mine", "ALL_PROXY": "http://elsewhere", "HOME": "/h"}
    found = variables("127.0.0.1:9", trust, {"PLIVO_AUTH_ID": "MA"}, environ)
    assert found["JAVA_TOOL_OPTIONS"].startswith("-Xmx64m -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9 ")
    assert found["PYTHONPATH"].endswith(":/mine")
    assert found["HTTPS_PROXY"] == found["https_proxy"] == "http://127.0.0.1:9"
    assert "127.0.0.1" in found["NO_PROXY"]
    assert "ALL_PROXY" not in found and "HTTP_PROXY" not in found
    assert (found["HOME"], found["PLIVO_AUTH_ID"]) == ("/h", "MA")
