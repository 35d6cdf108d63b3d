"""Digest authentication, both ends (RFC 2617, 7616, 8760; RFC 3261 section 22). Pure: time and secrets come in."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from mixminus.errors import ProtocolError
from mixminus.sip import grammar

NONCE_LIFETIME = 300.0
"""Seconds; an older nonce is answered with ``stale=true``."""
_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}
_QUOTED = frozenset({"username", "realm", "nonce", "uri", "response", "cnonce", "opaque"})


class Account(NamedTuple):
    """An endpoint that may register and call: what the credentials look-up returns."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class DigestCredentials:
    """What to answer challenges with. ``realm`` empty: any realm."""

    username: str
    password: str = field(repr=False)
    realm: str = ""


def parse_digest(value: str) -> dict[str, str]:
    """``Digest a="b", c=d`` → parameters with names in lower case. Linear in its length."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        raise ProtocolError(f"authentication scheme {scheme[:20]!r} is not Digest")
    return {name: text or "" for name, text in grammar.parse_parameters(rest, ",").items()}


def digest_response(parameters: dict[str, str], username: str, password: str, method: str, *, body: bytes = b"") -> str:
    """The ``response`` that fits realm, nonce, uri, algorithm, qop, nc and cnonce in ``parameters``."""
    algorithm = (parameters.get("algorithm") or "MD5").upper()
    session = algorithm.endswith("-SESS")
    function = _HASHES.get(algorithm.removesuffix("-SESS"))
    if function is None:
        raise ProtocolError(f"digest algorithm {algorithm[:20]!r} is not known")

    def digest(*parts: str) -> str:
        return function(":".join(parts).encode("utf-8", "surrogateescape"))

    nonce, cnonce, qop = parameters.get("nonce", ""), parameters.get("cnonce", ""), parameters.get("qop", "").lower()
    a1 = digest(username, parameters.get("realm", ""), password)
    if session:
        a1 = digest(a1, nonce, cnonce)
    a2_parts = [method, parameters.get("uri", "")]
    if qop == "auth-int":
        a2_parts.append(function(body))
    a2 = digest(*a2_parts)
    if qop:
        return digest(a1, nonce, parameters.get("nc", ""), cnonce, qop, a2)
    return digest(a1, nonce, a2)


def choose_challenge(challenges: Sequence[str], credentials: DigestCredentials) -> dict[str, str] | None:
    """The first challenge (the server's preference, RFC 8760 section 2.4) that can be answered; else ``None``."""
    for text in challenges:
        try:
            parameters = parse_digest(text)
        except ProtocolError:
            continue
        algorithm = (parameters.get("algorithm") or "MD5").upper().removesuffix("-SESS")
        offered = {part.strip().lower() for part in parameters.get("qop", "auth").split(",")}
        realm_fits = not credentials.realm or credentials.realm == parameters.get("realm")
        if algorithm in _HASHES and realm_fits and "auth" in offered:
            return parameters
    return None


def authorization(
    challenge: dict[str, str], credentials: DigestCredentials, method: str, uri: str, *, cnonce: str, count: int
) -> str:
    """Value of an Authorization or Proxy-Authorization header; ``count`` is nc, from 1 per nonce."""
    answer = {
        "username": credentials.username,
        "realm": challenge.get("realm", ""),
        "nonce": challenge.get("nonce", ""),
        "uri": uri,
    }
    if "algorithm" in challenge:
        answer["algorithm"] = challenge["algorithm"]
    if "opaque" in challenge:
        answer["opaque"] = challenge["opaque"]
    if "qop" in challenge or answer.get("algorithm", "").upper().endswith("-SESS"):
        answer |= {"cnonce": cnonce, "nc": f"{count:08x}"}
    if "qop" in challenge:
        answer["qop"] = "auth"
    answer["response"] = digest_response(answer, credentials.username, credentials.password, method)
    return "Digest " + ", ".join(
        f"{name}={grammar.quote(value) if name in _QUOTED else value}" for name, value in answer.items()
    )


class Verdict(NamedTuple):
    """What a server makes of the credentials in a request."""

    outcome: Literal["accepted", "missing", "stale", "refused"]
    username: str = ""


class DigestServer:
    """Makes challenges and judges answers. Nonces carry their own time and seal, so an unanswered one costs nothing.

    The highest ``nc`` of each nonce in use is remembered, so that a captured answer cannot be played again.
    """

    MAX_NONCES = 10_000

    def __init__(self, realm: str, secret: str, algorithms: Sequence[str] = ("MD5",)) -> None:
        self._realm = realm
        self._secret = secret.encode()
        self._algorithms = tuple(algorithms)
        self._counts: OrderedDict[str, int] = OrderedDict()

    def challenges(self, now: float, *, stale: bool = False) -> list[str]:
        """One header value per algorithm, in order of preference."""
        nonce = self._nonce(now)
        suffix = ", stale=true" if stale else ""
        return [
            f'Digest realm={grammar.quote(self._realm)}, nonce="{nonce}", qop="auth", algorithm={algorithm}{suffix}'
            for algorithm in self._algorithms
        ]

    def judge(
        self,
        values: Sequence[str],
        method: str,
        uri: str,
        password_of: Callable[[str], str | None],
        now: float,
        *,
        body: bytes = b"",
    ) -> Verdict:
        """The verdict on Authorization header ``values``. ``uri`` is the Request-URI the answer must be for."""
        for value in values:
            try:
                parameters = parse_digest(value)
            except ProtocolError:
                continue
            if parameters.get("realm") == self._realm:
                return self._judge_one(parameters, method, uri, password_of, now, body)
        return Verdict("missing")

    def _judge_one(
        self,
        parameters: dict[str, str],
        method: str,
        uri: str,
        password_of: Callable[[str], str | None],
        now: float,
        body: bytes,
    ) -> Verdict:
        username = parameters.get("username", "")
        refused = Verdict("refused", username)
        if (parameters.get("algorithm") or "MD5").upper() not in self._algorithms or parameters.get("uri") != uri:
            return refused
        if not self._is_fresh(parameters.get("nonce", ""), now):
            return Verdict("stale", username)
        password = password_of(username)
        # An unknown user costs the same work as a wrong password.
        expected = digest_response(parameters, username, password or "", method, body=body)
        given = parameters.get("response", "").lower().encode("utf-8", "replace")
        if password is None or not hmac.compare_digest(expected.encode(), given):
            return refused
        if not self._count(parameters):
            return Verdict("stale", username)
        return Verdict("accepted", username)

    def _nonce(self, now: float) -> str:
        moment = f"{int(now * 1000):x}"
        return f"{moment}.{self._seal(moment)}"

    def _seal(self, moment: str) -> str:
        return hmac.new(self._secret, moment.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:32]

    def _is_fresh(self, nonce: str, now: float) -> bool:
        moment, _, seal = nonce.partition(".")
        if len(moment) > 16 or not hmac.compare_digest(self._seal(moment).encode(), seal.encode("utf-8", "replace")):
            return False
        return now - int(moment, 16) / 1000 <= NONCE_LIFETIME

    def _count(self, parameters: dict[str, str]) -> bool:
        """Whether nc rose. Without qop (RFC 2069) there is none to compare."""
        if "qop" not in parameters:
            return True
        key = f"{parameters['nonce']}/{parameters.get('cnonce', '')}"
        try:
            count = int(parameters.get("nc", ""), 16)
        except ValueError:
            return False
        if count <= self._counts.get(key, 0):
            return False
        self._counts[key] = count
        self._counts.move_to_end(key)
        if len(self._counts) > self.MAX_NONCES:
            self._counts.popitem(last=False)
        return True
