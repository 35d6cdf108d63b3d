"""The vendor's Node package accepts what we sign. Needs ``npm`` and a registry."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from mixminus.outbound.signature import Tokens, signature_headers
from mixminus.outbound.url import request_url, with_query

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
    pytest.mark.timeout(300),
]

TOKEN, NONCE = "token", "31627761595286130198"
FORM = {"EventName": "MPCStart", "MPCName": "conf é 1", "MemberID": "", "To": "sip:a@b;x=1&y"}
URLS = [
    "https://example.com",
    "https://example.com/hook",
    "http://127.0.0.1:8443/hook/?b=2&a=1",
    "http://127.0.0.1:8443/hook?q=two%20words&p=a+b&e=",
    "https://example.com/%C3%A9?q=%C3%A9",
]
SCRIPT = """
const plivo = require('plivo');
const cases = JSON.parse(require('fs').readFileSync(0));
console.log(JSON.stringify(cases.map(c => [
  plivo.validateSignature(c.url, c.nonce, c.headers['X-Plivo-Signature-V2'], c.token),
  plivo.validateV3Signature(c.method, c.url, c.nonce, c.token, c.headers['X-Plivo-Signature-V3'], c.form),
  plivo.validateV3Signature(c.method, c.url, c.nonce, c.token + 'x', c.headers['X-Plivo-Signature-V3'], c.form),
])));
"""


def _case(method: str, configured: str) -> dict[str, object]:
    url = request_url(with_query(configured, FORM) if method == "GET" else configured)
    form = {} if method == "GET" else FORM
    headers = signature_headers(method, url, form, Tokens(TOKEN, TOKEN), NONCE)
    return {"method": method, "url": url, "form": form, "headers": headers, "token": TOKEN, "nonce": NONCE}


def test_the_node_package_accepts_every_form(tmp_path: Path) -> None:
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "plivo"], cwd=tmp_path, check=True, capture_output=True
    )
    cases = [_case(method, url) for method in ("GET", "POST") for url in URLS]
    assert dict(parse_qsl(str(cases[0]["url"]).partition("?")[2], keep_blank_values=True)) == FORM
    done = subprocess.run(
        ["node", "-e", SCRIPT], cwd=tmp_path, check=True, capture_output=True, text=True, input=json.dumps(cases)
    )
    verdicts = json.loads(done.stdout.splitlines()[-1])
    assert verdicts == [[True, True, False]] * len(cases)
