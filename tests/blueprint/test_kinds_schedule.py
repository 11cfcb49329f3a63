"""What the schedules section asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blueprint.environment import parse, read
from blueprint.environment.schedules import Schedule
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
        "every": None,
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
    found = schedules(data)

    carried = found[0].inputs["environment"]

    assert parse(carried) == parse(data)
    assert schedules(carried) == found


BACKUP: dict[str, Any] = {**MINIMAL, "buckets": {"lssm/backups": {}}, "backup": {"bucket": "lssm/backups"}}


def test_backups_have_schedules_of_their_own() -> None:
    """With a section `backup` three more are there, each with what it backs up, and none that the file takes out."""
    drift, backup, drill, retention = schedules(BACKUP)

    assert [found.name for found in (drift, backup, drill, retention)] == [
        f"lssm-prod-{what}" for what in ("drift", "backup", "drill", "retention")
    ]
    assert backup.fields["starts"] == {
        "workflow": "Scheduled",
        "id": "backup/lssm-prod/schedule",
        "task_queue": "scaleway-infra",
    }
    assert [found.fields["cron"] for found in (backup, drill, retention)] == ["30 1 * * *", "30 3 * * 0", "0 5 * * *"]
    scheduled = drill.inputs["scheduled"]
    assert scheduled["what"] == "drill"
    assert "target" not in scheduled["site"]
    assert parse(scheduled["site"]["file"]) == parse(BACKUP)
    assert len(schedules(BACKUP | {"schedules": {"drill": None}})) == 3


def test_an_interval() -> None:
    """Every so often, instead of at a time of the day."""
    settings = {"every": "6h", "overlap": "buffer_one", "catch_up": "10m"}
    found = schedules(BACKUP | {"schedules": {"backup": settings}})[1]

    assert {name: found.fields[name] for name in ("cron", "every", "overlap", "catch_up")} == {
        "cron": None,
        "every": 21600.0,
        "overlap": "buffer_one",
        "catch_up": 600.0,
    }


@pytest.mark.parametrize(
    ("clock", "hours"),
    [
        ({"cron": "30 1 * * *"}, 24.0),
        ({"cron": "0 */6 * * *"}, 6.0),
        ({"cron": "0 8-18 * * *"}, 14.0),
        ({"cron": "0 6 * * 1-5"}, 72.0),
        ({"cron": "0 3 * * 0"}, 168.0),
        ({"cron": "0 3 * * 7"}, 168.0),
        ({"cron": "*/20 * * * *"}, 1 / 3),
        ({"cron": "5/30,50 12 * * *"}, 23.25),
        ({"cron": "0 3 1 * *"}, 31 * 24.0),
        ({"cron": "0 3 1-7 * 0"}, 35 * 24.0),
        ({"cron": "0 8,20 1 1 *"}, 366 * 24.0 - 12.0),
        ({"cron": "0 3 30 2 *"}, None),
        ({"every": "90m"}, 1.5),
    ],
    ids=str,
)
def test_longest_pause(clock: dict[str, Any], hours: float | None) -> None:
    """The time that passes between two starts, at most."""
    pause = Schedule.model_validate(clock).longest_pause

    assert pause == (None if hours is None else pytest.approx(hours * 3600))


def test_only_a_change_of_meaning_changes_the_digest() -> None:
    """A default that is written out, or another order of keys, says nothing new."""
    digest = schedules(MINIMAL)[0].fields["file"]

    assert schedules(dict(reversed(MINIMAL.items())) | {"region": "fr-par"})[0].fields["file"] == digest
    assert schedules(MINIMAL | {"redis": {"type": "RED1-XS"}})[0].fields["file"] != digest
