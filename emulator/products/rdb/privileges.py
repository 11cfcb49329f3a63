"""What each user may do in each database of an instance."""

from __future__ import annotations

from emulator.errors import ApiError, invalid_arguments, not_found
from emulator.paging import page
from emulator.products.rdb.databases import databases_of
from emulator.products.rdb.model import INSTANCES, PREFIX, instance_of, running_instance_of
from emulator.products.rdb.users import named, user_of
from emulator.routing import Answer, Call, Product
from emulator.world import Document

product = Product("rdb", PREFIX)

PERMISSIONS = {"readonly", "readwrite", "all", "custom", "none"}

PRIVILEGE_WRITE = 0.15
"""Seconds within which a second privilege write on the same instance collides with the first."""


@product.get("/instances/{instance_id}/privileges", call_ms=251)
def list_privileges(call: Call) -> Answer:
    """What each user may do in each database; `none` where nothing was granted."""
    instance = instance_of(call)
    databases = sorted(str(database["name"]) for database in databases_of(call.world, instance))
    pairs = [
        _privilege(database, user["name"], instance["_privileges"].get(database, {}).get(user["name"]))
        for user in sorted(instance["_users"], key=lambda user: str(user["name"]))
        for database in databases
        if call.arg("user_name", user["name"]) == user["name"] and call.arg("database_name", database) == database
    ]
    return page(call, pairs, "privileges")


def _privilege(database: str, user: str, permission: str | None) -> Document:
    return {"database_name": database, "user_name": user, "permission": permission or "none"}


@product.put("/instances/{instance_id}/privileges", call_ms=217)
def set_privilege(call: Call) -> Answer:
    """Grant a user a permission in a database.

    Two such writes to one instance at the same time collide in PostgreSQL's catalogue: the second is refused with 409
    "Tuple concurrently updated" (Scaleway errors, recorded 24 times).
    """
    instance, world, body = running_instance_of(call), call.world, call.body
    database, user = str(body.get("database_name") or ""), str(body.get("user_name") or "")
    permission = str(body.get("permission") or "readonly")
    if permission not in PERMISSIONS:
        raise invalid_arguments(("permission", "constraint", f"unknown permission {permission!r}"))
    if named(databases_of(world, instance), database) is None:
        raise not_found("database", database)
    user_of(instance, user)
    if world.now() < instance.get("_privileges_until", 0.0):
        raise ApiError(409, {"message": "Tuple concurrently updated"})
    instance["_privileges_until"] = world.now() + PRIVILEGE_WRITE * world.latency
    instance["_privileges"].setdefault(database, {})[user] = permission
    world.put(INSTANCES, instance)
    return _privilege(database, user, permission)
