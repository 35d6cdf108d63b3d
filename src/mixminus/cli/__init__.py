"""The command line: parse, call, print. Commands hold no logic and import what they need when they run."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the ``mixminus`` command."""
    words = sys.argv[1:]
    # The server's own helper processes: not for people, so not in --help, and started without the weight of it.
    if words[:1] == ["media"]:
        from mixminus.cli import media

        media.main(words[1:])
        return
    if words[:1] == ["finisher"]:
        from mixminus.cli import finisher

        sys.exit(finisher.main(words[1:]))

    if words[:1] == ["transcriber"]:
        from mixminus.cli import transcribe

        sys.exit(transcribe.main(words[1:]))

    from mixminus.cli.app import run

    sys.exit(run(words))
