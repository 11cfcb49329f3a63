"""What the schedules section asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blueprint.environment import parse, read
from blueprint.graph import resources_of
from blueprint.resource import Resource

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
MINIMAL = {"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}}


def schedules(data: dict[str, Any]) -> list[Resource]:
    """The schedules of a file."""
    return [resource for resource in resources_of(parse(data)) if resource.kind == "schedule"]


def test_drift() -> None:
    """The look for drift is on unless the file says otherwise."""
    drift = {"cron": " 30  6 * * 1-5", "time_zone": "Europe/Paris", "jitter": "10m"}
    (found,) = schedules(MINIMAL | {"schedules": {"drift": drift}})

    assert found.key == "schedule.drift"
    assert found.name == "lssm-prod-drift"
    assert found.fields == {
        "cron": "30 6 * * 1-5",
        "time_zone": "Europe/Paris",
        "jitter": 600.0,
        "overlap": "skip",
        "catch_up": 3600.0,
        "starts": {"workflow": "Drift", "id": "drift/lssm-prod/schedule", "task_queue": "scaleway-infra"},
        "file": found.fields["file"],
    }
    assert schedules(MINIMAL)[0].fields["cron"] == "0 6 * * *"
    assert not schedules(MINIMAL | {"schedules": {"drift": None}})


@pytest.mark.parametrize("name", ["prod", "stg"])
def test_the_schedule_carries_the_file(name: str) -> None:
    """A look started by the schedule sees the environment that was applied, and finds its own schedule as declared."""
    data = read(name, ENVIRONMENTS)
    (found,) = schedules(data)

    carried = found.inputs["environment"]

    assert parse(carried) == parse(data)
    assert schedules(carried) == [found]


def test_only_a_change_of_meaning_changes_the_digest() -> None:
    """A default that is written out, or another order of keys, says nothing new."""
    digest = schedules(MINIMAL)[0].fields["file"]

    assert schedules(dict(reversed(MINIMAL.items())) | {"region": "fr-par"})[0].fields["file"] == digest
    assert schedules(MINIMAL | {"redis": {"type": "RED1-XS"}})[0].fields["file"] != digest
