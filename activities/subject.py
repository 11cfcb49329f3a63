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
    given = arguments[0] if arguments else None
    target = getattr(getattr(given, "site", given), "target", None)
    found = {
        "environment": getattr(target, "environment", ""),
        "operation": (activity.info().workflow_type or "").lower(),
        "node": getattr(given, "node", ""),
        "asset": getattr(given, "asset", ""),
        "commit": getattr(given, "commit", ""),
    }
    if isinstance(given, StepInput):
        keys = tuple(change.key for change in given.changes)
        found |= {"step": given.step, "resource.kind": given.changes[0].kind, "resource.key": keys}
    return {name: value for name, value in found.items() if value}
