"""What exists, in one table."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from blueprint.contract import InventoryOutput
from blueprint.kinds import KINDS
from blueprint.protection import is_protected

_MARKS = {"ok": "[green]ok[/]", "pending": "[yellow]pending[/]", "failed": "[red]failed[/]"}
_WIDE = 150
"""Columns of a terminal from which on ids are shown whole."""
_SHORT_ID = 8


def status_table(found: InventoryOutput, width: int) -> Table:
    """One row for each object, and for each resource that is missing.

    Args:
        found: what exists.
        width: columns of the terminal.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("kind", "name", "health", "status"):
        table.add_column(column, no_wrap=width >= _WIDE, overflow="fold")
    table.add_column("address", overflow="fold", no_wrap=width >= _WIDE)
    table.add_column("id", no_wrap=True)
    for item in found.objects:
        health = _MARKS[item.health] if item.ownership == "ours" else "[red]not ours[/]"
        # An id that repeats the name, as that of a bucket or a database, says nothing new.
        shown = "" if item.id.rsplit("/", 1)[-1] == item.name.rsplit("/", 1)[-1] else item.id
        if width < _WIDE:
            shown = shown[:_SHORT_ID]
        table.add_row(KINDS[item.kind].title, item.name, health, item.status, _address(item.outputs), shown)
    for key in found.missing:
        kind, _, name = key.partition(".")
        table.add_row(KINDS[kind].title, name, "[red]missing[/]", "", "", "")
    return table


def status_json(found: InventoryOutput) -> dict[str, Any]:
    """The same for programs."""
    return {
        "schema_version": "1.0",
        "objects": [
            {
                "key": found.keys.get(f"{item.kind} {item.name}"),
                "kind": item.kind,
                "name": item.name,
                "id": item.id,
                "health": item.health,
                "status": item.status,
                "ours": item.ownership == "ours",
                "protected": is_protected(item.kind, item),
                "outputs": item.outputs,
            }
            for item in found.objects
        ],
        "missing": list(found.missing),
    }


def _address(outputs: dict[str, Any]) -> str:
    address = str(outputs.get("address") or outputs.get("url") or outputs.get("endpoint") or "")
    return f"{address}:{outputs['port']}" if address and outputs.get("port") else address
