"""Volumes of servers, local and on the network.

A server brings its root volume along. A local one goes with its server when that is terminated, but not when it is
deleted switched off; one on the network always stays, and goes on costing money (Scaleway reference, 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scaleway.block.v1 import BlockV1API
from scaleway.block.v1 import Volume as NetworkVolume
from scaleway.instance.v1 import InstanceV1API, Server
from scaleway.instance.v1 import Volume as LocalVolume

from activities.cloud import pages
from activities.kinds.instance.answers import get_server, list_servers, present
from activities.lifecycle import Lifecycle, Parent, Scope, is_protected
from blueprint.errors import Gone
from blueprint.kinds.instance import NETWORK_VOLUME
from blueprint.plan import Difference
from blueprint.resource import Health, Observed, Resource

ROOT = "0"
FAILED = {"error", "locked"}
ON_ITS_WAY = {"creating", "resizing", "updating", "deleting"}


class VolumeLifecycle(Lifecycle):
    """Root volumes, named after their server, and what servers of ours left behind.

    Ours are those with our tags, and those that a server of ours holds. Creating one is marking what came with the
    server. A volume of ours without its server has a name that no resource has, so that every plan removes it.
    """

    kind = "volume"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        roots: dict[str, Server] = {}
        for server in list_servers(self.cloud):
            root = server.volumes.get(ROOT)
            if root and (self.is_ours(server.tags) or server.name in scope.names):
                roots[root.id] = server
        return [self._observed(volume, roots.get(volume.id)) for volume in self._all()]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        try:
            volume: NetworkVolume | LocalVolume = self.cloud.api(BlockV1API).get_volume(volume_id=item.id)
        except Gone:
            volume = present(self.cloud.api(InstanceV1API).get_volume(volume_id=item.id).volume)
        return self._observed(volume, None).model_copy(update={"name": item.name})

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        server = get_server(self.cloud, resource.inputs["parent_id"])
        root = server.volumes.get(ROOT)
        if root is None:
            raise Gone("the server has no root volume", subject=resource.key)
        self._mark(resource, root.id, on_network=str(root.volume_type) == NETWORK_VOLUME)
        return root.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """Grow it as well. A smaller size is refused by the API."""
        on_network: bool = item.inputs["on_network"]
        self._mark(resource, item.id, on_network=on_network)
        if on_network and any(difference.path == "size" for difference in differences):
            self.cloud.api(BlockV1API).update_volume(volume_id=item.id, size=resource.fields["size"])

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        if item.inputs["on_network"]:
            self.cloud.api(BlockV1API).delete_volume(volume_id=item.id)
        else:
            self.cloud.api(InstanceV1API).delete_volume(volume_id=item.id)

    def _mark(self, resource: Resource, volume_id: str, *, on_network: bool) -> None:
        tags = self.tags(resource)
        if on_network:
            self.cloud.api(BlockV1API).update_volume(volume_id=volume_id, name=resource.name, tags=tags)
        else:
            self.cloud.api(InstanceV1API).update_volume(volume_id=volume_id, name=resource.name, tags=tags)

    def _all(self) -> Iterable[NetworkVolume | LocalVolume]:
        block, instance = self.cloud.api(BlockV1API), self.cloud.api(InstanceV1API)
        yield from pages(block.list_volumes, "volumes", include_deleted=False, project_id=self.cloud.project_id)
        yield from pages(instance.list_volumes, "volumes", size="per_page", project=self.cloud.project_id)

    def _observed(self, volume: NetworkVolume | LocalVolume, server: Server | None) -> Observed:
        on_network = isinstance(volume, NetworkVolume)
        status = str(volume.status if isinstance(volume, NetworkVolume) else volume.state)
        tags = volume.tags
        ours = self.is_ours(tags) or (server is not None and self.is_ours(server.tags))
        return Observed(
            kind=self.kind,
            name=server.name if server else f"{volume.name}/{volume.id}",
            id=volume.id,
            fields={"size": volume.size},
            outputs={"id": volume.id},
            status=status,
            health=_health(status),
            ownership="ours" if ours else "foreign",
            protected=is_protected(tags),
            parent_id=server.id if server else "",
            inputs={"on_network": on_network},
        )


def _health(status: str) -> Health:
    return "failed" if status in FAILED else "pending" if status in ON_ITS_WAY else "ok"
