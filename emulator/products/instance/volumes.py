"""Local volumes (l_ssd, scratch): disks of the hypervisor. Block volumes belong to Block Storage and are 404 here."""

from __future__ import annotations

from emulator.products import block
from emulator.products.instance.api import (
    INSTANCE,
    constraint,
    find,
    list_of_strings,
    lookup,
    matching,
    now,
    owner,
    page,
    unusable,
)
from emulator.products.instance.catalogue import LARGEST_LOCAL_VOLUME, SMALLEST_LOCAL_VOLUME
from emulator.routing import Answer, Call, Reply
from emulator.world import Document, World, public

TABLE = "instance.volumes"
TYPES = ("l_ssd", "b_ssd", "scratch")
"""b_ssd is the predecessor of Block Storage; old clients still name it."""
RESIZE_SECONDS = 5


def make(world: World, *, zone: str, owned_by: dict[str, str], name: str, kind: str, size: int) -> Document:
    """Store a free local volume of `size` bytes."""
    created = now(world)
    return world.put(
        TABLE,
        {
            "id": world.new_id(),
            "name": name,
            "volume_type": kind,
            "export_uri": None,
            **owned_by,
            "server": None,
            "size": size,
            "state": "available",
            "creation_date": created,
            "modification_date": created,
            "tags": [],
            "zone": zone,
        },
    )


def attach(world: World, volume: Document, server: Document) -> None:
    """Give a free local volume to a server; 400 if another one holds it."""
    if volume["server"] and volume["server"]["id"] != server["id"]:
        raise unusable(f"volume {volume['id']} is attached to another server", "resource_still_in_use")
    volume.update(server={"id": server["id"], "name": server["name"]}, modification_date=now(world))
    world.put(TABLE, volume)


def detach(world: World, volume_id: str) -> None:
    """Free a volume, local or block, of its server; nothing happens if it is gone."""
    if volume := world.find(TABLE, volume_id):
        volume.update(server=None, modification_date=now(world))
        world.put(TABLE, volume)
    else:
        block.detach(world, volume_id)


def checked_size(size: object, argument: str = "size") -> int:
    """A size in bytes that a local volume can have; 400 otherwise."""
    if not isinstance(size, int) or not SMALLEST_LOCAL_VOLUME <= size <= LARGEST_LOCAL_VOLUME:
        raise constraint(argument, f"value must be between {SMALLEST_LOCAL_VOLUME} and {LARGEST_LOCAL_VOLUME}")
    return size


@INSTANCE.post("/volumes")
def create_volume(call: Call) -> Answer:
    """Make a local volume, empty or from a snapshot."""
    kind = call.body.get("volume_type") or "l_ssd"
    if kind not in TYPES:
        raise constraint("volume_type", f"value must be one of {', '.join(TYPES)}")
    if snapshot_id := call.body.get("base_snapshot"):
        size = lookup(call.world, "snapshot", snapshot_id, call.params["zone"])["size"]
    else:
        size = checked_size(call.body.get("size"))
    name = call.body.get("name") or f"vol-{call.world.new_id()[:8]}"
    volume = make(call.world, zone=call.params["zone"], owned_by=owner(call), name=name, kind=kind, size=size)
    volume["tags"] = list_of_strings(call, "tags")
    return Reply({"volume": public(volume)}, 201)


@INSTANCE.get("/volumes")
def list_volumes(call: Call) -> Answer:
    """The local volumes of the zone."""
    found = matching(call, "volume")
    if kind := call.arg("volume_type"):
        found = [volume for volume in found if volume["volume_type"] == kind]
    return page(call, found, "volumes")


@INSTANCE.get("/volumes/{volume_id}")
def get_volume(call: Call) -> Answer:
    """One local volume."""
    return {"volume": public(find(call, "volume", call.params["volume_id"]))}


@INSTANCE.patch("/volumes/{volume_id}")
def update_volume(call: Call) -> Answer:
    """Rename or tag a volume; grow a b_ssd one (202, `resizing` for a while)."""
    volume, status = find(call, "volume", call.params["volume_id"]), 200
    if call.body.get("name") is not None:
        volume["name"] = call.body["name"]
    if "tags" in call.body:
        volume["tags"] = list_of_strings(call, "tags")
    size = call.body.get("size")
    if size and size != volume["size"]:
        if volume["volume_type"] != "b_ssd":
            raise constraint("size", "only block volumes can be resized")
        if size < volume["size"]:
            raise constraint("size", "volumes can only grow")
        volume.update(size=checked_size(size), state="resizing")
        call.world.later(RESIZE_SECONDS, TABLE, volume["id"], change={"state": "available"}, run="instance.modified")
        status = 202
    volume["modification_date"] = now(call.world)
    call.world.put(TABLE, volume)
    return Reply({"volume": public(volume)}, status)


@INSTANCE.delete("/volumes/{volume_id}")
def delete_volume(call: Call) -> Answer:
    """Delete a free volume; 400 while a server holds it."""
    volume = find(call, "volume", call.params["volume_id"])
    if volume["server"]:
        raise unusable("volume is attached to a server", "resource_still_in_use")
    call.world.remove(TABLE, volume["id"])
    return None
