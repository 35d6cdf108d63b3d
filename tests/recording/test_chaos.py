"""The real thing: writers killed at random, disks that are really full."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixminus.errors import StorageError
from mixminus.recording.recover import recover_folder
from mixminus.recording.rendering import Format
from mixminus.recording.spool import Spool

RATE = 8000
FORMATS: tuple[Format, ...] = ("wav", "mp3")

WRITER = """
import sys
from pathlib import Path
from mixminus.recording.rendering import Format
from mixminus.recording.spool import Spool
spool = Spool.open(Path(sys.argv[1]), rate=8000, now_ns=0)
value = 0
while True:
    value = value % 30000 + 1
    spool.append(value.to_bytes(2, "little") * 4000)
    print(value, flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_of_the_writer_loses_nothing_that_append_took(tmp_path: Path, seed: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "spool")], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    told = 0
    for _ in range(random.Random(seed).randrange(1, 200)):
        told = int(writer.stdout.readline())
    writer.kill()
    told = max([told, *map(int, writer.stdout.read().split(b"\n")[:-1])])
    writer.wait()
    writer.stdout.close()
    file = recover_folder(tmp_path / "spool", "wav", tmp_path / "x.wav")
    blocks = file.samples // 4000
    assert blocks in (told, told + 1)
    expected = b"".join(value.to_bytes(2, "little") * 4000 for value in range(1, blocks + 1))
    assert (tmp_path / "x.wav").read_bytes()[80:] == expected
    assert not file.complete


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_really_full(tmp_path: Path, small_disk: Path) -> None:
    spool = Spool.open(small_disk / "spool", rate=RATE, now_ns=0)
    with pytest.raises(StorageError, match="disk full while writing"):
        while True:
            spool.append(b"\7\0" * 4000)
    samples = spool.close(0)
    assert samples % 4000 == 0 and 0.9 < samples * 2 / 2**20 < 1
    for format in FORMATS:
        with pytest.raises(StorageError, match="disk full"):
            recover_folder(small_disk / "spool", format, small_disk / f"x.{format}")
    assert [path.name for path in small_disk.iterdir()] == ["spool"]
    for format in FORMATS:
        assert recover_folder(small_disk / "spool", format, tmp_path / f"x.{format}").samples == samples


@pytest.mark.slow
def test_a_disk_that_fills_up_elsewhere_lets_a_followed_mp3_complete(small_disk: Path, tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool", rate=RATE, now_ns=0)
    for _ in range(200):
        spool.append(b"\7\0" * 4000)
    spool.close(0)
    assert recover_folder(tmp_path / "spool", "mp3", small_disk / "x.mp3").duration == 100.0
