"""Redis clusters, through Scaleway's Redis API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from scaleway.redis.v1 import (
    Cluster,
    ClusterSetting,
    EndpointSpec,
    EndpointSpecPrivateNetworkSpec,
    EndpointSpecPrivateNetworkSpecIpamConfig,
    RedisV1API,
)

from activities.cloud import pages
from activities.kinds.one_write import Write, write_next
from activities.lifecycle import Lifecycle, Parent, Scope, is_protected, require_usable
from blueprint.kinds.rdb import IN_SECRET_MANAGER
from blueprint.kinds.redis import SMALLEST_CLUSTER
from blueprint.plan import Difference
from blueprint.resource import Health, Observed, Resource

FAILED = ("error", "locked", "suspended")


class ClusterLifecycle(Lifecycle):
    """Redis clusters of one node or more, told apart by name and tags, reached through the private network only."""

    kind = "redis_cluster"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """Those that are being deleted are left out: a new one can be made meanwhile."""
        fetch = self.cloud.api(RedisV1API).list_clusters
        found = pages(fetch, "clusters", project_id=self.cloud.project_id)
        return [self._observed(cluster) for cluster in found if str(cluster.status) != "deleting"]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return self._observed(self.cloud.api(RedisV1API).get_cluster(cluster_id=item.id), password=False)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`. The endpoint is named, because a cluster without one is public (Scaleway, Redis)."""
        fields = resource.fields
        password = self.cloud.secrets.hand_over(resource.inputs["password"])
        cluster = self.cloud.api(RedisV1API).create_cluster(
            name=resource.name,
            project_id=self.cloud.project_id,
            tags=self.tags(resource),
            version=fields["version"],
            node_type=fields["node_type"].upper(),
            cluster_size=fields["nodes"],
            tls_enabled=fields["tls"],
            user_name=fields["user_name"],
            password=password,
            endpoints=[_private(fields["endpoint"]["private_network_id"])],
            cluster_settings=_settings(fields["settings"]),
        )
        return cluster.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`: one write an attempt, whatever the plan saw, until nothing is left to change."""
        cluster = self.cloud.api(RedisV1API).get_cluster(cluster_id=item.id)
        require_usable(resource.key, _health(str(cluster.status)), str(cluster.status))
        writes = list(self._writes(resource, cluster))
        if writes:
            write_next(writes)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(RedisV1API).delete_cluster(cluster_id=item.id)

    def _writes(self, resource: Resource, cluster: Cluster) -> Iterator[Write]:
        """What the cluster still needs, the closing of a public way in first."""
        api, fields = self.cloud.api(RedisV1API), resource.fields
        now = self._observed(cluster)
        if now.fields["endpoint"] is None:
            specs = [_private(fields["endpoint"]["private_network_id"])]
            yield "endpoint", lambda: api.set_endpoints(cluster_id=cluster.id, endpoints=specs)
        else:
            # Setting them all would give the private one another address.
            for endpoint in cluster.endpoints:
                if not endpoint.private_network:
                    yield "public endpoint", partial(api.delete_endpoint, endpoint_id=endpoint.id)
        if cluster.name != resource.name or not set(self.tags(resource)) <= set(cluster.tags):
            yield (
                "tags",
                lambda: api.update_cluster(cluster_id=cluster.id, name=resource.name, tags=self.tags(resource)),
            )
        if any(now.fields[name] != fields[name] for name in ("password", "user_name")):
            yield "password", lambda: self._change_password(resource, cluster)
        changed = {
            name: value for name, value in fields["settings"].items() if now.fields["settings"].get(name) != value
        }
        if changed:
            yield "settings", lambda: api.add_cluster_settings(cluster_id=cluster.id, settings=_settings(changed))
        if now.fields["version"] != fields["version"]:
            yield "version", lambda: api.migrate_cluster(cluster_id=cluster.id, version=fields["version"])
        if now.fields["node_type"] != fields["node_type"]:
            node_type = fields["node_type"].upper()
            yield "node_type", lambda: api.migrate_cluster(cluster_id=cluster.id, node_type=node_type)
        if now.fields["nodes"] != fields["nodes"]:
            yield "nodes", lambda: api.migrate_cluster(cluster_id=cluster.id, cluster_size=fields["nodes"])

    def _change_password(self, resource: Resource, cluster: Cluster) -> None:
        reference = resource.inputs["password"]
        self.cloud.api(RedisV1API).update_cluster(
            cluster_id=cluster.id,
            user_name=resource.fields["user_name"],
            password=self.cloud.secrets.reveal(reference),
        )
        self.cloud.secrets.note_delivery(reference["$secret"], reference["name"])

    def _observed(self, cluster: Cluster, *, password: bool = True) -> Observed:
        private = next((e for e in cluster.endpoints if e.private_network), None)
        network = private.private_network.id if private and private.private_network else None
        status = str(cluster.status)
        return Observed(
            kind=self.kind,
            name=cluster.name,
            id=cluster.id,
            fields={
                "version": cluster.version,
                "node_type": cluster.node_type.lower(),
                "nodes": cluster.cluster_size,
                "cluster_mode": cluster.cluster_size >= SMALLEST_CLUSTER,
                "tls": cluster.tls_enabled,
                "settings": {setting.name: setting.value for setting in cluster.cluster_settings},
                "endpoint": {"private_network_id": network} if network else None,
                "public": any(not endpoint.private_network for endpoint in cluster.endpoints),
                "user_name": cluster.user_name,
            }
            | ({"password": self._password(cluster)} if password else {}),
            outputs={"id": cluster.id}
            | ({"address": private.ips[0], "port": private.port} if private and private.ips else {}),
            status=status,
            health=_health(status),
            ownership="ours" if self.is_ours(cluster.tags) else "foreign",
            protected=is_protected(cluster.tags),
            uses=(network,) if network else (),
        )

    def _password(self, cluster: Cluster) -> str:
        names = self.cloud.names
        if cluster.name != names.redis:
            return ""
        return IN_SECRET_MANAGER if names.redis_secret in self.cloud.secrets.delivered(names.secret_path) else "another"


def _private(private_network_id: str) -> EndpointSpec:
    spec = EndpointSpecPrivateNetworkSpec(
        id=private_network_id, service_ips=[], ipam_config=EndpointSpecPrivateNetworkSpecIpamConfig()
    )
    return EndpointSpec(private_network=spec)


def _settings(values: dict[str, str]) -> list[ClusterSetting]:
    return [ClusterSetting(name=name, value=value) for name, value in values.items()]


def _health(status: str) -> Health:
    return "ok" if status == "ready" else "failed" if status in FAILED else "pending"


LIFECYCLES = (ClusterLifecycle,)
