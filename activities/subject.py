"""What an activity is about, read from its input, for whoever looks at its span or its lines in the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio import activity

from blueprint.contract import StepInput


def subject_of(arguments: Sequence[Any]) -> dict[str, Any]:
    """Environment, operation, and whatever the input names of step, resources, node, asset and commit.

    Args:
        arguments: of the activity.
    """
    input = arguments[0] if arguments else None
    target = getattr(getattr(input, "site", input), "target", None)
    found = {
        "environment": getattr(target, "environment", ""),
        "operation": (activity.info().workflow_type or "").lower(),
        "node": getattr(input, "node", ""),
        "asset": getattr(input, "asset", ""),
        "commit": getattr(input, "commit", ""),
    }
    if isinstance(input, StepInput):
        keys = tuple(change.key for change in input.changes)
        found |= {"step": input.step, "resource.kind": input.changes[0].kind, "resource.key": keys}
    return {name: value for name, value in found.items() if value}
