"""The composition root: every part made once, handed what it needs, started and drained in order."""

from mixminus.server.root import Server
from mixminus.server.run import serve

__all__ = ["Server", "serve"]
