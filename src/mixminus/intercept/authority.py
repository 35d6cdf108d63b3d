"""A certificate authority of this data folder's own, and the certificates it issues.

Made at first use and kept in ``{data}/authority``; the key is readable by the owner only. Nothing trusts it but the
commands that ``mixminus exec`` runs, and whoever is given ``ca.pem``.
"""

from __future__ import annotations

import os
import ssl
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mixminus.errors import ConfigurationError

FOLDER = "authority"
CERTIFICATE_FILE = "ca.pem"
KEY_FILE = "ca.key"
CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=397)
"""The longest that browsers take."""
_BACKDATED = timedelta(hours=1)
"""So that a client whose clock is a little behind takes it too."""


class Authority:
    """A CA certificate (PEM) with its key. ``folder`` holds both, and what is issued."""

    def __init__(self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.folder = folder
        self.certificate = certificate
        self._key = key

    @classmethod
    def open(cls, data: Path, now: datetime) -> Authority:
        """That of the data folder ``data``; made if there is none, or if its time is over.

        Raises :class:`~mixminus.errors.ConfigurationError` when the files cannot be read or written.
        """
        folder = data / FOLDER
        try:
            found = cls._load(folder)
            if found is not None and found.certificate.not_valid_after_utc - LEAF_LIFE > now:
                return found
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls._make(folder, now)
        except OSError as error:
            raise ConfigurationError(f"certificate authority {folder}: {error.strerror}") from error
        except ValueError as error:
            raise ConfigurationError(
                f"certificate authority {folder}: {error}; remove the folder to make one"
            ) from None

    @classmethod
    def _load(cls, folder: Path) -> Authority | None:
        try:
            pem, key_pem = (folder / CERTIFICATE_FILE).read_bytes(), (folder / KEY_FILE).read_bytes()
        except FileNotFoundError:
            return None
        key = serialization.load_pem_private_key(key_pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("its key is not an elliptic curve key")
        return cls(folder, x509.load_pem_x509_certificate(pem), key)

    @classmethod
    def _make(cls, folder: Path, now: datetime) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"mixminus local CA {now:%Y-%m-%d %H:%M:%S}")])
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            _builder(subject, subject, key, now, CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, hashes.SHA256())
        )
        write_private(folder / KEY_FILE, _pem(key))
        (folder / CERTIFICATE_FILE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, certificate, key)

    @property
    def pem(self) -> bytes:
        """The CA certificate, for those that shall trust it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, names: tuple[str, ...], now: datetime) -> Path:
        """A server certificate for ``names`` (host names or addresses), with its key in one PEM file."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(subject, self.certificate.subject, key, now, LEAF_LIFE)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        path = self.folder / f"{_file_name(names[0])}.pem"
        write_private(path, _pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def server_context(self, names: tuple[str, ...], now: datetime) -> ssl.SSLContext:
        """A context that serves a fresh certificate for ``names``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.issue(names, now))
        context.set_alpn_protocols(["http/1.1"])
        return context


def write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, and readable by the owner only."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    beside.replace(path)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode())


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
