"""The application under test, mounted in process: on real HTTP, on threads of its own, in real time. And one for tests
that bring none.
"""

from __future__ import annotations

import contextlib
import inspect
import socket
import socketserver
import threading
import wsgiref.simple_server
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import uvicorn

from mixminus.testing.sink import CallbackSink

if TYPE_CHECKING:
    from mixminus.testing.virtual.world import World

App: TypeAlias = Callable[..., Any]
_HOST = "127.0.0.1"


class BuiltInApp(CallbackSink):
    """The application when none is mounted: takes every callback, answers what it is told to."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def slow(self, path: str, seconds: float) -> None:
        """Let answers to requests to ``path`` take so many virtual seconds; 0 ends that."""
        self._world.slow(self.url(path), seconds)


def serve_app(app: App) -> tuple[str, Callable[[], None]]:
    """Base URL, and what ends it. ASGI if the application is awaitable and takes (scope, receive, send), else WSGI."""
    return _serve_asgi(app) if is_asgi(app) else _serve_wsgi(app)


def is_asgi(app: App) -> bool:
    call = app if inspect.isfunction(app) or inspect.ismethod(app) else type(app).__call__
    return inspect.iscoroutinefunction(call)


class _Quiet(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens on a free port, and its base URL."""
    with socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    ) as listener:  # see mixminus.server.ground
        listener.bind((_HOST, 0))
        listener.listen(128)
        yield listener, f"http://{_HOST}:{listener.getsockname()[1]}"


def quiet_server(config: uvicorn.Config) -> uvicorn.Server:
    """uvicorn that leaves signals alone."""
    return _Quiet(config)


def _serve_asgi(app: App) -> tuple[str, Callable[[], None]]:
    stack = contextlib.ExitStack()
    listener, url = stack.enter_context(listening())
    server = quiet_server(uvicorn.Config(app, log_config=None, access_log=False, loop="asyncio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="app", daemon=True)
    thread.start()

    def close() -> None:
        server.should_exit = True
        thread.join(10)
        stack.close()

    return url, close


class _Handler(wsgiref.simple_server.WSGIRequestHandler):
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None: ...


class _Threads(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


def _serve_wsgi(app: App) -> tuple[str, Callable[[], None]]:
    server = wsgiref.simple_server.make_server(_HOST, 0, app, server_class=_Threads, handler_class=_Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="app", daemon=True)
    thread.start()

    def close() -> None:
        server.shutdown()
        thread.join(10)
        server.server_close()

    return f"http://{_HOST}:{server.server_port}", close
