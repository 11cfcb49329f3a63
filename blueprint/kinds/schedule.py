"""Temporal Schedules: what happens by the clock. Drift and health; backups, their drills and their retention."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from blueprint.backup.contract import SCHEDULED_WORKFLOW, ScheduledInput, ScheduledRun
from blueprint.backup.site_of import backup_site
from blueprint.contract import DRIFT_WORKFLOW, TASK_QUEUE, Target, look_id
from blueprint.environment import Environment
from blueprint.environment.schedules import Schedule
from blueprint.health.contract import HEALTH_WORKFLOW, HealthSite
from blueprint.health.site_of import health_site
from blueprint.kinds.kind import Kind
from blueprint.resource import Resource

DRIFT = "drift"
HEALTH = "health"
SCHEDULES = (DRIFT, HEALTH, "backup", "drill", "retention")
"""Every schedule that an environment can have."""

PATIENCE = 14_400.0
"""Seconds that a scheduled run waits for its turn: a backup by hand, or of a large database, may be on its way."""


def _schedules(environment: Environment) -> Iterable[Resource]:
    schedules = environment.schedules
    if schedules.drift:
        # Without defaults, so that only a change of meaning is a change.
        data = environment.model_dump(mode="json", exclude_defaults=True)
        yield _schedule(environment, DRIFT, schedules.drift, DRIFT_WORKFLOW, data, {"environment": data})
    # Which target it is, only the worker knows wholly: its default project may stand in.
    target = Target(org=environment.org, env=environment.env, region="", zone="")
    if environment.health and schedules.health:
        data = looked_at(health_site(environment, target))
        yield _schedule(environment, HEALTH, schedules.health, HEALTH_WORKFLOW, data, {"health": data})
    site = backup_site(environment, target)
    if site is None:
        return
    clocks: dict[ScheduledRun, Schedule | None] = {
        "backup": schedules.backup,
        "drill": schedules.drill,
        "retention": schedules.retention,
    }
    for what, schedule in clocks.items():
        if schedule:
            data = carried(ScheduledInput(what=what, site=site, patience=PATIENCE))
            yield _schedule(environment, what, schedule, SCHEDULED_WORKFLOW, data, {"scheduled": data})


def _schedule(
    environment: Environment,
    what: str,
    schedule: Schedule,
    workflow: str,
    data: Mapping[str, Any],
    inputs: dict[str, Any],
) -> Resource:
    return Resource(
        key=f"schedule.{what}",
        kind="schedule",
        name=environment.names.schedule(what),
        fields={
            "cron": " ".join(schedule.cron.split()) if schedule.cron else None,
            "every": schedule.every,
            "time_zone": schedule.time_zone,
            "jitter": schedule.jitter,
            "overlap": schedule.overlap,
            "catch_up": schedule.catch_up,
            "starts": {
                "workflow": workflow,
                "id": look_id(what, environment.names.stem, "schedule"),
                "task_queue": TASK_QUEUE,
            },
            "file": digest(data),
        },
        inputs=inputs,
    )


def carried(scheduled: ScheduledInput) -> dict[str, Any]:
    """What a schedule of backups carries and is compared by: its input without the target, and without defaults."""
    return scheduled.model_dump(mode="json", exclude_defaults=True, exclude={"site": {"target"}})


def looked_at(site: HealthSite) -> dict[str, Any]:
    """The same for the schedule of health checks."""
    return site.model_dump(mode="json", exclude_defaults=True, exclude={"target"})


def digest(data: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that tell what one schedule carries from what another does.

    Args:
        data: an environment file, or an input, as JSON has it.
    """
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


KINDS = (
    Kind(
        name="schedule",
        title="Temporal Schedule",
        product="temporal",
        resources=_schedules,
        settles=False,
        lingers=False,
    ),
)
