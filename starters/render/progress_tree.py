"""A run as it goes: steps with their times, alive in a terminal, a line each elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.spinner import Spinner
from rich.text import Text

from blueprint.backup.contract import TransferProgress
from starters.render.transfer_text import transfer_text
from workflows.messages import Progress, StepProgress, StepState

_SIGNS: dict[StepState, tuple[str, str]] = {
    "waiting": ("·", "dim"),
    "running": ("▸", "cyan"),
    "parked": ("!", "bold red"),
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("»", "yellow"),
    "dropped": ("–", "dim"),
}
MOVING_EVERY = 10.0
"""Seconds between two lines about what moves data, in logs and pipes."""
LINES = 20
"""Steps that the live tree shows at most; those that run or wait for an operator come first."""


def progress_tree(progress: Progress, moving: Sequence[TransferProgress] = ()) -> RenderableType:
    """The steps under way, parked and lately done, below one line that counts; at the end what moves data.

    Args:
        progress: the steps.
        moving: what moves data.
    """
    steps = sorted(progress.steps, key=_rank)
    total = len(steps)
    done = sum(step.state in ("done", "skipped") for step in steps)
    head = Spinner("dots", Text(f" {progress.phase}: {done} of {total} steps done" if total else f" {progress.phase}"))
    shown = [step for step in steps if step.state != "waiting"][:LINES]
    waiting = sum(step.state == "waiting" for step in steps)
    tail = [Text(f"  … {waiting} more wait for these", style="dim")] if waiting else []
    return Group(head, *(_line(step) for step in shown), *tail, *(transfer_text(item) for item in moving))


def _rank(step: StepProgress) -> tuple[int, float]:
    order = {"parked": 0, "running": 1}.get(step.state, 2)
    return order, -(step.ended or step.started or 0.0)


def _line(step: StepProgress) -> Text:
    sign, style = _SIGNS[step.state]
    line = Text(f"  {sign} ", style=style)
    line.append(step.id)
    if step.started is not None:
        line.append(f"  {(step.ended or time.time()) - step.started:.1f} s", style="dim")
    if step.trouble:
        line.append(f"\n      {step.trouble}", style="red")
    return line


class ProgressLines:
    """For logs and pipes: one line for each step that ends or is parked, none twice, and now and then what moves.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: dict[str, StepState] = {}
        self._moved = time.monotonic()

    def tell(self, progress: Progress, moving: Sequence[TransferProgress] = ()) -> None:
        """Print what is new."""
        if moving and time.monotonic() - self._moved > MOVING_EVERY:
            self._moved = time.monotonic()
            for item in moving:
                self._console.print(transfer_text(item), soft_wrap=True)
        for step in progress.steps:
            if (
                step.state in ("done", "failed", "skipped", "parked", "dropped")
                and self._told.get(step.id) != step.state
            ):
                self._told[step.id] = step.state
                self._console.print(_line(step), soft_wrap=True)
