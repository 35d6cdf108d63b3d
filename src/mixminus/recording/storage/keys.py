"""Names of finished files, the same in every store: ``{account}/{yyyy}/{mm}/{recording_id}.{format}`` unless set
otherwise. Pure.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from datetime import datetime

from mixminus.errors import ConfigurationError, StorageError

DEFAULT_TEMPLATE = "{account}/{yyyy}/{mm}/{recording_id}.{format}"
_ENDING = "{recording_id}.{format}"
_FIELDS = ("account", "yyyy", "mm", "dd", "mpc_name", "recording_id", "format")
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._@+=-]*"
_PATH = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*", re.ASCII)
_KEY = re.compile(rf"({_SEGMENT}/)*{_SEGMENT}\.(mp3|wav|flac|ogg|opus|json|vtt)(\.mxen)?", re.ASCII)
_LONGEST_KEY = 900
"""Bytes; S3 takes 1,024."""
_LONGEST_NAME = 64


def check_key(key: str) -> str:
    """``key`` itself. Raises StorageError for what is no key: it might lead out of the folder."""
    if len(key) > _LONGEST_KEY or not _KEY.fullmatch(key):
        raise StorageError(f"{key!r} is not the key of a recording")
    return key


def is_key(name: str) -> bool:
    return len(name) <= _LONGEST_KEY and _KEY.fullmatch(name) is not None


def stem_of(key: str) -> str:
    """What the names of all files of one recording begin with: its renderings, sidecars and sealed forms."""
    folder, slash, name = key.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"


class KeyMaker:
    """Makes keys by a template, with a prefix for some accounts.

    Raises ConfigurationError for a template that would not name files one by one, or not safely.
    """

    def __init__(self, template: str = DEFAULT_TEMPLATE, prefixes: Mapping[str, str] | None = None) -> None:
        self._template = template
        self._prefixes = {account: prefix.strip("/") for account, prefix in (prefixes or {}).items()}
        self._check()

    def _check(self) -> None:
        fields = [field for _, field, _, _ in string.Formatter().parse(self._template) if field is not None]
        unknown = [field for field in fields if field not in _FIELDS]
        if unknown:
            raise ConfigurationError(f"storage.file_name: {{{unknown[0]}}} is unknown; there are {', '.join(_FIELDS)}")
        if not self._template.endswith(_ENDING):
            raise ConfigurationError(f"storage.file_name: must end in {_ENDING}: no two recordings may share a file")
        sample = self._fill("MA0", datetime(2026, 1, 1), "0a-1", "mp3", "x")
        if not is_key(sample):
            raise ConfigurationError(
                f"storage.file_name: makes {sample!r}; use letters, digits and . _ @ + = - between slashes"
            )
        for account, prefix in self._prefixes.items():
            if not _PATH.fullmatch(prefix):
                raise ConfigurationError(f"storage.prefixes.{account}: {prefix!r} is no path of letters, digits, . _ -")

    def _fill(self, account: str, at: datetime, recording_id: str, format: str, mpc_name: str) -> str:
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", mpc_name)[:_LONGEST_NAME].lstrip("-") or "unnamed"
        return self._template.format(
            account=account,
            yyyy=f"{at:%Y}",
            mm=f"{at:%m}",
            dd=f"{at:%d}",
            mpc_name=name,
            recording_id=recording_id,
            format=format,
        )

    def key(
        self, account: str, created_at: datetime, recording_id: str, format: str, *, mpc_name: str = "", owner: str = ""
    ) -> str:
        """The key of a recording's file. ``owner`` is the sub-account, if one: its prefix goes before its account's.

        AssertionError if the parts would not make a safe path.
        """
        key = self._fill(account, created_at, recording_id, format, mpc_name)
        prefix = self._prefixes.get(owner) or self._prefixes.get(account)
        key = f"{prefix}/{key}" if prefix else key
        assert is_key(key), f"unsafe recording key {key!r}"
        return key


def key_of(account: str, created_at: datetime, recording_id: str, format: str) -> str:
    """The key by the default template."""
    return KeyMaker().key(account, created_at, recording_id, format)
