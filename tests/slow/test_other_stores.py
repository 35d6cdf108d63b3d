"""Google's and Azure's protocols on the wire, and an upload that is cut in its middle.

Azure is Microsoft's own emulator. Google has none; its XML interface is that of S3, so moto's server speaks it, once
Google's kind of credentials are taken off.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import re
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_asyncio

from mixminus.recording.storage.objects import PART_BYTES, ObjectStorage, StoreRefuses
from mixminus.store.db import Store
from recording.kept import KEY, Kept
from slow.support import program
from slow.test_object_store import ask, keeps

pytestmark = pytest.mark.slow

BUCKET = "calls"
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Published by Microsoft: every emulator has them."""
S3_CREDENTIALS = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
Wsgi: TypeAlias = Callable[[dict[str, Any], Any], Iterable[bytes]]


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> Any:
    opened = await Store.open(tmp_path)
    yield opened
    await opened.close()


@contextmanager
def served(around: Callable[[Wsgi], Wsgi]) -> Iterator[str]:
    """Endpoint of moto's S3 with an empty bucket, with something before it."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:
            """Not in the tests' output."""

    app = around(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        ask(endpoint, "moto-api/reset-auth", "POST", b"inf")  # an earlier test may have made it ask for credentials
        ask(endpoint, "moto-api/reset", "POST")
        ask(endpoint, BUCKET, "PUT")
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def google_by_s3(app: Wsgi) -> Wsgi:
    def translated(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        environ["HTTP_AUTHORIZATION"] = S3_CREDENTIALS
        return app(environ, start)

    return translated


@pytest.fixture
def google(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Options for a server that speaks Google's XML interface and asks for no credentials."""
    with served(google_by_s3) as endpoint:
        account = {"gcs_base_url": endpoint, "disable_oauth": True}
        account |= dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
        (tmp_path / "account.json").write_text(json.dumps(account))
        yield {"service_account": str(tmp_path / "account.json"), "allow_http": "true"}


@pytest.mark.parametrize("sealing", [None, KEY], ids=["plain", "sealed"])
async def test_recordings_go_to_google_and_come_back(
    tmp_path: Path, store: Store, google: dict[str, str], sealing: bytes | None
) -> None:
    await keeps(tmp_path, store, ObjectStorage(f"gs://{BUCKET}/acme/voice", google), sealing)


async def test_a_bucket_that_google_does_not_have_is_told(google: dict[str, str]) -> None:
    with pytest.raises(StoreRefuses, match="NoSuchBucket"):
        await ObjectStorage("gs://nobody", google).check()


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Options for Microsoft's emulator, with one container."""
    folder = tmp_path_factory.mktemp("azurite")
    words = [program("azurite-blob"), "--disableTelemetry", "--inMemoryPersistence", "--skipApiVersionCheck"]
    words += ["--blobHost", "127.0.0.1", "--blobPort", "0"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    try:
        endpoint = f"{_listening(process, folder / 'log')}/{ACCOUNT}"
        _make_container(endpoint)
        yield {"account_name": ACCOUNT, "account_key": ACCOUNT_KEY, "endpoint": endpoint}
    finally:
        process.kill()
        process.wait()


def _listening(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while not (told := re.search(r"successfully listens on (http://\S+)", log.read_text())):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return told[1]


def _make_container(endpoint: str) -> None:
    """By Azure's shared key: object stores make no containers."""
    date, version = formatdate(usegmt=True), "2021-08-06"
    signed = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/{BUCKET}"
    key = base64.b64decode(ACCOUNT_KEY)
    signature = base64.b64encode(hmac.digest(key, f"{signed}\nrestype:container".encode(), hashlib.sha256)).decode()
    headers = {"x-ms-date": date, "x-ms-version": version, "authorization": f"SharedKey {ACCOUNT}:{signature}"}
    headers["content-length"] = "0"
    url = f"{endpoint}/{BUCKET}?restype=container"
    urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers)).close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("sealing", [None, KEY], ids=["plain", "sealed"])
async def test_recordings_go_to_azure_and_come_back(
    tmp_path: Path, store: Store, azure: dict[str, str], sealing: bytes | None
) -> None:
    folder = "sealed" if sealing else "plain"
    await keeps(tmp_path, store, ObjectStorage(f"az://{BUCKET}/{folder}", azure), sealing)


async def test_a_container_that_azure_does_not_have_is_told(azure: dict[str, str]) -> None:
    with pytest.raises(StoreRefuses, match="ContainerNotFound"):
        await ObjectStorage("az://nobody", azure).check()


async def test_a_wrong_key_of_azure_is_told_as_such(azure: dict[str, str]) -> None:
    wrong = base64.b64encode(bytes(64)).decode()
    with pytest.raises(StoreRefuses, match=r"check storage\.options"):
        await ObjectStorage(f"az://{BUCKET}", {**azure, "account_key": wrong}).check()


class Cut:
    """A line that breaks once so many parts of a file have come through, until it is mended."""

    def __init__(self, parts: int) -> None:
        self.parts, self.broken = parts, True
        self.through = 0
        self._lock = threading.Lock()

    def __call__(self, app: Wsgi) -> Wsgi:
        def cut(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            if self.broken and "uploadId=" in environ["QUERY_STRING"] and not self._passes(environ):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                return []
            return app(environ, start)

        return cut

    def _passes(self, environ: dict[str, Any]) -> bool:
        with self._lock:
            self.through += "partNumber=" in environ["QUERY_STRING"]
            return self.through <= self.parts


async def test_an_upload_cut_in_its_middle_is_made_again_and_the_file_stays_here_meanwhile(
    tmp_path: Path, store: Store
) -> None:
    line = Cut(parts=2)
    with served(line) as endpoint:
        options = {"endpoint": endpoint, "region": "us-east-1", "access_key_id": "a", "secret_access_key": "b"}
        remote = ObjectStorage(f"s3://{BUCKET}", options)
        kept = Kept(tmp_path, store, remote=remote)
        row = await kept.recording(1, random.Random(2).randbytes(5 * PART_BYTES + 1))
        content = kept.read(row.file)
        assert not await kept.keeper.round()
        assert line.through > 2, "some of it went through"
        assert kept.keeper.pending == 1 and row.file in kept.keeper.trouble
        assert list(remote.names()) == [], "half a file is none"
        assert kept.read(row.file) == content and list(kept.archive.local.names()) == [row.file]
        line.broken = False
        again = Kept(tmp_path, store, remote=ObjectStorage(f"s3://{BUCKET}", options))  # as after a restart
        assert await again.keeper.round(), again.keeper.trouble
        assert list(again.archive.local.names()) == []
        digest = await remote.digest(row.file)
        assert digest == (len(content), hashlib.sha256(content).hexdigest())
        assert await asyncio.to_thread(again.read, row.file) == content
