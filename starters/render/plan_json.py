"""A plan for programs: `plan --output json`, with a version that tells them what they may rely on."""

from __future__ import annotations

from typing import Any

from blueprint.plan import SCHEMA_VERSION, Plan


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain data.

    A reader ignores keys that it does not know and refuses a major version that it does not know.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "environment": plan.environment,
        "destroy": plan.destroy,
        "fingerprint": plan.fingerprint(),
        "pending": plan.pending,
        "counts": plan.counts(),
        "changes": [
            {
                "key": change.key,
                "kind": change.kind,
                "name": change.name,
                "action": change.action,
                "why": change.why,
                "id": change.observed.id if change.observed else None,
                "differences": [difference.model_dump(mode="json") for difference in change.differences],
            }
            for change in plan.changes
        ],
        "kept": list(plan.kept),
    }
