"""Health for people: what is up, what is not, and why."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from blueprint.health.contract import Check
from blueprint.health.wording import said


def health_table(checks: Sequence[Check]) -> Table:
    """A row for each check, those that fail first."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("check", overflow="fold")
    table.add_column("")
    table.add_column("seconds", justify="right")
    table.add_column("", overflow="fold")
    for check in sorted(checks, key=lambda check: check.up):
        mark = Text("up", style="green") if check.up else Text("down", style="red")
        table.add_row(check.name, mark, f"{check.seconds:.2f}", Text(said(check)))
    return table
