"""``mixminus media worker``: the entry of a media worker process. Started by the control process, not by people.

Kept free of the option parser and the server: a replacement for a worker that died must tick within a fraction of a
second.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mixminus.media.taping.spooled import OpenSpool
from mixminus.media.worker import Worker, prepare_process, run
from mixminus.recording.spool import Spool, sync_together


def main(arguments: Sequence[str]) -> None:
    """``arguments``: what follows ``mixminus media``. Returns when control has gone and spools are synced."""
    options = _parse(arguments)
    control = socket.socket(fileno=options.control_fd)
    sockets = [socket.socket(fileno=int(fd)) for fd in options.rtp_fds.split(",")]
    worker = Worker(
        sockets, control, open_spool=_spools(options.seal_key_file), sync_together=sync_together, seed=options.seed
    )
    prepare_process(worker, options.parent)
    run(worker)


def _spools(key_file: Path | None) -> OpenSpool:
    if key_file is None:
        return Spool.open
    from mixminus.recording.encryption import read_key  # late: only who seals waits for it
    from mixminus.recording.sealing import new_cipher

    return partial(Spool.open, seal=partial(new_cipher, read_key(key_file)))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mixminus media", description=__doc__)
    worker = parser.add_subparsers(required=True).add_parser("worker")
    worker.add_argument("--index", type=int, required=True, help="number of this worker, to tell them apart in ps")
    worker.add_argument("--parent", type=int, required=True, help="process id of the control process")
    worker.add_argument("--control-fd", type=int, required=True, help="inherited stream socket to the control process")
    worker.add_argument("--rtp-fds", required=True, help="inherited UDP sockets, comma-separated")
    worker.add_argument("--seal-key-file", type=Path, help="the customer's key: spools are sealed with it")
    worker.add_argument("--seed", type=int, help="makes SSRCs and sequence numbers repeat, for tests")
    return parser.parse_args(arguments)
