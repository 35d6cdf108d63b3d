"""``mixminus recordings``: list, verify, recover, decrypt, receipts, new-key. Heavy imports wait for the command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from mixminus.recording.archive import Archive
    from mixminus.recording.encryption import KeyRing
    from mixminus.store.reader import Reader

recordings = typer.Typer(help="Look at, check and rescue recordings.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Data folder. [./mixminus-data] (MIXMINUS_DATA)")]
Config = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings file. [./mixminus.toml if there]")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")]
Account = Annotated[str | None, typer.Option(metavar="AUTH_ID", help="Of this main account only.")]


@contextmanager
def _opened(data: Path | None, config: Path | None) -> Iterator[tuple[Archive, Reader]]:
    from mixminus import settings
    from mixminus.recording.opening import open_archive
    from mixminus.store.reader import Reader

    found = settings.load({"data": data}, file=config)
    reader = Reader(found.data)
    try:
        yield open_archive(found), reader
    finally:
        reader.close()


def _show(rows: Iterable[dict[str, Any]], columns: tuple[str, ...], as_json: bool, title: str = "") -> None:
    import msgspec
    from rich.console import Console
    from rich.table import Table

    if as_json:
        for row in rows:
            typer.echo(msgspec.json.encode(row).decode())
        return
    table = Table(title=title or None, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    Console().print(table)


@recordings.command("list")
def list_recordings(data: Data = None, config: Config = None, account: Account = None, json: Json = False) -> None:
    """Every recording that is not deleted, oldest first."""
    import asyncio

    with _opened(data, config) as (_, reader):
        rows = asyncio.run(reader.kept_recordings(account))
    shown = [
        {
            "recording_id": row.id, "account": row.sub_account or row.account, "call": row.mpc_name,
            "started": "" if row.started_at is None else f"{row.started_at:%Y-%m-%d %H:%M:%S}",
            "seconds": round(row.samples / row.rate, 3), "format": row.format, "bytes": row.size, "state": row.state,
            "verified": row.verified, "file": row.file, "sha256": row.sha256, "failure": row.failure,
        }
        for row in rows
    ]  # fmt: skip
    _show(shown, ("recording_id", "call", "started", "seconds", "format", "bytes", "state", "verified"), json)


@recordings.command()
def verify(data: Data = None, config: Config = None, account: Account = None, json: Json = False) -> None:
    """Read everything stored and hold it against the database: exit code 1 if something is missing, changed or unknown.

    Sealed files are opened, files in the store are read from there. With --account, unknown files are not looked for.
    """
    import asyncio

    from rich.console import Console

    from mixminus.recording.audit import Finding, audit

    with _opened(data, config) as (archive, reader):
        rows = asyncio.run(reader.kept_recordings(account))
        findings = [one for one in audit(archive, rows) if account is None or one.state != "unknown"]
    wrong = [one for one in findings if one.state != "ok"]
    if json or wrong:
        _show([one._asdict() for one in (findings if json else wrong)], Finding._fields, json)
    if not json:
        Console().print(f"{len(findings) - len(wrong)} as recorded, {len(wrong)} not")
    raise typer.Exit(1 if wrong else 0)


@recordings.command()
def recover(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A rescued spool folder, or a folder of them.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where the files go.")] = Path("recovered"),
    format: Annotated[str, typer.Option(help="mp3 or wav.")] = "wav",
    key_file: Annotated[
        list[Path] | None,
        typer.Option("--key", "--key-file", metavar="FILE", help="Key the spools were sealed with; may be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """Turn spools rescued from another machine into verified files: exit code 1 if one of them held nothing.

    Needs no database and leaves the spools as they are.
    """
    if format not in ("mp3", "wav"):
        raise typer.BadParameter("must be mp3 or wav", param_hint="--format")
    from mixminus.errors import ConfigurationError
    from mixminus.recording.encryption import KeyRing, read_key
    from mixminus.recording.recover import spools
    from mixminus.recording.spool import segment_files

    found = [folder] if folder.is_dir() and segment_files(folder) else spools(folder)
    if not found:
        raise ConfigurationError(f"{folder}: holds no spool; a spool is a folder with files named seg-000001.spool")
    ring = KeyRing(None, [read_key(path) for path in key_file or []])
    rows = [_rescue(spool, "mp3" if format == "mp3" else "wav", to, ring) for spool in found]
    _show(rows, ("spool", "seconds", "complete", "damage", "file", "trouble"), json)
    raise typer.Exit(1 if any(row["trouble"] for row in rows) else 0)


def _rescue(spool: Path, format: Literal["mp3", "wav"], to: Path, ring: KeyRing) -> dict[str, Any]:
    from mixminus.errors import StorageError
    from mixminus.recording.recover import recover_folder

    row: dict[str, Any] = {"spool": spool.name, "seconds": 0, "complete": False, "damage": 0, "file": "", "trouble": ""}
    try:
        made = recover_folder(spool, format, to / f"{spool.name}.{format}", ring)
    except StorageError as error:
        return row | {"trouble": str(error)}
    return row | {
        "seconds": made.duration,
        "complete": made.complete,
        "damage": made.damage,
        "file": made.path,
        "sha256": made.sha256,
    }


@recordings.command()
def decrypt(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sealed file, its name ends in .mxen.")],
    key_file: Annotated[list[Path], typer.Option(metavar="FILE", help="Key it was sealed with; may be repeated.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="[FILE without .mxen]")] = None,
) -> None:
    """Open a sealed file, wherever it came from. Nothing is left behind if it was changed."""
    from mixminus.recording.encryption import SUFFIX, KeyRing, read_key, unseal

    ring = KeyRing(None, [read_key(path) for path in key_file])
    target = output or file.with_name(file.name.removesuffix(SUFFIX))
    if target == file:
        raise typer.BadParameter(f"{file} does not end in {SUFFIX}: say where to write", param_hint="--output")
    partial = target.with_name(target.name + ".partial")
    with _told(file, partial), file.open("rb") as sealed, partial.open("wb") as plain:

        def read(start: int, length: int) -> Iterator[bytes]:
            sealed.seek(start)
            while length > 0 and (piece := sealed.read(min(length, 1 << 20))):
                length -= len(piece)
                yield piece

        for piece in unseal(read, file.stat().st_size, ring):
            plain.write(piece)
    partial.replace(target)
    typer.echo(f"{target}")


@contextmanager
def _told(file: Path, partial: Path) -> Iterator[None]:
    from mixminus.errors import ConfigurationError, StorageError

    try:
        yield
    except (OSError, StorageError) as error:
        partial.unlink(missing_ok=True)
        raise ConfigurationError(f"{file}: {error}") from None


@recordings.command()
def receipts(data: Data = None, config: Config = None, account: Account = None, json: Json = False) -> None:
    """What is left of deleted recordings, newest first."""
    import asyncio

    from mixminus.store.lists import Page

    with _opened(data, config) as (_, reader):
        rows = asyncio.run(reader.receipts(account, Page(limit=1_000_000))).rows
    shown = [
        {
            "recording_id": row.id, "deleted": f"{row.deleted_at:%Y-%m-%d %H:%M:%S}", "reason": row.reason,
            "by": row.by, "files": row.files, "gone": row.removed_at is not None,
            "recorded": f"{row.recorded_at:%Y-%m-%d %H:%M:%S}", "seconds": round(row.samples / row.rate, 3),
            "sha256": row.sha256,
        }
        for row in rows
    ]  # fmt: skip
    _show(shown, ("recording_id", "deleted", "reason", "by", "files", "gone", "recorded", "seconds"), json)


@recordings.command("new-key")
def make_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the key is written; must not exist.")],
) -> None:
    """Make a key for storage.encryption_key_file, readable by you only. Without it, sealed recordings are lost."""
    import os

    from mixminus.errors import ConfigurationError
    from mixminus.recording.encryption import key_id, new_key, read_key

    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as out:
        out.write(new_key())
    typer.echo(f"{file}: key {key_id(read_key(file)).hex()}")
