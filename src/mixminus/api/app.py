"""The web application: the API under ``/v1/``, its document at ``/openapi.json``, a page to read it at ``/docs``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute

import mixminus
from mixminus.api import (
    applications,
    callbacks,
    calls,
    conferences,
    debug,
    endpoints,
    keeping,
    members,
    multi_party_calls,
    numbers,
    participant_recordings,
    participants,
    recordings,
    renderings,
    subaccounts,
    unserved,
)
from mixminus.api.dispatch import Dispatcher
from mixminus.api.openapi import document
from mixminus.api.operations import Operation
from mixminus.api.page import page
from mixminus.api.ports import Ports

OPERATIONS: tuple[Operation, ...] = (
    *multi_party_calls.OPERATIONS,
    *participants.OPERATIONS,
    *debug.OPERATIONS,
    *participant_recordings.OPERATIONS,
    *members.OPERATIONS,
    *recordings.OPERATIONS,
    *renderings.OPERATIONS,
    *keeping.OPERATIONS,
    *calls.OPERATIONS,
    *conferences.OPERATIONS,
    *applications.OPERATIONS,
    *subaccounts.OPERATIONS,
    *endpoints.OPERATIONS,
    *numbers.OPERATIONS,
    *callbacks.OPERATIONS,
    *unserved.OPERATIONS,
)


class Application(FastAPI):
    """FastAPI with our own dispatcher behind its routes: paths must be matched undecoded and never be redirected."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document(OPERATIONS, self.title, self.version)
        return self.openapi_schema


def create_app(ports: Ports, *, extra_routes: Sequence[BaseRoute] = ()) -> FastAPI:
    """The ASGI application. ``extra_routes`` (health, metrics, console) are asked before the API's own paths."""
    app = Application(
        title="mixminus",
        version=mixminus.__version__,
        docs_url=None,  # the framework's own page needs scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        routes=[*extra_routes],
    )

    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(page(app.openapi()))

    app.router.add_route("/docs", docs)
    app.router.default = Dispatcher(ports, OPERATIONS)
    return app
