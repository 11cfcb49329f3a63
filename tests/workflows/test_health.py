"""Health on a real server: what a run finds, and what it does when it cannot look."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import ScheduleActionStartWorkflow

from blueprint.environment import parse
from blueprint.health.contract import HealthOutput, HealthSite
from blueprint.health.site_of import health_site
from starters.engine import Run, target_of
from tests.workflows.house import House, small
from workflows.health import Health

ORG = "lssm"
ZONE = "replay.tech"
DATA: dict[str, Any] = {
    "org": ORG,
    "env": "health",
    "network": {"cidr": "10.0.0.0/24"},
    "security_groups": {},
    "sqs": {"queues": {"shop/jobs": {}}},
    "dns": {ZONE: {"records": [{"name": "api", "type": "A", "values": ["203.0.113.7"]}]}},
    "health": {},
}


def site(data: dict[str, Any]) -> HealthSite:
    """What of a file is checked."""
    environment = parse(data)
    return health_site(environment, target_of(environment))


def begun(home: House, data: dict[str, Any]) -> Run[HealthOutput]:
    """A run, as the schedule or a person starts it."""
    return home.run(home.engine.look(Health.run, "health", site(data).target, site(data)))


@pytest.fixture
def data(home: House) -> dict[str, Any]:
    """An environment with a zone and queues, that is there."""
    zone = f"{small()['org']}.tech"
    made = small(**{key: DATA[key] for key in ("sqs", "health")}, dns={zone: DATA["dns"][ZONE]})
    home.apply(made)
    return made


def resolver(home: House) -> dict[str, str]:
    """The setting that leads to the emulator's name server."""
    return {"SCALEWAY_INFRA_RESOLVER": home.api.emulator.planes["dns"].url}


def test_all_is_well(home: House, data: dict[str, Any]) -> None:
    """Each group is an activity; the page shows every check, and nothing is left in a queue."""
    with home.working_instead(**resolver(home)):
        run = begun(home, data)
        output = home.run(run.result())

        assert not output.down
        [zone] = data["dns"]
        own = f"queue/{data['org']}-test-health"
        assert {check.name for check in output.checks} == {f"dns/{zone}", "queue/shop-test-jobs", own}
        assert "all 3 checks are well" in home.details(run)
    events = home.run(run.handle.fetch_history()).events
    assert sum(event.HasField("activity_task_scheduled_event_attributes") for event in events) == 2


def test_what_is_down_is_a_result(home: House, data: dict[str, Any]) -> None:
    """The run has done its work when it knows that something is wrong."""
    [zone] = data["dns"]
    other = {**data, "dns": {zone: {"records": [{"name": "www", "type": "A", "values": ["203.0.113.7"]}]}}}
    with home.working_instead(**resolver(home)):
        run = begun(home, other)
        output = home.run(run.result())

        assert [check.trouble for check in output.down] == [f"www.{zone} A: the name does not exist"]
        assert "**1 of 3 checks fail**" in home.details(run)


def test_what_cannot_be_checked_fails_the_run(home: House) -> None:
    """Nobody knows how queues are without credentials; the checks that could be made are told all the same."""
    data = small(sqs={"queues": {"shop/jobs": {}}}, dns={f"{small()['org']}.tech": DATA["dns"][ZONE]}, health={})
    with home.working_instead(**resolver(home)):
        run = begun(home, data)
        code, message = home.failure(run)

        assert code == "health_unknown"
        assert "1 of 2 groups" in message
        assert "**could not be checked**" in home.details(run)
        assert "`dns/" in home.details(run)


def test_the_schedule_starts_it(home: House, data: dict[str, Any]) -> None:
    """With exactly what the file says, and what apply made of it."""
    with home.working_instead(**resolver(home)):
        handle = home.client.get_schedule_handle(f"{data['org']}-test-health")
        description = home.run(handle.describe())
        assert description.schedule.spec.intervals[0].every.total_seconds() == 300
        action = description.schedule.action
        assert isinstance(action, ScheduleActionStartWorkflow)
        [given] = home.run(home.client.data_converter.decode(action.args, [HealthSite]))
        assert given == site(data)
        assert not home.plan(data).changes
