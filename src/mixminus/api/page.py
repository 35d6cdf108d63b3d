"""The OpenAPI document as one page to read: no scripts, nothing from elsewhere, so it works without a network."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
summary { cursor: pointer; padding: .3rem 0; } code { font-size: .95em; }
b.GET { color: #16803c } b.POST { color: #1d5fd1 } b.DELETE { color: #c02626 }
b { display: inline-block; min-width: 4.5rem }
table { border-collapse: collapse; margin: .5rem 0 1rem 1rem }
td, th { text-align: left; padding: .15rem .8rem .15rem 0;
vertical-align: top; border-bottom: 1px solid #8884 } small { opacity: .7 }
"""


def page(document: dict[str, Any]) -> str:
    """HTML of ``document``, operations by tag in its order."""
    tags: dict[str, list[str]] = {}
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            tags.setdefault(operation["tags"][0], []).append(_operation(verb.upper(), path, operation))
    info = document["info"]
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in tags.items())
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>HTTP Basic with the account's auth id and token. The same as a document for tools: "
        f'<a href="openapi.json">openapi.json</a>.</p>{sections}</html>'
    )


def _operation(verb: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(_row(*found) for found in _parameters(operation))
    answers = ", ".join(f"{status} {escape(one['description'])}" for status, one in operation["responses"].items())
    return (
        f"<details><summary><b class={verb}>{verb}</b><code>{escape(path)}</code> "
        f"<small>{escape(operation['summary'])}</small></summary>"
        f"<table><tr><th>parameter<th>allowed<th>meaning{rows}</table><p><small>{answers}</small></p></details>"
    )


def _parameters(operation: dict[str, Any]) -> list[tuple[str, dict[str, Any], bool]]:
    found = [
        (one["name"], {"description": one.get("description", ""), **one["schema"]}, one["required"])
        for one in operation["parameters"]
    ]
    if "requestBody" in operation:
        schema = next(iter(operation["requestBody"]["content"].values()))["schema"]
        required = schema.get("required", ())
        found += [(name, item, name in required) for name, item in schema["properties"].items()]
    return found


def _row(name: str, schema: dict[str, Any], required: bool) -> str:
    mark = " <small>required</small>" if required else ""
    meaning = escape(schema.get("description", ""))
    return f"<tr><td><code>{escape(name)}</code>{mark}<td>{escape(_allowed(schema))}<td>{meaning}"


def _allowed(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "minimum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    kind = schema.get("format") or schema.get("type", "")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
