"""Temporal Schedules: what happens by the clock. The look for drift, to begin with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from blueprint.contract import DRIFT_WORKFLOW, TASK_QUEUE, look_id
from blueprint.environment import Environment
from blueprint.kinds.kind import Kind
from blueprint.resource import Resource

DRIFT = "drift"
SCHEDULES = (DRIFT,)
"""Every schedule that an environment can have."""

CATCH_UP = 3600.0
"""Seconds after its time within which a look that an outage prevented is made up for; an older one is pointless."""


def _schedules(environment: Environment) -> Iterable[Resource]:
    drift = environment.schedules.drift
    if drift is None:
        return
    # Without defaults, so that only a change of meaning is a change.
    data = environment.model_dump(mode="json", exclude_defaults=True)
    yield Resource(
        key=f"schedule.{DRIFT}",
        kind="schedule",
        name=environment.names.schedule(DRIFT),
        fields={
            "cron": " ".join(drift.cron.split()),
            "time_zone": drift.time_zone,
            "jitter": drift.jitter,
            "overlap": "skip",
            "catch_up": CATCH_UP,
            "starts": {
                "workflow": DRIFT_WORKFLOW,
                "id": look_id(DRIFT, environment.names.stem, "schedule"),
                "task_queue": TASK_QUEUE,
            },
            "file": digest(data),
        },
        inputs={"environment": data},
    )


def digest(data: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that tell one environment file from another.

    Args:
        data: what the file says, as JSON has it.
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
