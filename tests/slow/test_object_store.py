"""A real S3 protocol on the wire: moto's server, its bucket, wrong credentials, and a store that goes away."""

from __future__ import annotations

import asyncio
import io
import logging
import random
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
from plivo.exceptions import ValidationError

from mixminus.recording.recover import is_sealed
from mixminus.recording.spool import segment_files
from mixminus.recording.storage.objects import PART_BYTES, ObjectStorage, StoreRefuses
from mixminus.store.db import Store
from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall, hears
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink
from recording.kept import KEY, Kept
from slow.support import download
from slow.test_bad_input import serve

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
    ask(endpoint, "moto-api/reset-auth", "POST", b"inf")  # an earlier test may have made it ask for credentials
    ask(endpoint, "moto-api/reset", "POST")
    ask(endpoint, BUCKET, "PUT")
    yield endpoint
    server.stop()


def ask(endpoint: str, path: str, verb: str, data: bytes = b"") -> None:
    request = urllib.request.Request(f"{endpoint}/{path}", data, {"content-type": "text/plain"}, method=verb)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def options(endpoint: str) -> dict[str, str]:
    return {"endpoint": endpoint, "region": "us-east-1", "access_key_id": "test", "secret_access_key": "test"}


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path)
    yield opened
    await opened.close()


async def keeps(tmp_path: Path, store: Store, remote: ObjectStorage, sealing: bytes | None) -> None:
    """What a store is there for, with files that go whole and in parts."""
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
    await remote.check_deletion()


@pytest.mark.parametrize("sealing", [None, KEY], ids=["plain", "sealed"])
async def test_recordings_small_and_large_go_to_s3_and_come_back(
    tmp_path: Path, store: Store, s3: str, sealing: bytes | None
) -> None:
    await keeps(tmp_path, store, ObjectStorage(f"s3://{BUCKET}/acme/voice", options(s3)), sealing)


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

    await asyncio.to_thread(ask, s3, "moto-api/reset-auth", "POST", b"0")  # from now on it checks who asks
    with pytest.raises(StoreRefuses, match=r"check storage\.options"):
        await ObjectStorage(f"s3://{BUCKET}", {**options(s3), "access_key_id": "nobody"}).check()


def settings(endpoint: str, bucket: str, *more: str) -> str:
    credentials = "\n".join(f'{name} = "{value}"' for name, value in options(endpoint).items())
    return "\n".join(("[storage]", f'url = "s3://{bucket}/voice"', *more, "[storage.options]", credentials))


async def test_a_call_is_recorded_sealed_stored_downloaded_held_and_deleted(
    tmp_path: Path, s3: str, sink: CallbackSink
) -> None:
    (tmp_path / "key").write_text(KEY.hex())
    (tmp_path / "mixminus.toml").write_text(settings(s3, BUCKET, f'encryption_key_file = "{tmp_path}/key"'))
    away = ObjectStorage(f"s3://{BUCKET}/voice", options(s3))
    async with ServerProcess(tmp_path) as server, VirtualPhone("agent") as agent, VirtualPhone("other") as other:
        sink.auth_token = server.address.auth_token
        agent.says(sources.tone(440), loop=True)
        call = MultiPartyCall(server.plivo_client(), sink, "stored")
        await call.add("agent", agent)
        await call.add("customer", other)
        await call.record("wav")
        await hears(other, {440}, [440, 620], seconds=1)
        (spool,) = (server.data / "spool").iterdir()
        assert is_sealed(spool) and segment_files(spool)
        await call("stop_recording")
        done = await sink.wait_for("MPCRecordingCompleted")
        recording_id = done.parameters["RecordingUUID"]
        assert not list((server.data / "recordings").rglob("*.wav")), "it was never here in the clear"
        await _eventually(lambda: is_sealed(server.data / "masters" / recording_id))
        await _eventually(lambda: [key for key in away.names() if f"{recording_id}.wav.mxen" in key])
        await _eventually(lambda: not list((server.data / "recordings").rglob(f"{recording_id}.*")))
        samples = await download(server, done)
        assert ear.tones(samples, [440, 620]) == {440}
        flac = await server.fetch(done.parameters["RecordingURL"].replace(".wav", ".flac"))
        assert np.array_equal(sources.from_file(io.BytesIO(flac)), samples), "made from the sealed master"

        recordings = server.plivo_client().recordings
        url = done.parameters["RecordingResourceURL"]
        account = (server.address.auth_id, server.address.auth_token)
        assert await _post(f"{url}LegalHold/", account) == 200
        with pytest.raises(ValidationError, match="legal hold"):
            await asyncio.to_thread(recordings.delete, recording_id)
        assert await _post(f"{url}LegalHold/", account, "DELETE") == 204
        await asyncio.to_thread(recordings.delete, recording_id)
        await _eventually(lambda: not [key for key in away.names() if recording_id in key])
        await call("stop")
        await sink.wait_for("MPCEnd")


async def test_a_server_whose_store_refuses_it_does_not_start(tmp_path: Path, s3: str) -> None:
    refused = await asyncio.to_thread(serve, tmp_path / "data", settings(s3, "nobody"))
    assert refused.returncode == 2 and "storage:" in refused.stderr and "NoSuchBucket" in refused.stderr


async def _eventually(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(true):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.1)


async def _post(url: str, account: tuple[str, str], verb: str = "POST") -> int:
    headers = {"authorization": aiohttp.encode_basic_auth(*account)}
    async with aiohttp.ClientSession(headers=headers) as session, session.request(verb, url) as answer:
        return answer.status
