"""Identifiers: what each looks like and how it is minted.

All minting goes through one :class:`Mint`, so that a seeded run makes the same ids every time.
"""

from __future__ import annotations

import os
import random
import string
from typing import NewType
from uuid import UUID

AuthId = NewType("AuthId", str)
"""Account id: 20 characters, ``MA…`` (main) or ``SA…`` (sub); three SDKs refuse anything else before sending."""
CallUuid = NewType("CallUuid", str)
MpcUuid = NewType("MpcUuid", str)
RecordingId = NewType("RecordingId", str)
MemberId = NewType("MemberId", str)
"""Decimal digits as text, rising over time; unique per entry into a multiparty call."""

_POOL_BYTES = 1024
_UPPER_ALNUM = string.ascii_uppercase + string.digits


class _Unguessable(random.SystemRandom):
    """The system's randomness, fetched for many ids at a time: each fetch is a system call."""

    def __init__(self) -> None:
        super().__init__()
        self._pool = b""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)  # two processes must not make the same ids

    def _forget(self) -> None:
        self._pool = b""

    def getrandbits(self, k: int, /) -> int:
        count = (k + 7) // 8
        if len(self._pool) < count:
            self._pool = os.urandom(max(_POOL_BYTES, count))
        taken, self._pool = self._pool[:count], self._pool[count:]
        return int.from_bytes(taken, "big") >> (8 * count - k)


class Mint:
    """Makes new identifiers. Without a seed they are unguessable; with one they repeat (tests, virtual time)."""

    def __init__(self, seed: int | None = None) -> None:
        self._random: random.Random = _Unguessable() if seed is None else random.Random(seed)

    def uuid(self) -> str:
        """Lower-case hyphenated version-4 UUID text."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def auth_id(self, prefix: str = "MA") -> AuthId:
        """20 characters beginning with ``MA`` (main account) or ``SA`` (sub-account)."""
        return AuthId(prefix + "".join(self._random.choices(_UPPER_ALNUM, k=20 - len(prefix))))

    def auth_token(self) -> str:
        """40 characters of the base64 alphabet less ``+`` and ``/``."""
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=40))

    def digits(self, count: int) -> str:
        """``count`` decimal digits, the first never 0."""
        return str(self._random.randrange(10 ** (count - 1), 10**count))

    def hex(self, count: int) -> str:
        """``count`` lower-case hexadecimal characters (SIP tags, branches, Call-IDs)."""
        return f"{self._random.getrandbits(4 * count):0{count}x}"
