from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from api.world import World, ask
from mixminus.api.app import OPERATIONS, create_app
from mixminus.api.openapi import document
from mixminus.api.parameters import NOT_YET_ACTING
from mixminus.api.ports import Ports


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return document(OPERATIONS, "mixminus", "0")


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(_references(inner) for inner in value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def test_every_reference_leads_somewhere(found: dict[str, Any]) -> None:
    schemas = {f"#/components/schemas/{name}" for name in found["components"]["schemas"]}
    references = _references(found)
    assert references <= schemas and "#/components/schemas/Error" in references


def test_every_served_operation_is_there(found: dict[str, Any]) -> None:
    described = {(path, verb) for path, verbs in found["paths"].items() for verb in verbs}
    assert len(described) == len([operation for operation in OPERATIONS if operation.status != 404])
    assert ("/v1/Account/{auth_id}/MultiPartyCall/{mpc}/Participant/", "post") in described
    names = [verbs[verb]["operationId"] for verbs in found["paths"].values() for verb in verbs]
    assert len(set(names)) == len(names)


def test_parameters_come_with_what_is_allowed(found: dict[str, Any]) -> None:
    operation = found["paths"]["/v1/Account/{auth_id}/MultiPartyCall/{mpc}/Participant/"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["role"]
    assert schema["properties"]["max_duration"]["minimum"] == 300
    assert "heard and hears as an agent" in schema["properties"]["role"]["description"]


def test_what_does_not_act_yet_are_parameters_of_ours() -> None:
    names = {parameter.name for operation in OPERATIONS for parameter in operation.parameters}
    assert set(NOT_YET_ACTING) <= names


async def test_the_document_and_its_page_are_served(world: World) -> None:
    app = world.app()
    reply = await ask(app, "GET", "/openapi.json", {})
    assert reply.status == 200 and json.loads(reply.body)["openapi"] == "3.1.0"
    page = await ask(app, "GET", "/docs", {})
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")


async def test_extra_routes_come_first(world: World) -> None:
    ports = Ports(
        apply=world.apply,
        store=world,
        files=world,
        deliver_async=world.deliver,
        public_url="http://x",
        sip_domain="x",
    )
    app = create_app(ports, extra_routes=[Route("/healthz", lambda request: PlainTextResponse("ok"))])
    assert (await ask(app, "GET", "/healthz", {})).body == b"ok"
    assert (await ask(app, "GET", "/metrics", {})).status == 404
