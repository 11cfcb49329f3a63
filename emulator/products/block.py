"""Block Storage v1 (and v1alpha1): network volumes and their snapshots.

A volume belongs to nobody but its project: servers only refer to it. It outlives every server that it was attached to
and costs money until somebody deletes it here (Scaleway gotchas 8, Instance).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from emulator.errors import ApiError, invalid_arguments, not_found, permissions_denied, precondition_failed
from emulator.paging import matching, page
from emulator.products import marketplace
from emulator.products.account import organization_of
from emulator.routing import Answer, Call, Handler, Product
from emulator.world import DEFAULT_PROJECT, Document, World, hook, public

BLOCK = Product("block", "/block/v1/zones/{zone}")
BLOCK_ALPHA = Product("block", "/block/v1alpha1/zones/{zone}")
PRODUCTS = [BLOCK, BLOCK_ALPHA]

VOLUMES = "block.volumes"
SNAPSHOTS = "block.snapshots"

GB = 10**9
SMALLEST_VOLUME = 5 * GB
LARGEST_VOLUME = 10_000 * GB
IMPORTED_SIZE = 10 * GB
IOPS = {5000: "sbs_5k", 15000: "sbs_15k"}
PRICES = {5000: (84, 20), 15000: (129, 20)}
"""For each performance: price of a volume and of a snapshot, in micro-euros per GB and hour."""

CREATE_SECONDS = 5
UPDATE_SECONDS = 1
SNAPSHOT_SECONDS = 5
EXPORT_SECONDS = 11
SETTLED = {True: "in_use", False: "available"}


# -- what Instance does with volumes and snapshots -------------------------------------------------------------------


def make_volume(
    world: World,
    *,
    zone: str,
    project_id: str,
    name: str,
    size: int,
    perf_iops: int = 5000,
    parent_snapshot_id: str | None = None,
    tags: Iterable[str] = (),
) -> Document:
    """Store a volume of `size` bytes that is being created; it is `available` some seconds later."""
    volume: Document = {
        "id": world.new_id(),
        "name": name,
        "type": IOPS[perf_iops],
        "size": size,
        "project_id": project_id,
        "created_at": world.timestamp(),
        "updated_at": world.timestamp(),
        "references": [],
        "parent_snapshot_id": parent_snapshot_id,
        "status": "creating",
        "tags": list(tags),
        "specs": {"perf_iops": perf_iops, "class": "sbs"},
        "last_detached_at": None,
        "kms_key_id": None,
        "zone": zone,
    }
    world.later(CREATE_SECONDS, VOLUMES, volume["id"], run="block.settled")
    return world.put(VOLUMES, volume)


def attach(world: World, volume: Document, server_id: str) -> None:
    """Let a server hold a volume, exclusively. The volume must be free: 412 if it is not."""
    if volume["references"]:
        raise precondition_failed("resource_still_in_use", f"volume {volume['id']} is already attached")
    reference = _reference(world, "instance_server", server_id, "exclusive")
    volume.update(references=[reference], status="in_use", updated_at=world.timestamp())
    world.put(VOLUMES, volume)


def detach(world: World, volume_id: str) -> None:
    """Free a volume of its server; nothing happens if it is gone."""
    if volume := world.find(VOLUMES, volume_id):
        now = world.timestamp()
        volume.update(references=[], status="available", updated_at=now, last_detached_at=now)
        world.put(VOLUMES, volume)


def link(world: World, snapshot: Document, image_id: str) -> None:
    """Let an image refer to a snapshot, which then cannot be deleted."""
    snapshot["references"].append(_reference(world, "instance_image", image_id, "link"))
    snapshot.update(status="in_use", updated_at=world.timestamp())
    world.put(SNAPSHOTS, snapshot)


def unlink(world: World, snapshot_id: str, image_id: str) -> None:
    """End an image's reference to a snapshot."""
    if snapshot := world.find(SNAPSHOTS, snapshot_id):
        left = [reference for reference in snapshot["references"] if reference["product_resource_id"] != image_id]
        snapshot.update(references=left, status=SETTLED[bool(left)], updated_at=world.timestamp())
        world.put(SNAPSHOTS, snapshot)


def make_snapshot(
    world: World, volume: Document, *, name: str, project_id: str, tags: Iterable[str] = (), is_public: bool = False
) -> Document:
    """Store a snapshot that is being taken of a volume."""
    parent = {key: volume[key] for key in ("id", "name", "type", "status")}
    return _store_snapshot(world, volume["zone"], volume["size"], parent, name, project_id, tags, is_public)


def _reference(world: World, kind: str, resource_id: str, how: str) -> Document:
    return {
        "id": world.new_id(),
        "product_resource_type": kind,
        "product_resource_id": resource_id,
        "created_at": world.timestamp(),
        "type": how,
        "status": "attached",
    }


def _store_snapshot(
    world: World,
    zone: str,
    size: int,
    parent: Document | None,
    name: str,
    project_id: str,
    tags: Iterable[str],
    is_public: bool,
) -> Document:
    snapshot: Document = {
        "id": world.new_id(),
        "name": name,
        "parent_volume": parent,
        "size": size,
        "project_id": project_id,
        "created_at": world.timestamp(),
        "updated_at": world.timestamp(),
        "references": [],
        "status": "creating",
        "tags": list(tags),
        "class": "sbs",
        "zone": zone,
        "public": is_public,
    }
    world.later(SNAPSHOT_SECONDS, SNAPSHOTS, snapshot["id"], run="block.settled")
    return world.put(SNAPSHOTS, snapshot)


@hook("block.settled")
def _settled(world: World, document: Document, data: Document) -> None:
    document.update(data)
    document.update(status=SETTLED[bool(document["references"])], updated_at=world.timestamp())


# -- calls -----------------------------------------------------------------------------------------------------------


def _route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Register a handler under both versions of the API."""

    def register(handler: Handler) -> Handler:
        for product in PRODUCTS:
            product.route(method, path)(handler)
        return handler

    return register


def _show(call: Call, document: Document) -> Document:
    shown = public(document)
    if "/v1alpha1/" in call.operation:
        shown.pop("kms_key_id", None)
        shown.pop("public", None)
    elif shown.get("parent_volume") and (parent := call.world.find(VOLUMES, shown["parent_volume"]["id"])):
        shown["parent_volume"].update(name=parent["name"], status=parent["status"], type=parent["type"])
    return shown


def _find(call: Call, table: str, key: str, kind: str) -> Document:
    """A volume or snapshot in the call's zone; 403 for the private snapshots behind Scaleway's own images."""
    document = call.world.find(table, key)
    if document is None or document["zone"] != call.params["zone"]:
        if kind == "snapshot" and marketplace.is_root_snapshot(key, call.params["zone"]):
            raise permissions_denied("snapshot", "read")
        raise not_found(kind, key)
    return document


def _volume(call: Call) -> Document:
    return _find(call, VOLUMES, call.params["volume_id"], "volume")


def _snapshot(call: Call) -> Document:
    return _find(call, SNAPSHOTS, call.params["snapshot_id"], "snapshot")


def _constraint(argument: str, text: str) -> ApiError:
    return invalid_arguments((argument, "constraint", text))


def _project(call: Call) -> str:
    project = call.body.get("project_id") or DEFAULT_PROJECT
    organization_of(call.world, project)
    return str(project)


def _iops(call: Call) -> int:
    value = call.body.get("perf_iops") or 5000
    if value not in IOPS:
        raise _constraint("perf_iops", f"value must be one of {', '.join(map(str, IOPS))}")
    return int(value)


def _checked_size(size: Any) -> int:
    if not isinstance(size, int) or not SMALLEST_VOLUME <= size <= LARGEST_VOLUME:
        raise _constraint("size", f"value must be between {SMALLEST_VOLUME} and {LARGEST_VOLUME}")
    return size


def _listed(call: Call, table: str, key: str) -> Document:
    found = [document for document in matching(call, call.world.all(table)) if document["zone"] == call.params["zone"]]
    if volume_id := call.arg("volume_id"):
        found = [d for d in found if d.get("parent_volume") and d["parent_volume"]["id"] == volume_id]
    if holder := call.arg("product_resource_id"):
        found = [d for d in found if any(r["product_resource_id"] == holder for r in d["references"])]
    field, _, direction = (call.arg("order_by") or "created_at_asc").rpartition("_")
    found.sort(key=lambda document: str(document.get(field)), reverse=direction == "desc")
    return page(call, found, key, show=lambda document: _show(call, document))


@_route("GET", "/volume-types")
def list_volume_types(call: Call) -> Answer:
    """The performances on sale, with prices."""
    kinds = [
        {
            "type": IOPS[iops],
            "zone": call.params["zone"],
            "pricing": {"currency_code": "EUR", "units": 0, "nanos": volume * 1000},
            "snapshot_pricing": {"currency_code": "EUR", "units": 0, "nanos": snapshot * 1000},
            "specs": {"perf_iops": iops, "class": "sbs"},
        }
        for iops, (volume, snapshot) in PRICES.items()
    ]
    return page(call, kinds, "volume_types")


@_route("POST", "/volumes")
def create_volume(call: Call) -> Answer:
    """Make a volume, empty or from a snapshot."""
    if source := call.body.get("from_snapshot"):
        snapshot = _find(call, SNAPSHOTS, str(source.get("snapshot_id")), "snapshot")
        size = source.get("size") or snapshot["size"]
        if size < snapshot["size"]:
            raise precondition_failed(
                "unknown_precondition",
                "size, when provided, must be equal to or larger than the size of the source snapshot. "
                f"Here the requested volume size is '{size}' whereas snapshot size is '{snapshot['size']}'",
            )
    else:
        size = _checked_size((call.body.get("from_empty") or {}).get("size"))
    volume = make_volume(
        call.world,
        zone=call.params["zone"],
        project_id=_project(call),
        name=call.body.get("name") or f"vol-{call.world.new_id()[:8]}",
        size=size,
        perf_iops=_iops(call),
        parent_snapshot_id=source["snapshot_id"] if source else None,
        tags=call.body.get("tags") or (),
    )
    return _show(call, volume)


@_route("GET", "/volumes")
def list_volumes(call: Call) -> Answer:
    """The volumes of the zone."""
    return _listed(call, VOLUMES, "volumes")


@_route("GET", "/volumes/{volume_id}")
def get_volume(call: Call) -> Answer:
    """One volume."""
    return _show(call, _volume(call))


@_route("PATCH", "/volumes/{volume_id}")
def update_volume(call: Call) -> Answer:
    """Rename, grow or speed up a volume; the answer still shows the size and performance it has now."""
    volume, body = _volume(call), call.body
    change: Document = {}
    if body.get("size") and body["size"] != volume["size"]:
        if _checked_size(body["size"]) < volume["size"]:
            raise _constraint("size", "the size of a volume can only grow")
        change["size"] = body["size"]
    if body.get("perf_iops") and _iops(call) != volume["specs"]["perf_iops"]:
        change.update(type=IOPS[_iops(call)], specs={**volume["specs"], "perf_iops": _iops(call)})
    if change and volume["status"] not in SETTLED.values():
        raise _constraint(next(iter(body)), f"can't update {next(iter(body))} when volume is not available")
    for field in ("name", "tags"):
        if body.get(field) is not None:
            volume.update({field: body[field], "updated_at": call.world.timestamp()})
    if change:
        volume.update(status="updating", updated_at=call.world.timestamp())
        call.world.later(UPDATE_SECONDS, VOLUMES, volume["id"], run="block.settled", data=change)
    call.world.put(VOLUMES, volume)
    return _show(call, volume)


@_route("DELETE", "/volumes/{volume_id}")
def delete_volume(call: Call) -> Answer:
    """Delete a volume; 412 while a server holds it. Its snapshots stay."""
    volume = _volume(call)
    if volume["references"]:
        raise precondition_failed("resource_still_in_use", "volume is still attached to a resource")
    call.world.remove(VOLUMES, volume["id"])
    return None


@_route("POST", "/snapshots")
def create_snapshot(call: Call) -> Answer:
    """Take a snapshot of a volume, attached or not."""
    volume = _find(call, VOLUMES, str(call.body.get("volume_id")), "volume")
    snapshot = make_snapshot(
        call.world,
        volume,
        name=call.body.get("name") or f"snp-{call.world.new_id()[:8]}",
        project_id=_project(call),
        tags=call.body.get("tags") or (),
        is_public=bool(call.body.get("public")),
    )
    return _show(call, snapshot)


@_route("POST", "/snapshots/import-from-object-storage")
def import_snapshot(call: Call) -> Answer:
    """Make a snapshot from a QCOW2 file in a bucket."""
    for field in ("bucket", "key"):
        if not call.body.get(field):
            raise invalid_arguments((field, "required", f"{field} is required"))
    snapshot = _store_snapshot(
        call.world,
        call.params["zone"],
        call.body.get("size") or IMPORTED_SIZE,
        None,
        call.body.get("name") or f"snp-{call.world.new_id()[:8]}",
        _project(call),
        call.body.get("tags") or (),
        is_public=False,
    )
    return _show(call, snapshot)


@_route("GET", "/snapshots")
def list_snapshots(call: Call) -> Answer:
    """The snapshots of the zone."""
    return _listed(call, SNAPSHOTS, "snapshots")


@_route("GET", "/snapshots/{snapshot_id}")
def get_snapshot(call: Call) -> Answer:
    """One snapshot."""
    return _show(call, _snapshot(call))


@_route("PATCH", "/snapshots/{snapshot_id}")
def update_snapshot(call: Call) -> Answer:
    """Rename a snapshot, tag it, or share it."""
    snapshot, fields = _snapshot(call), ("name", "tags", "public")
    snapshot.update(
        {f: call.body[f] for f in fields if call.body.get(f) is not None}, updated_at=call.world.timestamp()
    )
    call.world.put(SNAPSHOTS, snapshot)
    return _show(call, snapshot)


@_route("POST", "/snapshots/{snapshot_id}/export-to-object-storage")
def export_snapshot(call: Call) -> Answer:
    """Write a snapshot into a bucket as QCOW2."""
    change = {"status": "exporting", "updated_at": call.world.timestamp()}
    snapshot = call.world.put(SNAPSHOTS, {**_snapshot(call), **change})
    call.world.later(EXPORT_SECONDS, SNAPSHOTS, snapshot["id"], run="block.settled")
    return _show(call, snapshot)


@_route("DELETE", "/snapshots/{snapshot_id}")
def delete_snapshot(call: Call) -> Answer:
    """Delete a snapshot; 412 while an image refers to it."""
    snapshot = _snapshot(call)
    if snapshot["references"]:
        raise precondition_failed("resource_still_in_use", "snapshot is still referenced by a resource")
    call.world.remove(SNAPSHOTS, snapshot["id"])
    return None
