"""Time-outs and retries that a customer writes behind the ``#`` of a callback URL (API reference 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = frozenset({"4xx", "5xx", "ct", "rt"})


@dataclass(frozen=True)
class RetryPolicy:
    """Time-outs in seconds, and how many quick retries follow which kinds of failure."""

    connect_timeout: float = 2.0
    read_timeout: float = 40.0
    total_timeout: float = 55.0
    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct", "rt"})

    def covers(self, *, stage: str = "", status: int | None = None) -> bool:
        """Whether a failure is of a kind to be retried quickly: at ``stage`` (of
        :class:`~mixminus.errors.OutboundError`), or by an answer with ``status``.
        """
        if status is not None:
            return f"{status // 100}xx" in self.retry_on
        return {"connect": "ct", "read": "rt"}.get(stage, "") in self.retry_on


def parse_fragment(url: str, default: RetryPolicy = RetryPolicy()) -> tuple[str, RetryPolicy]:
    """``url`` without its fragment, and what the fragment says: ``#ct=500&rc=2#rp=4xx,5xx`` (``&`` or ``#`` between).

    What is unknown or out of range is as if it were not there. ``er`` (egress region) has no meaning here.
    """
    bare, _, fragment = url.partition("#")
    if not fragment:
        return bare, default
    given = dict(pair.partition("=")[::2] for pair in fragment.replace("#", "&").split("&"))
    return bare, RetryPolicy(
        connect_timeout=_milliseconds(given.get("ct"), 10_000, default.connect_timeout),
        read_timeout=_milliseconds(given.get("rt"), 40_000, default.read_timeout),
        total_timeout=_milliseconds(given.get("tt"), 55_000, default.total_timeout),
        retries=_within(given.get("rc"), 0, 5, default.retries),
        retry_on=_kinds(given.get("rp"), default.retry_on),
    )


def _within(text: str | None, low: int, high: int, default: int) -> int:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 6:
        return default
    return int(text) if low <= int(text) <= high else default


def _milliseconds(text: str | None, high: int, default: float) -> float:
    value = _within(text, 100, high, -1)
    return default if value < 0 else value / 1000


def _kinds(text: str | None, default: frozenset[str]) -> frozenset[str]:
    if text is None:
        return default
    names = {name.strip().lower() for name in text.split(",")}
    if "all" in names:
        return KINDS
    return frozenset(names & KINDS) or default
