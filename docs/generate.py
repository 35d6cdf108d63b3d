"""Writes the tables of this folder's pages from the code: ``python docs/generate.py``; a test holds them to it.

A page has ``<!-- generated: name -->`` and ``<!-- end -->`` around each table.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import typer.main
from pydantic import BaseModel

from mixminus.api import parameters
from mixminus.api.app import OPERATIONS
from mixminus.api.operations import Operation
from mixminus.calls import events
from mixminus.calls.document import catalogue
from mixminus.cli.app import app
from mixminus.settings import Settings
from mixminus.webhooks.fields import callback_fields

HERE = Path(__file__).parent
RESULTS = HERE.parent / "tests" / "interop" / "results.json"
_SECTION = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *([_cell(text) for text in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _served(operation: Operation) -> bool:
    return operation.status != 404


def endpoints() -> str:
    rows = [
        (f"`{one.verb}`", f"`{one.template}/`", one.summary, "acts" if _served(one) else "refused: 404 and a sentence")
        for one in OPERATIONS
    ]
    return table(("verb", "path below `/v1/Account/{auth_id}/`", "what", "state"), rows)


def request_parameters() -> str:
    """Of every operation that takes some."""
    text = ""
    for one in OPERATIONS:
        if not one.parameters or not _served(one):
            continue
        rows = [
            (
                f"`{item.name}`" + (" (required)" if item.name in one.required else ""),
                _allowed(item.schema),
                item.sentence,
                _state(parameters.NOT_YET_ACTING.get(item.name)),
            )
            for item in one.parameters
        ]
        text += f"\n**{one.summary}**: `{one.verb} {one.template}/`\n\n"
        text += table(("parameter", "allowed", "meaning", "state"), rows)
    return text


def _state(why: str | None) -> str:
    return "acts" if why is None else f"accepted without effect: {why}"


def _allowed(schema: Any) -> str:
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if "minimum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    kind = schema.get("format") or schema.get("type", "string")
    return " or ".join(kind) if isinstance(kind, list) else {"uri": "URL", "string": "text"}.get(kind, str(kind))


def answers() -> str:
    """Every field of every answer."""
    found: dict[str, Any] = {one.answers.__name__: one.answers for one in OPERATIONS if one.answers and _served(one)}
    rows = []
    for name, answer in found.items():
        hints = get_type_hints(answer)
        fields = (item for item in msgspec.structs.fields(answer) if item.name != "api_id")
        rows.append((name, ", ".join(f"`{item.encode_name}` {_type(hints[item.name])}" for item in fields)))
    return table(("answer", "fields beside `api_id`"), rows)


def _type(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        parts = [_type(part) for part in get_args(hint) if part is not msgspec.UnsetType]
        return " or ".join(parts)
    if get_origin(hint) is list:
        return "list"
    return {str: "text", int: "integer", bool: "boolean", type(None): "null"}.get(hint, "object")


def event_groups() -> str:
    rows = [
        (
            f"`{group}`" + (" (default)" if group in events.DEFAULT_EVENT_GROUPS else ""),
            ", ".join(f"`{name}`" for name in sorted(names)) or "accepted, sends nothing",
        )
        for group, names in events.EVENT_GROUPS.items()
    ]
    return table(("group of `status_callback_events`", "events"), rows)


def callbacks() -> str:
    """The parameters of each kind of callback, taken from a made one."""
    call: dict[str, Any] = {"at": _NOW, "call_uuid": "c", "account": "MA", "from_number": "1", "to_number": "2"}
    recording: dict[str, Any] = {"at": _NOW, "sequence": 1, "recording_id": "r", "account": "MA", "mpc_uuid": "m"}
    recording |= {"mpc_name": "n", "format": "mp3", "started_at": _NOW}
    made: tuple[tuple[str, events.Event], ...] = (
        ("multiparty call", events.MpcEvent(name="MPCEnd", at=_NOW, sequence=1, mpc_uuid="m", mpc_name="n")),
        ("recording", events.RecordingEvent(name="Completed", ended_at=_NOW, **recording)),
        ("participant recording", events.RecordingEvent(name="Completed", member_id="1", ended_at=_NOW, **recording)),
        ("call", events.CallEvent(name="Hangup", status="completed", direction="inbound", ended_at=_NOW, **call)),
        ("asynchronous answer", events.AsyncResponse(api_id="a", response="{}")),
    )
    rows = [(name, ", ".join(f"`{key}`" for key in callback_fields(event, "http://x"))) for name, event in made]
    return table(("callback", "parameters, all acting"), rows)


def xml() -> str:
    rows = []
    for element, attributes in catalogue.ELEMENTS.items():
        acting = [f"`{name}`" for name, state in attributes.items() if state == catalogue.ACTS]
        others = [f"`{name}`: {state}" for name, state in attributes.items() if state != catalogue.ACTS]
        rows.append((f"`<{element}>`", ", ".join(acting) or "(no attributes)", "; ".join(others)))
    refused = [(f"`<{element}>`", "refused", why) for element, why in catalogue.REFUSED_ELEMENTS.items()]
    return table(("element", "acts", "accepted without effect, or refused"), [*rows, *refused])


def interop() -> str:
    rows = [
        (
            one["sdk"],
            f"`{one['package']}` {one['version']}",
            f"{one['passed']} of {one['operations']}",
            ", ".join(one["failed"]) or "none",
        )
        for one in json.loads(RESULTS.read_text()).values()
    ]
    return table(("SDK", "package", "operations passed", "failed"), rows)


def settings() -> str:
    return table(("setting", "default", "meaning"), _settings(Settings, ""))


def _settings(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, item in model.model_fields.items():
        inner = [part for part in (item.annotation, *get_args(item.annotation)) if isinstance(part, type)]
        tables = [part for part in inner if issubclass(part, BaseModel)]
        if tables:
            many = get_origin(item.annotation) is tuple
            yield (f"**{f'[[{prefix}{name}]]' if many else f'[{prefix}{name}]'}**", "", item.description or "")
            yield from _settings(tables[0], f"{prefix}{name}.")
        else:
            default = "required" if item.is_required() else _default(item.get_default(call_default_factory=True))
            yield (f"`{prefix}{name}`", default, item.description or "")


def _default(value: Any) -> str:
    if value in ("", None, (), {}):
        return "empty"
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def commands() -> str:
    """Every command with its words."""
    return "".join(_command(typer.main.get_command(app), "mixminus"))


def _command(command: Any, name: str) -> Iterator[str]:
    children: dict[str, Any] = getattr(command, "commands", {})
    if command.help and name != "mixminus":
        rows = []
        for item in command.params:
            if item.name == "help":
                continue
            option = "/".join(item.opts) if item.param_type_name == "option" else ""
            metavar = "" if getattr(item, "is_flag", False) else item.metavar or str(item.name).upper()
            words = f"{option} {metavar}".strip()
            rows.append((f"`{words}`", getattr(item, "help", "") or ""))
        yield f"\n### {name}\n\n{' '.join(command.help.split())}\n\n" + (table(("", ""), rows) if rows else "")
    for child, inner in children.items():
        yield from _command(inner, f"{name} {child}")


SECTIONS: dict[str, Callable[[], str]] = {
    "endpoints": endpoints,
    "parameters": request_parameters,
    "answers": answers,
    "event-groups": event_groups,
    "callbacks": callbacks,
    "xml": xml,
    "interop": interop,
    "settings": settings,
    "commands": commands,
}
PAGES = ("compatibility.md", "configuration.md", "cli.md")


def page(text: str) -> str:
    """A page with its tables made anew. Raises KeyError for a table that is not known."""
    return _SECTION.sub(lambda found: f"{found[1]}\n{SECTIONS[found[2]]()}\n{found[3]}", text)


def main() -> None:
    for name in PAGES:
        path = HERE / name
        path.write_text(page(path.read_text()))


if __name__ == "__main__":
    main()
