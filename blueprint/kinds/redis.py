"""Managed Redis."""

from __future__ import annotations

from collections.abc import Iterable

from blueprint.environment import Environment
from blueprint.kinds.kind import Kind
from blueprint.kinds.rdb import IN_SECRET_MANAGER
from blueprint.kinds.vpc import PRIVATE_NETWORK
from blueprint.resource import Resource, ref, secret

CLUSTER = "redis_cluster.main"
SMALLEST_CLUSTER = 3
"""Nodes from which a cluster shards its data; below, it is one node, or two of which one stands by."""


def _clusters(environment: Environment) -> Iterable[Resource]:
    if not (redis := environment.redis):
        return
    names = environment.names
    yield Resource(
        key=CLUSTER,
        kind="redis_cluster",
        name=names.redis,
        fields={
            "version": redis.version,
            "node_type": redis.type.lower(),
            "nodes": redis.nodes,
            "cluster_mode": redis.nodes >= SMALLEST_CLUSTER,
            "tls": redis.tls,
            "settings": dict(redis.settings),
            "endpoint": {"private_network_id": ref(PRIVATE_NETWORK)},
            "public": False,
            "user_name": names.redis_user,
            "password": IN_SECRET_MANAGER,
        },
        inputs={"password": secret(names.secret_path, names.redis_secret)},
        depends_on=(f"secret.{names.redis_secret}",),
        protected=True,
    )


KINDS = (
    Kind(
        name="redis_cluster",
        title="Redis cluster",
        product="redis",
        resources=_clusters,
        permission_sets=("RedisFullAccess", "SecretManagerFullAccess"),
        immutable={
            "cluster_mode": "whether Redis is a cluster is decided when it is made",
            "tls": "TLS is decided when the cluster is made",
            "endpoint.private_network_id": "the cluster lives in one private network and cannot move to another",
        },
        protected=True,
        serial="redis",
    ),
)
