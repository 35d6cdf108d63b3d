"""Endpoints: SIP accounts that phones register with (API reference, section 6.4)."""

from __future__ import annotations

from typing import Any

import msgspec

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.applications import find_application
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paging import meta, read_page
from mixminus.api.ports import Ports
from mixminus.api.reading import Reader
from mixminus.api.visible import sees
from mixminus.calls.commands import Requester
from mixminus.errors import NotFound
from mixminus.store.rows import EndpointRow
from mixminus.store.transaction import Transaction


async def _find(ports: Ports, request: ApiRequest) -> EndpointRow:
    row = await ports.store.endpoint(request.segments["endpoint_id"])
    if row is None or not sees(request.requester, row):
        raise NotFound("no such endpoint")
    return row


def _render(ports: Ports, request: ApiRequest, row: EndpointRow) -> render.Endpoint:
    registration = ports.registration(row.username)
    if registration is None:
        return render.endpoint(row, request.auth_id, ports.sip_domain)
    return render.endpoint(
        row,
        request.auth_id,
        ports.sip_domain,
        sip_contact=registration.contact,
        sip_expires=str(registration.expires),
        sip_user_agent=registration.user_agent,
    )


async def _read_app_id(ports: Ports, by: Requester, reader: Reader) -> str:
    app_id = reader.take(p.APP_ID, "")
    if app_id and await find_application(ports, by, app_id) is None:
        reader.note("app_id", "must be the id of an application of this account")
    return app_id


async def create_endpoint(ports: Ports, request: ApiRequest) -> Answer:
    by, reader = request.requester, request.reader()
    wanted = reader.required(p.USERNAME, "")
    password = reader.required(p.PASSWORD, "")
    alias = reader.take(p.ALIAS, "")
    app_id = await _read_app_id(ports, by, reader)
    reader.check()
    username = wanted + ports.mint.digits(12)
    while await ports.store.endpoint_by_username(username) is not None:
        username = wanted + ports.mint.digits(12)
    row = EndpointRow(
        id=ports.mint.digits(17),
        account=by.account,
        sub_account=by.sub_account,
        username=username,
        password=password,
        alias=alias,
        app_id=app_id,
        created_at=request.now,
    )
    await ports.store.commit(Transaction(save=(row,)))
    return Answer(201, render.EndpointCreated(message="created", endpoint_id=row.id, username=username, alias=alias))


async def list_endpoints(ports: Ports, request: ApiRequest) -> Answer:
    by, reader = request.requester, request.reader()
    page = read_page(reader)
    sub_account = by.sub_account or reader.optional(p.SUBACCOUNT)
    reader.check()
    found = await ports.store.endpoints(by.account, sub_account=sub_account, page=page)
    objects = [_render(ports, request, row) for row in found.rows]
    return Answer(200, render.EndpointList(meta=meta(request, page, found.total), objects=objects))


async def get_endpoint(ports: Ports, request: ApiRequest) -> Answer:
    return Answer(200, _render(ports, request, await _find(ports, request)))


async def update_endpoint(ports: Ports, request: ApiRequest) -> Answer:
    row, reader = await _find(ports, request), request.reader()
    columns: dict[str, Any] = {}
    for parameter in (p.PASSWORD, p.ALIAS):
        value = reader.optional(parameter)
        if value is not None:
            columns[parameter.name] = value
    app_id = await _read_app_id(ports, request.requester, reader)
    if app_id or reader.clears(p.APP_ID):
        columns["app_id"] = app_id
    reader.check()
    await ports.store.commit(Transaction(save=(msgspec.structs.replace(row, **columns),)))
    return Answer(202, render.Message(message="changed"))


async def delete_endpoint(ports: Ports, request: ApiRequest) -> Answer:
    row = await _find(ports, request)
    await ports.store.commit(Transaction(delete=((EndpointRow, row.id),)))
    return Answer(204)


OPERATIONS = (
    Operation.post(
        "Endpoint",
        create_endpoint,
        "Create an endpoint; its final user name is in the answer",
        render.EndpointCreated,
        status=201,
        parameters=(p.USERNAME, p.PASSWORD, p.ALIAS, p.APP_ID),
        required=("password", "username"),
    ),
    Operation.get(
        "Endpoint",
        list_endpoints,
        "List endpoints, newest first",
        render.EndpointList,
        parameters=(p.SUBACCOUNT, p.LIMIT, p.OFFSET),
    ),
    Operation.get(
        "Endpoint/{endpoint_id}", get_endpoint, "Get an endpoint and whether it is registered", render.Endpoint
    ),
    Operation.post(
        "Endpoint/{endpoint_id}",
        update_endpoint,
        "Change an endpoint",
        render.Message,
        parameters=(p.PASSWORD, p.ALIAS, p.APP_ID),
    ),
    Operation.delete("Endpoint/{endpoint_id}", delete_endpoint, "Delete an endpoint"),
)
