"""Backends of load balancers.

The SDK hints their times as text; they travel as whole milliseconds, which it passes on as they are (Scaleway SDK
behaviour, 1.1). An update resets every field that it leaves out. The pool and the health check have calls of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from ipaddress import ip_interface
from typing import Any

from scaleway.ipam.v1 import IpamV1API, ResourceType
from scaleway.lb.v1 import Backend, HealthCheck, HealthCheckHttpConfig

from activities.cloud import pages
from activities.kinds.lb.settling import LbChild
from activities.lifecycle import Parent, Scope
from blueprint.kinds.node import release_id
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

APART = ("health_check", "server_ip")
"""Fields with calls of their own."""


class LbBackendLifecycle(LbChild):
    """Backends, told apart by their names under the load balancer."""

    kind = "lb_backend"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        found = [*pages(self.api.list_backends, "backends", lb_id=parent.id)]
        nics = self._nics() if any(backend.pool for backend in found) else {}
        return [
            self._observed(backend, parent.id, f"{parent.name}/{backend.name}").model_copy(
                update={"uses": tuple(held for address in backend.pool for held in nics.get(address, ()))}
            )
            for backend in found
        ]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        backend = self.api.get_backend(backend_id=item.id)
        return self.settled(self._observed(backend, item.parent_id, item.name), item.parent_id)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        backend = self.api.create_backend(
            lb_id=resource.inputs["parent_id"],
            name=_own_name(resource),
            health_check=HealthCheck(**_check(resource.fields["health_check"])),
            server_ip=resource.fields["server_ip"],
            **_forwarding(resource),
        )
        return backend.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """Only the calls that a difference asks for: each is a new configuration for the instances."""
        changed = {difference.path.split(".")[0] for difference in differences}
        if changed - set(APART):
            self.api.update_backend(backend_id=item.id, name=_own_name(resource), **_forwarding(resource))
        if "health_check" in changed:
            self.api.update_health_check(backend_id=item.id, **_check(resource.fields["health_check"]))
        if "server_ip" in changed:
            self.api.set_backend_servers(backend_id=item.id, server_ip=resource.fields["server_ip"])

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.api.delete_backend(backend_id=item.id)

    def _nics(self) -> Mapping[str, Sequence[str]]:
        """Private NICs and the releases behind them, by address.

        A server is taken out of its pool before its release stops and it goes, so no request meets a dead one.
        """
        found: dict[str, list[str]] = defaultdict(list)
        for ip in pages(
            self.cloud.api(IpamV1API).list_i_ps,
            "ips",
            project_id=self.cloud.project_id,
            resource_type=ResourceType.INSTANCE_PRIVATE_NIC,
            is_ipv6=False,
        ):
            if ip.resource:
                found[str(ip_interface(ip.address).ip)] += [ip.resource.id, release_id(ip.resource.id)]
        return found

    def _observed(self, backend: Backend, lb_id: str, name: str) -> Observed:
        return Observed(
            kind=self.kind,
            name=name,
            id=backend.id,
            fields={field: getattr(backend, field) for field in _FORWARDING}
            | {"health_check": asdict(backend.health_check) if backend.health_check else None}
            # The SDK reads "no limit" as 0, which the API would take for a limit.
            | {"max_connections": backend.max_connections or None, "server_ip": backend.pool},
            outputs={"id": backend.id},
            ownership=self.under(backend.lb),
            parent_id=lb_id,
        )


_FORWARDING = (
    "forward_protocol",
    "forward_port",
    "forward_port_algorithm",
    "sticky_sessions",
    "sticky_sessions_cookie_name",
    "proxy_protocol",
    "on_marked_down_action",
    "timeout_connect",
    "timeout_server",
    "timeout_tunnel",
    "timeout_queue",
    "max_connections",
    "max_retries",
    "redispatch_attempt_count",
)


def _forwarding(resource: Resource) -> dict[str, Any]:
    return {field: resource.fields[field] for field in _FORWARDING}


def _check(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, "http_config": HealthCheckHttpConfig(**fields["http_config"], host_header="")}


def _own_name(resource: Resource) -> str:
    return resource.name.rpartition("/")[2]
