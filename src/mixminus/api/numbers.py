"""Inbound numbers: set in ``mixminus.toml``, bound to applications here (API reference, section 6.5)."""

from __future__ import annotations

from mixminus.api import call_parameters as c
from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.applications import find_application
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paging import meta, read_page
from mixminus.api.ports import Ports
from mixminus.errors import NotFound
from mixminus.store.rows import NumberRow
from mixminus.store.transaction import Transaction


def _digits(ports: Ports, request: ApiRequest) -> list[str]:
    """All numbers, without ``+``. They belong to the main account."""
    if request.requester.sub_account:
        return []
    return [number.number.removeprefix("+") for number in ports.numbers]


async def list_numbers(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    page = read_page(reader)
    prefix = reader.take(p.NUMBER_STARTSWITH, "").removeprefix("+")
    reader.check()
    found = [number for number in _digits(ports, request) if number.startswith(prefix)]
    shown = found[page.offset : page.offset + page.limit]
    objects = [await _render(ports, request, number) for number in shown]
    return Answer(200, render.NumberList(meta=meta(request, page, len(found)), objects=objects))


async def _render(ports: Ports, request: ApiRequest, number: str) -> render.Number:
    bound = await ports.store.number(number) or NumberRow(id=number, account=request.requester.account)
    return render.number(bound, request.auth_id)


def _find(ports: Ports, request: ApiRequest) -> str:
    number = request.segments["number"].removeprefix("+")
    if number not in _digits(ports, request):
        raise NotFound("no such number; numbers are set in mixminus.toml")
    return number


async def get_number(ports: Ports, request: ApiRequest) -> Answer:
    return Answer(200, await _render(ports, request, _find(ports, request)))


async def bind_number(ports: Ports, request: ApiRequest) -> Answer:
    """An application answers the number from now on; an empty ``app_id`` gives it back to ``mixminus.toml``."""
    reader, by = request.reader(), request.requester
    number = _find(ports, request)
    row = await ports.store.number(number) or NumberRow(id=number, account=by.account)
    app_id = "" if reader.clears(p.APP_ID) else reader.take(p.APP_ID, row.app_id)
    if app_id and app_id != row.app_id and await find_application(ports, by, app_id) is None:
        reader.note("app_id", "must be the id of an application of this account")
    sub_account = reader.take(p.SUBACCOUNT, row.sub_account)
    if sub_account != row.sub_account:
        owner = await ports.store.account(sub_account)
        if owner is None or owner.parent != by.account:
            reader.note("subaccount", "must be a sub-account of this account")
    reader.optional(c.CNAM_LOOKUP)
    changed = NumberRow(
        id=number,
        account=by.account,
        sub_account=sub_account,
        app_id=app_id,
        alias=reader.take(c.NUMBER_ALIAS, row.alias),
    )
    reader.check()
    await ports.store.commit(Transaction(save=(changed,)))
    return Answer(202, render.Message(message="changed"))


OPERATIONS = (
    Operation.get(
        "Number",
        list_numbers,
        "List the numbers of mixminus.toml",
        render.NumberList,
        parameters=(p.NUMBER_STARTSWITH, p.LIMIT, p.OFFSET),
    ),
    Operation.get("Number/{number}", get_number, "Get a number", render.Number),
    Operation.post(
        "Number/{number}",
        bind_number,
        "Let an application answer a number",
        render.Message,
        parameters=(p.APP_ID, p.SUBACCOUNT, c.NUMBER_ALIAS, c.CNAM_LOOKUP),
    ),
)
