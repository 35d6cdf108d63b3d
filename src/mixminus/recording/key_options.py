"""How processes of ours are told where the customer's keys are: by name of file, as anybody may see in ``ps``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mixminus.recording.encryption import KeyRing, read_key


def add_key_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seal-key-file", type=Path, help="The customer's key: seals and opens.")
    parser.add_argument("--key-file", type=Path, action="append", default=[], help="Opens what is older; repeated.")


def told_ring(options: argparse.Namespace) -> KeyRing:
    """The keys that :func:`add_key_options` were told of. Raises ConfigurationError for a file that is none."""
    sealing = None if options.seal_key_file is None else read_key(options.seal_key_file)
    return KeyRing(sealing, [read_key(path) for path in options.key_file])
