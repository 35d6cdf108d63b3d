"""Who may come in: digest challenges for INVITE and REGISTER (RFC 3261 section 22), and the registrar behind them."""

from __future__ import annotations

from mixminus.sip.check import Refusal
from mixminus.sip.core import Core
from mixminus.sip.events import Registered, Unregistered
from mixminus.sip.message import Request
from mixminus.sip.registrar import Binding, Change, Registrar
from mixminus.sip.timers import Alarm
from mixminus.sip.transaction import Transaction
from mixminus.sip.transport import Flow


class Gate:
    """Screens requests and keeps the bindings. Events: Registered, Unregistered."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._registrar = Registrar()
        self._alarm: Alarm | None = None

    def screen(self, request: Request, now: float) -> Refusal | str:
        """A challenge or refusal, or the user name that the request proved (empty: it need not)."""
        if request.method == "REGISTER":
            return self._prove(request, now, "authorization", 401, "WWW-Authenticate", request.to.uri.user)
        if request.method == "INVITE" and not request.to.tag and self._must_prove(request):
            claimed = request.from_.uri.user
            return self._prove(request, now, "proxy-authorization", 407, "Proxy-Authenticate", claimed)
        return ""

    def _must_prove(self, request: Request) -> bool:
        if self._core.config.authenticate is not None:
            return self._core.config.authenticate(request)
        users = {request.from_.uri.user, request.contacts[0].uri.user if request.contacts else ""}
        return any(user and self._core.config.credentials(user) is not None for user in users)

    def _prove(
        self, request: Request, now: float, header: str, status: int, challenge: str, claimed: str
    ) -> Refusal | str:
        verdict = self._core.digest.judge(
            request.raw(header), request.method, request.uri, self._password_of, now, body=request.body
        )
        if verdict.outcome == "accepted":
            if request.method == "REGISTER" and verdict.username != claimed:
                return Refusal(403, "Not your address of record")
            return verdict.username
        values = self._core.digest.challenges(now, stale=verdict.outcome == "stale")
        return Refusal(status, "", tuple((challenge, value) for value in values))

    def _password_of(self, username: str) -> str | None:
        account = self._core.config.credentials(username)
        return None if account is None else account.password

    # Registrar

    def on_register(self, transaction: Transaction, flow: Flow, username: str, now: float) -> None:
        result = self._registrar.register(transaction.request, username, flow, now)
        if isinstance(result, Refusal):
            self._core.respond(transaction, result.status, now, reason=result.reason, headers=result.headers)
            return
        self._core.respond(transaction, 200, now, headers=self._registrar.answer_headers(username, now))
        self._tell(result)
        self._arm(min((now + change.expires for change in result if change.expires), default=None))

    def contacts(self, username: str, now: float) -> list[Binding]:
        return self._registrar.contacts(username, now)

    def on_closed(self, connection: int) -> None:
        """A stream closed: bindings that lived on it are gone."""
        self._tell(self._registrar.drop_connection(connection))

    def _tell(self, changes: list[Change]) -> None:
        for change in changes:
            if change.expires:
                self._core.emit(Registered(*change))
            else:
                self._core.emit(Unregistered(change.username, change.contact))

    def _arm(self, due: float | None) -> None:
        if due is None or (self._alarm is not None and self._alarm.due <= due):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._core.alarm(due, self._expire)

    def _expire(self, now: float) -> None:
        self._tell(self._registrar.expire(now))
        self._alarm = None
        self._arm(self._registrar.next_expiry())
