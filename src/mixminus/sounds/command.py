"""Running a helper program on untrusted input: bounded in time, its complaint as a sentence. A shell."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from mixminus.errors import SoundError

_COMPLAINT = 300
"""Characters of standard error that are passed on."""


async def run(arguments: Sequence[str], *, stdin: bytes = b"", seconds: float) -> None:
    """Wait for a program to end well.

    Raises:
        SoundError: it could not be started, took longer than ``seconds``, or failed; the text is its own complaint.
    """
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
    except OSError as error:
        raise SoundError(f"{arguments[0]} cannot be started: {error.strerror}") from None
    try:
        async with asyncio.timeout(seconds):
            _, complaint = await process.communicate(stdin)
    except TimeoutError:
        raise SoundError(f"took longer than {seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = complaint.decode(errors="replace").strip().replace("\n", " ")[-_COMPLAINT:]
        raise SoundError(said or f"{arguments[0]} ended with status {process.returncode}")
