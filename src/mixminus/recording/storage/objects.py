"""Finished files in an object store: S3 and its likes, Google, Azure, or a folder, by URL. Through obstore."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, ObjectStore, from_url

from mixminus.errors import ConfigurationError, StorageError
from mixminus.recording.storage.keys import check_key, is_key, stem_of

PART_BYTES = 8 << 20
"""Uploaded at a time; larger files go in so many parts, each tried again by itself."""
PARTS_AT_ONCE = 4
_READ_BYTES = 1 << 18
_PROBE = "mixminus-check.json"
_RETRY: Any = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5), "base": 2},
}
"""Of one request. What still fails is tried again later, as a whole, by whoever asked."""


class StoreRefuses(StorageError):
    """The store is there and refuses us, or has no such bucket: the operator's to mend."""


class ObjectStorage:
    """A :class:`~mixminus.recording.storage.Storage` in the object store at ``url``.

    ``options`` are obstore's, by their usual names (``access_key_id``, ``endpoint``, ``region``, ...); what is not
    given is taken from where the vendors' own tools look (instance role, their environment variables). Raises
    ConfigurationError for a URL or an option that is none.
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None, *, timeout: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._store = _open(url, dict(options or {}), timeout)

    def size(self, key: str) -> int | None:
        with self._told(key, "looking at"):
            try:
                return int(obstore.head(self._store, check_key(key))["size"])
            except (NotFoundError, FileNotFoundError):
                return None

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        check_key(key)
        if length == 0:
            return
        options: Any = {"range": {"offset": start} if length is None else (start, start + length)}
        if length is None and start == 0:
            options = {}
        with self._told(key, "reading"):
            for piece in obstore.get(self._store, key, options=options).stream(min_chunk_size=_READ_BYTES):
                yield bytes(piece)

    async def upload(self, key: str, path: Path) -> None:
        """A file whole: it appears under its key at once and complete, or not at all."""
        with self._told(key, "uploading"):
            await obstore.put_async(
                self._store,
                check_key(key),
                path,
                use_multipart=_is_large(path),
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )

    async def digest(self, key: str) -> tuple[int, str] | None:
        """Size in bytes and SHA-256 of what the store gives back; ``None`` if there is no such file."""
        digest, size = hashlib.sha256(), 0
        with self._told(key, "reading back"):
            try:
                found = await obstore.get_async(self._store, check_key(key))
            except (NotFoundError, FileNotFoundError):
                return None
            async for piece in found.stream(min_chunk_size=_READ_BYTES):
                digest.update(piece)
                size += len(piece)
        return size, digest.hexdigest()

    def delete(self, key: str) -> bool:
        if self.size(key) is None:
            return False
        with self._told(key, "deleting"):
            obstore.delete(self._store, key)
        return True

    def family(self, key: str) -> list[str]:
        folder, stem = check_key(key).rpartition("/")[0], stem_of(key)
        return sorted(name for name in self._list(folder or None) if is_key(name) and stem_of(name) == stem)

    def names(self) -> Iterator[str]:
        return (name for name in self._list(None) if is_key(name) and name != _PROBE)

    async def check(self) -> None:
        """Write a small object and read it back. Raises :class:`StoreRefuses` or StorageError saying what to do."""
        with self._told(_PROBE, "checking"):
            await obstore.put_async(self._store, _PROBE, b"{}", use_multipart=False)
            if bytes(await (await obstore.get_async(self._store, _PROBE)).bytes_async()) != b"{}":
                raise StorageError(f"{self.url} does not give back what was written to it")

    async def check_deletion(self) -> None:
        """Remove the object that :meth:`check` wrote: what retention and ``DELETE`` need. Raises as that does."""
        with self._told(_PROBE, "deleting"):
            await obstore.delete_async(self._store, _PROBE)

    def _list(self, prefix: str | None) -> Iterator[str]:
        with self._told(prefix or "", "listing"):
            for batch in obstore.list(self._store, prefix):
                yield from (one["path"] for one in batch)

    @contextmanager
    def _told(self, key: str, doing: str) -> Iterator[None]:
        """Errors in a sentence that says whose fault it is."""
        where = f"{self.url}/{key}"
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
            raise StoreRefuses(
                f"the store refuses us while {doing} {where}: check storage.options and the bucket's policy"
                f" ({_first_line(error)})"
            ) from error
        except (NotFoundError, FileNotFoundError) as error:
            text = _first_line(error)
            kind = StoreRefuses if _smells_of_settings(text) else StorageError
            raise kind(f"{where} is not there ({text})") from error
        except (BaseError, OSError) as error:
            text = _first_line(error)
            kind = StoreRefuses if _smells_of_settings(text) else StorageError
            raise kind(f"the store failed while {doing} {where}: {text}") from error


def _is_large(path: Path) -> bool:
    return path.stat().st_size > PART_BYTES


def _open(url: str, options: dict[str, str], timeout: float) -> ObjectStore:
    if url.startswith("file://"):
        if options:
            raise ConfigurationError(f"storage.options: a folder takes none ({', '.join(options)})")
        try:
            return LocalStore(url.removeprefix("file://"), mkdir=True)
        except (BaseError, OSError) as error:
            raise ConfigurationError(f"storage.url: {url}: {_first_line(error)}") from None
    plain = options.get("endpoint", options.get("aws_endpoint", "")).startswith("http://")
    client: Any = {
        "timeout": timedelta(seconds=timeout),
        "connect_timeout": timedelta(seconds=5),
        "allow_http": options.pop("allow_http", str(plain)).lower() == "true",
    }
    config: Any = options
    try:
        return from_url(url, config=config, client_options=client, retry_config=_RETRY)
    except (BaseError, ValueError) as error:
        raise ConfigurationError(f"storage.url and storage.options: {url}: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    told = re.search(r"<Code>(\w+)</Code>(?:.*?<Message>([^<]*)</Message>)?", text)  # S3 and Azure say it in XML
    return f"{told[1]}: {told[2]}" if told else text[:300]


def _smells_of_settings(text: str) -> bool:
    """What obstore reports as generic, though the store said it plainly."""
    signs = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "403 Forbidden", "NoSuchBucket", "ContainerNotFound")
    return any(sign in text for sign in signs)
