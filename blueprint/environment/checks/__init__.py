"""What only the whole file can tell: references that lead nowhere, names that collide, intentions that contradict."""

from __future__ import annotations

from blueprint.environment.checks import (
    application,
    backup,
    data,
    health,
    identity,
    monitoring,
    network,
    traffic,
    unique,
)
from blueprint.environment.environment import Environment
from blueprint.environment.problems import Problem

__all__ = ["check"]


def check(environment: Environment) -> list[Problem]:
    """Every problem of an environment whose sections are right each by itself."""
    return [
        problem
        for look in (
            network.check,
            traffic.check,
            data.check,
            identity.check,
            monitoring.check,
            application.check,
            backup.check,
            health.check,
            unique.check,
        )
        for problem in look(environment)
    ]
