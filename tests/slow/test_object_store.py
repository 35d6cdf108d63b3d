"""A real S3 protocol on the wire: moto's server, its bucket, wrong credentials, and a store that goes away."""

from __future__ import annotations

import logging
import random
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from mixminus.recording.storage.objects import PART_BYTES, ObjectStorage, StoreRefuses
from mixminus.store.db import Store
from recording.kept import KEY, Kept

pytestmark = pytest.mark.slow

BUCKET = "calls"


@pytest.fixture
def s3() -> Iterator[str]:
    """Endpoint of an S3 server that asks for credentials, with one bucket."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    for path, verb in (("moto-api/reset", "POST"), (BUCKET, "PUT")):
        with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{path}", method=verb)) as answer:
            assert answer.status == 200
    yield endpoint
    server.stop()


def options(endpoint: str) -> dict[str, str]:
    return {"endpoint": endpoint, "region": "us-east-1", "access_key_id": "test", "secret_access_key": "test"}


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path)
    yield opened
    await opened.close()


@pytest.mark.parametrize("sealing", [None, KEY], ids=["plain", "sealed"])
async def test_recordings_small_and_large_go_to_s3_and_come_back(
    tmp_path: Path, store: Store, s3: str, sealing: bytes | None
) -> None:
    remote = ObjectStorage(f"s3://{BUCKET}/acme/voice", options(s3))
    await remote.check()
    kept = Kept(tmp_path, store, remote=remote, sealing=sealing)
    small = await kept.recording(1, b"small")
    large = await kept.recording(2, random.Random(1).randbytes(2 * PART_BYTES + 12345))
    content = kept.read(large.file)
    assert await kept.keeper.round(), kept.keeper.trouble
    assert list(kept.archive.local.names()) == [] and len(list(remote.names())) == 2
    assert kept.read(small.file) == b"small" and kept.read(large.file) == content
    assert kept.archive.size(large.file) == len(content)
    assert kept.read(large.file, PART_BYTES - 3, 7) == content[PART_BYTES - 3 : PART_BYTES + 4]
    assert kept.archive.delete_family(large.file) == (large.file,)
    assert list(remote.names()) == remote.family(small.file + (".mxen" if sealing else ""))


async def test_a_bucket_that_is_not_there_is_told(tmp_path: Path, store: Store, s3: str) -> None:
    remote = ObjectStorage("s3://nobody", options(s3))
    with pytest.raises(StoreRefuses, match="NoSuchBucket"):
        await remote.check()
    kept = Kept(tmp_path, store, remote=remote)
    row = await kept.recording(1, b"content")
    assert not await kept.keeper.round()
    assert "s3://nobody/" in kept.keeper.trouble and "NoSuchBucket" in kept.keeper.trouble
    assert kept.read(row.file) == b"content"


async def test_a_store_that_goes_away_loses_nothing(tmp_path: Path, store: Store) -> None:
    gone = ObjectStorage(f"s3://{BUCKET}", options("http://127.0.0.1:9"), timeout=1)
    kept = Kept(tmp_path, store, remote=gone)
    row = await kept.recording(1, b"content")
    assert not await kept.keeper.round()
    assert kept.keeper.pending == 1 and kept.read(row.file) == b"content"


async def test_wrong_credentials_are_told_as_such(tmp_path: Path, s3: str) -> None:

    with urllib.request.urlopen(  # noqa: ASYNC210 - from now on moto checks who asks
        urllib.request.Request(
            f"{s3}/moto-api/reset-auth", data=b"0", headers={"content-type": "text/plain"}, method="POST"
        )
    ) as answer:
        assert answer.status == 200
    with pytest.raises(StoreRefuses, match=r"check storage\.options"):
        await ObjectStorage(f"s3://{BUCKET}", {**options(s3), "access_key_id": "nobody"}).check()
