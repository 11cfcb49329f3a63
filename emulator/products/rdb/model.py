"""What the modules of Managed Databases share: looking instances up, their states and how they are shown.

What an instance holds (`_users`, `_databases`, `_privileges`) and who may reach it (`_acl`) are notes on its document,
so that a snapshot or a copy of it is a copy of these.
"""

from __future__ import annotations

from typing import Any, Protocol
from weakref import WeakKeyDictionary

from emulator.errors import ApiError, not_found, transient_state
from emulator.real.follower import is_loopback
from emulator.routing import Call
from emulator.world import Document, World, hook, public

PREFIX = "/rdb/v1/regions/{region}"

INSTANCES = "rdb.instances"
READ_REPLICAS = "rdb.read_replicas"

SUPERADMIN = "_rdb_superadmin"
"""The owner of the databases that the API makes."""

PORT = 5432
"""Of private endpoints and of those with direct access; a load balancer's port is random."""

POSTGRESQL = "PostgreSQL-"
"""How the engines that can be real begin."""

INITIALIZING_AFTER, SETTINGS_AFTER, READY_AFTER = 40.0, 175.0, 192.0
"""Seconds from create to each step (Scaleway latencies: ready at p50 192 s)."""
RECONFIGURED_AFTER = 30.0
"""Seconds for endpoints and settings (Scaleway latencies)."""


class RealServers(Protocol):
    """The servers behind the instances of a world.

    Attributes:
        downloads: where they hand out files: "http://127.0.0.1:4711".
    """

    downloads: str

    def databases(self, instance_id: str) -> list[Document] | None:
        """The databases that the instance's server has now; None if none can say."""


SERVERS: WeakKeyDictionary[World, RealServers] = WeakKeyDictionary()
"""Of the worlds whose instances are real."""


def servers_of(world: World) -> RealServers | None:
    """The real servers of a world; None if its instances are documents only."""
    return SERVERS.get(world)


def is_real(world: World, instance: Document) -> bool:
    """Whether there is a server behind an instance: each of its addresses is on loopback."""
    return (
        world in SERVERS
        and instance["engine"].startswith(POSTGRESQL)
        and all(is_loopback(endpoint["ip"]) for endpoint in instance["endpoints"])
    )


def instance_of(call: Call, instance_id: str | None = None) -> Document:
    """The instance that the path names, or that of `instance_id`; 404 if the region has none."""
    key = instance_id or call.params.get("instance_id") or ""
    return in_region(call, INSTANCES, key, "instance")


def in_region(call: Call, table: str, key: str, resource: str) -> Document:
    """The document of that key if it lives in the path's region, else 404 for `resource`."""
    document = call.world.find(table, key)
    if document is None or document["region"] != call.params["region"]:
        raise not_found(resource, key)
    return document


def ready_instance_of(call: Call, instance_id: str | None = None) -> Document:
    """The instance, if it takes changes now.

    Raises:
        ApiError: 404 there is none; 409 transient_state while it is busy.
    """
    instance = instance_of(call, instance_id)
    if instance["status"] != "ready":
        raise transient_state("instance", instance["id"], instance["status"])
    return instance


def running_instance_of(call: Call) -> Document:
    """The instance, if its database engine answers: databases, users and privileges are asked of the engine itself.

    Raises:
        ApiError: 404 there is none; 409 while it is not ready.
    """
    instance = instance_of(call)
    if instance["status"] != "ready":
        message = "Database engine is not able to handle your request"
        raise ApiError(
            409,
            {"current_state": "", "message": message, "resource": "", "resource_id": "", "type": "transient_state"},
        )
    return instance


def show(world: World, instance: Document) -> Document:
    """An instance as create, get, list and delete show it."""
    return {**show_change(world, instance), "high_availability_mode": "unknown_high_availability_mode"}


def show_change(world: World, instance: Document) -> Document:
    """An instance as the answer of any other call shows it: without high_availability_mode."""
    shown = public(instance)
    shown["endpoint"] = next((e for e in shown["endpoints"] if "load_balancer" in e), None)
    shown["read_replicas"] = [public(replica) for replica in replicas_of(world, instance["id"])]
    schedule = shown["backup_schedule"]
    schedule["next_run_at"] = None if schedule["disabled"] else instance["_next_backup"]
    return shown


def replicas_of(world: World, instance_id: str) -> list[Document]:
    """The read replicas of an instance."""
    return list(world.where(READ_REPLICAS, instance_id=instance_id))


def become(world: World, instance: Document, status: str, seconds: float, run: str = "rdb.settle", **data: Any) -> None:
    """Put an instance into a passing state, out of which it is ready again after `seconds`.

    Args:
        run: the hook called when it is ready, with `data`.
    """
    instance["status"] = status
    world.put(INSTANCES, instance)
    world.later(seconds, INSTANCES, instance["id"], change={"status": "ready"}, run=run, data=data)


@hook("rdb.settle")
def settled(world: World, instance: Document, data: Document) -> None:
    """Nothing but the state changes."""


def initial_notes(user_name: str, password: str) -> Document:
    """What a new instance holds: its first user, an administrator, and the database `rdb`."""
    users = [{"name": user_name, "is_admin": True, "_password": password}] if user_name else []
    return {
        "_users": users,
        "_databases": [{"name": "rdb", "managed": True, "owner": SUPERADMIN}],
        "_privileges": {},
        "_acl": [{"ip": "0.0.0.0/0", "description": "IP allowed"}],
    }
