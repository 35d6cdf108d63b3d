"""Requests made up from the OpenAPI document: no 5xx, and no answer that the document does not describe."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.world import MAIN, TOKENS, World
from mixminus.api.app import OPERATIONS
from mixminus.api.openapi import document

pytestmark = pytest.mark.timeout(600)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def api() -> Any:
    """The API over a store in memory that has one of everything."""
    world = World()
    world.mpc_row("room")
    return schemathesis.openapi.from_asgi("/openapi.json", world.app())


_OPERATIONS = [(path, verb) for path, verbs in document(OPERATIONS, "mixminus", "0")["paths"].items() for verb in verbs]


@pytest.mark.parametrize(("path", "verb"), _OPERATIONS)
def test_the_api_keeps_its_word(api: Any, path: str, verb: str) -> None:
    @settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck])
    @given(case=api[path][verb.upper()].as_strategy())
    def hold(case: Any) -> None:
        case.path_parameters["auth_id"] = MAIN
        case.call_and_validate(headers={"Authorization": f"Basic {credentials}"}, checks=CHECKS)

    credentials = base64.b64encode(f"{MAIN}:{TOKENS[MAIN]}".encode()).decode()
    hold()
