"""Reading a request's fields against declared parameters, every violation collected into one 400."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from mixminus.api.values import Parse, is_absent, unwrap
from mixminus.calls.commands import Callback
from mixminus.errors import RequestError

T = TypeVar("T")
D = TypeVar("D")


class InvalidParameters(RequestError):
    """One or more parameters are missing or wrong; the text lists each by name with what is allowed."""


@dataclass(frozen=True)
class Parameter(Generic[T]):
    """A parameter the API takes: its name, how its value is read, and its JSON schema and sentence for the docs."""

    name: str
    parse: Parse[T]
    sentence: str = ""
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    aliases: tuple[str, ...] = ()
    """Other spellings that are accepted, least preferred last."""
    keeps_lists: bool = False
    """Its value may be a list of several elements."""


class Reader:
    """Takes parameters out of ``fields``; :meth:`check` raises once for all that was wrong."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self._violations: dict[str, str] = {}

    def raw(self, parameter: Parameter[Any]) -> Any:
        """The value as sent, one-element lists unwrapped; ``None`` when absent."""
        for name in (parameter.name, *parameter.aliases):
            value = unwrap(self._fields.get(name))
            if not is_absent(value):
                return value
        return None

    def gives(self, parameter: Parameter[Any]) -> bool:
        return self.raw(parameter) is not None

    def clears(self, parameter: Parameter[Any]) -> bool:
        """Whether the parameter is there as an empty text: an update that empties it."""
        return bool(unwrap(self._fields.get(parameter.name)) == "")

    def take(self, parameter: Parameter[T], default: D) -> T | D:
        """The parameter's value, or ``default`` when it is absent or wrong (and then noted)."""
        value = self.raw(parameter)
        if value is None:
            return default
        if isinstance(value, (list, tuple)) and not parameter.keeps_lists:
            self.note(parameter.name, "must be given once")
            return default
        try:
            return parameter.parse(value)
        except ValueError as error:
            self.note(parameter.name, str(error))
            return default

    def optional(self, parameter: Parameter[T]) -> T | None:
        return self.take(parameter, None)

    def required(self, parameter: Parameter[T], placeholder: T) -> T:
        """The value; when absent that is noted and ``placeholder`` stands in until :meth:`check`."""
        if not self.gives(parameter):
            self.note(parameter.name, f"is required. {parameter.sentence}".rstrip())
        return self.take(parameter, placeholder)

    def note(self, name: str, violation: str) -> None:
        """Add a violation; the first of each parameter is kept."""
        self._violations.setdefault(name, violation)

    def check(self) -> None:
        """Raise :class:`InvalidParameters` if anything was noted."""
        if self._violations:
            raise InvalidParameters("; ".join(f"{name}: {text}" for name, text in self._violations.items()))


def read_callback(
    reader: Reader, url: Parameter[str], method: Parameter[Literal["GET", "POST"]], default: Literal["GET", "POST"]
) -> Callback | None:
    """The URL with its verb; ``None`` when no URL is given."""
    verb = reader.take(method, default)
    target = reader.optional(url)
    return None if target is None else Callback(target, verb)
