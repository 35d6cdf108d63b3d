"""What a server needs of the machine it runs on: each check looks and returns one :class:`Finding`."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from mixminus.media.fleet.sharing import pool_size
from mixminus.media.state import TICK_NS
from mixminus.settings import Settings, split_host_port
from mixminus.settings import processors as usable_processors

GIB = 1 << 30
_SPOOL_BYTES_PER_HOUR = 8000 * 2 * 3600
_ENOUGH_FREE = 5 * GIB
_LEAST_FREE = GIB // 4
TICK_MS = TICK_NS / 1_000_000
STORE_SECONDS = 15.0
SOON_DAYS = 14


@dataclass(frozen=True)
class Finding:
    """``block``: a server would not run; ``warn``: it would, less well; ``ok``. ``advice`` says what to do."""

    what: str
    verdict: Literal["ok", "warn", "block"]
    detail: str
    advice: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Every check, in the order of what would fail first."""
    yield python()
    yield packages()
    yield port("HTTP port", settings.http, "http", [socket.SOCK_STREAM])
    yield port("SIP port", settings.sip, "sip", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
    if settings.sip_tls:
        yield port("SIP TLS port", settings.sip_tls, "sip_tls", [socket.SOCK_STREAM])
    if settings.tls or settings.sip_tls:
        yield certificates(settings)
    yield media_ports(settings)
    yield data_folder(settings.data)
    yield free_disk(settings.data)
    yield recording_store(settings)
    yield open_files(settings)
    yield receive_buffer()
    yield processors(settings)
    yield clock()


def python() -> Finding:
    """For the reader's bug report: pip already refuses what is too old."""
    return Finding("Python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")


def packages() -> Finding:
    """Whether what ``pip`` should have installed is there; extras aside."""
    try:
        wanted = importlib.metadata.requires("mixminus") or []
    except importlib.metadata.PackageNotFoundError:
        return Finding("packages", "block", "mixminus is not installed", "pip install mixminus")
    names = [re.split(r"[ ;<>=!~\[(]", line, maxsplit=1)[0] for line in wanted if "extra ==" not in line]
    missing = [name for name in names if not _installed(name)]
    if missing:
        return Finding("packages", "block", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return Finding("packages", "ok", f"{len(names)} installed")


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return name == "uvloop" and sys.platform == "win32"
    return True


def port(what: str, address: str, option: str, kinds: list[int]) -> Finding:
    """Whether the address can be bound, for each kind of socket."""
    host, number = split_host_port(address)
    for kind in kinds:
        try:
            _bind(host, number, kind)
        except OSError as error:
            protocol = "TCP" if kind == socket.SOCK_STREAM else "UDP"
            return Finding(what, "block", f"{address} {protocol}: {error.strerror}", _port_advice(error, option))
    return Finding(what, "ok", f"{address} is free" if number else "any free one")


def _port_advice(error: OSError, option: str) -> str:
    how = f"with --{option} HOST:PORT" if option in ("http", "sip") else f"as {option} in mixminus.toml"
    if isinstance(error, PermissionError):
        return f"choose a port from 1024 up {how}, or grant CAP_NET_BIND_SERVICE"
    return f"end what uses it (ss -lntup shows it), or choose another {how}"


def _bind(host: str, number: int, kind: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, number))


def certificates(settings: Settings) -> Finding:
    """Whether the operator's own certificates can be used, and for how long. Those the server makes are fresh."""
    from cryptography import x509  # late, as are others: only some need them, and doctor shall answer at once

    from mixminus.errors import ConfigurationError
    from mixminus.server.tls import Certificate

    what, now, left = "certificates", datetime.now(UTC), []
    files = {
        "tls_cert": (settings.tls_cert, settings.tls_key),
        "sip_tls_cert": (settings.sip_tls_cert, settings.sip_tls_key),
    }
    for name, (chain, key) in files.items():
        if chain is None:
            continue
        try:
            Certificate(name, chain, key)
            ends = x509.load_pem_x509_certificate(chain.read_bytes()).not_valid_after_utc
        except (ConfigurationError, OSError, ValueError) as error:
            return Finding(what, "block", str(error), f"correct {name} in mixminus.toml")
        left.append(((ends - now).days, name))
    if not left:
        return Finding(what, "ok", "made by the server's own authority")
    days, name = min(left)
    if days < SOON_DAYS:
        detail = f"{name} ends in {days} days" if days >= 0 else f"{name} has ended"
        return Finding(what, "warn", detail, "renew it: the file is followed, nothing need be restarted")
    return Finding(what, "ok", f"good for {days} days")


def media_ports(settings: Settings) -> Finding:
    """Whether the range has as many free UDP ports as the workers will open."""
    host = split_host_port(settings.sip)[0]
    low, high = settings.rtp_range
    workers = settings.media_workers
    wanted = pool_size(workers, settings.rtp_pool) * workers
    free = 0
    for number in range(low, high + 1):
        free += _can_bind(host, number)
        if free >= wanted:
            return Finding("RTP ports", "ok", f"{wanted} free in {settings.rtp_ports}")
    return Finding(
        "RTP ports",
        "block",
        f"{free} free in {settings.rtp_ports} of {host}, {wanted} needed",
        "widen --rtp-ports, or lower rtp_pool in mixminus.toml",
    )


def _can_bind(host: str, number: int) -> bool:
    try:
        _bind(host, number, socket.SOCK_DGRAM)
    except OSError:
        return False
    return True


def data_folder(folder: Path) -> Finding:
    """Whether a file in the data folder can be written and made durable, and how long that takes."""
    existed = folder.exists()
    probe = folder / ".doctor"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        with probe.open("wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        took = 1000 * (time.perf_counter() - started)
        probe.unlink()
    except OSError as error:
        return Finding(
            "data folder", "block", f"{folder}: {error.strerror}", "choose a folder you may write to with --data DIR"
        )
    if not existed:
        folder.rmdir()
    if took > 100:
        return Finding(
            "data folder", "warn", f"{folder}: a durable write took {took:.0f} ms", "use a local disk, best an SSD"
        )
    return Finding("data folder", "ok", f"{folder}, durable write {took:.1f} ms")


def free_disk(folder: Path) -> Finding:
    """Free space where recordings go."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    detail = f"{free / GIB:.1f} GiB, room for {free // _SPOOL_BYTES_PER_HOUR:,} recorded hours at once"
    if free < _LEAST_FREE:
        return Finding("free disk", "block", detail, "make room, or choose another disk with --data DIR")
    if free < _ENOUGH_FREE:
        return Finding("free disk", "warn", detail, "make room before long calls are recorded")
    return Finding("free disk", "ok", detail)


def recording_store(settings: Settings) -> Finding:
    """Whether a small object can be written to the store, read back and removed; and whether the key files are keys."""
    from mixminus.errors import ConfigurationError, StorageError  # late: obstore takes a while to import
    from mixminus.recording.opening import open_archive
    from mixminus.recording.storage.objects import ObjectStorage, StoreRefuses

    what, sealed = "recording store", "sealed" if settings.storage.encryption_key_file else "not sealed"
    try:
        remote = open_archive(settings).remote
        if not isinstance(remote, ObjectStorage):
            return Finding(what, "ok", f"the data folder, {sealed}")
        asyncio.run(asyncio.wait_for(remote.check(), STORE_SECONDS))
    except (ConfigurationError, StoreRefuses) as error:
        return Finding(what, "block", str(error), "correct the [storage] table of mixminus.toml")
    except (StorageError, TimeoutError) as error:
        detail = str(error) or f"{settings.storage.url}: no answer within {STORE_SECONDS:g} s"
        return Finding(what, "warn", detail, "recordings stay here until it answers: check storage.options.endpoint")
    try:
        asyncio.run(asyncio.wait_for(remote.check_deletion(), STORE_SECONDS))
    except (StorageError, TimeoutError) as error:
        detail = str(error) or f"{settings.storage.url}: no answer within {STORE_SECONDS:g} s"
        return Finding(what, "warn", detail, "without the right to delete, retention and DELETE leave files behind")
    return Finding(what, "ok", f"{remote.url}: written, read back and removed; {sealed}")


def open_files(settings: Settings) -> Finding:
    """The limit of open files: sockets of media, connections of the API and of SIP over TCP, spool files."""
    try:
        import resource
    except ImportError:
        return Finding("open files", "ok", "no limit known on this system")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    workers = settings.media_workers
    wanted = 512 + pool_size(workers, settings.rtp_pool) * workers**2
    most = max(soft, hard)  # the server raises the one to the other
    if most < wanted:
        return Finding("open files", "block", f"limit {most}, {wanted} needed", f"ulimit -n {max(4096, wanted)}")
    if most < 4096:
        advice = "ulimit -n 4096, or LimitNOFILE=4096 in the service unit"
        return Finding("open files", "warn", f"limit {most}: few calls at once", advice)
    return Finding("open files", "ok", f"limit {most}")


def receive_buffer() -> Finding:
    """How much a UDP socket may hold while the media worker is kept waiting."""
    limit = Path("/proc/sys/net/core/rmem_max")
    if not limit.exists():
        return Finding("UDP buffer", "ok", "no limit known on this system")
    size = int(limit.read_text())
    if size < 1 << 20:
        detail = f"at most {size // 1024} KiB a socket: hundreds of callers on a busy machine may lose packets"
        return Finding("UDP buffer", "warn", detail, "sysctl -w net.core.rmem_max=4194304")
    return Finding("UDP buffer", "ok", f"up to {size // 1024} KiB a socket")


def processors(settings: Settings) -> Finding:
    count, workers = usable_processors(), settings.media_workers
    if workers > count:
        detail = f"{workers} media workers on {count} processor(s)"
        return Finding("processors", "warn", detail, f"set --workers to {max(1, count - 1)}")
    return Finding("processors", "ok", f"{count} for {workers} media worker(s)")


def clock(sleep: Callable[[float], None] = time.sleep) -> Finding:
    """Whether the machine wakes a process when it asked to be woken: media runs in ticks of 20 ms."""
    resolution = time.get_clock_info("monotonic").resolution
    lateness = []
    for _ in range(20):
        due = time.perf_counter() + 0.005
        sleep(0.005)
        lateness.append(1000 * (time.perf_counter() - due))
    worst, usual = max(lateness), sorted(lateness)[len(lateness) // 2]
    detail = f"resolution {resolution * 1e9:.0f} ns; woken {usual:.2f} ms late, at worst {worst:.1f}"
    if resolution > 1e-3 or usual > TICK_MS:
        return Finding("clock", "block", detail, "run on another machine: 20 ms ticks cannot be kept here")
    if usual > TICK_MS / 4 or worst > TICK_MS / 2:
        return Finding("clock", "warn", detail, "the machine is busy: give the server a core of its own")
    return Finding("clock", "ok", detail)
