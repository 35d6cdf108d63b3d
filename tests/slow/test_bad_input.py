"""What operators get wrong, at the command line and under a running server."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixminus.store.db import Store
from mixminus.testing import sources
from mixminus.testing.multiparty import MultiPartyCall, hears
from mixminus.testing.phone import VirtualPhone
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink, Received

pytestmark = pytest.mark.slow

AGENT, CUSTOMER = 440, 620


def serve(data: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """``mixminus serve`` that should end by itself."""
    config = next(folder for folder in data.parents if folder.is_dir()) / "mixminus.toml"
    config.write_text("\n".join(lines))
    ports = ("--http", "127.0.0.1:0", "--sip", "127.0.0.1:0")
    words = [sys.executable, "-m", "mixminus", "serve", *ports, "--data", str(data), "--config", str(config)]
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)


async def test_a_second_server_on_one_data_folder_refuses(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "server") as server:
        second = await asyncio.to_thread(serve, server.data)
    assert second.returncode == 2 and "is in use by another mixminus" in second.stderr


async def test_a_data_folder_of_a_newer_version_is_refused_with_its_version(tmp_path: Path) -> None:
    data = tmp_path / "data"
    await (await Store.open(data)).close()
    with sqlite3.connect(data / "mixminus.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    refused = await asyncio.to_thread(serve, data)
    assert refused.returncode == 2 and "9999" in refused.stderr and "newer mixminus" in refused.stderr


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (['[storage]', 'url = "ftp://x"'], "storage.url and storage.options: ftp://x"),
        (['[storage]', 'encryption_key_file = "nowhere"'], "mixminus recordings new-key"),
        (['[storage]', 'file_name = "{account}.{format}"'], "mixminus.toml): must end in {recording_id}.{format}"),
        (['[storage]', 'bucket = "x"'], "storage.bucket"),
        (['[retention]', 'days = -1'], "retention.days"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(tmp_path: Path, lines: list[str], complaint: str) -> None:
    refused = serve(tmp_path / "data", *lines)
    assert refused.returncode == 2 and complaint in refused.stderr


def test_a_data_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    refused = serve(tmp_path / "file" / "data")
    assert refused.returncode == 2 and "data folder" in refused.stderr and "--data" in refused.stderr


async def failed_recording(server: ServerProcess, sink: CallbackSink) -> tuple[Received, float]:
    """A recording is asked for; how it failed, and seconds after it was asked for."""
    sink.auth_token = server.address.auth_token
    async with VirtualPhone("agent") as agent, VirtualPhone("customer") as customer:
        agent.says(sources.tone(AGENT), loop=True)
        customer.says(sources.tone(CUSTOMER), loop=True)
        call = MultiPartyCall(server.plivo_client(), sink, "refused")
        await call.add("agent", agent)
        await call.add("customer", customer)
        await hears(agent, {CUSTOMER}, [AGENT, CUSTOMER], seconds=0.1)
        began = time.monotonic()
        await call.record("wav")
        told = await sink.wait_for("MPCRecordingFailed", timeout=5)
        seconds = time.monotonic() - began
        await hears(customer, {AGENT}, [AGENT, CUSTOMER], seconds=0.1)  # the call goes on
        await call("stop")
        await sink.wait_for("MPCEnd")
    return told, seconds


@pytest.mark.timeout(60)
@pytest.mark.parametrize("folder", ["spool", "recordings"])
async def test_a_folder_that_cannot_be_written_is_told_within_two_seconds(
    tmp_path: Path, sink: CallbackSink, folder: str
) -> None:
    async with ServerProcess(tmp_path / "server") as server:
        place = server.data / folder
        await asyncio.to_thread(lambda: place.rmdir() if place.is_dir() else None)
        await asyncio.to_thread(place.write_bytes, b"in the way")
        told, seconds = await failed_recording(server, sink)
        assert seconds < 2.0
        assert str(place) in told.parameters["FailureReason"]
        await asyncio.to_thread(place.unlink)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose spool is on a disk of 64 KiB."""
    spool = tmp_path / "server" / "data" / "spool"
    spool.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(spool)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield tmp_path / "server"
    subprocess.run(["umount", str(spool)], check=True)


@pytest.mark.timeout(60)
async def test_a_full_disk_is_told_within_two_seconds_of_its_being_full(small_disk: Path, sink: CallbackSink) -> None:
    async with ServerProcess(small_disk) as server:
        assert server.data == small_disk / "data"
        told, seconds = await failed_recording(server, sink)
        fits = 64 * 1024 / 16_000
        assert seconds < fits + 2.0
        assert "disk full" in told.parameters["FailureReason"] and "free some space" in told.parameters["FailureReason"]
