"""Seals the blocks of a spool and the notes beside it, where recordings are encrypted at rest.

A sealed segment carries the header of the sealed files' format (:mod:`mixminus.recording.encryption`): a data key of
its own, wrapped with the customer's. Each block is sealed by itself, so that a cut or damage costs no more than it does
in the clear.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import struct
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mixminus.recording.encryption import TAG_BYTES, KeyRing, key_id, make_header, read_header

_NONCE = struct.Struct("<4xQ")
_BLOCK = struct.Struct("<BIQq")
_NONCE_BYTES, _ID_BYTES = 12, 8
_NOTE = b"~"
"""What a sealed line of notes begins with; a plain one begins with a brace."""


class BlockCipher:
    """Seals and opens the blocks of one segment. A block's nonce is its number, its additional data the header's."""

    overhead = TAG_BYTES
    """Bytes by which a payload grows."""

    def __init__(self, data_key: bytes) -> None:
        self._cipher = AESGCM(data_key)

    def seal(self, kind: int, sequence: int, position: int, monotonic_ns: int, payload: bytes | memoryview) -> bytes:
        about = _BLOCK.pack(kind, sequence & 0xFFFFFFFF, position, monotonic_ns)
        return self._cipher.encrypt(_NONCE.pack(sequence), payload, about)

    def open(self, kind: int, sequence: int, position: int, monotonic_ns: int, payload: bytes) -> bytes | None:
        """``None``: it was changed."""
        about = _BLOCK.pack(kind, sequence, position, monotonic_ns)
        try:
            return self._cipher.decrypt(_NONCE.pack(sequence), payload, about)
        except InvalidTag:
            return None


def new_cipher(key: bytes) -> tuple[bytes, BlockCipher]:
    """For a new segment: the envelope that goes into its header, and what seals its blocks."""
    header = make_header(key)
    return header.raw, BlockCipher(header.data_key)


def opener(ring: KeyRing) -> Callable[[bytes], BlockCipher]:
    """Envelope → what opens the blocks. That raises :class:`~mixminus.recording.encryption.Sealed` without its key."""
    return lambda envelope: BlockCipher(read_header(envelope, ring).data_key)


def seal_note(line: bytes, key: bytes) -> bytes:
    """A line of notes, without its end, as a line that tells nothing: base64 of key id, nonce and ciphertext."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _NOTE + base64.b64encode(key_id(key) + nonce + AESGCM(key).encrypt(nonce, line, _NOTE))


def open_notes(data: bytes, ring: KeyRing) -> bytes:
    """Lines of notes, sealed or not, in the clear. A damaged line is left out; raises Sealed for a missing key."""
    return b"\n".join(_open_note(line, ring) for line in data.splitlines())


def _open_note(line: bytes, ring: KeyRing) -> bytes:
    if not line.startswith(_NOTE):
        return line
    try:
        raw = base64.b64decode(line[len(_NOTE) :], validate=True)
    except binascii.Error:
        return b""
    named, nonce, rest = raw[:_ID_BYTES], raw[_ID_BYTES : _ID_BYTES + _NONCE_BYTES], raw[_ID_BYTES + _NONCE_BYTES :]
    if len(rest) < TAG_BYTES:
        return b""
    try:
        return AESGCM(ring.key(named)).decrypt(nonce, rest, _NOTE)
    except InvalidTag:
        return b""
