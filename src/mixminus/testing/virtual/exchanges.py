"""What goes to the application and comes back, one request at a time, with the clock stopped meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote_plus, urlsplit

from mixminus.errors import OutboundError
from mixminus.outbound.client import OutboundClient
from mixminus.outbound.request import OutboundRequest, OutboundResponse
from mixminus.testing.virtual.frozen import Answer, Frozen, again, answer_of
from mixminus.testing.virtual.loop import VirtualLoop

if TYPE_CHECKING:
    from mixminus.testing.virtual.server import VirtualServer


@dataclass(frozen=True)
class Exchange:
    """One request to the application, and what it answered: status 0 and a sentence if nothing came."""

    at: datetime
    method: str
    url: str
    body: str
    status: int
    answer: str
    event_id: str

    @cached_property
    def fields(self) -> dict[str, str]:
        """Query and form parameters."""
        query = urlsplit(self.url).query
        return dict(parse_qsl(query, keep_blank_values=True)) | dict(parse_qsl(self.body, keep_blank_values=True))

    @cached_property
    def event(self) -> str:
        """``EventName``, or ``Event``, or the call's status: what it is about."""
        fields = self.fields
        return next((fields[key] for key in ("EventName", "Event", "CallStatus") if fields.get(key)), "")


def without_bases(exchange: Exchange, bases: dict[str, str]) -> Exchange:
    """With addresses of this run replaced: ``bases`` says by what."""

    def told(text: str) -> str:
        for base, name in bases.items():
            text = text.replace(base, name).replace(quote_plus(base), quote_plus(name))
        return text

    return replace(exchange, url=told(exchange.url), body=told(exchange.body), answer=told(exchange.answer))


class GatedClient(OutboundClient):
    """One request to the application at a time, in order; the clock stands still until it is answered."""

    def __init__(self, loop: VirtualLoop, server: VirtualServer, *, allow_private: bool) -> None:
        super().__init__(allow_private=allow_private)
        self._loop, self._server = loop, server
        self._turn = asyncio.Lock()
        self.down: dict[str, str] = {}
        """Begins of URLs that cannot be reached, and why."""
        self.late: dict[str, float] = {}
        """Begins of URLs whose answers take so long, virtual seconds."""

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        at, status, answer = self._loop.clock.wall, 0, ""
        try:
            response = await self._fetch(request)
            await self._wait(request)
            status, answer = response.status, response.body.decode("utf-8", "replace")
            return response
        except OutboundError as error:
            answer = str(error)
            raise
        finally:
            body = (request.body or b"").decode("utf-8", "replace")
            event_id = request.headers.get("X-Mixminus-Event-Id", "")
            exchange = Exchange(at, request.method, request.url, body, status, answer, event_id)
            self._server.exchanges.append(exchange)

    async def _fetch(self, request: OutboundRequest) -> OutboundResponse:
        with self._loop.outside():
            if self._loop.working:  # the application waits for the answer of a request that waits for this one
                return await self._take_down(request)
            async with self._turn:
                return await self._take_down(request)

    async def _take_down(self, request: OutboundRequest) -> OutboundResponse:
        place = len(self._server.answers)
        self._server.answers.append(Answer())
        try:
            reason = next((why for begin, why in self.down.items() if why and request.url.startswith(begin)), "")
            if reason:
                raise OutboundError("connect", f"{request.url}: {reason}")
            response = await self._ask(request, place)
            self._server.answers[place] = answer_of(response)
            return response
        except OutboundError as error:
            self._server.answers[place] = answer_of(error)
            raise
        finally:
            # Whatever else belongs to this instant comes first, however quick the application was.
            await self._loop.at_rest(but_asked=True)

    async def _wait(self, request: OutboundRequest) -> None:
        """For an answer that is late. Raises OutboundError if it is too late."""
        seconds = next((late for begin, late in self.late.items() if request.url.startswith(begin)), 0.0)
        patience = min(request.read_timeout, request.total_timeout)
        if seconds:
            await asyncio.sleep(min(seconds, patience))
        if seconds > patience:
            raise OutboundError("read", f"{request.url}: no answer in time")

    async def _ask(self, request: OutboundRequest, place: int) -> OutboundResponse:
        return await super().fetch(request)


class ReplayClient(GatedClient):
    """Answers as the application did then; asks of the API what it asked then."""

    def __init__(self, loop: VirtualLoop, server: VirtualServer, frozen: Frozen) -> None:
        super().__init__(loop, server, allow_private=False)
        self._frozen = frozen

    async def _ask(self, request: OutboundRequest, place: int) -> OutboundResponse:
        if request.sign is not None:
            request.sign(request.url)  # its nonce comes out of the mint, as it did then
        for entry in self._frozen.journal:
            if entry.within == place:
                await self._server.ask_again(entry)
        if place >= len(self._frozen.answers):
            raise OutboundError("connect", f"{request.url}: was not asked for then")
        return again(self._frozen.answers[place], request)
