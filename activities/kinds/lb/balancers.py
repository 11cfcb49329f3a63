"""Load balancers, their public addresses, and the private networks that they are in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from scaleway.lb.v1 import Ip, Lb, LbV1ZonedAPI
from scaleway.lb.v1.types import PrivateNetwork, SSLCompatibilityLevel

from activities.cloud import pages
from activities.kinds.lb.settling import LbChild, state_of, state_of_lb
from activities.kinds.network_names import network_names
from activities.lifecycle import Lifecycle, Parent, Scope, is_protected
from blueprint.errors import Gone
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

LEAVING = {"to_delete", "deleting"}
SSL_LEVEL = "ssl_compatibility_level_"


class LbIpLifecycle(Lifecycle):
    """Public addresses. They have tags but no name: theirs is the environment's load balancer's and their family.

    So is that of an address without our tags that the load balancer of our name has: it can be adopted.
    """

    kind = "lb_ip"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        api = self.cloud.api(LbV1ZonedAPI)
        found: list[Ip] = [*pages(api.list_i_ps, "ips", project_id=self.cloud.project_id)]
        by_hand = any(ip.lb_id and not self.is_ours(ip.tags) for ip in found)
        balancer = self._balancer() if by_hand else None
        return [self._observed(ip, balancer) for ip in found]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        ip = self.cloud.api(LbV1ZonedAPI).get_ip(ip_id=item.id)
        return self._observed(ip, None).model_copy(update={"name": item.name})

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        ip = self.cloud.api(LbV1ZonedAPI).create_ip(
            is_ipv6=resource.fields["is_ipv6"], project_id=self.cloud.project_id, tags=self.tags(resource)
        )
        return ip.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.cloud.api(LbV1ZonedAPI).update_ip(ip_id=item.id, tags=self.tags(resource))

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(LbV1ZonedAPI).release_ip(ip_id=item.id)

    def _balancer(self) -> str | None:
        """Id of the load balancer of our name, whoever made it."""
        name = self.cloud.names.load_balancer
        fetch = self.cloud.api(LbV1ZonedAPI).list_lbs
        found = pages(fetch, "lbs", project_id=self.cloud.project_id, name=name)
        return next((lb.id for lb in found if lb.name == name), None)

    def _observed(self, ip: Ip, balancer: str | None) -> Observed:
        address = ip_address(ip.ip_address)
        ours = self.is_ours(ip.tags)
        concerns_us = ours or (ip.lb_id is not None and ip.lb_id == balancer)
        return Observed(
            kind=self.kind,
            name=f"{self.cloud.names.load_balancer}/ipv{address.version}" if concerns_us else ip.ip_address,
            id=ip.id,
            fields={"is_ipv6": address.version == 6},
            outputs={"id": ip.id, "address": str(address)},
            ownership="ours" if ours else "foreign",
            protected=is_protected(ip.tags),
        )


class LbLifecycle(Lifecycle):
    """Load balancers, told apart by name and tags."""

    kind = "lb"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """Those that are being deleted are left out: a new one can be made meanwhile."""
        fetch = self.cloud.api(LbV1ZonedAPI).list_lbs
        found: Iterable[Lb] = pages(fetch, "lbs", project_id=self.cloud.project_id)
        return [self._observed(lb) for lb in found if str(lb.status) not in LEAVING]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return self._observed(self.cloud.api(LbV1ZonedAPI).get_lb(lb_id=item.id))

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        fields = resource.fields
        lb = self.cloud.api(LbV1ZonedAPI).create_lb(
            name=resource.name,
            description="",
            type_=fields["type"],
            ip_ids=[fields[family] for family in ("ipv4", "ipv6") if family in fields],
            # Without this it takes an address of its own beside ours (terraform-provider-scaleway issue 4262).
            assign_flexible_ip=False,
            tags=self.tags(resource),
            project_id=self.cloud.project_id,
            ssl_compatibility_level=SSLCompatibilityLevel(SSL_LEVEL + fields["ssl_compatibility"]),
        )
        return lb.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """Tags and TLS level, then a further address, then another type.

        The last closes the load balancer for all other writes, so a repeated update waits for it and finds it done.
        """
        api, fields = self.cloud.api(LbV1ZonedAPI), resource.fields
        lb = api.update_lb(
            lb_id=item.id,
            name=resource.name,
            description="",
            tags=self.tags(resource),
            ssl_compatibility_level=SSLCompatibilityLevel(SSL_LEVEL + fields["ssl_compatibility"]),
        )
        if "ipv6" in fields and fields["ipv6"] not in {ip.id for ip in lb.ip}:
            api.update_ip(ip_id=fields["ipv6"], lb_id=item.id)
        if lb.type_.upper() != fields["type"]:
            api.migrate_lb(lb_id=item.id, type_=fields["type"])

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`. The addresses stay: they have steps of their own."""
        self.cloud.api(LbV1ZonedAPI).delete_lb(lb_id=item.id, release_ip=False)

    def _observed(self, lb: Lb) -> Observed:
        ips = {f"ipv{ip_address(ip.ip_address).version}": ip.id for ip in lb.ip}
        status, health = state_of_lb(lb)
        return Observed(
            kind=self.kind,
            name=lb.name,
            id=lb.id,
            fields={
                "type": lb.type_.upper(),
                "ssl_compatibility": str(lb.ssl_compatibility_level).removeprefix(SSL_LEVEL),
                "only_ipv4": "ipv6" not in ips,
                **ips,
            },
            outputs={"id": lb.id},
            status=status,
            health=health,
            ownership="ours" if self.is_ours(lb.tags) else "foreign",
            protected=is_protected(lb.tags),
            uses=tuple(sorted(ips.values())),
        )


class LbPrivateNetworkLifecycle(LbChild):
    """Attachments to private networks. They have no name: theirs is the load balancer's and the network's.

    An attachment is detached before its load balancer or its network is deleted (Scaleway reference, rule 7).
    """

    kind = "lb_private_network"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        attached = self._attached(parent.id)
        names = network_names(self.cloud, (item.private_network_id for item in attached))
        return [self._observed(item, parent.id, f"{parent.name}/{names[item.private_network_id]}") for item in attached]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        lb_id, network_id = item.id.split("/")
        for found in self._attached(lb_id):
            if found.private_network_id == network_id:
                return self.settled(self._observed(found, lb_id, item.name), lb_id)
        raise Gone("is not attached", subject=item.name)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        lb_id, network_id = resource.inputs["parent_id"], resource.fields["private_network_id"]
        self.api.attach_private_network(lb_id=lb_id, private_network_id=network_id)
        return f"{lb_id}/{network_id}"

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        lb_id, network_id = item.id.split("/")
        self.api.detach_private_network(lb_id=lb_id, private_network_id=network_id)

    def _attached(self, lb_id: str) -> Sequence[PrivateNetwork]:
        return [*pages(self.api.list_lb_private_networks, "private_network", lb_id=lb_id)]

    def _observed(self, item: PrivateNetwork, lb_id: str, name: str) -> Observed:
        status, health = state_of(str(item.status))
        identity = f"{lb_id}/{item.private_network_id}"
        return Observed(
            kind=self.kind,
            name=name,
            id=identity,
            fields={"private_network_id": item.private_network_id},
            outputs={"id": identity},
            status=status,
            health=health,
            ownership=self.under(item.lb),
            parent_id=lb_id,
            uses=(lb_id, item.private_network_id),
        )
