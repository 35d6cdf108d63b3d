"""From an HTTP request to its answer: path, credentials, rate, verb, parameters, handler; and the one error map.

Every answer is JSON with its media type, 204 included (the Ruby SDK needs it), and every error carries ``api_id`` and
an ``error`` text. 5xx is kept for defects of ours: the official SDKs repeat a request three times on one, and Go's
then reports success. What the environment refuses (disk full, media worker away) is therefore 409.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.auth import authenticate
from mixminus.api.body import MAX_BODY, Pairs, fold, read_body, read_query
from mixminus.api.files import RangeNotSatisfiable
from mixminus.api.limit import TooManyRequests
from mixminus.api.operations import Answer, ApiRequest, FileAnswer, Operation
from mixminus.api.paths import Route, Routes, split_account
from mixminus.api.ports import Ports
from mixminus.api.reading import Reader, read_callback
from mixminus.calls.commands import Callback, Requester
from mixminus.errors import (
    MediaError,
    MethodNotAllowed,
    MixminusError,
    NotFound,
    OutboundError,
    RequestError,
    StorageError,
    Unauthorized,
)

log = structlog.get_logger(__name__)

JSON = "application/json"
_RECORDING_FILE = re.compile(r"Recording/[^/]+\.(mp3|wav|flac|ogg|opus|json|vtt)")


class WrongVerb(MethodNotAllowed):
    """``allow`` lists the verbs of the path."""

    def __init__(self, allow: str) -> None:
        super().__init__(f"this path takes {allow}")
        self.allow = allow


class Dispatcher:
    """The ASGI application of everything under ``/v1/``; any other path gets the JSON 404."""

    def __init__(self, ports: Ports, operations: tuple[Operation, ...]) -> None:
        self._ports = ports
        self._routes = Routes(operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
            return
        request = Request(scope, receive)
        api_id = self._ports.mint.uuid()
        try:
            response = await self._respond(request, api_id)
        except ClientDisconnect:
            return
        except Exception:  # the outermost: whatever it is, the client gets JSON and the log the trace
            log.exception("request failed", api_id=api_id, method=request.method)
            response = as_response(500, render.Error(api_id=api_id, error="internal error; its api_id is in the log"))
        await response(scope, receive, send)

    async def _respond(self, http: Request, api_id: str) -> Response:
        try:
            operation, request = await self._admit(http, api_id)
            callback = _async_callback(operation, request)
            real = await self._perform(operation, request)
            if callback is None:
                return real
            body = msgspec.json.decode(bytes(real.body)) if real.body else {"api_id": api_id}
            await self._ports.deliver_async(callback.url, callback.method, body, request.requester)
        except MixminusError as error:
            return error_response(error, api_id)
        status = 202 if operation.verb == "POST" else 200
        return as_response(status, render.Message(api_id=api_id, message="async api spawned"))

    async def _perform(self, operation: Operation, request: ApiRequest) -> Response:
        try:
            answer = await operation.handler(self._ports, request)
        except MixminusError as error:
            return error_response(error, request.api_id)
        if isinstance(answer, FileAnswer):
            return _file_response(answer)
        return _answer_response(answer, request.api_id)

    async def _admit(self, http: Request, api_id: str) -> tuple[Operation, ApiRequest]:
        """Everything before the handler; raises the RequestError of whatever is wrong first."""
        raw_path = _raw_path(http.scope)
        split = split_account(raw_path)
        if split is None:
            raise NotFound("no such path; the API is under /v1/Account/{auth_id}/")
        auth_id, rest = split
        now = self._ports.clock.now()
        query = read_query(http.scope.get("query_string", b""))
        requester = await self._who(http, auth_id, rest, query, now.wall)
        limited = requester.account if "authorization" in http.headers else f"{requester.account} without credentials"
        self._ports.rate_limit.admit(limited, now.monotonic_ns)
        route, segments = self._routes.find(rest)
        operation = _choose(route, http.method)
        request = ApiRequest(
            api_id=api_id,
            auth_id=auth_id,
            requester=requester,
            path=raw_path.removesuffix("/") + "/",
            segments=segments,
            fields=await _read_fields(http, query),
            query=query,
            headers=http.headers,
            now=now.wall,
            is_head=http.method == "HEAD",
        )
        return operation, request

    async def _who(self, http: Request, auth_id: str, rest: str, query: Pairs, now: datetime) -> Requester:
        """By credentials; a recording's file is also opened by a URL that is as good."""
        find, header = self._ports.store.account, http.headers.get("authorization", "")
        is_file = _RECORDING_FILE.fullmatch(rest) is not None and http.method in {"GET", "HEAD"}
        if is_file and not header and self._ports.recording_urls.opens(_raw_path(http.scope), dict(query), now):
            account = await find(auth_id)
            if account is not None and account.enabled:
                return Requester(account.parent or account.id, account.id if account.parent else "")
        return await authenticate(header, auth_id, find, is_file=is_file)


def _raw_path(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    try:
        return raw.partition(b"?")[0].decode()
    except UnicodeDecodeError:
        raise RequestError("the path is not percent-encoded UTF-8") from None


def _choose(route: Route, method: str) -> Operation:
    operation = route.operations.get("GET" if method == "HEAD" else method)
    if operation is None:
        raise WrongVerb(", ".join(sorted(route.operations)))
    return operation


async def _read_fields(http: Request, query: Pairs) -> dict[str, object]:
    """Query and body merged, the body winning. The body of a GET is not looked at."""
    fields = fold(query)
    if http.method in {"GET", "HEAD"}:
        return fields
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise RequestError(f"the body is larger than {MAX_BODY} bytes")
    return {**fields, **await read_body(http.headers.get("content-type", ""), bytes(body))}


def _async_callback(operation: Operation, request: ApiRequest) -> Callback | None:
    if not operation.asynchronous:
        return None
    reader = Reader(request.fields)
    callback = read_callback(reader, p.CALLBACK_URL, p.CALLBACK_METHOD, "POST")
    reader.check()
    return callback


def _answer_response(answer: Answer, api_id: str) -> Response:
    if answer.body is None:
        return as_response(answer.status, None)
    return as_response(answer.status, msgspec.structs.replace(answer.body, api_id=api_id))


def _file_response(answer: FileAnswer) -> Response:
    headers = dict(answer.headers)
    if answer.chunks is None:
        return Response(status_code=answer.status, headers=headers)
    return StreamingResponse(answer.chunks, status_code=answer.status, headers=headers)


def as_response(status: int, body: render.Body | None, headers: Mapping[str, str] | None = None) -> Response:
    """JSON; without a body still of that media type."""
    content = None if body is None else msgspec.json.encode(body)
    return Response(content, status_code=status, headers={"content-type": JSON, **(headers or {})})


def error_response(error: MixminusError, api_id: str) -> Response:
    """The one error map: exception → status, headers, ``{"api_id", "error"}``."""
    body = render.Error(api_id=api_id, error=str(error) or type(error).__name__)
    if isinstance(error, RequestError):
        return as_response(error.status, body, _error_headers(error))
    if isinstance(error, (StorageError, MediaError, OutboundError)):
        log.error("request refused by the environment", api_id=api_id, error=str(error), kind=type(error).__name__)
        return as_response(409, body)
    raise error


def _error_headers(error: RequestError) -> dict[str, str]:
    if isinstance(error, Unauthorized):
        return {"www-authenticate": 'Basic realm="mixminus", charset="UTF-8"'}
    if isinstance(error, TooManyRequests):
        return {"retry-after": str(error.retry_after)}
    if isinstance(error, WrongVerb):
        return {"allow": error.allow}
    if isinstance(error, RangeNotSatisfiable):
        return {"content-range": f"bytes */{error.size}"}
    return {}
