"""Read replicas of an instance."""

from __future__ import annotations

from emulator.errors import invalid_arguments, quotas_exceeded, transient_state
from emulator.products.rdb import catalogue
from emulator.products.rdb.endpoints import direct_endpoint, give_back, private_endpoint
from emulator.products.rdb.instances import DELETED_AFTER, copy_of, provision
from emulator.products.rdb.model import (
    INSTANCES,
    PREFIX,
    READ_REPLICAS,
    READY_AFTER,
    RECONFIGURED_AFTER,
    in_region,
    ready_instance_of,
    replicas_of,
    show_change,
)
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World, hook, public

product = Product("rdb", PREFIX)

REPLICA_AFTER = 152.0
MOST_REPLICAS = 3


def _replica_of(call: Call) -> Document:
    return in_region(call, READ_REPLICAS, call.params["read_replica_id"], "read_replica")


def _ready_replica_of(call: Call) -> Document:
    replica = _replica_of(call)
    if replica["status"] != "ready":
        raise transient_state("read_replica", replica["id"], replica["status"])
    return replica


def _equip(call: Call, replica: Document, instance: Document, seconds: float, status: str) -> None:
    """Give a replica the endpoints of the body: a private one at once, one with direct access when it is ready."""
    specs = list(call.body.get("endpoint_spec") or [])
    if not specs:
        raise invalid_arguments(("endpoint_spec", "required", "one of direct_access and private_network"))
    for spec in specs:
        if "private_network" in spec:
            replica["endpoints"].append(private_endpoint(call, spec["private_network"], instance))
    direct = any("direct_access" in spec for spec in specs)
    _become(call.world, replica, status, seconds, direct=direct)


def _become(world: World, replica: Document, status: str, seconds: float, *, direct: bool = False) -> None:
    replica["status"] = status
    world.put(READ_REPLICAS, replica)
    data = {"direct": direct}
    world.later(seconds, READ_REPLICAS, replica["id"], change={"status": "ready"}, run="rdb.replicating", data=data)


@hook("rdb.replicating")
def replicating(world: World, replica: Document, data: Document) -> None:
    """The endpoint with direct access appears together with `ready`."""
    if data["direct"]:
        replica["endpoints"].append(direct_endpoint(world))
        world.put(READ_REPLICAS, replica)


@product.post("/read-replicas", call_ms=1003)
def create_read_replica(call: Call) -> Answer:
    """Order a read replica of an instance."""
    instance, world = ready_instance_of(call, str(call.body.get("instance_id") or "")), call.world
    count = len(replicas_of(world, instance["id"]))
    if count >= MOST_REPLICAS:
        raise quotas_exceeded("rdb_read_replicas", MOST_REPLICAS, count)
    replica: Document = {
        "id": world.new_id(),
        "endpoints": [],
        "status": "provisioning",
        "region": instance["region"],
        "same_zone": bool(call.body.get("same_zone", True)),
        "instance_id": instance["id"],
    }
    world.later(REPLICA_AFTER / 2, READ_REPLICAS, replica["id"], change={"status": "initializing"})
    _equip(call, replica, instance, REPLICA_AFTER, "provisioning")
    return public(replica)


@product.get("/read-replicas/{read_replica_id}", call_ms=99)
def get_read_replica(call: Call) -> Answer:
    """One read replica."""
    return public(_replica_of(call))


@product.post("/read-replicas/{read_replica_id}/endpoints", call_ms=750)
def create_read_replica_endpoint(call: Call) -> Answer:
    """Add an endpoint to a replica."""
    replica = _ready_replica_of(call)
    instance = ready_instance_of(call, replica["instance_id"])
    _equip(call, replica, instance, RECONFIGURED_AFTER, "initializing")
    return public(replica)


@product.post("/read-replicas/{read_replica_id}/reset", call_ms=359)
def reset_read_replica(call: Call) -> Answer:
    """Build a replica up anew from its instance."""
    replica = _ready_replica_of(call)
    _become(call.world, replica, "initializing", RECONFIGURED_AFTER)
    return public(replica)


@product.post("/read-replicas/{read_replica_id}/promote", call_ms=701)
def promote_read_replica(call: Call) -> Answer:
    """Make a replica an instance of its own, with a public endpoint; the replica is gone."""
    replica, world = _ready_replica_of(call), call.world
    source = ready_instance_of(call, replica["instance_id"])
    node = catalogue.node_type(source["node_type"])
    made = copy_of(world, source, f"promoted - {source['name']}", node, source["volume"])
    provision(world, made, READY_AFTER, public=True)
    made["status"] = "initializing"
    world.put(INSTANCES, made)
    _remove(world, replica)
    return show_change(world, made)


@product.delete("/read-replicas/{read_replica_id}", call_ms=353)
def delete_read_replica(call: Call) -> Answer:
    """Delete a replica."""
    replica, world = _replica_of(call), call.world
    if replica["status"] == "deleting":
        raise transient_state("read_replica", replica["id"], replica["status"])
    replica["status"] = "deleting"
    world.put(READ_REPLICAS, replica)
    world.later(DELETED_AFTER, READ_REPLICAS, replica["id"], run="rdb.replica_gone")
    return public(replica)


@hook("rdb.replica_gone")
def replica_gone(world: World, replica: Document, data: Document) -> None:
    """Its addresses are free."""
    _remove(world, replica)


def _remove(world: World, replica: Document) -> None:
    for endpoint in replica["endpoints"]:
        give_back(world, endpoint, replica["instance_id"])
    world.remove(READ_REPLICAS, replica["id"])
