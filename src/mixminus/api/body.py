"""The parameters of a request, whatever shape they came in (API reference, section 1.3).

JSON by content type or by its first byte, urlencoded forms, multipart forms, nothing at all; query and body are
merged and the body wins. Malformed input is :class:`~mixminus.errors.RequestError`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from mixminus.errors import RequestError

MAX_BODY = 256 * 1024
"""Bytes; far above the largest request of this API."""
MAX_FIELDS = 500

Pairs = tuple[tuple[str, str], ...]


def read_query(query: bytes) -> Pairs:
    """The query string's pairs in order, decoded once."""
    return _pairs(query, "the query string")


async def read_body(content_type: str, body: bytes) -> dict[str, Any]:
    """The body's fields; ``{}`` for an empty body or JSON null."""
    stripped = body.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
    media_type = content_type.partition(";")[0].strip().lower()
    if not stripped or stripped == b"null":
        return {}
    if stripped.startswith(b"{") or media_type == "application/json" or media_type.endswith("+json"):
        return _json(stripped)
    if media_type == "multipart/form-data":
        return await _multipart(content_type, body)
    return fold(_pairs(stripped, "the body"))


def fold(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Pairs as a mapping; a name given several times holds the list of its values."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not valid JSON: {_reason(error)}") from None
    if not isinstance(value, dict):
        raise RequestError("the body must be a JSON object")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return str(error)


def _pairs(raw: bytes, where: str) -> Pairs:
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise RequestError(f"{where} is not UTF-8") from None
    except ValueError:
        raise RequestError(f"{where} has more than {MAX_FIELDS} fields") from None
    return tuple(pairs)


async def _multipart(content_type: str, body: bytes) -> dict[str, Any]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    parser = MultiPartParser(Headers({"content-type": content_type}), stream(), max_files=8, max_fields=MAX_FIELDS)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestError(f"the multipart body cannot be read: {error.message}") from None
    fields = fold((name, value) for name, value in form.multi_items() if isinstance(value, str))
    await form.close()
    return fields
