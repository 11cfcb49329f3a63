"""Backups of one database, and snapshots of a whole instance.

Those of a real instance (`_real`) are files: whoever keeps them notes `_bytes` once there is one, and takes `_restore`
away once it is carried out.
"""

from __future__ import annotations

import copy
import uuid
from datetime import datetime
from urllib.parse import urlencode

from emulator.errors import invalid_arguments, not_found, transient_state
from emulator.paging import matching, page
from emulator.products.rdb import catalogue
from emulator.products.rdb.databases import add_database, databases_of
from emulator.products.rdb.instances import COPIED_AFTER, copy_of, ordered, provision, wants_ha
from emulator.products.rdb.model import (
    PREFIX,
    become,
    in_region,
    is_real,
    ready_instance_of,
    servers_of,
    show_change,
)
from emulator.products.rdb.users import named
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World, hook, public

product = Product("rdb", PREFIX)

BACKUPS = "rdb.backups"
SNAPSHOTS = "rdb.snapshots"

BACKED_UP_AFTER, EXPORTED_AFTER, RESTORED_AFTER, SNAPSHOT_AFTER = 2.4, 15.0, 15.0, 8.6
REMOVED_AFTER = 1.0
DAY, YEAR = 86_400.0, 365 * 86_400.0
EMPTY_BACKUP_BYTES = 1255


def expire(world: World, table: str) -> None:
    """Forget backups or snapshots whose time is over."""
    for document in world.all(table):
        if has_passed(world, document["expires_at"]):
            world.remove(table, document["id"])


def has_passed(world: World, date: str | None) -> bool:
    """Whether there is a date and it lies behind."""
    return bool(date) and datetime.fromisoformat(str(date)).timestamp() <= world.now()


def _kept(call: Call, table: str) -> list[Document]:
    expire(call.world, table)
    return list(call.world.where(table, region=call.params["region"]))


def _backup_of(call: Call) -> Document:
    _kept(call, BACKUPS)
    return in_region(call, BACKUPS, call.params["backup_id"], "database_backup")


def _snapshot_of(call: Call) -> Document:
    _kept(call, SNAPSHOTS)
    return in_region(call, SNAPSHOTS, call.params["snapshot_id"], "instance_snapshot")


def _require_ready(document: Document, resource: str) -> None:
    if document["status"] != "ready":
        raise transient_state(resource, document["id"], document["status"])


def _listed(call: Call, table: str, key: str) -> Answer:
    found = matching(call, _kept(call, table))
    for argument, field in (("instance_id", "instance_id"), ("project_id", "_project_id")):
        if wanted := call.arg(argument):
            found = [document for document in found if document[field] == wanted]
    return page(call, ordered(call, found), key)


def _expiry(call: Call, default: str | None) -> str | None:
    wanted = call.body.get("expires_at") or default
    if wanted is not None:
        try:
            datetime.fromisoformat(str(wanted))
        except ValueError:
            raise invalid_arguments(("expires_at", "format", "must be an RFC 3339 date")) from None
    return wanted


def _rename(call: Call, table: str, document: Document) -> Answer:
    if call.body.get("name"):
        document["name"] = call.body["name"]
    document["expires_at"] = _expiry(call, document["expires_at"])
    document["updated_at"] = call.world.timestamp()
    return public(call.world.put(table, document))


def _delete(call: Call, table: str, document: Document) -> Answer:
    document["status"] = "deleting"
    call.world.put(table, document)
    call.world.later(REMOVED_AFTER, table, document["id"], remove=True)
    return public(document)


# -- backups ---------------------------------------------------------------------------------------------------


@product.post("/backups", call_ms=1237)
def create_backup(call: Call) -> Answer:
    """Dump one database."""
    instance, world = ready_instance_of(call, str(call.body.get("instance_id") or "")), call.world
    database = str(call.body.get("database_name") or "")
    if named(databases_of(world, instance), database) is None:
        raise not_found("database", database)
    backup: Document = {
        "id": world.new_id(),
        "instance_id": instance["id"],
        "instance_name": instance["name"],
        "database_name": database,
        "name": call.body.get("name") or f"{database}-{world.timestamp()}",
        "status": "creating",
        "size": None,
        "expires_at": _expiry(call, None),
        "created_at": world.timestamp(),
        "updated_at": None,
        "download_url": None,
        "download_url_expires_at": None,
        "region": instance["region"],
        "same_region": instance["backup_same_region"],
        "_project_id": instance["project_id"],
        "_real": is_real(world, instance),
    }
    world.put(BACKUPS, backup)
    world.later(BACKED_UP_AFTER, BACKUPS, backup["id"], change={"status": "ready"}, run="rdb.backed_up")
    return public(backup)


@hook("rdb.backed_up")
def backed_up(world: World, backup: Document, data: Document) -> None:
    """Its size is known."""
    backup["size"] = backup.get("_bytes", EMPTY_BACKUP_BYTES)
    world.put(BACKUPS, backup)


@product.get("/backups", call_ms=177)
def list_backups(call: Call) -> Answer:
    """Backups of the region, by name and instance."""
    return _listed(call, BACKUPS, "database_backups")


@product.get("/backups/{backup_id}")
def get_backup(call: Call) -> Answer:
    """One backup."""
    return public(_backup_of(call))


@product.patch("/backups/{backup_id}")
def update_backup(call: Call) -> Answer:
    """Change a backup's name or when it expires."""
    return _rename(call, BACKUPS, _backup_of(call))


@product.delete("/backups/{backup_id}", call_ms=301)
def delete_backup(call: Call) -> Answer:
    """Delete a backup."""
    return _delete(call, BACKUPS, _backup_of(call))


@product.post("/backups/{backup_id}/export", call_ms=172)
def export_backup(call: Call) -> Answer:
    """Make a backup downloadable for a day."""
    backup, world = _backup_of(call), call.world
    _require_ready(backup, "database_backup")
    backup["status"] = "exporting"
    world.put(BACKUPS, backup)
    world.later(EXPORTED_AFTER, BACKUPS, backup["id"], run="rdb.exported")
    return public(backup)


@hook("rdb.exported")
def exported(world: World, backup: Document, data: Document) -> None:
    """The download address appears, with the time at which it stops working."""
    query = {"X-Amz-Expires": int(DAY), "X-Amz-Signature": uuid.uuid4().hex}
    servers = servers_of(world) if backup["_real"] else None
    origin = servers.downloads if servers else f"https://s3.{backup['region']}.scw.cloud"
    backup.update(
        status="ready",
        download_url=f"{origin}/{backup['instance_id']}/{backup['id']}.custom?{urlencode(query)}",
        download_url_expires_at=world.timestamp(world.now() + DAY),
    )
    world.put(BACKUPS, backup)


@product.post("/backups/{backup_id}/restore", call_ms=496)
def restore_backup(call: Call) -> Answer:
    """Load a backup into a database of an instance, which is made if it is not there.

    What the backup does not have stays; what both have becomes as it was.
    """
    backup, world = _backup_of(call), call.world
    _require_ready(backup, "database_backup")
    instance = ready_instance_of(call, str(call.body.get("instance_id") or backup["instance_id"]))
    database = str(call.body.get("database_name") or backup["database_name"])
    if named(databases_of(world, instance), database) is None:
        add_database(instance, database)
    become(world, instance, "backuping", RESTORED_AFTER)
    backup["status"] = "restoring"
    if backup["_real"] and is_real(world, instance):
        backup["_restore"] = {"instance_id": instance["id"], "database": database}
    world.put(BACKUPS, backup)
    world.later(RESTORED_AFTER, BACKUPS, backup["id"], change={"status": "ready"})
    return public(backup)


# -- snapshots -------------------------------------------------------------------------------------------------


@product.post("/instances/{instance_id}/snapshots", call_ms=829)
def create_snapshot(call: Call) -> Answer:
    """Keep the volume of an instance as it is now, for a year if no other date is given."""
    instance, world = ready_instance_of(call), call.world
    volume = instance["volume"]
    snapshot: Document = {
        "id": world.new_id(),
        "instance_id": instance["id"],
        "instance_name": instance["name"],
        "name": call.body.get("name") or f"snapshot-{world.timestamp()}",
        "status": "creating",
        "size": None,
        "node_type": instance["node_type"],
        "volume_type": {"type": volume["type"], "class": volume["class"]},
        "expires_at": _expiry(call, world.timestamp(world.now() + YEAR)),
        "created_at": world.timestamp(),
        "updated_at": None,
        "region": instance["region"],
        "_project_id": instance["project_id"],
        "_source": copy.deepcopy(instance),
        "_real": is_real(world, instance),
    }
    world.put(SNAPSHOTS, snapshot)
    world.later(SNAPSHOT_AFTER, SNAPSHOTS, snapshot["id"], change={"status": "ready", "size": volume["size"]})
    return public(snapshot)


@product.get("/snapshots", call_ms=177)
def list_snapshots(call: Call) -> Answer:
    """Snapshots of the region, by name and instance."""
    return _listed(call, SNAPSHOTS, "snapshots")


@product.get("/snapshots/{snapshot_id}", call_ms=123)
def get_snapshot(call: Call) -> Answer:
    """One snapshot."""
    return public(_snapshot_of(call))


@product.patch("/snapshots/{snapshot_id}", call_ms=134)
def update_snapshot(call: Call) -> Answer:
    """Change a snapshot's name or when it expires."""
    return _rename(call, SNAPSHOTS, _snapshot_of(call))


@product.delete("/snapshots/{snapshot_id}", call_ms=244)
def delete_snapshot(call: Call) -> Answer:
    """Delete a snapshot."""
    return _delete(call, SNAPSHOTS, _snapshot_of(call))


@product.post("/snapshots/{snapshot_id}/create-instance", call_ms=989)
def create_instance_from_snapshot(call: Call) -> Answer:
    """A new instance from a snapshot.

    Whatever endpoints the source had, it gets a public one that everybody may reach (terraform-provider-scaleway,
    issue 3714).
    """
    snapshot, world = _snapshot_of(call), call.world
    _require_ready(snapshot, "instance_snapshot")
    source = snapshot["_source"]
    node = catalogue.node_type(str(call.body.get("node_type") or snapshot["node_type"]))
    volume = catalogue.volume(node, source["volume"]["type"], source["volume"]["size"])
    name = str(call.body.get("instance_name") or source["name"])
    made = copy_of(world, source, name, node, volume)
    made["is_ha_cluster"] = wants_ha(call.body)
    made["_origin"] = {"snapshot": snapshot["id"]} if snapshot["_real"] else None
    provision(world, made, COPIED_AFTER, public=True)
    return show_change(world, made)
