"""The resource graph as a picture: Mermaid, which GitHub and most editors draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from blueprint.kinds import KINDS
from blueprint.plan import Plan
from blueprint.resource import Resource

COLOURS = {
    "create": "#b7e4c7",
    "update": "#ffe8a1",
    "replace": "#e0c3fc",
    "delete": "#ffb3b3",
    "adopt": "#a8e6f0",
    "await": "#bcd4ff",
    "held": "#d9d9d9",
    "conflict": "#ff6b6b",
    "keep": "#ffffff",
    "ok": "#b7e4c7",
    "pending": "#ffe8a1",
    "failed": "#ff6b6b",
    "missing": "#eeeeee",
}
"""Fill by the action of a plan, or by the health of what exists."""


def by_plan(plan: Plan) -> dict[str, str]:
    """What the plan does with each resource, by key."""
    return dict.fromkeys(plan.kept, "keep") | {change.key: change.action for change in plan.changes}


def mermaid(resources: Iterable[Resource], states: Mapping[str, str]) -> str:
    """A flow chart, a box for each product: an arrow leads from each resource to those that need it.

    Args:
        resources: the nodes.
        states: key of `COLOURS` by resource key; white for those without.
    """
    everything = list(resources)
    number = {resource.key: f"n{index}" for index, resource in enumerate(everything)}
    lines = ["flowchart LR"]
    for product in dict.fromkeys(KINDS[resource.kind].product for resource in everything):
        lines.append(f"  subgraph {product}")
        for resource in everything:
            if KINDS[resource.kind].product == product:
                label = f"{KINDS[resource.kind].title}<br/>{resource.name}".replace('"', "'")
                lines.append(f'    {number[resource.key]}["{label}"]')
        lines.append("  end")
    for resource in everything:
        lines += [f"  {number[needed]} --> {number[resource.key]}" for needed in resource.dependencies()]
    used = sorted({state for resource in everything if (state := states.get(resource.key))})
    for state in used:
        lines.append(f"  classDef {state} fill:{COLOURS[state]},stroke:#333,color:#000")
        members = ",".join(number[resource.key] for resource in everything if states.get(resource.key) == state)
        lines.append(f"  class {members} {state}")
    return "\n".join(lines) + "\n"
