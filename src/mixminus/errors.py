"""The exceptions of mixminus, and whose fault each one is.

::

    MixminusError
    ├── ConfigurationError        the operator's: a setting is wrong; names the setting and the fix
    ├── RequestError              the API caller's; carries the HTTP status of the answer
    │   ├── InvalidParameter      400  a parameter is missing or wrong; names it and what is allowed
    │   ├── Conflict              400  the resource is not in a state that allows this
    │   ├── Unauthorized          401  wrong id or token
    │   ├── NotFound              404  no such resource
    │   ├── MethodNotAllowed      405  wrong verb on a known path
    │   └── NotImplementedHere    404  a path of Plivo's that mixminus does not serve
    ├── ProtocolError             the remote peer's: malformed SIP, SDP, RTP, XML
    ├── MediaError                the media engine refused a command
    │   └── Overloaded            it has no time left for another leg
    ├── StorageError              disk or object store: full, unwritable, unreachable
    │   └── DiskFull              there may be room again
    ├── SoundError                a sound cannot be fetched, decoded or spoken; names the URL or voice and why
    └── OutboundError             a URL of the customer's could not be fetched; carries the stage that failed

Hostile input is a value or one of these; a broken invariant is an ``AssertionError`` and a crash.
"""

from __future__ import annotations


class MixminusError(Exception):
    """Base of everything this package raises on purpose."""


class ConfigurationError(MixminusError):
    """A setting is wrong. The text names the setting and what to do about it."""


class RequestError(MixminusError):
    """An API request that cannot be done. ``status`` is the HTTP status; ``str(error)`` the ``error`` text."""

    status = 400


class InvalidParameter(RequestError):
    """A parameter is missing or wrong: ``parameter`` names it, the text says what is allowed."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(f"{parameter}: {message}")
        self.parameter = parameter


class Conflict(RequestError):
    """The resource is not in a state that allows this (400: the safest code for the official SDKs)."""


class Unauthorized(RequestError):
    """Wrong account id or token."""

    status = 401


class NotFound(RequestError):
    """No such resource."""

    status = 404


class NotImplementedHere(NotFound):
    """A path of Plivo's API that mixminus does not serve."""


class MethodNotAllowed(RequestError):
    """Wrong verb on a known path."""

    status = 405


class ProtocolError(MixminusError):
    """The remote peer sent something malformed."""


class MediaError(MixminusError):
    """The media engine refused a command, or is not there."""


class Overloaded(MediaError):
    """Media has no time left for another leg: later there may be."""


class StorageError(MixminusError):
    """Disk or object store: full, unwritable, unreachable."""


class DiskFull(StorageError):
    """There is no room on the local disk. What was tried can be tried again once there is."""


class SoundError(MixminusError):
    """A sound cannot be fetched, decoded or spoken. The text names the URL or voice, and the reason."""


class OutboundError(MixminusError):
    """A URL could not be fetched. ``stage`` is one of ``address``, ``connect``, ``read``, ``status``, ``size``."""

    def __init__(self, stage: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.stage = stage
        self.status = status
