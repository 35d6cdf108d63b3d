"""A property computed once: ``functools.cached_property`` without the lock it takes before Python 3.12."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

ValueT = TypeVar("ValueT")


class lazy(Generic[ValueT]):
    """The first reading calls the function and stores the result under the same name in the instance."""

    def __init__(self, function: Callable[[Any], ValueT]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> ValueT:
        value = instance.__dict__[self._name] = self._function(instance)
        return value
