"""The command line: parse, call, print."""


def main() -> None:
    """Entry point of the ``mixminus`` command."""
    raise SystemExit("mixminus: commands are not wired yet")
