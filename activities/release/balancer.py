"""One pool of the load balancer, as every instance behind it has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scaleway.lb.v1 import Backend, Lb, LbV1ZonedAPI

from activities.cloud import Cloud, pages
from activities.kinds.lb.settling import state_of_lb
from blueprint.errors import Gone


@dataclass(frozen=True)
class Pool:
    """A pool at one moment."""

    lb: Lb
    backend: Backend

    @property
    def members(self) -> list[str]:
        """Addresses in it."""
        return list(self.backend.pool)

    @property
    def ready(self) -> bool:
        """Whether the load balancer and all its instances are ready."""
        return state_of_lb(self.lb).health == "ok"

    @property
    def applied(self) -> bool:
        """Whether every instance has taken over the pool as it is now."""
        changed = self.backend.updated_at
        times = [instance.updated_at for instance in self.lb.instances]
        return self.ready and (changed is None or all(time is None or time >= changed for time in times))


class Balancer:
    """The way to one pool.

    Args:
        cloud: the environment's way to Scaleway.
        backend: the backend's name.
    """

    def __init__(self, cloud: Cloud, backend: str) -> None:
        self._cloud = cloud
        self._backend = backend
        self._api = cloud.api(LbV1ZonedAPI)

    def look(self) -> Pool:
        """The pool now.

        Raises:
            Gone: there is no such load balancer, or it has no such backend.
        """
        name = self._cloud.names.load_balancer
        remedy = "apply the environment file"
        # The backend first: its change is older than the instances that are looked at after it.
        for lb in pages(self._api.list_lbs, "lbs", project_id=self._cloud.project_id, name=name):
            if lb.name != name:
                continue
            for backend in pages(self._api.list_backends, "backends", lb_id=lb.id, name=self._backend):
                if backend.name == self._backend:
                    return Pool(self._api.get_lb(lb_id=lb.id), backend)
            raise Gone(f"has no backend {self._backend}", subject=name, remedy=remedy)
        raise Gone("there is no such load balancer", subject=name, remedy=remedy)

    def set(self, pool: Pool, addresses: Sequence[str]) -> None:
        """Replace the members."""
        self._api.set_backend_servers(backend_id=pool.backend.id, server_ip=list(addresses))

    def healthy(self, pool: Pool) -> frozenset[str]:
        """Members that every instance of the load balancer finds well."""
        rows = pages(self._api.list_backend_stats, "backend_servers_stats", lb_id=pool.lb.id)
        passed = Counter(
            row.ip
            for row in rows
            if row.backend_id == pool.backend.id
            and str(row.server_state) == "running"
            and str(row.last_health_check_status) == "passed"
        )
        instances = len(pool.lb.instances)
        return frozenset(address for address, count in passed.items() if instances and count >= instances)
