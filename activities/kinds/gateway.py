"""Public gateway, its address, its networks and its bastion, through Scaleway's Public Gateway API v2.

A gateway takes one change at a time: while it is configuring, every other write is a 409 (Scaleway reference, 3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from scaleway.iam.v1alpha1 import IamV1Alpha1API
from scaleway.vpcgw.v2 import IP, Gateway, GatewayNetwork, VpcgwV2API

from activities.cloud import pages
from activities.kinds.network_names import network_names
from activities.kinds.one_write import Write, write_next
from activities.lifecycle import Lifecycle, Parent, Scope, is_protected, require_usable
from activities.secret_store import mark_of, with_mark
from blueprint.errors import Busy, Gone, Refused
from blueprint.plan import Difference
from blueprint.resource import Health, Observed, Resource

RUNNING = "running"
FAILED = {"failed", "locked"}
LEAVING = {"deleting", "detaching"}
BASTION_KEYS = "bastion-ssh-keys"
"""Mark of a gateway: the digest of the SSH keys that its bastion was last told to take over."""


class GatewayLifecycle(Lifecycle):
    """Public gateways, told apart by name and tags. The bastion stays shut until it has rules of its own."""

    kind = "gateway"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """Those that are being deleted are left out: a new one can be made meanwhile."""
        fetch = self.cloud.api(VpcgwV2API).list_gateways
        found: Iterable[Gateway] = pages(fetch, "gateways", project_id=self.cloud.project_id)
        return [self._observed(gateway) for gateway in found if str(gateway.status) not in LEAVING]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return self._observed(self.cloud.api(VpcgwV2API).get_gateway(gateway_id=item.id))

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        gateway = self.cloud.api(VpcgwV2API).create_gateway(
            name=resource.name,
            tags=self.tags(resource),
            project_id=self.cloud.project_id,
            type_=resource.fields["type"],
            enable_smtp=resource.fields["smtp"],
            # A new bastion lets the whole internet try (Scaleway reference, 8); it is enabled once it does not.
            enable_bastion=False,
            ip_id=resource.fields["ip_id"],
        )
        return gateway.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """Settings, then type, a write each time.

        Raises:
            Refused: the type is smaller than the one there is.
        """
        api, fields = self.cloud.api(VpcgwV2API), resource.fields
        gateway = api.get_gateway(gateway_id=item.id)
        mark = mark_of(gateway.tags, BASTION_KEYS)
        tags = with_mark(self.tags(resource), BASTION_KEYS, mark) if mark else self.tags(resource)
        writes: list[Write] = []
        if gateway.smtp_enabled != fields["smtp"] or set(gateway.tags) != set(tags):
            settings = partial(api.update_gateway, name=resource.name, tags=tags, enable_smtp=fields["smtp"])
            writes.append(("settings", partial(settings, gateway_id=item.id)))
        if gateway.type_.upper() != fields["type"]:
            self._refuse_smaller(gateway, resource)
            writes.append(("type", partial(api.upgrade_gateway, gateway_id=item.id, type_=fields["type"])))
        _write(gateway, writes)

    def _refuse_smaller(self, gateway: Gateway, resource: Resource) -> None:
        """Scaleway refuses it too, in words that sound as if waiting helped."""
        types = self.cloud.api(VpcgwV2API).list_gateway_types().types
        bandwidths = {offer.name.upper(): offer.bandwidth for offer in types}
        if bandwidths.get(resource.fields["type"], gateway.bandwidth) < gateway.bandwidth:
            raise Refused(
                f"a gateway of type {gateway.type_} cannot become a {resource.fields['type']}, which is smaller",
                subject=resource.key,
                remedy="abort, keep the type in the environment file or delete the gateway at Scaleway; apply again",
            )

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`. Its address stays: it has a step of its own."""
        self.cloud.api(VpcgwV2API).delete_gateway(gateway_id=item.id, delete_ip=False)

    def _observed(self, gateway: Gateway) -> Observed:
        return Observed(
            kind=self.kind,
            name=gateway.name,
            id=gateway.id,
            fields={
                "type": gateway.type_.upper(),
                "smtp": gateway.smtp_enabled,
                "ip_id": gateway.ipv4.id if gateway.ipv4 else None,
            },
            outputs={"id": gateway.id},
            status=str(gateway.status),
            health=_health(gateway),
            ownership="ours" if self.is_ours(gateway.tags) else "foreign",
            protected=is_protected(gateway.tags),
            uses=(gateway.ipv4.id,) if gateway.ipv4 else (),
        )


class GatewayIpLifecycle(Lifecycle):
    """Public addresses of gateways. They have tags but no name: ours has the name of the environment's gateway.

    So has an address without our tags that the gateway of our name has: it can be adopted.
    """

    kind = "gateway_ip"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = self.cloud.api(VpcgwV2API).list_i_ps
        found: list[IP] = [*pages(fetch, "ips", project_id=self.cloud.project_id)]
        by_hand = any(ip.gateway_id and not self.is_ours(ip.tags) for ip in found)
        gateway = self._gateway() if by_hand else None
        return [self._observed(ip, gateway) for ip in found]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return self._observed(self.cloud.api(VpcgwV2API).get_ip(ip_id=item.id), None)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        return self.cloud.api(VpcgwV2API).create_ip(tags=self.tags(resource), project_id=self.cloud.project_id).id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.cloud.api(VpcgwV2API).update_ip(ip_id=item.id, tags=self.tags(resource))

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(VpcgwV2API).delete_ip(ip_id=item.id)

    def _gateway(self) -> str | None:
        """Id of the gateway of our name, whoever made it."""
        name = self.cloud.names.gateway
        fetch = self.cloud.api(VpcgwV2API).list_gateways
        found = pages(fetch, "gateways", project_id=self.cloud.project_id, name=name)
        return next((gateway.id for gateway in found if gateway.name == name), None)

    def _observed(self, ip: IP, gateway: str | None) -> Observed:
        ours = self.is_ours(ip.tags)
        concerns_us = ours or (ip.gateway_id is not None and ip.gateway_id == gateway)
        return Observed(
            kind=self.kind,
            name=self.cloud.names.gateway if concerns_us else ip.address,
            id=ip.id,
            outputs={"id": ip.id, "address": ip.address},
            ownership="ours" if ours else "foreign",
            protected=is_protected(ip.tags),
        )


class GatewayNetworkLifecycle(Lifecycle):
    """Attachments of gateways to private networks: ours if the gateway is, named after both ends.

    One is ready only when its gateway is running again as well.
    """

    kind = "gateway_network"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        gateway = self.cloud.api(VpcgwV2API).get_gateway(gateway_id=parent.id)
        found = [network for network in gateway.gateway_networks if str(network.status) not in LEAVING]
        names = network_names(self.cloud, (network.private_network_id for network in found))
        return [
            self._observed(network, gateway, f"{parent.name}/{names[network.private_network_id]}") for network in found
        ]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        gateway = self.cloud.api(VpcgwV2API).get_gateway(gateway_id=item.parent_id)
        for network in gateway.gateway_networks:
            if network.id == item.id:
                return self._observed(network, gateway, item.name)
        raise Gone("is not attached", subject=item.name)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        network = self.cloud.api(VpcgwV2API).create_gateway_network(
            gateway_id=resource.inputs["parent_id"],
            private_network_id=resource.fields["private_network_id"],
            enable_masquerade=resource.fields["masquerade"],
            push_default_route=resource.fields["push_default_route"],
        )
        return network.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.cloud.api(VpcgwV2API).update_gateway_network(
            gateway_network_id=item.id,
            enable_masquerade=resource.fields["masquerade"],
            push_default_route=resource.fields["push_default_route"],
        )

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`. The address in the private network is free once the attachment is gone."""
        self.cloud.api(VpcgwV2API).delete_gateway_network(gateway_network_id=item.id)

    def _observed(self, network: GatewayNetwork, gateway: Gateway, name: str) -> Observed:
        ready = str(network.status) == "ready"
        return Observed(
            kind=self.kind,
            name=name,
            id=network.id,
            fields={
                "private_network_id": network.private_network_id,
                "masquerade": network.masquerade_enabled,
                "push_default_route": network.push_default_route,
            },
            outputs={"id": network.id},
            status=str(gateway.status if ready else network.status),
            health=_health(gateway) if ready else "pending",
            ownership="ours" if self.is_ours(gateway.tags) else "foreign",
            parent_id=gateway.id,
            uses=(gateway.id, network.private_network_id),
        )


class GatewayBastionLifecycle(Lifecycle):
    """SSH bastions: a setting of a gateway with a life of its own. There is one where it is enabled."""

    kind = "gateway_bastion"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        gateway = self.cloud.api(VpcgwV2API).get_gateway(gateway_id=parent.id)
        if not gateway.bastion_enabled:
            return []
        return [
            Observed(
                kind=self.kind,
                name=f"{parent.name}/bastion",
                id=gateway.id,
                fields={
                    "port": gateway.bastion_port,
                    "allowed": sorted(gateway.bastion_allowed_ips),
                    "ssh_keys": mark_of(gateway.tags, BASTION_KEYS),
                },
                outputs={"id": gateway.id},
                status=str(gateway.status),
                health=_health(gateway),
                ownership="ours" if self.is_ours(gateway.tags) else "foreign",
                parent_id=gateway.id,
            )
        ]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        gateway_id: str = resource.inputs["parent_id"]
        self._write(resource, gateway_id, refresh=True)
        return gateway_id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self._write(resource, item.id, refresh=any(difference.path == "ssh_keys" for difference in differences))

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(VpcgwV2API).update_gateway(gateway_id=item.id, enable_bastion=False)

    def _write(self, resource: Resource, gateway_id: str, *, refresh: bool) -> None:
        """Who may connect, then the bastion itself, then the keys that it knows: never open to more than declared."""
        api, fields = self.cloud.api(VpcgwV2API), resource.fields
        gateway = api.get_gateway(gateway_id=gateway_id)
        tags = with_mark(gateway.tags, BASTION_KEYS, fields["ssh_keys"])
        writes: list[Write] = []
        if sorted(gateway.bastion_allowed_ips) != fields["allowed"]:
            allow = partial(api.set_bastion_allowed_i_ps, gateway_id=gateway_id, ip_ranges=fields["allowed"])
            writes.append(("who may connect", allow))
        is_set = (gateway.bastion_enabled, gateway.bastion_port) == (True, fields["port"])
        if not is_set or set(gateway.tags) != set(tags):
            enable = partial(api.update_gateway, enable_bastion=True, bastion_port=fields["port"], tags=tags)
            writes.append(("the bastion", partial(enable, gateway_id=gateway_id)))
        if refresh:
            # The last write: the mark stands already, and an attempt that fails here is repeated until it does not.
            writes.append(("its SSH keys", partial(self._refresh_keys, resource, gateway_id)))
        _write(gateway, writes)

    def _refresh_keys(self, resource: Resource, gateway_id: str) -> None:
        """Take over the keys that the project has now: those that go must have gone."""
        fetch = self.cloud.api(IamV1Alpha1API).list_ssh_keys
        names = {key.name for key in pages(fetch, "ssh_keys", project_id=self.cloud.project_id)}
        ours = {name for name in names if name.startswith(f"{self.cloud.names.stem}-")}
        if leaving := sorted(ours - set(resource.inputs["ssh_keys"])):
            raise Busy(f"SSH keys that must go first are still there: {', '.join(leaving)}", subject=resource.key)
        self.cloud.api(VpcgwV2API).refresh_ssh_keys(gateway_id=gateway_id)


def _write(gateway: Gateway, writes: Sequence[Write]) -> None:
    """Carry out the first of the writes, if there are any, once the gateway takes one."""
    if writes:
        require_usable("gateway.main", _health(gateway), str(gateway.status))
        write_next(writes)


def _health(gateway: Gateway) -> Health:
    status = str(gateway.status)
    return "ok" if status == RUNNING else "failed" if status in FAILED else "pending"


LIFECYCLES = (GatewayIpLifecycle, GatewayLifecycle, GatewayNetworkLifecycle, GatewayBastionLifecycle)
