"""What tests ask of the steps of a plan."""

from __future__ import annotations

from blueprint.plan import Plan


def before(plan: Plan, first: str, then: str) -> bool:
    """Whether one step has to be done before another can begin."""
    after = {step.id: step.after for step in plan.steps}
    reached, waiting = set[str](), [then]
    while waiting:
        for step in after[waiting.pop()]:
            if step not in reached:
                reached.add(step)
                waiting.append(step)
    return first in reached
