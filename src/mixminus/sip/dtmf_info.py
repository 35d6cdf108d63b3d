"""Keys in the body of INFO: ``application/dtmf-relay`` (Signal=, Duration=), ``application/dtmf`` (the key alone)."""

from __future__ import annotations

_KEYS = frozenset("0123456789*#ABCD")
_NUMBERED = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""Some phones send event numbers of RFC 4733."""


def read_key(content_type: str, body: bytes) -> tuple[str, int] | None:
    """Key and duration in milliseconds (0: not said), or ``None`` if there is no key."""
    text = body.decode("ascii", "replace")
    if content_type == "application/dtmf":
        return _key(text, "")
    fields = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        fields[name.strip().lower()] = value
    return _key(fields.get("signal", ""), fields.get("duration", ""))


def _key(signal: str, duration: str) -> tuple[str, int] | None:
    signal = signal.strip().upper()
    signal = _NUMBERED.get(signal, signal)
    if signal not in _KEYS:
        return None
    duration = duration.strip()
    milliseconds = int(duration) if duration.isascii() and duration.isdigit() and len(duration) < 6 else 0
    return signal, milliseconds
