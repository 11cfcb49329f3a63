"""VPC, private network and network ACL, through Scaleway's VPC API v2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any

from scaleway.vpc.v2 import VPC, PrivateNetwork, VpcV2API
from scaleway.vpc.v2.types import AclRule, AclRuleProtocol, Action

from activities.cloud import pages
from activities.kinds.seal import is_seal, rewrite_tags
from activities.lifecycle import Lifecycle, Parent, Scope, is_protected
from blueprint.kinds.vpc import LAST_PORT
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

_ALL_PORTS = ([0, 0], [0, LAST_PORT], [1, LAST_PORT])
"""How a rule says that any port will do."""


class VpcLifecycle(Lifecycle):
    """VPCs, told apart by name and tags."""

    kind = "vpc"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        api = self.cloud.api(VpcV2API)
        return [self._observed(vpc) for vpc in pages(api.list_vp_cs, "vpcs", project_id=self.cloud.project_id)]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return self._observed(self.cloud.api(VpcV2API).get_vpc(vpc_id=item.id))

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        vpc = self.cloud.api(VpcV2API).create_vpc(
            name=resource.name,
            tags=self.tags(resource),
            project_id=self.cloud.project_id,
            enable_routing=True,
            enable_transitivity=False,
        )
        return vpc.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`. The seals stay, among the tags."""
        rewrite_tags(self.cloud, item.id, lambda tags: [*self.tags(resource), *filter(is_seal, tags)])

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(VpcV2API).delete_vpc(vpc_id=item.id)

    def _observed(self, vpc: VPC) -> Observed:
        return Observed(
            kind=self.kind,
            name=vpc.name,
            id=vpc.id,
            outputs={"id": vpc.id},
            ownership="ours" if self.is_ours(vpc.tags) else "foreign",
            protected=is_protected(vpc.tags),
        )


class PrivateNetworkLifecycle(Lifecycle):
    """Private networks, told apart by name and tags."""

    kind = "private_network"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = self.cloud.api(VpcV2API).list_private_networks
        return [self._observed(item) for item in pages(fetch, "private_networks", project_id=self.cloud.project_id)]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return self._observed(self.cloud.api(VpcV2API).get_private_network(private_network_id=item.id))

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        network = self.cloud.api(VpcV2API).create_private_network(
            name=resource.name,
            tags=self.tags(resource),
            project_id=self.cloud.project_id,
            vpc_id=resource.fields["vpc_id"],
            subnets=[resource.fields["subnet"]],
            # The default route itself comes from the gateway that advertises it.
            default_route_propagation_enabled=True,
        )
        return network.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.cloud.api(VpcV2API).update_private_network(
            private_network_id=item.id, name=resource.name, tags=self.tags(resource)
        )

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(VpcV2API).delete_private_network(private_network_id=item.id)

    def _observed(self, network: PrivateNetwork) -> Observed:
        subnets = [subnet.subnet for subnet in network.subnets if ip_network(subnet.subnet).version == 4]
        return Observed(
            kind=self.kind,
            name=network.name,
            id=network.id,
            fields={"subnet": subnets[0] if subnets else None, "vpc_id": network.vpc_id},
            outputs={"id": network.id},
            ownership="ours" if self.is_ours(network.tags) else "foreign",
            protected=is_protected(network.tags),
            uses=(network.vpc_id,),
        )


class VpcAclLifecycle(Lifecycle):
    """The IPv4 network ACL of a VPC. Every VPC has one, so creating it is setting it."""

    kind = "vpc_acl"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        acl = self.cloud.api(VpcV2API).get_acl(vpc_id=parent.id, is_ipv6=False)
        return [
            Observed(
                kind=self.kind,
                name=f"{parent.name}/ipv4",
                id=parent.id,
                parent_id=parent.id,
                fields={"default_policy": str(acl.default_policy), "rules": [_shown(rule) for rule in acl.rules]},
                outputs={"id": parent.id},
            )
        ]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        vpc_id: str = resource.inputs["parent_id"]
        self.cloud.api(VpcV2API).set_acl(
            vpc_id=vpc_id,
            is_ipv6=False,
            default_policy=Action(resource.fields["default_policy"]),
            rules=[_sent(rule) for rule in resource.fields["rules"]],
        )
        return vpc_id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.create(resource)

    def delete(self, item: Observed) -> None:
        """Back to what a new VPC has: accept everything."""
        self.cloud.api(VpcV2API).set_acl(vpc_id=item.id, is_ipv6=False, default_policy=Action.ACCEPT, rules=[])


def _shown(rule: AclRule) -> dict[str, Any]:
    """The rule as the file declares it; one that looks at source ports, which the file's never do, shows them."""
    shown = {
        "action": str(rule.action),
        "protocol": str(rule.protocol).lower(),
        "source": rule.source,
        "destination": rule.destination,
        "ports": [rule.dst_port_low, rule.dst_port_high],
        "description": rule.description or "",
    }
    source_ports = [rule.src_port_low, rule.src_port_high]
    return shown if source_ports in _ALL_PORTS else shown | {"source_ports": source_ports}


def _sent(rule: dict[str, Any]) -> AclRule:
    low, high = rule["ports"]
    any_port = (1, LAST_PORT) if high else (0, 0)
    return AclRule(
        protocol=AclRuleProtocol(rule["protocol"]),
        source=rule["source"],
        src_port_low=any_port[0],
        src_port_high=any_port[1],
        destination=rule["destination"],
        dst_port_low=low,
        dst_port_high=high,
        action=Action(rule["action"]),
        description=rule["description"],
    )


LIFECYCLES = (VpcLifecycle, PrivateNetworkLifecycle, VpcAclLifecycle)
