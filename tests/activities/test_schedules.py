"""Schedules on a real Temporal server."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import pytest
from temporalio.client import Schedule, ScheduleActionStartWorkflow, ScheduleSpec, ScheduleUpdate

from activities.kinds.schedules import ScheduleLifecycle
from activities.lifecycle import NO_PARENT, Scope
from activities.temporal_client import TemporalBridge
from blueprint.backup.contract import ScheduledInput
from blueprint.contract import Target
from blueprint.environment import parse
from blueprint.errors import Busy, Gone
from blueprint.graph import resources_of
from blueprint.resource import Observed, Resource
from tests.activities.conftest import TARGET, Control, differences, make_cloud


@pytest.fixture
def env() -> str:
    """An environment that no other test has."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def lifecycle(bridge: TemporalBridge, emulator: Control, env: str) -> ScheduleLifecycle:
    """Schedules of that environment."""
    return ScheduleLifecycle(make_cloud(emulator, bridge, TARGET.model_copy(update={"env": env})))


def wanted(env: str, **drift: Any) -> Resource:
    """The schedule that a file with this `schedules.drift` asks for."""
    settings = {"cron": "*/20 6-8 * * 1,7", "time_zone": "Europe/Paris", "jitter": "10m", **drift}
    data = {"org": "lssm", "env": env, "network": {"cidr": "10.0.0.0/24"}, "schedules": {"drift": settings}}
    (found,) = [resource for resource in resources_of(parse(data)) if resource.kind == "schedule"]
    return found


def of_backups(env: str, what: str, **settings: Any) -> Resource:
    """The schedule `what` of a file that backs up, with these settings."""
    data = {
        "org": "lssm",
        "env": env,
        "network": {"cidr": "10.0.0.0/24"},
        "buckets": {"lssm/backups": {}},
        "backup": {"bucket": "lssm/backups", "late_after": "30d"},
        "schedules": {what: settings},
    }
    return next(resource for resource in resources_of(parse(data)) if resource.key == f"schedule.{what}")


def only(lifecycle: ScheduleLifecycle) -> Observed:
    """The one schedule there is."""
    (found,) = lifecycle.list(NO_PARENT, Scope())
    return found


def eventually(lifecycle: ScheduleLifecycle, resource: Resource) -> Observed:
    """The schedule once it is as declared and ours: the server takes an update in, then carries it out."""
    deadline = time.monotonic() + 10
    while (found := only(lifecycle)).ownership != "ours" or differences(resource, found):
        assert time.monotonic() < deadline, differences(resource, found)
        time.sleep(0.05)
    return found


def test_kept_as_declared(lifecycle: ScheduleLifecycle, env: str) -> None:
    """Made once, changed field by field, removed."""
    resource = wanted(env)
    assert not list(lifecycle.list(NO_PARENT, Scope()))

    assert lifecycle.create(resource) == f"lssm-{env}-drift"
    (found,) = lifecycle.find(resource)
    assert not differences(resource, found)
    assert found.ownership == "ours"
    with pytest.raises(Busy):
        lifecycle.create(resource)

    changed = wanted(env, cron="0 7 * * *", time_zone="UTC", jitter="0s")
    paths = [item.path for item in differences(changed, found)]
    assert paths == ["cron", "time_zone", "jitter", "file"]
    lifecycle.update(changed, found, differences(changed, found))
    eventually(lifecycle, changed)

    lifecycle.delete(found)
    assert not list(lifecycle.list(NO_PARENT, Scope()))
    with pytest.raises(Gone):
        lifecycle.delete(found)


def test_schedule_of_backups(lifecycle: ScheduleLifecycle, env: str) -> None:
    """By an interval or by the clock, with all that is backed up; what is declared is what is found."""
    resource = of_backups(env, "backup", every="6h", jitter="5m", overlap="buffer_one", catch_up="2h")

    assert lifecycle.create(resource) == f"lssm-{env}-backup"
    found = only(lifecycle)
    assert not differences(resource, found)

    changed = of_backups(env, "backup", cron="30 1 * * *", overlap="buffer_one", catch_up="2h")
    paths = {item.path for item in differences(changed, found)}
    assert paths == {"cron", "every", "jitter", "file"}
    lifecycle.update(changed, found, differences(changed, found))
    eventually(lifecycle, changed)


def test_operators_pause_and_others_changes(lifecycle: ScheduleLifecycle, bridge: TemporalBridge, env: str) -> None:
    """A pause is no drift and outlives an update; times changed by hand are seen."""
    resource = wanted(env)
    handle = bridge.client.get_schedule_handle(lifecycle.create(resource))
    bridge.run(handle.pause(note="migration on Friday"))
    paused = only(lifecycle)
    assert paused.status == "paused"
    assert not differences(resource, paused)

    changed = wanted(env, cron="0 7 * * *")
    lifecycle.update(changed, paused, ())
    eventually(lifecycle, changed)
    state = bridge.run(handle.describe()).schedule.state
    assert (state.paused, state.note) == (True, "migration on Friday")

    def by_hand(input: Any) -> ScheduleUpdate:
        schedule = input.description.schedule
        schedule.spec = ScheduleSpec(cron_expressions=["0 9 * * *"], time_zone_name="Europe/Paris")
        return ScheduleUpdate(schedule)

    bridge.run(handle.update(by_hand))
    deadline = time.monotonic() + 10
    while not (found := [item.path for item in differences(changed, only(lifecycle))]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found == ["cron", "jitter"]


def test_a_schedule_made_by_hand_is_foreign_until_adopted(
    lifecycle: ScheduleLifecycle, bridge: TemporalBridge, env: str
) -> None:
    """Another action under our id is not ours; updating it, which an adoption does, makes it so."""
    resource = wanted(env)
    action = ScheduleActionStartWorkflow("Other", "input", id="other", task_queue="other")
    bridge.run(bridge.client.create_schedule(resource.name, Schedule(action=action, spec=ScheduleSpec())))
    foreign = only(lifecycle)
    assert foreign.ownership == "foreign"
    assert {item.path for item in differences(resource, foreign)} >= {"cron", "file", "starts.workflow"}

    lifecycle.update(resource, foreign, ())

    eventually(lifecycle, resource)


def test_another_project_is_another_input(
    lifecycle: ScheduleLifecycle, bridge: TemporalBridge, emulator: Control, env: str
) -> None:
    """The look for drift must see the project that was applied to."""
    resource = wanted(env)
    lifecycle.create(resource)
    target = Target(**TARGET.model_dump() | {"env": env, "project_id": str(uuid.uuid4())})

    elsewhere = ScheduleLifecycle(make_cloud(emulator, bridge, target))

    assert [item.path for item in differences(resource, only(elsewhere))] == ["file"]


@pytest.mark.parametrize("what", ["drift", "drill"])
def test_triggered(lifecycle: ScheduleLifecycle, bridge: TemporalBridge, env: str, what: str) -> None:
    """What it starts, on the workers' queue, with what the file says, found by environment."""
    resource = wanted(env) if what == "drift" else of_backups(env, what, cron="0 3 * * 0")
    handle = bridge.client.get_schedule_handle(lifecycle.create(resource))

    async def trigger() -> Any:
        await handle.trigger()
        while not (recent := (await handle.describe()).info.recent_actions):
            await asyncio.sleep(0.05)
        started = recent[0].action
        run = bridge.client.get_workflow_handle(started.workflow_id, run_id=started.first_execution_run_id)  # type: ignore[attr-defined]
        description = await run.describe()
        history = await run.fetch_history()
        await run.terminate("the test is over")
        return description, history.events[0].workflow_execution_started_event_attributes.input.payloads[0].data

    description, data = bridge.run(trigger())

    assert description.workflow_type == {"drift": "Drift", "drill": "Scheduled"}[what]
    assert description.task_queue == "scaleway-infra"
    assert description.id.startswith(f"{what}/lssm-{env}/schedule-")
    found = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert found["Environment"] == f"lssm-{env}"
    assert found["Operation"] == what
    assert found["StartedBy"] == f"schedule lssm-{env}-{what}"
    assert f'"env":"{env}"'.encode() in data
    if what == "drill":
        scheduled = ScheduledInput.model_validate_json(data)
        assert (scheduled.what, scheduled.site.target) == (what, TARGET.model_copy(update={"env": env}))
