"""What makes programs of many languages trust the local authority: files, and the variables that name them.

Each file holds the system's own authorities too, so that what goes elsewhere goes on working.
"""

from __future__ import annotations

import os
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore
from cryptography.utils import CryptographyDeprecationWarning

from mixminus.intercept.authority import Authority

PASSWORD = "changeit"
"""Java's customary one; a trust store holds nothing secret."""
PYTHON_FOLDER = Path(__file__).parent / "python"
"""Holds a ``sitecustomize`` for the Python SDK; see there why."""
NOT_PROXIED = "localhost,127.0.0.1,::1"
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True)
class Trust:
    """Files that trust the authority and the system's."""

    bundle: Path
    """PEM, for nearly everything."""
    authority: Path
    """PEM of ours alone, for what adds it to its own."""
    java: Path
    """PKCS#12 trust store."""
    php: Path
    """Folder of a ``php.ini`` fragment."""


def write_trust(authority: Authority, environ: Mapping[str, str]) -> Trust:
    """Write the files beside the authority. ``environ`` may name the system's bundle (``SSL_CERT_FILE``)."""
    folder = authority.folder
    system = system_bundle(environ)
    bundle, java, php = folder / "bundle.pem", folder / "trust.p12", folder / "php.d"
    _replace(bundle, system.rstrip() + b"\n" + authority.pem)
    certificates = [*_readable(system), authority.certificate]
    entries = [PKCS12Certificate(one, str(number).encode()) for number, one in enumerate(certificates)]
    _replace(java, serialize_java_truststore(entries, BestAvailableEncryption(PASSWORD.encode())))
    php.mkdir(exist_ok=True)
    _replace(php / "mixminus.ini", f'curl.cainfo="{bundle}"\nopenssl.cafile="{bundle}"\n'.encode())
    return Trust(bundle.resolve(), (folder / "ca.pem").resolve(), java.resolve(), php.resolve())


def system_bundle(environ: Mapping[str, str]) -> bytes:
    """The authorities that this machine trusts, PEM; empty where none are found."""
    default = ssl.get_default_verify_paths().cafile
    for candidate in (environ.get("SSL_CERT_FILE"), default, *_SYSTEM_BUNDLES):
        if candidate and Path(candidate).is_file():
            return Path(candidate).read_bytes()
    return b""


def variables(proxy: str, trust: Trust, credentials: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` as the command is to have it: ``proxy`` (HOST:PORT) for https, our authority, the account.

    Plain http, and anything on loopback, goes where it went before.
    """
    host, _, port = proxy.rpartition(":")
    url = f"http://{proxy}"
    java = (
        f"-Dhttps.proxyHost={host} -Dhttps.proxyPort={port} -Dhttp.nonProxyHosts=localhost|127.*|[::1] "
        f"-Djavax.net.ssl.trustStore={trust.java} -Djavax.net.ssl.trustStorePassword={PASSWORD} "
        "-Djavax.net.ssl.trustStoreType=PKCS12"
    )
    bundle = str(trust.bundle)
    kept = {key: value for key, value in environ.items() if key not in {"ALL_PROXY", "all_proxy"}}
    return {
        **kept,
        "HTTPS_PROXY": url,
        "https_proxy": url,
        "NO_PROXY": NOT_PROXIED,
        "no_proxy": NOT_PROXIED,
        "SSL_CERT_FILE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "CURL_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": str(trust.authority),
        "NODE_USE_ENV_PROXY": "1",
        "JAVA_TOOL_OPTIONS": f"{environ.get('JAVA_TOOL_OPTIONS', '')} {java}".strip(),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PYTHON_FOLDER), environ.get("PYTHONPATH", "")))),
        "PHP_INI_SCAN_DIR": f"{environ.get('PHP_INI_SCAN_DIR', '')}{os.pathsep}{trust.php}",
        **credentials,
    }


def _readable(bundle: bytes) -> list[x509.Certificate]:
    """Those certificates of a bundle that can be read; a system's odd one must not keep Java from starting."""
    end = b"-----END CERTIFICATE-----"
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # of the system's certificates, not of ours
        for block in bundle.split(end)[:-1]:
            begin = block.find(b"-----BEGIN CERTIFICATE-----")
            try:
                found.append(x509.load_pem_x509_certificate(block[begin:] + end))
            except ValueError:
                continue
    return found


def _replace(path: Path, content: bytes) -> None:
    """In one step: another ``mixminus exec`` may be reading it."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    beside.write_bytes(content)
    beside.replace(path)
