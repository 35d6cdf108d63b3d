"""``mixminus recordings``: what people and scripts see."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mixminus.cli.app import run
from mixminus.recording.encryption import new_key
from mixminus.recording.retention import receipt
from mixminus.recording.sealing import new_cipher
from mixminus.recording.spool import Spool
from mixminus.store.db import Store
from recording.kept import ACCOUNT, KEY, Kept, uuid

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a key, its settings in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text(KEY.hex())
    (tmp_path / "mixminus.toml").write_text('data = "data"\n[storage]\nencryption_key_file = "key"\n')
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def filled(data: Path) -> None:
    """1 is sealed, 2 is missing, 3 was changed, 4 failed, 5 is a stranger's, 6 is sealed and was changed, 7 deleted."""
    store = await Store.open(data)
    kept = Kept(data, store, sealing=KEY)
    for number in (1, 6):
        await kept.recording(number, CONTENT, mpc_name="sales")
    assert await kept.keeper.round()
    missing, changed = await kept.recording(2, CONTENT), await kept.recording(3, CONTENT)
    await kept.recording(4, b"", state="failed", file="", failure="disk full")
    kept.archive.local.delete(missing.file)
    kept.archive.local.path(changed.file).write_bytes(CONTENT[:-1] + b"x")
    kept.beside(changed, "json", b"{}")
    kept.archive.local.path(changed.file.replace(uuid(3), uuid(5))).write_bytes(b"?")
    sealed = kept.archive.local.path(changed.file.replace(uuid(3), uuid(6)) + ".mxen")
    sealed.write_bytes(sealed.read_bytes()[:-1] + b"x")
    gone = await kept.recording(7, CONTENT)
    await kept.keeper.remove(receipt(gone, kept.clock.wall, "request", ACCOUNT))
    await store.close()


def test_verify_tells_what_is_missing_changed_and_unknown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(filled(home))
    assert run(["recordings", "verify", "--json"]) == 1
    found = {one["recording_id"][-1]: one["state"] for one in lines(capsys)}
    assert found == {"1": "ok", "2": "missing", "3": "changed", "5": "unknown", "6": "changed", "7": "missing"}
    assert run(["recordings", "verify"]) == 1
    shown = capsys.readouterr().out
    assert "1 as recorded, 5 not" in shown and "in no store" in shown


def test_list_and_receipts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(filled(home))
    assert run(["recordings", "list", "--json", "--account", ACCOUNT]) == 0
    first = lines(capsys)[0]
    assert (first["recording_id"], first["call"], first["seconds"], first["verified"]) == (uuid(1), "sales", 1.0, True)
    assert run(["recordings", "receipts", "--json"]) == 0
    (left,) = lines(capsys)
    assert (left["recording_id"], left["reason"], left["by"], left["gone"]) == (uuid(7), "request", ACCOUNT, True)
    assert run(["recordings", "list"]) == 0
    assert "sales" in capsys.readouterr().out


def test_recover_makes_files_of_a_rescued_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seconds in (("a", 2), ("b", 1), ("empty", 0)):
        spool = Spool.open(tmp_path / "rescued" / name, rate=8000, now_ns=0)
        for _ in range(seconds):
            spool.append(b"\7\0" * 8000)
        spool.close(0)
    out = tmp_path / "out"
    assert run(["recordings", "recover", str(tmp_path / "rescued"), "--to", str(out), "--json"]) == 1
    found = {one["spool"]: one for one in lines(capsys)}
    assert [found[name]["seconds"] for name in ("a", "b", "empty")] == [2.0, 1.0, 0]
    assert "no audio" in found["empty"]["trouble"] and found["a"]["complete"]
    assert sorted(path.name for path in out.iterdir()) == ["a.wav", "b.wav"]
    assert run(["recordings", "recover", str(tmp_path / "rescued" / "a"), "--to", str(out), "--format", "mp3"]) == 0
    assert (out / "a.mp3").is_file()


def test_recover_opens_sealed_spools_with_their_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text(KEY.hex())
    spool = Spool.open(tmp_path / "spool", rate=8000, now_ns=0, seal=partial(new_cipher, KEY))
    spool.append(b"\7\0" * 8000)
    spool.close(0)
    words = ["recordings", "recover", str(tmp_path / "spool"), "--to", str(tmp_path / "out"), "--json"]
    assert run(words) == 1
    (found,) = lines(capsys)
    assert "sealed with key" in found["trouble"] and "is not configured" in found["trouble"]
    assert run([*words, "--key", str(tmp_path / "key")]) == 0
    (found,) = lines(capsys)
    assert (found["seconds"], found["complete"], found["trouble"]) == (1.0, True, "")


def test_recover_says_what_it_wants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recordings", "recover", str(tmp_path)]) == 2
    assert "holds no spool" in capsys.readouterr().err
    assert run(["recordings", "recover", str(tmp_path), "--format", "ogg"]) == 2
    assert "must be mp3 or wav" in capsys.readouterr().err


def test_decrypt_opens_with_the_right_key_and_no_other(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(filled(home))
    good, bad = (next(home.rglob(f"{uuid(number)}.mp3.mxen")) for number in (1, 6))
    assert run(["recordings", "decrypt", str(good), "--key-file", "key", "-o", "plain.mp3"]) == 0
    assert (tmp_path / "plain.mp3").read_bytes() == CONTENT
    assert run(["recordings", "decrypt", str(bad), "--key-file", "key", "-o", "bad.mp3"]) == 2
    (tmp_path / "other").write_text(new_key())
    assert run(["recordings", "decrypt", str(good), "--key-file", "other", "-o", "bad.mp3"]) == 2
    assert "which is not configured" in capsys.readouterr().err
    assert not (tmp_path / "bad.mp3").exists() and not list(tmp_path.glob("*.partial"))


def test_new_key_never_overwrites_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "key"
    assert run(["recordings", "new-key", str(path)]) == 0
    before = path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert run(["recordings", "new-key", str(path)]) == 2
    assert path.read_text() == before and "exists" in capsys.readouterr().err


def test_no_data_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recordings", "list", "--data", str(tmp_path)]) == 2
    assert "no database here" in capsys.readouterr().err
