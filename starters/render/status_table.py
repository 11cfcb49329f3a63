"""What exists, in one table."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from blueprint.contract import InventoryOutput
from blueprint.kinds import KINDS

_MARKS = {"ok": "[green]ok[/]", "pending": "[yellow]pending[/]", "failed": "[red]failed[/]"}


def status_table(found: InventoryOutput) -> Table:
    """One row for each object, and for each resource that is missing."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("kind", "name", "health", "status", "address", "id"):
        table.add_column(
            column, overflow="fold" if column in ("name", "address") else "ellipsis", no_wrap=column == "id"
        )
    for item in found.objects:
        health = _MARKS[item.health] if item.ownership == "ours" else "[red]not ours[/]"
        table.add_row(KINDS[item.kind].title, item.name, health, item.status, _address(item.outputs), item.id)
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
                "protected": bool(item.protected) or KINDS[item.kind].protected,
                "outputs": item.outputs,
            }
            for item in found.objects
        ],
        "missing": list(found.missing),
    }


def _address(outputs: dict[str, Any]) -> str:
    address = str(outputs.get("address") or outputs.get("url") or outputs.get("endpoint") or "")
    return f"{address}:{outputs['port']}" if address and outputs.get("port") else address
