"""``mixminus finisher --fd N``: the process that turns spools into files. Started by the server, not by people."""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket

from mixminus.recording.key_options import add_key_options, told_ring


def main(arguments: list[str] | None = None) -> int:
    """Serve the control process on the inherited socket ``--fd``; end when it closes."""
    parser = argparse.ArgumentParser(prog="mixminus finisher", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="Inherited local stream socket.")
    add_key_options(parser)
    options = parser.parse_args(arguments)

    from mixminus.recording.finisher import be_humble, serve  # late: --help needs no numpy

    for name in (signal.SIGINT, signal.SIGTERM):  # they reach the whole group or service; the control process decides
        signal.signal(name, signal.SIG_IGN)
    be_humble()
    with socket.socket(fileno=options.fd) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        serve(connection, told_ring(options))
    return 0
