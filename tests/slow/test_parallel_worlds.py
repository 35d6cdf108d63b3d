"""The plugin in several processes at once, as pytest-xdist runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(240)

SUITE = """
import os
import pytest
from mixminus.testing.sources import tone

@pytest.mark.parametrize("number", range(6))
def test_it(mixminus, number):
    agent, customer = mixminus.phone("agent"), mixminus.phone("customer")
    for role, phone in (("agent", agent), ("customer", customer)):
        mixminus.client.multi_party_calls.add_participant(
            friendly_name="room", role=role, from_="14155550100", to_=phone.address)
    customer.says(tone(300 + number), seconds=2)
    mixminus.advance(3)
    assert agent.heard(customer)
    with open(f"{os.environ['PYTEST_XDIST_WORKER']}.{number}", "w") as file:
        file.write(mixminus.client.multi_party_calls.get(friendly_name="room").mpc_uuid)
"""


def test_worlds_in_two_processes_do_not_disturb_each_other(tmp_path: Path) -> None:
    (tmp_path / "test_calls.py").write_text(SUITE)
    words = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-c", "/dev/null"]
    words += ["--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
    written = sorted(tmp_path.glob("gw*"))
    assert {path.name.partition(".")[0] for path in written} == {"gw0", "gw1"}
    assert len({path.read_text() for path in written}) == 1, "the same seed gives the same ids in every process"
