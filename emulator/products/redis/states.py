"""Clusters as they change: which states a write leads through, and when none is taken."""

from __future__ import annotations

import ipaddress

from emulator.errors import not_found, transient_state
from emulator.routing import Call
from emulator.world import Document, World, hook, public

CLUSTERS = "redis.clusters"

CREATED, MIGRATED, REPROVISIONED, UPDATED, CONFIGURED, DELETED = 115.0, 161.0, 72.0, 42.0, 13.0, 32.0
"""Seconds until ready, or gone (Scaleway latencies, 1, and as recorded)."""

INITIALIZING_AFTER = 0.6
"""Part of the time after which `provisioning` becomes `initializing`."""

PUBLIC_BLOCK = "51.159.0.0/16"


def find_cluster(call: Call) -> Document:
    """The cluster of the path in the zone of the call; 404 otherwise."""
    cluster = call.world.find(CLUSTERS, call.params["cluster_id"])
    if cluster is None or cluster["zone"] != call.params["zone"]:
        raise not_found("cluster", call.params["cluster_id"])
    return cluster


def writable(cluster: Document) -> Document:
    """The cluster itself, or 409 if it is not ready: `error` is a transient state here (Scaleway errors 3.2)."""
    if cluster["status"] != "ready":
        raise transient_state("cluster", cluster["id"], cluster["status"])
    return cluster


def show_cluster(cluster: Document) -> Document:
    """A cluster as the API shows it: its endpoints in the order of their ids, as recorded."""
    shown = public(cluster)
    shown["endpoints"].sort(key=lambda endpoint: str(endpoint["id"]))
    return shown


def reprovision(world: World, cluster: Document, seconds: float, *, initializing: bool = True) -> None:
    """Note a change that new nodes or addresses carry out: provisioning, mostly initializing, ready."""
    cluster.update(status="provisioning", updated_at=world.timestamp())
    world.put(CLUSTERS, cluster)
    if initializing:
        world.later(seconds * INITIALIZING_AFTER, CLUSTERS, cluster["id"], change={"status": "initializing"})
    world.later(seconds, CLUSTERS, cluster["id"], change={"status": "ready"}, run="redis.ready")


def reconfigure(world: World, cluster: Document) -> None:
    """Note a change of rules or settings: configuring, ready."""
    cluster.update(status="configuring", updated_at=world.timestamp())
    world.put(CLUSTERS, cluster)
    world.later(CONFIGURED, CLUSTERS, cluster["id"], change={"status": "ready"})


def give_public_addresses(world: World, cluster: Document) -> None:
    """Give an address to public endpoints that have none: a new cluster's when it is ready, later ones' at once."""
    for endpoint in cluster["endpoints"]:
        if "public_network" in endpoint and not endpoint["ips"]:
            block = ipaddress.ip_network(PUBLIC_BLOCK)
            endpoint["ips"] = [str(block[world.random.randrange(1, block.num_addresses - 1)])]


@hook("redis.ready")
def _ready(world: World, cluster: Document, data: Document) -> None:
    give_public_addresses(world, cluster)
