"""``mixminus replay``: a frozen test run again."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


def replay(file: Path, picture: Path | None) -> int:
    """Run it again and print its timeline; returns 0, 1 if it went otherwise, 2 if the file cannot be used."""
    from mixminus.testing.virtual import replay as runs

    try:
        run = runs.thaw(file.read_bytes())
    except (OSError, ValueError) as error:
        sys.stderr.write(f"mixminus: {file}: {error}\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="mixminus-replay-") as folder:
        try:
            world = runs.replay(run, Path(folder))
        except runs.Differs as error:
            sys.stderr.write(f"mixminus: {file}: went otherwise this time: {error}\n")
            return 1
        try:
            timeline = world.timeline()
        finally:
            world.stop()
    sys.stdout.write(timeline.text() + "\nthe same as then, to the byte\n")
    if picture is not None:
        picture.write_bytes(timeline.png() if picture.suffix.lower() == ".png" else timeline.svg().encode())
    return 0
