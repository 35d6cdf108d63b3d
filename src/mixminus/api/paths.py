"""Which operation a raw path means (API reference, section 2.1). Pure.

Matching is done on the undecoded path and each placeholder is decoded once, so that ``%2F`` in a name is a slash of the
name. Names with a raw slash work too: ``{mpc}`` takes as many segments as the rest of the template leaves. Of several
templates that fit, the one with most fixed words wins. A trailing slash makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from mixminus.api.operations import Operation
from mixminus.calls.commands import MpcRef
from mixminus.errors import InvalidParameter, NotFound, NotImplementedHere, RequestError

ACCOUNT_PREFIX = "/v1/Account/"
MAX_NAME = 255
"""Characters of a multiparty call's friendly name."""

UNSERVED = frozenset(
    {"Account", "Call", "Conference", "JWT", "Lookup", "Media", "Message", "MultiPartyCall", "Number", "PhoneNumber"}
    | {"Pricing", "Request", "Session", "Stream", "Subaccount", "Transcription", "VerifiedCallerId", "Masking"}
)
"""First words of the vendor's paths that mixminus serves in part or not at all."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_EXPRESSIONS = {"mpc": ".+", "conference": ".+", "format": "[A-Za-z0-9]+"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def split_account(raw_path: str) -> tuple[str, str] | None:
    """``/v1/Account/{auth_id}/rest/`` → ``(auth_id, "rest")``; ``None`` for any other path."""
    if not raw_path.startswith(ACCOUNT_PREFIX):
        return None
    auth_id, _, rest = raw_path.removeprefix(ACCOUNT_PREFIX).partition("/")
    return auth_id, rest.removesuffix("/")


@dataclass(frozen=True)
class Route:
    """One template and the operations on it, by verb."""

    template: str
    operations: dict[str, Operation]

    @property
    def specificity(self) -> tuple[int, int, int]:
        segments = self.template.split("/")
        fixed = sum(1 for segment in segments if "{" not in segment)
        return fixed, len(segments), self.template.count("{")


class Routes:
    """The API's paths, most specific first."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        routes: dict[str, Route] = {}
        for operation in operations:
            route = routes.setdefault(operation.template, Route(operation.template, {}))
            assert operation.verb not in route.operations, operation.template
            route.operations[operation.verb] = operation
        ordered = sorted(routes.values(), key=lambda route: route.specificity, reverse=True)
        self._routes = [(_compile(route.template), route) for route in ordered]

    def find(self, rest: str) -> tuple[Route, dict[str, str]]:
        """The route of ``rest`` (see :func:`split_account`) and its placeholders; raises NotFound."""
        for expression, route in self._routes:
            match = expression.fullmatch(rest)
            if match is not None:
                return route, {name: decode(raw) for name, raw in match.groupdict().items()}
        if rest.partition("/")[0] in UNSERVED or not rest:
            raise NotImplementedHere("this path of the API is not implemented yet by mixminus")
        raise NotFound("no such path")


def _compile(template: str) -> re.Pattern[str]:
    expression = ""
    for index, part in enumerate(_PLACEHOLDER.split(template)):
        expression += f"(?P<{part}>{_EXPRESSIONS.get(part, '[^/]+')})" if index % 2 else re.escape(part)
    return re.compile(expression, re.DOTALL)


def decode(raw: str) -> str:
    """One percent-decoding, UTF-8."""
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError:
        raise RequestError("the path is not percent-encoded UTF-8") from None


def mpc_ref(segment: str) -> MpcRef:
    """``name_x``, ``uuid_x`` or a bare ``x``, decoded. Only the first five characters are cut: a name may itself begin
    with ``uuid_``.
    """
    value = segment[5:] if segment.startswith(("name_", "uuid_")) else segment
    if not value or len(value) > MAX_NAME or _CONTROL.search(value):
        raise InvalidParameter(
            "MultiPartyCall", f"name or uuid must be 1 to {MAX_NAME} characters without control characters"
        )
    if segment.startswith("name_"):
        return MpcRef(name=value)
    if segment.startswith("uuid_"):
        return MpcRef(uuid=value)
    return MpcRef(either=value)


def member_ids(segment: str) -> tuple[str, ...]:
    """Comma-joined member ids, repeats dropped; ``all`` in any case is the empty tuple."""
    if segment.strip().lower() == "all":
        return ()
    members = tuple(dict.fromkeys(part.strip() for part in segment.split(",")))
    if not all(re.fullmatch(r"\d{1,20}", member, re.ASCII) for member in members):
        raise NotFound(f"no participant {segment[:100]!r}: use member ids joined by commas, or all")
    return members
