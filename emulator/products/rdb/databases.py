"""The databases of an instance: what the API makes and drops, and what its server, if there is one, says that it has.

A database carries `_oid` once a server has it: the identity that it keeps when SQL renames it. One without is still to
be made. Names in `_dropped` are still to be dropped.
"""

from __future__ import annotations

from collections.abc import Collection

from emulator.errors import already_exists, not_found
from emulator.paging import page
from emulator.products.rdb.model import (
    INSTANCES,
    PREFIX,
    SUPERADMIN,
    instance_of,
    is_real,
    running_instance_of,
    servers_of,
)
from emulator.products.rdb.users import check_name, named, ordered
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World, public

product = Product("rdb", PREFIX)

EMPTY_DATABASE_BYTES = 7_739_059


def databases_of(world: World, instance: Document) -> list[Document]:
    """The databases of an instance: those that its server has now, and those that it is about to make."""
    servers = servers_of(world)
    there = servers.databases(instance["id"]) if servers else None
    if there is not None:
        take_over(world, instance, there)
    found: list[Document] = instance["_databases"]
    return found


def take_over(world: World, instance: Document, there: list[Document]) -> None:
    """Note what the server of an instance has: users make, rename and drop databases in SQL.

    Args:
        there: each with name, owner, size, `managed` (the API made it) and `_oid`.
    """
    leaving = {drop["name"] for drop in instance.get("_dropped", ())}
    names = {database["name"] for database in there}
    coming = [each for each in instance["_databases"] if "_oid" not in each and each["name"] not in names - leaving]
    databases = [each for each in there if each["name"] not in leaving] + coming
    if databases != instance["_databases"]:
        instance["_databases"] = databases
        world.put(INSTANCES, instance)


def dropped(world: World, instance: Document, ids: Collection[str]) -> None:
    """The server has carried out these drops."""
    if ids:
        instance["_dropped"] = [drop for drop in instance["_dropped"] if drop["id"] not in ids]
        world.put(INSTANCES, instance)


@product.get("/instances/{instance_id}/databases", call_ms=173)
def list_databases(call: Call) -> Answer:
    """Databases, by name, owner and whether Scaleway made them."""
    found = ordered(call, databases_of(call.world, instance_of(call)))
    if owner := call.arg("owner"):
        found = [database for database in found if database["owner"] == owner]
    managed = call.flag("managed")
    if managed is not None:
        found = [database for database in found if database["managed"] is managed]
    return page(call, found, "databases", show=lambda database: {"size": EMPTY_DATABASE_BYTES, **public(database)})


@product.post("/instances/{instance_id}/databases", call_ms=374)
def create_database(call: Call) -> Answer:
    """Make a database. Owner and size are known only when it is read back."""
    instance, name = running_instance_of(call), str(call.body.get("name") or "")
    check_name("name", name)
    if named(databases_of(call.world, instance), name):
        raise already_exists("database", name, "database name must be unique")
    add_database(instance, name)
    call.world.put(INSTANCES, instance)
    return {"name": name, "managed": True, "owner": "", "size": 0}


def add_database(instance: Document, name: str) -> None:
    """Note a database of Scaleway's own making."""
    instance["_databases"].append({"name": name, "managed": True, "owner": SUPERADMIN})


@product.delete("/instances/{instance_id}/databases/{name}", call_ms=519)
def delete_database(call: Call) -> Answer:
    """Drop the database that has this name now, with its contents and privileges."""
    instance, name, world = running_instance_of(call), call.params["name"], call.world
    database = named(databases_of(world, instance), name)
    if database is None:
        raise not_found("database", name)
    instance["_databases"].remove(database)
    instance["_privileges"].pop(name, None)
    if is_real(world, instance):
        # With an id: a later drop of another database of that name is another one.
        instance.setdefault("_dropped", []).append({"id": world.new_id(), "name": name})
    world.put(INSTANCES, instance)
    return None
