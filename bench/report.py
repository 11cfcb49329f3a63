"""What a measurement has to say: a small table, and whether its must-be holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass
class Report:
    """The result of one measurement.

    Attributes:
        columns: heads of the table.
        rows: its rows.
        notes: lines below it.
        violations: what is not as it must be; empty if all is well.
    """

    columns: Sequence[str] = ()
    rows: list[Sequence[object]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def require(self, holds: bool, otherwise: str) -> None:
        """Note a violation unless the condition holds."""
        if not holds:
            self.violations.append(otherwise)

    def show(self, console: Console) -> None:
        """Print it."""
        if self.rows:
            table = Table(*self.columns, box=None, pad_edge=False, header_style="bold")
            for row in self.rows:
                table.add_row(*(Text(_cell(value)) for value in row))
            console.print(table)
        for note in self.notes:
            console.print(Text(note))
        for violation in self.violations:
            console.print(Text(f"MUST NOT BE: {violation}", style="red"))
        if not self.violations:
            console.print(Text("as it must be", style="green"))


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
