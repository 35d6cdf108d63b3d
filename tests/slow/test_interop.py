"""Each official SDK, unmodified and with its endpoint unmodified, does everything through ``mixminus exec``.

Where a language or its package cannot be had, its test is skipped with the reason.
With ``MIXMINUS_INTEROP_RESULTS`` set to a file, the results are kept there; ``docs/compatibility.md`` shows them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from interop.harness import Run
from interop.programs import PROGRAMS
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("language", [*PROGRAMS])
async def test_the_sdk_does_everything(
    language: str, server: ServerProcess, sink: CallbackSink, tmp_path: Path
) -> None:
    folder = tmp_path / language
    folder.mkdir()
    program = PROGRAMS[language](folder)
    run = Run(server, sink, tmp_path, f"interop-{language}")
    report = await run(program.words, {**os.environ, **program.environment})
    _keep(language, report.as_row())
    assert report.failed == {}, "\n".join(f"{name}: {detail}" for name, detail in report.failed.items())
    assert len(report.operations) > 40


def _keep(language: str, row: dict[str, object]) -> None:
    where = os.environ.get("MIXMINUS_INTEROP_RESULTS")
    if where is None:
        return
    path = Path(where)
    rows = json.loads(path.read_text()) if path.exists() else {}
    rows[language] = row
    path.write_text(json.dumps(dict(sorted(rows.items())), indent=2) + "\n")
