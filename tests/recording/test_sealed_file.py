"""Files that grow sealed, against plain bytes that grow beside them."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Literal

import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mixminus.recording import finish
from mixminus.recording.encryption import CHUNK_BYTES, KeyRing, Sealed
from mixminus.recording.finish import Job
from mixminus.recording.sealed_file import Reading, SealedFile
from mixminus.recording.spool import Spool
from mixminus.recording.storage import DiskStorage
from recording.kept import KEY

RING = KeyRing(KEY)
RATE = 8000
HEAD = b"head of the file"


def opened(path: Path) -> bytes:
    """The whole file, as anybody opens it who has the key."""
    from mixminus.recording.encryption import unseal

    data = path.read_bytes()
    return b"".join(unseal(lambda start, length: [data[start : start + length]], len(data), RING))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 700, CHUNK_BYTES - len(HEAD), CHUNK_BYTES, CHUNK_BYTES + 1, 200_000]), max_size=5),
    st.integers(0, 2**32),
)
def test_it_holds_what_plain_bytes_would(sizes: list[int], seed: int) -> None:
    randomly, twin = random.Random(seed), bytearray(HEAD)
    with tempfile.TemporaryDirectory() as name:
        file = SealedFile(Path(name) / "x", HEAD, key=KEY)
        for size in sizes:
            data = randomly.randbytes(size)
            file.append(data)
            twin += data
            start = randomly.randrange(len(twin))
            length = randomly.randrange(2 * CHUNK_BYTES)
            assert file.read(start, length) == twin[start : start + length]
        file.rewrite(0, b"HEAD")
        twin[:4] = b"HEAD"
        file.complete()
        file.close()
        assert file.size == len(twin)
        assert file.read(0, len(twin) + 5) == b"".join(file.content()) == opened(file.path) == twin
        assert Reading(file).readall() == twin


def test_nothing_is_on_disk_in_the_clear_and_changes_are_noticed(tmp_path: Path) -> None:
    file = SealedFile(tmp_path / "x", HEAD, key=KEY)
    for _ in range(5000):
        file.append(b"what was said, over and over; ")
        assert b"said" not in file.path.read_bytes()[-100:]
    file.complete()
    stored = bytearray(file.path.read_bytes())
    assert b"said" not in stored and HEAD not in stored
    stored[2 * CHUNK_BYTES] ^= 1
    file.path.write_bytes(stored)
    with pytest.raises(Sealed):
        file.read(0, 3 * CHUNK_BYTES)
    with pytest.raises(Sealed):
        list(file.content())


@pytest.mark.parametrize("format", ["wav", "mp3"])
def test_a_recording_is_sealed_from_its_first_sample_on(tmp_path: Path, format: Literal["wav", "mp3"]) -> None:
    out, pcm = tmp_path / "out", (b"\x01\x10\x02\xf0" * RATE)[: 2 * RATE // 2]
    spool = Spool.open(tmp_path / "spool", rate=RATE, now_ns=0)
    plain = Job(tmp_path / "spool", format, tmp_path / "plain" / f"x.{format}")
    job = Job(tmp_path / "spool", format, out / f"x.{format}", sidecar_of="x", ring=RING)
    for _ in range(60):
        spool.append(pcm)
        while job.step():
            pass
        for path in out.iterdir():
            assert b"RIFF" not in path.read_bytes() and pcm[:64] not in path.read_bytes()
    spool.close(0)
    made, wanted = finish.run(job), finish.run(plain)
    assert (made.samples, made.size, made.sha256) == (wanted.samples, wanted.size, wanted.sha256)
    names = ["peaks.json.mxen", "timeline.json.mxen", "vtt.mxen", f"{format}.mxen"]
    assert sorted(DiskStorage(out).names()) == sorted(f"x.{name}" for name in names)
    assert opened(out / f"x.{format}.mxen") == Path(wanted.path).read_bytes()
    assert opened(out / "x.vtt.mxen").startswith(b"WEBVTT")
    assert made.path == str(out / f"x.{format}.mxen")
    assert soundfile.info(wanted.path).frames == made.samples
