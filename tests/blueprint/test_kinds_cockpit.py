"""What a monitoring section asks for."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.environment import parse
from blueprint.graph import resources_of
from blueprint.kinds import KINDS
from blueprint.planner import make_plan
from blueprint.resource import Observed, Resource

MINIMAL = {"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}}


def resources(monitoring: dict[str, Any] | None) -> dict[str, Resource]:
    """Cockpit's resources, by key."""
    found = resources_of(parse({**MINIMAL, "monitoring": monitoring}))
    return {resource.key: resource for resource in found if KINDS[resource.kind].product == "cockpit"}


@pytest.mark.parametrize(
    ("monitoring", "expected"),
    [
        (None, {}),
        ({}, {}),
        (
            {"data_sources": {"metrics": {"type": "metrics"}}},
            {"data_source.metrics": ("lssm-prod-metrics", {"type": "metrics", "retention_days": 31}, ())},
        ),
        (
            {"tokens": {"backend": ["write_only_metrics", "write_only_logs"]}},
            {
                "cockpit_token.backend": (
                    "lssm-prod-backend",
                    {"scopes": ["write_only_logs", "write_only_metrics"], "kept": True},
                    ("secret.cockpit-backend",),
                )
            },
        ),
        (
            {"alert_manager": True, "contact_points": ["ops@lssm.tech"]},
            {
                "alert_manager.main": ("lssm-prod-alerts", {"managed_alerts": False}, ()),
                "contact_point.ops@lssm.tech": ("lssm-prod-alerts/ops@lssm.tech", {}, ("alert_manager.main",)),
            },
        ),
    ],
)
def test_resources(monitoring: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    """Each section becomes these resources, with these names, fields and dependencies."""
    found = resources(monitoring)

    assert {key: (item.name, item.fields, item.dependencies()) for key, item in found.items()} == expected


@pytest.mark.parametrize(
    ("key", "fields", "action"),
    [
        ("data_source.logs", {"retention_days": 7}, "update"),
        ("data_source.logs", {"type": "metrics"}, "replace"),
        ("cockpit_token.backend", {"scopes": ["read_only_logs"]}, "replace"),
        ("cockpit_token.backend", {"kept": False}, "replace"),
        ("alert_manager.main", {"managed_alerts": True}, "update"),
    ],
)
def test_difference(key: str, fields: dict[str, Any], action: str) -> None:
    """What a difference from the file means."""
    resource = resources(
        {"data_sources": {"logs": {"type": "logs"}}, "tokens": {"backend": ["write_only_logs"]}, "alert_manager": True}
    )[key].model_copy(update={"depends_on": ()})
    existing = Observed(kind=resource.kind, name=resource.name, id="1", fields=resource.fields | fields)

    plan = make_plan("lssm-prod", [resource], [existing])

    assert [(change.action, bool(change.why)) for change in plan.changes] == [(action, action == "replace")]
