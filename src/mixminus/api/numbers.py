"""Inbound numbers, read-only: they are set in ``mixminus.toml`` (API reference, section 6.5)."""

from __future__ import annotations

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paging import meta, read_page
from mixminus.api.ports import Ports
from mixminus.errors import NotFound


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
    objects = [render.number(number, request.auth_id) for number in shown]
    return Answer(200, render.NumberList(meta=meta(request, page, len(found)), objects=objects))


async def get_number(ports: Ports, request: ApiRequest) -> Answer:
    number = request.segments["number"].removeprefix("+")
    if number not in _digits(ports, request):
        raise NotFound("no such number; numbers are set in mixminus.toml")
    return Answer(200, render.number(number, request.auth_id))


OPERATIONS = (
    Operation(
        verb="GET",
        template="Number",
        handler=list_numbers,
        summary="List the numbers of mixminus.toml",
        status=200,
        parameters=(p.NUMBER_STARTSWITH, p.LIMIT, p.OFFSET),
        answers=render.NumberList,
    ),
    Operation(
        verb="GET",
        template="Number/{number}",
        handler=get_number,
        summary="Get a number",
        status=200,
        answers=render.Number,
    ),
)
