"""Certificates of the server: the operator's or its own, followed when they change."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from structlog.testing import capture_logs

from mixminus.errors import ConfigurationError
from mixminus.intercept.authority import Authority
from mixminus.server.tls import Certificate, http_certificate, show, sip_certificate, sip_listener, sip_trust
from mixminus.settings import Settings

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def shown_by(context: ssl.SSLContext) -> int:
    """Serial number of the certificate that a new connection sees."""
    ours, theirs = socket.socketpair()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE

    def serve() -> None:
        with context.wrap_socket(theirs, server_side=True) as served:
            served.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(ours) as connection:
        found = connection.getpeercert(binary_form=True)
        connection.send(b"x")
    thread.join()
    assert found is not None
    return x509.load_der_x509_certificate(found).serial_number


def serial(pem: Path) -> int:
    return x509.load_pem_x509_certificate(pem.read_bytes()).serial_number


def names(pem: Path) -> set[str]:
    found = x509.load_pem_x509_certificate(pem.read_bytes())
    return {str(name.value) for name in found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value}


def test_a_renewed_certificate_is_shown_to_the_next_connection(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, NOW)
    pem = tmp_path / "server.pem"
    shutil.copy(authority.issue(("a.test",), NOW), pem)
    certificate = Certificate("tls_cert", pem, None)
    first = serial(pem)
    certificate.follow()
    assert shown_by(certificate.context) == first
    shutil.copy(authority.issue(("a.test",), NOW), tmp_path / "new.pem")
    (tmp_path / "new.pem").replace(pem)
    certificate.follow()
    assert first != serial(pem) == shown_by(certificate.context)


def test_a_renewal_that_cannot_be_used_is_logged_once_and_the_old_one_stays(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, NOW)
    pem, key = tmp_path / "server.pem", tmp_path / "server.key"
    shutil.copy(authority.issue(("a.test",), NOW), pem)
    shutil.copy(pem, key)
    certificate, first = Certificate("tls_cert, tls_key", pem, key), serial(pem)
    shutil.copy(authority.issue(("a.test",), NOW), key)  # its key has not come yet
    with capture_logs() as logs:
        certificate.follow()
        certificate.follow()
        pem.unlink()
        certificate.follow()
    assert [line["log_level"] for line in logs] == ["error", "error"]
    assert shown_by(certificate.context) == first
    shutil.copy(key, pem)
    certificate.follow()
    assert shown_by(certificate.context) == serial(key)


def test_without_a_certificate_one_is_made_for_the_names_of_the_server(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, tls="calls.test", sip_tls="127.0.0.1:0", sip_domain="sip.test")
    http, sip = http_certificate(settings, NOW), sip_certificate(settings, NOW)
    assert http is not None and sip is not None
    assert names(http.chain) == {"calls.test"}
    assert names(sip.chain) == {"sip.test", "127.0.0.1"}
    listener = sip_listener(settings, sip)
    assert listener is not None and (listener.host, listener.port, listener.name) == ("127.0.0.1", 0, "sip.test")


@pytest.mark.parametrize("apart", [True, False])
def test_the_http_server_shows_the_certificate_that_is_followed(tmp_path: Path, apart: bool) -> None:
    both = Authority.open(tmp_path, NOW).issue(("a.test",), NOW).read_bytes()
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    start = both.index(b"-----BEGIN CERTIFICATE")
    chain.write_bytes(both[start:] if apart else both)
    key.write_bytes(both[:start])
    found = http_certificate(Settings(data=tmp_path, tls="a.test", tls_cert=chain, tls_key=key if apart else None), NOW)
    assert found is not None
    config = uvicorn.Config(lambda: None, log_config=None)
    show(found, config)
    assert config.is_ssl and config.loaded and config.ssl is found.context


def test_plain_by_default(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    assert (http_certificate(settings, NOW), sip_certificate(settings, NOW)) == (None, None)
    assert (sip_listener(settings, None), sip_trust(settings)) == (None, None)


def test_an_operators_own_files(tmp_path: Path) -> None:
    pem = Authority.open(tmp_path, NOW).issue(("a.test",), NOW)
    settings = Settings(data=tmp_path, sip_tls="0.0.0.0:5061", sip_tls_cert=pem, sip_tls_key=pem, sip_tls_ca=pem)
    found = sip_certificate(settings, NOW)
    assert found is not None and (found.chain, found.key) == (pem, pem)
    assert sip_trust(settings) is not None


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"tls_cert": "a.pem"}, "tls_cert: of no use without tls"),
        ({"tls": "x", "tls_key": "a.pem"}, "tls_key: needs tls_cert"),
        ({"tls": "x", "tls_cert": "nowhere.pem"}, "tls_cert, tls_key: cannot be used"),
        ({"sip_tls_key": "a.pem"}, "sip_tls_key: of no use without sip_tls; set sip_tls to HOST:PORT"),
        ({"sip_tls": "0.0.0.0:5061"}, "sip_tls_cert: needed, or sip_domain"),
        ({"sip_tls_ca": "nowhere.pem"}, "sip_tls_ca: nowhere.pem holds no certificates"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], complaint: str) -> None:
    loaded = Settings.model_validate(settings)
    with pytest.raises(ConfigurationError, match=complaint):
        http_certificate(loaded, NOW)
        sip_certificate(loaded, NOW)
        sip_trust(loaded)
