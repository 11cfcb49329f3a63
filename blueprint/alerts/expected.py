"""What rules expect of an environment, from its file: nodes that are heard of, looks and backups that are not late."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from blueprint.environment import Environment
from blueprint.environment.backup import Backup
from blueprint.environment.schedules import Schedule

Expected = Literal["node", "look", "check", "report", "backup", "drill"]

MARGIN = 3600.0
"""Seconds that a run by the clock may take, what it waits for included, before somebody is told."""
_CLOCK_CHANGE = 3600.0
"""Once a year a night is so much longer."""
_SAYS_NOTHING = Backup.model_fields["late_after"].default


def expected(environment: Environment) -> Mapping[Expected, Sequence[Mapping[str, str]]]:
    """What there is to expect: for each of them, the variables of a rule about it."""
    looks, backup, drill = _look_limits(environment), _backup_limit(environment), _drill_limit(environment)
    return {
        "node": [{"node": node} for node in heard_of(environment)],
        "look": [{"look": look, "limit": _seconds(limit)} for look, limit in looks.items()],
        # What was found last is told until Temporal forgets it, also where nobody looks any more.
        "check": [{}] if "health" in looks else [],
        "report": [{}] if environment.backup else [],
        "backup": [{"limit": _seconds(backup)}] if backup else [],
        "drill": [{"limit": _seconds(drill)}] if drill else [],
    }


def heard_of(environment: Environment) -> list[str]:
    """Names of the nodes whose agents write to where rules are evaluated: that others are silent means nothing."""
    monitoring = environment.monitoring
    if not monitoring or not monitoring.agent or monitoring.agent.metrics != monitoring.alert_rules:
        return []
    return [name for role in environment.nodes for name in environment.node_names(role)]


def _look_limits(environment: Environment) -> dict[str, float]:
    schedules = environment.schedules
    clocks = {"drift": schedules.drift, "health": schedules.health if environment.health else None}
    limits = {look: _limit(schedule) for look, schedule in clocks.items()}
    return {look: limit for look, limit in limits.items() if limit}


def _backup_limit(environment: Environment) -> float | None:
    """A file that gives its backups more time than its schedule does knows why: they may take hours."""
    backup = environment.backup
    limit = _limit(environment.schedules.backup) if backup else None
    if not backup or not limit or backup.late_after == _SAYS_NOTHING:
        return limit
    return max(limit, backup.late_after)


def _drill_limit(environment: Environment) -> float | None:
    """Of the age of what was tried: the backup may be as old as any when its drill begins."""
    backup, drill = _backup_limit(environment), _limit(environment.schedules.drill)
    return backup + drill if backup and drill else None


def _limit(schedule: Schedule | None) -> float | None:
    """Seconds from one run to the next, at the very most; None if there is none."""
    if not schedule or not (pause := schedule.longest_pause):
        return None
    return pause + schedule.jitter + (_CLOCK_CHANGE if schedule.cron else 0.0) + MARGIN


def _seconds(limit: float) -> str:
    return str(math.ceil(limit))
