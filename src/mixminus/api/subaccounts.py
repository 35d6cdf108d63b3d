"""Sub-accounts: credentials of their own for a part of the account, which sees its own things only.

The vendor's resource as the official SDKs send it. Only the main account's credentials may use it.
"""

from __future__ import annotations

import msgspec

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.applications import EVERYTHING
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paging import meta, read_page
from mixminus.api.ports import Ports
from mixminus.errors import Conflict, NotFound
from mixminus.store.lists import MpcFilter, Page
from mixminus.store.rows import AccountRow, ApplicationRow, EndpointRow, Row
from mixminus.store.transaction import Transaction


def _main(request: ApiRequest) -> str:
    """The main account's id; sub-accounts have no sub-accounts, and see none."""
    if request.requester.sub_account:
        raise NotFound("sub-accounts are managed with the main account's credentials")
    return request.requester.account


async def _find(ports: Ports, request: ApiRequest) -> AccountRow:
    account = _main(request)
    row = await ports.store.account(request.segments["sub_auth_id"])
    if row is None or row.parent != account:
        raise NotFound("no such sub-account")
    return row


async def create(ports: Ports, request: ApiRequest) -> Answer:
    account, reader = _main(request), request.reader()
    name, enabled = reader.required(p.SUBACCOUNT_NAME, ""), reader.take(p.ENABLED, False)
    reader.check()
    row = AccountRow(
        id=ports.mint.auth_id("SA"),
        token=ports.mint.auth_token(),
        name=name,
        parent=account,
        enabled=enabled,
        created_at=request.now,
    )
    await ports.store.commit(Transaction(save=(row,)))
    return Answer(201, render.SubaccountCreated(message="created", auth_id=row.id, auth_token=row.token))


async def list_all(ports: Ports, request: ApiRequest) -> Answer:
    account, reader = _main(request), request.reader()
    page = read_page(reader)
    reader.check()
    found = await ports.store.sub_accounts(account, page)
    objects = [render.subaccount(row) for row in found.rows]
    return Answer(200, render.SubaccountList(meta=meta(request, page, found.total), objects=objects))


async def get(ports: Ports, request: ApiRequest) -> Answer:
    return Answer(200, render.subaccount(await _find(ports, request)))


async def update(ports: Ports, request: ApiRequest) -> Answer:
    row, reader = await _find(ports, request), request.reader()
    name, enabled = reader.take(p.SUBACCOUNT_NAME, row.name), reader.take(p.ENABLED, row.enabled)
    reader.check()
    await ports.store.commit(Transaction(save=(msgspec.structs.replace(row, name=name, enabled=enabled),)))
    return Answer(202, render.Message(message="changed"))


async def delete(ports: Ports, request: ApiRequest) -> Answer:
    """``cascade`` true takes its applications and endpoints along; otherwise they are the main account's from now on.

    Recordings and calls of the past stay, for the main account to see.
    """
    row, reader = await _find(ports, request), request.reader()
    cascade = reader.take(p.CASCADE, False)
    reader.check()
    for status in ("Initialized", "Active"):
        live = MpcFilter(sub_account=row.id, status=status)
        if (await ports.store.mpcs(row.parent, request.now, live, Page(limit=1))).total:
            raise Conflict(f"sub-account {row.id} has live multiparty calls; end them first")
    applications = (await ports.store.applications(row.parent, sub_account=row.id, page=EVERYTHING)).rows
    endpoints = (await ports.store.endpoints(row.parent, sub_account=row.id, page=EVERYTHING)).rows
    owned: tuple[ApplicationRow | EndpointRow, ...] = (*applications, *endpoints)
    gone: list[tuple[type[Row], str]] = [(AccountRow, row.id)]
    if cascade:
        gone.extend((type(thing), thing.id) for thing in owned)
        kept: tuple[Row, ...] = ()
    else:
        kept = tuple(msgspec.structs.replace(thing, sub_account="") for thing in owned)
    await ports.store.commit(Transaction(save=kept, delete=tuple(gone)))
    return Answer(204)


_ONE = "Subaccount/{sub_auth_id}"

OPERATIONS = (
    Operation.post(
        "Subaccount",
        create,
        "Create a sub-account",
        render.SubaccountCreated,
        status=201,
        parameters=(p.SUBACCOUNT_NAME, p.ENABLED),
        required=("name",),
    ),
    Operation.get(
        "Subaccount", list_all, "List sub-accounts, newest first", render.SubaccountList, parameters=(p.LIMIT, p.OFFSET)
    ),
    Operation.get(_ONE, get, "Get a sub-account", render.Subaccount),
    Operation.post(
        _ONE,
        update,
        "Rename, enable or disable a sub-account",
        render.Message,
        parameters=(p.SUBACCOUNT_NAME, p.ENABLED),
    ),
    Operation.delete(_ONE, delete, "Delete a sub-account", parameters=(p.CASCADE,)),
)
