"""The shape of an API operation: where it is, what it takes, what runs; and the request and answer it sees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, TypeAlias, TypedDict, Unpack

from mixminus.api.body import Pairs
from mixminus.api.ports import Ports
from mixminus.api.reading import Parameter, Reader
from mixminus.api.render import Body
from mixminus.calls.commands import Requester

Verb: TypeAlias = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True, kw_only=True)
class ApiRequest:
    """One authenticated request on a known path."""

    api_id: str
    auth_id: str
    """As it stands in the path: the links of the answer begin with it."""
    requester: Requester
    path: str
    """Raw path with a trailing slash."""
    segments: Mapping[str, str]
    """The template's placeholders, decoded once."""
    fields: Mapping[str, Any]
    query: Pairs
    headers: Mapping[str, str]
    """Names in lower case."""
    now: datetime
    is_head: bool = False

    def reader(self) -> Reader:
        return Reader(self.fields)


@dataclass(frozen=True)
class Answer:
    """Status and JSON body, to which ``api_id`` is added on the way out; no body with 204."""

    status: int
    body: Body | None = None


@dataclass(frozen=True)
class FileAnswer:
    """Status, headers and the bytes of a file, read in a thread."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes] | None = None


Handler: TypeAlias = Callable[[Ports, ApiRequest], Awaitable[Answer | FileAnswer]]


class More(TypedDict, total=False):
    """What a row of the table may say besides the usual."""

    status: int
    parameters: tuple[Parameter[Any], ...]
    required: tuple[str, ...]
    media_type: str
    asynchronous: bool


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One row of the API's table. ``template`` is relative to ``/v1/Account/{auth_id}/``."""

    verb: Verb
    template: str
    handler: Handler
    summary: str
    answers: type[Body] | None = None
    """The body of success; ``None`` for 204 and files."""
    status: int
    """Of success."""
    parameters: tuple[Parameter[Any], ...] = ()
    required: tuple[str, ...] = ()
    """Names of parameters."""
    media_type: str = "application/json"
    asynchronous: bool = True
    """Takes ``callback_url``."""

    @classmethod
    def get(
        cls, template: str, handler: Handler, summary: str, answers: type[Body] | None = None, **more: Unpack[More]
    ) -> Self:
        return cls._row("GET", 200, template, handler, summary, answers, more)

    @classmethod
    def post(
        cls, template: str, handler: Handler, summary: str, answers: type[Body] | None = None, **more: Unpack[More]
    ) -> Self:
        return cls._row("POST", 202, template, handler, summary, answers, more)

    @classmethod
    def delete(cls, template: str, handler: Handler, summary: str, **more: Unpack[More]) -> Self:
        return cls._row("DELETE", 204, template, handler, summary, None, more)

    @classmethod
    def _row(
        cls,
        verb: Verb,
        status: int,
        template: str,
        handler: Handler,
        summary: str,
        answers: type[Body] | None,
        more: More,
    ) -> Self:
        """``status``: what success of this verb has if the row says nothing else."""
        rest: More = {"status": status, **more}
        return cls(verb=verb, template=template, handler=handler, summary=summary, answers=answers, **rest)
