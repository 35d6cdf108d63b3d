"""Applications: which URLs answer a call (API reference, section 6.3)."""

from __future__ import annotations

from typing import Any

import msgspec

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paging import meta, read_page
from mixminus.api.ports import Ports
from mixminus.api.reading import Parameter, Reader
from mixminus.api.visible import sees
from mixminus.calls.commands import Requester
from mixminus.errors import NotFound
from mixminus.store.lists import Page
from mixminus.store.rows import ApplicationRow, EndpointRow, Row
from mixminus.store.transaction import Transaction

EVERYTHING = Page(limit=100_000)
"""For changes that touch every application or endpoint of an account."""

_URLS: tuple[Parameter[str], ...] = (p.ANSWER_URL, p.HANGUP_URL, p.FALLBACK_ANSWER_URL, p.MESSAGE_URL)
_METHODS = (p.ANSWER_METHOD, p.HANGUP_METHOD, p.FALLBACK_METHOD, p.MESSAGE_METHOD)
_FLAGS = (p.DEFAULT_NUMBER_APP, p.DEFAULT_ENDPOINT_APP, p.LOG_INCOMING_MESSAGES, p.PUBLIC_URI)


async def find_application(ports: Ports, by: Requester, app_id: str) -> ApplicationRow | None:
    """The application, if ``by`` may see it."""
    row = await ports.store.application(app_id)
    return row if row is not None and sees(by, row) else None


async def _find(ports: Ports, request: ApiRequest) -> ApplicationRow:
    row = await find_application(ports, request.requester, request.segments["app_id"])
    if row is None:
        raise NotFound("no such application")
    return row


async def _read(ports: Ports, by: Requester, reader: Reader) -> dict[str, Any]:
    """The given parameters as columns; an empty URL clears it."""
    columns: dict[str, Any] = {}
    given: tuple[Parameter[Any], ...] = (*_URLS, *_METHODS, *_FLAGS)
    for parameter in given:
        value = reader.optional(parameter)
        if value is not None:
            columns[parameter.name] = value
    for url in _URLS:
        if reader.clears(url):
            columns[url.name] = ""
    wanted = reader.optional(p.SUBACCOUNT)
    if wanted is not None:
        owner = await ports.store.account(wanted)
        if owner is None or owner.parent != by.account or by.sub_account not in ("", wanted):
            reader.note("subaccount", "must be a sub-account of this account")
        columns["sub_account"] = wanted
    return columns


async def _undefault(ports: Ports, kept: ApplicationRow) -> list[Row]:
    """The other applications of the owner, no longer default where ``kept`` now is."""
    if not kept.default_number_app and not kept.default_endpoint_app:
        return []
    found = await ports.store.applications(kept.account, sub_account=kept.sub_account, page=EVERYTHING)
    changed: list[Row] = []
    for row in found.rows:
        now = msgspec.structs.replace(
            row,
            default_number_app=row.default_number_app and not kept.default_number_app,
            default_endpoint_app=row.default_endpoint_app and not kept.default_endpoint_app,
        )
        if row.id != kept.id and now != row:
            changed.append(now)
    return changed


async def create_application(ports: Ports, request: ApiRequest) -> Answer:
    by, reader = request.requester, request.reader()
    app_name = reader.required(p.APP_NAME, "")
    columns = {"sub_account": by.sub_account, **await _read(ports, by, reader)}
    reader.check()
    columns.setdefault("hangup_url", columns.get("answer_url", ""))
    row = ApplicationRow(
        id=ports.mint.digits(17), account=by.account, app_name=app_name, created_at=request.now, **columns
    )
    await ports.store.commit(Transaction(save=(row, *await _undefault(ports, row))))
    return Answer(201, render.ApplicationCreated(message="created", app_id=row.id))


async def list_applications(ports: Ports, request: ApiRequest) -> Answer:
    by, reader = request.requester, request.reader()
    page = read_page(reader)
    sub_account = by.sub_account or reader.optional(p.SUBACCOUNT)
    prefix = reader.take(p.APP_NAME_PREFIX, "")
    reader.check()
    found = await ports.store.applications(by.account, sub_account=sub_account, app_name=prefix, page=page)
    objects = [render.application(row, request.auth_id, ports.sip_domain) for row in found.rows]
    return Answer(200, render.ApplicationList(meta=meta(request, page, found.total), objects=objects))


async def get_application(ports: Ports, request: ApiRequest) -> Answer:
    return Answer(200, render.application(await _find(ports, request), request.auth_id, ports.sip_domain))


async def update_application(ports: Ports, request: ApiRequest) -> Answer:
    row, reader = await _find(ports, request), request.reader()
    columns = await _read(ports, request.requester, reader)
    reader.check()
    changed = msgspec.structs.replace(row, **columns)
    await ports.store.commit(Transaction(save=(changed, *await _undefault(ports, changed))))
    return Answer(202, render.Message(message="changed"))


async def delete_application(ports: Ports, request: ApiRequest) -> Answer:
    """Its endpoints go with it, or (``cascade`` false, or a new application named) stay under the new one or none."""
    row, reader = await _find(ports, request), request.reader()
    heir = reader.take(p.NEW_ENDPOINT_APPLICATION, "")
    cascade = reader.take(p.CASCADE, not heir)
    if heir and (heir == row.id or await find_application(ports, request.requester, heir) is None):
        reader.note("new_endpoint_application", "must be the id of another application")
    reader.check()
    endpoints = (await ports.store.endpoints(row.account, app_id=row.id, page=EVERYTHING)).rows
    gone: list[tuple[type[Row], str]] = [(ApplicationRow, row.id)]
    if cascade:
        gone.extend((EndpointRow, endpoint.id) for endpoint in endpoints)
        moved: tuple[EndpointRow, ...] = ()
    else:
        moved = tuple(msgspec.structs.replace(endpoint, app_id=heir) for endpoint in endpoints)
    await ports.store.commit(Transaction(save=moved, delete=tuple(gone)))
    return Answer(204)


_WRITE: tuple[Parameter[Any], ...] = p.APPLICATION_PARAMETERS

OPERATIONS = (
    Operation.post(
        "Application",
        create_application,
        "Create an application",
        render.ApplicationCreated,
        status=201,
        parameters=(p.APP_NAME, *_WRITE),
        required=("app_name",),
    ),
    Operation.get(
        "Application",
        list_applications,
        "List applications, newest first",
        render.ApplicationList,
        parameters=(p.SUBACCOUNT, p.APP_NAME_PREFIX, p.LIMIT, p.OFFSET),
    ),
    Operation.get("Application/{app_id}", get_application, "Get an application", render.Application),
    Operation.post(
        "Application/{app_id}", update_application, "Change an application", render.Message, parameters=_WRITE
    ),
    Operation.delete(
        "Application/{app_id}",
        delete_application,
        "Delete an application",
        parameters=(p.CASCADE, p.NEW_ENDPOINT_APPLICATION),
    ),
)
