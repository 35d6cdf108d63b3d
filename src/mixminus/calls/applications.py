"""Which application answers an inbound call. A shell over the store; the order of precedence is the whole of it.

1. The caller proved to be an endpoint: its application.
2. The called user is a number of the configuration (the application bound to it, else its own ``answer_url``), an
   endpoint, or an application's own id.
3. ``default_answer_url``, else the account's default application for numbers or endpoints.
4. Nobody: the caller gets 404.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from mixminus.calls.commands import Callback, Requester
from mixminus.settings import Settings
from mixminus.store.lists import Found, Page
from mixminus.store.rows import ApplicationRow, EndpointRow, NumberRow


class Applications(Protocol):
    """The part of the store that is asked."""

    async def application(self, app_id: str) -> ApplicationRow | None: ...
    async def applications(
        self, account: str, *, sub_account: str | None = None, app_name: str = "", page: Page = ...
    ) -> Found[ApplicationRow]: ...
    async def number(self, digits: str) -> NumberRow | None: ...
    async def endpoint_by_username(self, username: str) -> EndpointRow | None: ...


class Destination(msgspec.Struct, frozen=True):
    """Who answers, for whom."""

    by: Requester
    answer: Callback
    hangup: Callback
    fallback: Callback = Callback()


class Directory:
    def __init__(self, store: Applications, settings: Settings, account: str) -> None:
        self._store = store
        self._settings = settings
        self._account = account
        self._numbers = {number.number.lstrip("+"): number for number in settings.number}

    async def destination(self, caller: str | None, called: str) -> Destination | None:
        """``caller``: user name that was proved by digest; ``called``: user part of the request URI."""
        if caller is not None:
            found = await self._of_endpoint(caller)
            if found is not None:
                return found
        return await self._of_called(called) or await self._default()

    async def _of_called(self, called: str) -> Destination | None:
        number = self._numbers.get(called.lstrip("+"))
        if number is not None:
            bound = await self._store.number(number.number.lstrip("+"))
            application = await self._store.application(bound.app_id) if bound and bound.app_id else None
            found = _destination(application) if application else None
            if found is not None:
                return found
            hangup = Callback(number.hangup_url or number.answer_url, "POST")
            return Destination(Requester(self._account), Callback(number.answer_url, number.answer_method), hangup)
        found = await self._of_endpoint(called)
        if found is None and called.isdigit():
            application = await self._store.application(called)
            found = _destination(application) if application else None
        return found

    async def _of_endpoint(self, username: str) -> Destination | None:
        endpoint = await self._store.endpoint_by_username(username)
        if endpoint is None or not endpoint.app_id:
            return None
        application = await self._store.application(endpoint.app_id)
        return _destination(application) if application else None

    async def _default(self) -> Destination | None:
        settings = self._settings
        if settings.default_answer_url:
            answer = Callback(settings.default_answer_url, settings.default_answer_method)
            return Destination(Requester(self._account), answer, Callback(settings.default_answer_url, "POST"))
        for application in (await self._store.applications(self._account)).rows:
            if application.default_number_app or application.default_endpoint_app:
                return _destination(application)
        return None


def _verb(method: str) -> Literal["GET", "POST"]:
    return "GET" if method == "GET" else "POST"


def _destination(application: ApplicationRow) -> Destination | None:
    """None for an application without an answer_url: it cannot answer."""
    if not application.answer_url:
        return None
    return Destination(
        Requester(application.account, application.sub_account),
        Callback(application.answer_url, _verb(application.answer_method)),
        Callback(application.hangup_url or application.answer_url, _verb(application.hangup_method)),
        Callback(application.fallback_answer_url, _verb(application.fallback_method)),
    )
