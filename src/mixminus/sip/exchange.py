"""One request of ours and its final response, however many attempts that takes: challenges are answered here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from mixminus.ids import Mint
from mixminus.sip.auth import DigestCredentials, authorization, choose_challenge
from mixminus.sip.layer import TransactionLayer
from mixminus.sip.message import Request, Response
from mixminus.sip.transaction import Transaction
from mixminus.sip.transport import Flow, Hop

OnFinal: TypeAlias = Callable[["Exchange", Response, float], None]
MAX_CHALLENGES = 3
"""One per proxy on the way, one at the end, one more for a stale nonce."""


class Exchange:
    """A request that is sent, challenged, sent again with credentials.

    ``headers``: everything but Via, CSeq, Content-Length. ``on_response`` gets every response but those consumed
    here. ``next_cseq`` gives the CSeq number of each attempt.
    """

    def __init__(
        self,
        layer: TransactionLayer,
        mint: Mint,
        method: str,
        uri: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        hop: Hop,
        next_cseq: Callable[[], int],
        on_response: OnFinal,
        credentials: DigestCredentials | None = None,
    ) -> None:
        self.method = method
        self.uri = uri
        self.headers = list(headers)
        self.body = body
        self.hop = hop
        self.credentials = credentials
        self.transaction: Transaction | None = None
        self.acks: dict[str, tuple[bytes, Flow]] = {}
        """ACKs of 2xx by the To tag, to be sent again at each copy of the 2xx."""
        self.is_provisional_seen = False
        self.is_abandoned = False
        """Do not try again: the owner wants this to end."""
        self._layer = layer
        self._mint = mint
        self._next_cseq = next_cseq
        self._on_response = on_response
        self._answers: list[tuple[str, str]] = []
        self._challenged = 0
        self._nonce_uses: dict[str, int] = {}

    def send(self, now: float) -> None:
        """The first attempt, or the next one with another CSeq."""
        headers = [*self.headers, *self._answers, ("CSeq", f"{self._next_cseq()} {self.method}")]
        request = Request(self.method, self.uri, headers, self.body)
        self.is_provisional_seen = False
        self.transaction = self._layer.send(request, self.hop, self._take, now)

    @property
    def request(self) -> Request:
        """The request as last sent."""
        assert self.transaction is not None
        return self.transaction.request

    def set_header(self, name: str, value: str) -> None:
        """Replace or add a header for the next attempt."""
        self.headers = [(key, old) for key, old in self.headers if key != name] + [(name, value)]

    def _take(self, response: Response, now: float) -> None:
        if response.status < 200:
            self.is_provisional_seen = True
        if response.status in (401, 407) and not self.is_abandoned and self._answer(response):
            self.send(now)
            return
        self._on_response(self, response, now)

    def _answer(self, response: Response) -> bool:
        """Make credentials for a challenge; ``False`` if there are none that could help."""
        if self.credentials is None or self._challenged >= MAX_CHALLENGES:
            return False
        asks, answers = (
            ("www-authenticate", "Authorization")
            if response.status == 401
            else ("proxy-authenticate", "Proxy-Authorization")
        )
        challenge = choose_challenge(response.raw(asks), self.credentials)
        if challenge is None:
            return False
        again = any(name == answers for name, _ in self._answers)
        nonce = challenge.get("nonce", "")
        if again and (nonce in self._nonce_uses or challenge.get("stale", "").lower() != "true"):
            return False  # the credentials were judged and refused
        self._challenged += 1
        self._nonce_uses[nonce] = self._nonce_uses.get(nonce, 0) + 1
        value = authorization(
            challenge,
            self.credentials,
            self.method,
            self.uri,
            cnonce=self._mint.hex(16),
            count=self._nonce_uses[nonce],
        )
        self._answers = [(name, old) for name, old in self._answers if name != answers] + [(answers, value)]
        return True
