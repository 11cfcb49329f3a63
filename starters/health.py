"""Health as a library: the checks that the schedule makes, once and now."""

from __future__ import annotations

from blueprint.health.contract import HealthOutput, HealthSite
from starters.engine import Engine
from workflows.health import Health


async def health(engine: Engine, site: HealthSite) -> HealthOutput:
    """How everything is, seen from outside.

    Raises:
        WorkflowFailureError: some could not be checked.
    """
    run = await engine.look(Health.run, "health", site.target, site)
    return await run.result()
