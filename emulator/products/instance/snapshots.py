"""Snapshots of local volumes. Those of block volumes are Block Storage's: naming one here is a 404."""

from __future__ import annotations

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
    task,
    unusable,
)
from emulator.routing import Answer, Call, Reply
from emulator.world import Document, World, public

TABLE = "instance.snapshots"
TAKE_SECONDS = 21
EXPORT_SECONDS = 47
IMPORTED_SIZE = 10 * 10**9


def take(world: World, volume: Document, name: str, owned_by: dict[str, str]) -> Document:
    """Store a snapshot that is being taken of a local volume."""
    base = {"id": volume["id"], "name": volume["name"]}
    return _store(
        world,
        {
            "name": name,
            "volume_type": volume["volume_type"],
            **owned_by,
            "size": volume["size"],
            "state": "snapshotting",
            "base_volume": base,
            "tags": [],
            "zone": volume["zone"],
        },
    )


def _store(world: World, fields: Document) -> Document:
    created = now(world)
    snapshot = {
        "id": world.new_id(),
        "creation_date": created,
        "modification_date": created,
        "error_details": None,
        **fields,
    }
    _available_after(world, snapshot["id"], TAKE_SECONDS)
    return world.put(TABLE, snapshot)


def _available_after(world: World, snapshot_id: str, seconds: float) -> None:
    world.later(seconds, TABLE, snapshot_id, change={"state": "available"}, run="instance.modified")


@INSTANCE.post("/snapshots", call_ms=721)
def create_snapshot(call: Call) -> Answer:
    """Take a snapshot of a local volume, or import one from a bucket."""
    world, zone, body = call.world, call.params["zone"], call.body
    name = body.get("name") or f"snp-{world.new_id()[:8]}"
    if body.get("volume_id"):
        snapshot = take(world, lookup(world, "volume", body["volume_id"], zone), name, owner(call))
    elif body.get("bucket") and body.get("key"):
        snapshot = _store(
            world,
            {
                "name": name,
                "volume_type": body.get("volume_type") or "l_ssd",
                **owner(call),
                "size": body.get("size") or IMPORTED_SIZE,
                "state": "importing",
                "base_volume": None,
                "tags": [],
                "zone": zone,
            },
        )
    else:
        raise constraint("volume_id", "a volume_id, or a bucket and a key, must be set")
    snapshot["tags"] = list_of_strings(call, "tags")
    answer = {"snapshot": public(snapshot), "task": task(world, zone, "/snapshots", f"snapshots/{snapshot['id']}")}
    return Reply(answer, 201)


@INSTANCE.get("/snapshots")
def list_snapshots(call: Call) -> Answer:
    """The snapshots of the zone."""
    found = matching(call, "snapshot")
    if volume_id := call.arg("base_volume_id"):
        found = [snapshot for snapshot in found if (snapshot["base_volume"] or {}).get("id") == volume_id]
    return page(call, found, "snapshots")


def _snapshot(call: Call) -> Document:
    return find(call, "snapshot", call.params["snapshot_id"])


@INSTANCE.get("/snapshots/{snapshot_id}")
def get_snapshot(call: Call) -> Answer:
    """One snapshot."""
    return {"snapshot": public(_snapshot(call))}


def _update(call: Call) -> Document:
    snapshot = _snapshot(call)
    if call.body.get("name") is not None:
        snapshot["name"] = call.body["name"]
    if "tags" in call.body:
        snapshot["tags"] = list_of_strings(call, "tags")
    snapshot["modification_date"] = now(call.world)
    call.world.put(TABLE, snapshot)
    return {"snapshot": public(snapshot)}


@INSTANCE.patch("/snapshots/{snapshot_id}")
def update_snapshot(call: Call) -> Answer:
    """Rename or tag a snapshot."""
    return _update(call)


@INSTANCE.put("/snapshots/{snapshot_id}")
def set_snapshot(call: Call) -> Answer:
    """The same as PATCH: nothing else of a snapshot can change."""
    return _update(call)


@INSTANCE.post("/snapshots/{snapshot_id}/export", call_ms=5355)
def export_snapshot(call: Call) -> Answer:
    """Write a snapshot into a bucket as QCOW2."""
    snapshot = _snapshot(call)
    snapshot.update(state="exporting", modification_date=now(call.world))
    call.world.put(TABLE, snapshot)
    _available_after(call.world, snapshot["id"], EXPORT_SECONDS)
    path = f"/snapshots/{snapshot['id']}"
    return Reply({"task": task(call.world, snapshot["zone"], f"{path}/export", path[1:])}, 202)


@INSTANCE.delete("/snapshots/{snapshot_id}")
def delete_snapshot(call: Call) -> Answer:
    """Delete a snapshot; 400 while an image consists of it."""
    snapshot = _snapshot(call)
    for image in call.world.all("instance.images"):
        if snapshot["id"] in (part["id"] for part in (image["root_volume"], *image["extra_volumes"].values())):
            raise unusable("snapshot is used by an image", "resource_still_in_use")
    call.world.remove(TABLE, snapshot["id"])
    return None
