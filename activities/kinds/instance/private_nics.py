"""Private NICs: the only way to and from our servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_interface

from scaleway.instance.v1 import InstanceV1API, PrivateNIC, Server
from scaleway.ipam.v1 import IpamV1API, ResourceType

from activities.cloud import pages
from activities.kinds.instance.answers import list_servers, present
from activities.kinds.network_names import network_names
from activities.lifecycle import Lifecycle, Parent, Scope, is_protected
from blueprint.plan import Difference
from blueprint.resource import Health, Observed, Resource


class PrivateNicLifecycle(Lifecycle):
    """Private NICs, named after server and private network. All servers are looked at at once: each shows its own.

    Their address is IPAM's: taken when the NIC is made and free again when it goes. It may show a second late.
    """

    kind = "private_nic"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`. Of servers that do not concern us the NICs are left out."""
        servers = [server for server in list_servers(self.cloud) if self._concerns_us(server, scope)]
        nics = [(server, nic) for server in servers for nic in server.private_nics]
        if not nics:
            return []
        names = network_names(self.cloud, (nic.private_network_id for _, nic in nics))
        addresses = self._addresses()
        return [
            self._observed(nic, f"{server.name}/{names[nic.private_network_id]}", addresses) for server, nic in nics
        ]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        api = self.cloud.api(InstanceV1API)
        nic = present(api.get_private_nic(server_id=item.parent_id, private_nic_id=item.id).private_nic)
        return self._observed(nic, item.name, self._addresses(nic.id))

    def find(self, resource: Resource) -> Sequence[Observed]:
        """See `Lifecycle`."""
        found = pages(
            self.cloud.api(InstanceV1API).list_private_ni_cs,
            "private_nics",
            size="per_page",
            server_id=resource.inputs["parent_id"],
        )
        network = resource.fields["private_network_id"]
        return [self._observed(nic, resource.name, {}) for nic in found if nic.private_network_id == network]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        answer = self.cloud.api(InstanceV1API).create_private_nic(
            server_id=resource.inputs["parent_id"],
            private_network_id=resource.fields["private_network_id"],
            tags=self.tags(resource),
        )
        return present(answer.private_nic).id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.cloud.api(InstanceV1API).update_private_nic(
            server_id=item.parent_id, private_nic_id=item.id, tags=self.tags(resource)
        )

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(InstanceV1API).delete_private_nic(server_id=item.parent_id, private_nic_id=item.id)

    def _concerns_us(self, server: Server, scope: Scope) -> bool:
        return self.is_ours(server.tags) or any(name.startswith(f"{server.name}/") for name in scope.names)

    def _addresses(self, nic_id: str | None = None) -> Mapping[str, str]:
        """IPv4 addresses with their masks, by NIC."""
        found = pages(
            self.cloud.api(IpamV1API).list_i_ps,
            "ips",
            project_id=self.cloud.project_id,
            resource_type=ResourceType.INSTANCE_PRIVATE_NIC,
            resource_id=nic_id,
            is_ipv6=False,
        )
        return {ip.resource.id: ip.address for ip in found if ip.resource}

    def _observed(self, nic: PrivateNIC, name: str, addresses: Mapping[str, str]) -> Observed:
        outputs = {"id": nic.id}
        if shown := addresses.get(nic.id):
            address = ip_interface(shown).ip
            outputs |= {"address": str(address), "host_network": f"{address}/{address.max_prefixlen}"}
        status, health = _state(str(nic.state), bool(shown))
        return Observed(
            kind=self.kind,
            name=name,
            id=nic.id,
            fields={"private_network_id": nic.private_network_id},
            outputs=outputs,
            status=status,
            health=health,
            ownership="ours" if self.is_ours(nic.tags) else "foreign",
            protected=is_protected(nic.tags),
            parent_id=nic.server_id,
            uses=(nic.server_id, nic.private_network_id),
        )


def _state(state: str, has_address: bool) -> tuple[str, Health]:
    if state == "syncing_error":
        return state, "failed"
    if state == "available" and not has_address:
        return "without an address", "pending"
    return state, "ok" if state == "available" else "pending"
