"""``python -m mixminus.sounds.decoder SOURCE TARGET RATES SECONDS``: the process that reads customers' audio files.

Apart from the server, with little memory and time, because the files come from anywhere.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

CPU_SECONDS = 60
MEMORY = 2 << 30
"""Bytes of address space."""


def main(arguments: list[str]) -> int:
    """Decode one file. Status 0, or 1 with a sentence on standard error."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    from mixminus.errors import SoundError
    from mixminus.sounds.decode import write_wavs  # late: under the limits already

    source, target, rates, seconds = arguments
    numbers = [int(rate) for rate in rates.split(",")]
    try:
        write_wavs(Path(source), Path(target), rates=numbers, longest_seconds=float(seconds))
    except SoundError as error:
        sys.stderr.write(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
