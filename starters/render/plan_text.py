"""A plan for people in a terminal, in the manner of Terraform."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from blueprint.kinds import KINDS
from blueprint.plan import Action, Change, Difference, Plan
from blueprint.resource import UNKNOWN

SIGNS: dict[Action, tuple[str, str]] = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "replace": ("±", "magenta"),
    "delete": ("-", "red"),
    "adopt": (">", "cyan"),
    "await": ("…", "blue"),
    "held": ("=", "blue"),
    "conflict": ("!", "bold red"),
}
"""Sign and style of each action."""

_COUNTED = {
    "keep": ("kept", "kept"),
    "create": ("to create", "created"),
    "update": ("to update", "updated"),
    "replace": ("to replace", "replaced"),
    "delete": ("to delete", "deleted"),
    "adopt": ("to adopt", "adopted"),
    "await": ("to wait for", "waited for"),
    "held": ("held by protection", "held by protection"),
    "conflict": ("in conflict", "in conflict"),
}
"""What a number of objects is followed by, before and after, in the order in which they are told."""

LONGEST_VALUE = 200
"""Characters after which a value is cut in a terminal; `--output json` has it whole."""


def plan_text(plan: Plan) -> RenderableType:
    """Every change with its differences, and the counts."""
    lines: list[Text] = []
    for change in plan.changes:
        lines.extend(_change(change))
    if lines:
        lines.append(Text())
    lines.append(summary_line(plan))
    return Group(*lines)


def summary_line(plan: Plan) -> Text:
    """One line: how many of what, and the fingerprint."""
    if not plan.changes:
        nothing = (
            "Nothing of ours exists." if plan.destroy else f"No changes: {len(plan.kept)} resources are as declared."
        )
        return Text(nothing, style="green")
    line = Text("Plan: ")
    line.append_text(counted(plan.counts(), done=False))
    line.append(f". Fingerprint {plan.fingerprint()}.")
    return line


def counted(counts: Mapping[str, int], *, done: bool) -> Text:
    """How many of what: "85 kept, 7 to create, 1 held by protection".

    Args:
        counts: of `Plan.counts`.
        done: whether it has happened: "7 created".
    """
    styles = {"keep": ""} | {action: style for action, (_, style) in SIGNS.items()}
    told = [
        Text(f"{counts[action]} {words[done]}", styles[action])
        for action, words in _COUNTED.items()
        if counts.get(action)
    ]
    return Text(", ").join(told)


def _change(change: Change) -> list[Text]:
    sign, style = SIGNS[change.action]
    title = KINDS[change.kind].title
    head = Text(f"{sign} {change.action:8} ", style=style)
    head.append(change.key, style="bold")
    head.append(f"  {title} {change.name}")
    lines = [head]
    if change.why:
        lines.append(Text(f"    {change.why}", style="italic"))
    for difference in change.differences:
        lines.extend(_difference(difference))
    return lines


def _difference(difference: Difference) -> Iterator[Text]:
    """Of two lists, only the items that go and come."""
    if isinstance(difference.old, list) and isinstance(difference.new, list):
        gone = [item for item in difference.old if item not in difference.new]
        come = [item for item in difference.new if item not in difference.old]
        if gone or come:
            yield Text(f"    {difference.path}:")
            yield from (Text(f"      - {shown(item)}", style="red") for item in gone)
            yield from (Text(f"      + {shown(item)}", style="green") for item in come)
            return
    line = Text(f"    {difference.path}: ")
    line.append(shown(difference.old), style="red")
    line.append(" -> ")
    line.append(shown(difference.new), style="green")
    yield line


def shown(value: Any) -> str:
    """A value in one line, cut where it is long."""
    if value == UNKNOWN:
        return UNKNOWN
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text)} characters)"
