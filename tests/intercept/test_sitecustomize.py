"""The Python SDK's prepared requests, in a Python that was started as ``mixminus exec`` starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mixminus.intercept.trust import PYTHON_FOLDER

_PROGRAM = """
import requests
seen = {}
class Adapter(requests.adapters.HTTPAdapter):
    def send(self, request, **kwargs):
        seen[request.url.split("/")[2]] = (kwargs.get("proxies") or {}).get("https"), kwargs.get("verify")
        raise requests.ConnectionError
session = requests.Session()
session.mount("https://", Adapter())
for host in ("api.plivo.com", "example.com"):
    try:
        session.send(requests.Request("GET", f"https://{host}/").prepare(), proxies=None, timeout=5)
    except requests.ConnectionError:
        pass
print(seen["api.plivo.com"], seen["example.com"])
import marker
"""


def test_prepared_requests_for_the_vendor_heed_the_environment(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys, types; sys.modules['marker'] = types.ModuleType('marker')")
    (tmp_path / "ca.pem").write_text("")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith(("proxy", "bundle"))},
        "PYTHONPATH": f"{PYTHON_FOLDER}{os.pathsep}{tmp_path}",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem"),
    }
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"('http://127.0.0.1:9', '{tmp_path / 'ca.pem'}') (None, True)\n"
