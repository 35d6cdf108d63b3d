"""The OpenAPI 3.1 document, made of the operations, their declared parameters and the answer classes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.operations import Operation
from mixminus.api.parameters import NOT_YET_ACTING
from mixminus.api.paths import ACCOUNT_PREFIX
from mixminus.api.reading import Parameter

_REF = "#/components/schemas/{name}"
_ERRORS = {
    "400": "A parameter is missing or wrong, or the state of the resource does not allow this",
    "401": "Wrong auth id or auth token",
    "404": "No such resource, or not implemented yet",
    "405": "The path, as written, is one that takes other verbs",
    "409": "The server's surroundings refuse: disk full, media worker away",
    "429": "Too many requests",
}
_SEGMENTS = {
    "auth_id": "The account's auth id, MA… or SA….",
    "mpc": "name_{friendly_name}, uuid_{mpc_uuid}, or either bare.",
    "member": "A member id, several joined by commas, or all.",
    "conference": "The conference's name.",
    "call_uuid": "A call's uuid.",
    "format": "mp3 or wav.",
}


def document(operations: Iterable[Operation], title: str, version: str) -> dict[str, Any]:
    """The document as plain JSON values."""
    operations = [operation for operation in operations if operation.status != 404]
    bodies = [operation.answers for operation in operations if operation.answers is not None]
    _, schemas = msgspec.json.schema_components(
        [*dict.fromkeys([*bodies, render.Message]), render.Error], ref_template=_REF
    )
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = ACCOUNT_PREFIX + "{auth_id}/" + operation.template + ("" if "{format}" in operation.template else "/")
        paths.setdefault(path, {})[operation.verb.lower()] = _operation(path, operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}},
        "security": [{"basic": []}],
    }


def _operation(path: str, operation: Operation) -> dict[str, Any]:
    parameters = [*operation.parameters, *((p.CALLBACK_URL, p.CALLBACK_METHOD) if operation.asynchronous else ())]
    described: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": operation.summary,
        "tags": [operation.template.partition("/")[0]],
        "parameters": [
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": _SEGMENTS.get(name, ""),
                "schema": {"type": "string"},
            }
            for name in re.findall(r"\{(\w+)\}", path)
        ],
        "responses": _responses(operation),
    }
    if operation.verb == "POST":
        described["requestBody"] = _request_body(parameters, operation.required)
    else:
        described["parameters"] += [_query(parameter) for parameter in parameters]
    return described


def _schema(parameter: Parameter[Any]) -> dict[str, Any]:
    sentence = parameter.sentence
    if parameter.name in NOT_YET_ACTING:
        sentence = f"{sentence} Not acting yet: {NOT_YET_ACTING[parameter.name]}.".strip()
    return {"description": sentence, **parameter.schema} if sentence else dict(parameter.schema)


def _query(parameter: Parameter[Any]) -> dict[str, Any]:
    return {"name": parameter.name, "in": "query", "required": False, "schema": _schema(parameter)}


def _request_body(parameters: list[Parameter[Any]], required: tuple[str, ...]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": {item.name: _schema(item) for item in parameters}}
    if required:
        schema["required"] = sorted(required)
    types = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
    return {"required": bool(required), "content": {media_type: {"schema": schema} for media_type in types}}


def _responses(operation: Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.summary}
    if operation.answers is not None:
        success["content"] = {operation.media_type: {"schema": {"$ref": _REF.format(name=operation.answers.__name__)}}}
    elif operation.status == 200:
        success["content"] = {operation.media_type: {"schema": {"type": "string", "format": "binary"}}}
    answers = {str(operation.status): success}
    if operation.asynchronous:
        _add_asynchronous(answers, "202" if operation.verb == "POST" else "200")
    error = {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}}
    return {
        **answers,
        **{status: {"description": text, "content": error} for status, text in _ERRORS.items()},
    }


def _add_asynchronous(answers: dict[str, Any], status: str) -> None:
    """With ``callback_url`` the answer is this message, under a status of its own (API reference, section 1.9)."""
    message = {"$ref": _REF.format(name="Message")}
    answer = answers.setdefault(status, {"description": "The real answer goes to callback_url"})
    content = answer.setdefault("content", {}).setdefault("application/json", {"schema": message})
    if content["schema"] != message:
        content["schema"] = {"anyOf": [content["schema"], message]}
