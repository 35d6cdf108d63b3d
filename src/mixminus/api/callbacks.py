"""What was told to customers: every callback with its attempts, and sending one again. Not the vendor's."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mixminus.api import parameters as p
from mixminus.api import render, values
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paging import meta, read_page
from mixminus.api.ports import CallbackLog, Ports
from mixminus.api.reading import Parameter
from mixminus.api.visible import sees
from mixminus.errors import Conflict, NotFound
from mixminus.store.rows import AttemptRow, OutboxRow
from mixminus.store.transaction import Transaction

State = Literal["pending", "delivered", "gave_up"]
_STATES: dict[str, State] = {"pending": "pending", "delivered": "delivered", "gave_up": "gave_up"}
STATE = Parameter("state", values.choice(_STATES), "", {"type": "string", "enum": [*_STATES]})


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try. ``status`` is null when there was no answer; then ``error`` says why."""

    started_at: str
    duration_ms: int
    status: int | None
    error: str
    response: str


class Callback(render.Body, frozen=True, kw_only=True):
    """One callback. ``event`` is what happened in mixminus's own words; the vendor's are made of it when it is sent."""

    callback_id: str
    name: str
    url: str
    method: str
    state: State
    attempts: int
    created_at: str
    next_attempt_at: str | None
    done_at: str | None
    event: dict[str, Any]
    tries: list[Attempt]


class CallbackList(render.Body, frozen=True, kw_only=True):
    meta: render.Meta
    objects: list[Callback]


def _log(ports: Ports) -> CallbackLog:
    if ports.callbacks is None:
        raise NotFound("callbacks are not kept here")
    return ports.callbacks


async def _find(ports: Ports, request: ApiRequest) -> OutboxRow:
    row = await _log(ports).outbox_row(request.segments["callback_id"])
    if row is None or not sees(request.requester, row):
        raise NotFound("no such callback")
    return row


def _callback(row: OutboxRow, tries: tuple[AttemptRow, ...]) -> Callback:
    event: dict[str, Any] = msgspec.json.decode(row.event)
    return Callback(
        callback_id=row.id,
        name=str(event.get("name") or event.get("type", "")),
        url=row.url,
        method=row.method,
        state=_STATES[row.state],
        attempts=row.attempts,
        created_at=render.moment(row.created_at) or "",
        next_attempt_at=render.moment(row.next_at),
        done_at=render.moment(row.done_at),
        event=event,
        tries=[
            Attempt(
                started_at=render.moment(one.started_at) or "",
                duration_ms=one.duration_ms,
                status=one.status,
                error=one.error,
                response=one.response,
            )
            for one in tries
        ],
    )


async def list_callbacks(ports: Ports, request: ApiRequest) -> Answer:
    by, reader, log = request.requester, request.reader(), _log(ports)
    page, state = read_page(reader), reader.optional(STATE)
    reader.check()
    found = await log.callbacks(by.account, sub_account=by.sub_account or None, state=state, page=page)
    objects = [_callback(row, await log.attempts(row.id)) for row in found.rows]
    return Answer(200, CallbackList(meta=meta(request, page, found.total), objects=objects))


async def get_callback(ports: Ports, request: ApiRequest) -> Answer:
    row = await _find(ports, request)
    return Answer(200, _callback(row, await _log(ports).attempts(row.id)))


async def redeliver(ports: Ports, request: ApiRequest) -> Answer:
    """It goes to the end of its lane under its old id, so that the receiver can tell that it has seen it."""
    row = await _find(ports, request)
    if row.state == "pending":
        raise Conflict("this callback is still being delivered; see next_attempt_at")
    again = msgspec.structs.replace(row, state="pending", next_at=None, done_at=None, created_at=request.now)
    await ports.store.commit(Transaction(outbox=(again,)))
    return Answer(202, render.Message(message="callback queued"))


OPERATIONS = (
    Operation.get(
        "Callback",
        list_callbacks,
        "List callbacks with their attempts, newest first",
        CallbackList,
        parameters=(STATE, p.LIMIT, p.OFFSET),
        asynchronous=False,
    ),
    Operation.get(
        "Callback/{callback_id}", get_callback, "Get a callback with its attempts", Callback, asynchronous=False
    ),
    Operation.post(
        "Callback/{callback_id}/Redeliver", redeliver, "Send a callback again", render.Message, asynchronous=False
    ),
)
