"""What the views show, without a server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mixminus.cli.view import age
from mixminus.cli.webhooks import verify_signature
from mixminus.outbound.signature import Tokens, signature_headers


def test_a_signature_that_fits_and_one_that_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    # The reference's own values (4.9.5) are in tests/outbound; here it is the showing that is tested.
    url, form = "https://app.example.com:8443/status?b=2&a=1", {"Event": "x y", "Name": "é"}
    made = signature_headers("POST", url, form, Tokens("secret", "secret"), "42")["X-Plivo-Signature-V3"]
    assert verify_signature("POST", url, ["Event=x+y&Name=%C3%A9"], "42", made.split(",")[0], "secret") == 0
    shown = capsys.readouterr().out
    assert "The signature fits." in shown
    assert "https://app.example.com:8443/status?a=1&b=2.Eventx yNameé.42" in shown
    assert verify_signature("POST", url, ["Event=x+y"], "42", made, "other") == 1
    assert "does not fit" in capsys.readouterr().out


def test_ages_are_told_in_two_units() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert age("2026-01-02 03:04:05+00:00", now) == "0 s"
    assert age("2026-01-02 00:01:00+00:00", now) == "3 h 3 min"
    assert age("2025-12-31 03:04:00+00:00", now) == "2 d 5 s"
    assert age(None) == ""
