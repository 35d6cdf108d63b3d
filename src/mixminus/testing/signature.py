"""Judging a callback's signature as a customer would: with the vendor's own validator, if it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Judgement: TypeAlias = Literal["valid", "invalid", "missing", "unchecked"]
"""``unchecked``: no token to check with, or the ``plivo`` package is not there."""


@dataclass(frozen=True)
class Verdict:
    """What the ``plivo`` package's validators say about the two signatures of a request."""

    v2: Judgement
    v3: Judgement

    @property
    def valid(self) -> bool:
        """Both signatures are there and right."""
        return self.v2 == self.v3 == "valid"

    def __str__(self) -> str:
        return self.v3 if self.v2 == self.v3 else f"V2 {self.v2}, V3 {self.v3}"


def judge(method: str, url: str, form: Mapping[str, str], headers: Mapping[str, str], auth_token: str) -> Verdict:
    """Check ``X-Plivo-Signature-V2`` and ``-V3`` of a request; ``url`` exactly as requested, query included."""
    try:
        from plivo.utils import validate_signature, validate_v3_signature
    except ImportError:
        return Verdict("unchecked", "unchecked")
    if not auth_token:
        return Verdict("unchecked", "unchecked")
    v2, v2_nonce = headers.get("X-Plivo-Signature-V2"), headers.get("X-Plivo-Signature-V2-Nonce")
    v3, v3_nonce = headers.get("X-Plivo-Signature-V3"), headers.get("X-Plivo-Signature-V3-Nonce")
    return Verdict(
        "missing" if not v2 or not v2_nonce else _word(validate_signature(url, v2_nonce, v2, auth_token)),
        "missing"
        if not v3 or not v3_nonce
        else _word(validate_v3_signature(method, url, v3_nonce, auth_token, v3, dict(form))),
    )


def _word(right: object) -> Judgement:
    return "valid" if right else "invalid"
