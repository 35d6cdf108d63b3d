"""``python -m bench [NAME [OPTION...]]``: one benchmark, or all of them with their defaults."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = (
    "media",
    "scaling",
    "engine",
    "levels",
    "codecs",
    "soak",
    "quality",
    "quality_wide",
    "recording",
    "parallel",
    "webhooks",
    "virtual",
    "sip",
    "api",
)


def main() -> None:
    name, options = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if name and name not in BENCHMARKS:
        raise SystemExit(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    for each in [name] if name else BENCHMARKS:
        importlib.import_module(f"bench.{each}").main(options)


if __name__ == "__main__":
    main()
