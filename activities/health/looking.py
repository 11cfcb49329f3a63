"""The activities of the health workflow: see `blueprint.health.contract`."""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities.health.inside import Inside
from activities.health.names import look_at_names
from activities.health.queues import look_at_queues
from activities.health.resolver import Resolver
from activities.health.telling import tell
from activities.health.traffic import look_at_traffic
from activities.registry import Clouds
from activities.settings import ScalewaySettings
from blueprint.health import contract
from blueprint.health.contract import Check, Checked, HealthSite


class Looking:
    """Asks, and tells how things are.

    Args:
        clouds: gives an environment's way to Scaleway and to its nodes.
        settings: who resolves names.
    """

    def __init__(self, clouds: Clouds, settings: ScalewaySettings) -> None:
        self._clouds = clouds
        self._resolver = settings.resolver

    @activity.defn(name=contract.NAMES.name, no_thread_cancel_exception=True)
    def names(self, input: HealthSite) -> Checked:
        """Ask DNS for everything that is declared."""
        resolver = Resolver.of(self._resolver, input.timeout)
        return _told(input, look_at_names(input, resolver, self._clouds.cloud(input.target)))

    @activity.defn(name=contract.TRAFFIC.name, no_thread_cancel_exception=True)
    def traffic(self, input: HealthSite) -> Checked:
        """Ask the application, and look at certificates."""
        resolver = Resolver.of(self._resolver, input.timeout) if self._resolver else None
        return _told(input, asyncio.run(look_at_traffic(input, resolver)))

    @activity.defn(name=contract.QUEUES.name, no_thread_cancel_exception=True)
    def queues(self, input: HealthSite) -> Checked:
        """Look at queues, and let a message through one."""
        return _told(input, look_at_queues(input, self._clouds.cloud(input.target)))

    @activity.defn(name=contract.INSIDE.name, no_thread_cancel_exception=True)
    def inside(self, input: HealthSite) -> Checked:
        """Ask databases and Redis, from a node."""
        return _told(input, Inside(self._clouds, input).look())


def _told(site: HealthSite, checks: list[Check]) -> Checked:
    tell(site.target.environment, checks)
    return Checked(checks=tuple(checks))
