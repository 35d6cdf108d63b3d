"""Names of finished files, the same in every store: ``{account}/{yyyy}/{mm}/{recording_id}.{format}`` unless set
otherwise. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from mixminus.errors import StorageError
from mixminus.settings import DEFAULT_FILE_NAME, PATH_SEGMENT

_KEY = re.compile(rf"({PATH_SEGMENT}/)*{PATH_SEGMENT}\.(mp3|wav|flac|ogg|opus|json|vtt)(\.mxen)?", re.ASCII)
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
    """Makes keys by a template, with a prefix for some accounts; both as the settings ``storage.file_name`` and
    ``storage.prefixes``, which are checked there.
    """

    def __init__(self, template: str = DEFAULT_FILE_NAME, prefixes: Mapping[str, str] | None = None) -> None:
        self._template = template
        self._prefixes = {account: prefix.strip("/") for account, prefix in (prefixes or {}).items()}

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
