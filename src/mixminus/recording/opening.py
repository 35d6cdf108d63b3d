"""From the settings to what they describe: the archive, the names of files, how long they are kept."""

from __future__ import annotations

from mixminus.recording.archive import Archive
from mixminus.recording.encryption import KeyRing, read_key
from mixminus.recording.retention import Retention
from mixminus.recording.storage import DiskStorage, KeyMaker
from mixminus.recording.storage.objects import ObjectStorage
from mixminus.settings import Settings

RECORDINGS, SPOOL, MASTERS = "recordings", "spool", "masters"
"""Folders in the data folder."""


def open_archive(settings: Settings) -> Archive:
    """Raises ConfigurationError for a store, option or key file that cannot be used. The store is not asked yet."""
    table = settings.storage
    remote = ObjectStorage(table.url, table.options) if table.url else None
    sealing = None if table.encryption_key_file is None else read_key(table.encryption_key_file)
    ring = KeyRing(sealing, [read_key(path) for path in table.old_key_files])
    return Archive(DiskStorage(settings.data / RECORDINGS), remote, ring)


def key_words(settings: Settings) -> tuple[str, ...]:
    """Words that tell a process of ours where the customer's keys are; see :mod:`mixminus.recording.key_options`."""
    table = settings.storage
    seals = () if table.encryption_key_file is None else ("--seal-key-file", str(table.encryption_key_file))
    return (*seals, *(word for path in table.old_key_files for word in ("--key-file", str(path))))


def key_maker(settings: Settings) -> KeyMaker:
    return KeyMaker(settings.storage.file_name, settings.storage.prefixes)


def retention_of(settings: Settings) -> Retention:
    table = settings.retention
    return Retention(table.days, table.accounts, frozenset(table.legal_hold))
