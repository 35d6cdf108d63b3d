"""``mixminus transcriber``: one recording to text, in a process of its own. Started by the server, not by people."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mixminus.recording.key_options import add_key_options, told_ring


def main(arguments: list[str] | None = None) -> int:
    """Write the transcript of a spool to ``--out``. 1 and a sentence on standard error when that was not possible."""
    parser = argparse.ArgumentParser(prog="mixminus transcriber", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--pause-as", default="cut", choices=["cut", "silence", "tone"])
    add_key_options(parser)
    options = parser.parse_args(arguments)

    import msgspec

    from mixminus.errors import MixminusError
    from mixminus.recording.finisher import be_humble
    from mixminus.recording.transcribe import load, transcript

    be_humble()
    partial = options.out.with_suffix(".partial")
    try:
        ring = told_ring(options)
        engine = load(options.engine, options.model)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(msgspec.json.encode(transcript(options.folder, engine, options.pause_as, ring)))
        partial.replace(options.out)
    except (MixminusError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
