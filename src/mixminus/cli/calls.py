"""``mixminus calls``: the multiparty calls that are live, and who is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from mixminus.cli.client import ApiClient
from mixminus.cli.running import find
from mixminus.cli.view import age, show, table

_COLOURS = {"agent": "green", "customer": "cyan", "supervisor": "magenta"}


def calls(data: Path | None, http: str | None, *, ended: bool, as_json: bool, watch: bool) -> int:
    """Show them; returns the exit code. Raises :class:`~mixminus.errors.ConfigurationError`."""
    client = ApiClient(find(data, http))
    return show(lambda: gather(client, ended=ended), draw, as_json=as_json, watch=watch)


def gather(client: ApiClient, *, ended: bool) -> list[dict[str, Any]]:
    """Each call as the API describes it, its present members under ``members``."""
    found = []
    for status in ("active", "initialized", *(("ended",) if ended else ())):
        for call in client.every("MultiPartyCall", status=status, most=1000 if status != "ended" else 20):
            uuid = f"uuid_{call['mpc_uuid']}"
            members = [] if status == "ended" else client.get("MultiPartyCall", uuid, "Participant")["objects"]
            found.append({**call, "members": members})
    return found


def draw(found: list[dict[str, Any]]) -> RenderableType:
    if not found:
        return Text("No multiparty call is live.")
    shown = table("call", "status", "since", "recording", "members", "uuid")
    for call in found:
        since = call["end_time"] or call["start_time"] or call["creation_time"]
        recording = call["recording"] or ""
        style = {"recording": "red", "paused": "yellow"}.get(recording, "dim")
        shown.add_row(
            call["friendly_name"],
            call["status"],
            age(since),
            Text(recording, style),
            Group(*[_member(one) for one in call["members"]]) if call["members"] else "",
            Text(call["mpc_uuid"], "dim"),
        )
    return shown


def _member(one: dict[str, Any]) -> Text:
    flags = [word for word, key in (("muted", "mute"), ("on hold", "hold"), ("coaching", "coach_mode")) if one[key]]
    return Text.assemble(
        (f"{one['role']:<10}", _COLOURS.get(one["role"], "")),
        f" {one['member_address']}",
        (f"  {', '.join(flags)}" if flags else "", "yellow"),
    )
