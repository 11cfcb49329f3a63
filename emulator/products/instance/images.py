"""Images that users made; Scaleway's own come from the marketplace and answer here too."""

from __future__ import annotations

from emulator.errors import not_found
from emulator.products import block, marketplace
from emulator.products.instance.api import INSTANCE, find, list_of_strings, matching, now, owner, page
from emulator.routing import Answer, Call, Reply
from emulator.world import Document, World, public

TABLE = "instance.images"


def resolve(world: World, zone: str, key: str, arch: str, kind: str) -> Document:
    """The image that a server shall boot from: a user's own by id, or a published one by local id or label.

    Args:
        kind: for a label: "instance_sbs" or "instance_local", whatever root volume the server asks for.

    Raises:
        ApiError: 404 instance_image.
    """
    image = world.find(TABLE, key)
    if image is not None and image["zone"] == zone:
        return image
    published = marketplace.image(zone, key, arch=arch, kind=kind)
    if published is None:
        raise not_found("instance_image", key)
    return published


def make(world: World, zone: str, owned_by: dict[str, str], name: str, arch: str, root_id: str) -> Document:
    """Store an image of a root snapshot, local or block; 404 if there is no such snapshot."""
    created = now(world)
    image: Document = {
        "id": world.new_id(),
        "name": name,
        **owned_by,
        "root_volume": None,
        "extra_volumes": {},
        "public": False,
        "arch": arch,
        "creation_date": created,
        "modification_date": created,
        "default_bootscript": None,
        "from_server": "",
        "state": "available",
        "tags": [],
        "zone": zone,
    }
    image["root_volume"] = part(world, image, root_id)
    return world.put(TABLE, image)


def part(world: World, image: Document, snapshot_id: str) -> Document:
    """How an image shows a snapshot that it consists of. A block snapshot is referred to from now on."""
    local = world.find("instance.snapshots", snapshot_id)
    if local is not None and local["zone"] == image["zone"]:
        return {field: local[field] for field in ("id", "name", "volume_type", "size")}
    snapshot = world.find(block.SNAPSHOTS, snapshot_id)
    if snapshot is None or snapshot["zone"] != image["zone"]:
        raise not_found("instance_snapshot", snapshot_id)
    block.link(world, snapshot, image["id"])
    return {"volume_type": "sbs_snapshot", "id": snapshot_id, "size": 0, "name": ""}


@INSTANCE.post("/images")
def create_image(call: Call) -> Answer:
    """Make an image of snapshots."""
    body = call.body
    extra = body.get("extra_volumes") or {}
    image = make(
        call.world,
        call.params["zone"],
        owner(call),
        body.get("name") or f"img-{call.world.new_id()[:8]}",
        body.get("arch") or "x86_64",
        str(body.get("root_volume")),
    )
    image["extra_volumes"] = {key: part(call.world, image, str(volume["id"])) for key, volume in extra.items()}
    image.update(public=bool(body.get("public")), tags=list_of_strings(call, "tags"))
    return Reply({"image": public(image)}, 201)


@INSTANCE.get("/images")
def list_images(call: Call) -> Answer:
    """The images of the zone that users made; `public=true` adds Scaleway's own."""
    found = matching(call, "image")
    if call.flag("public"):
        zone = call.params["zone"]
        published = (marketplace.image(zone, local["id"]) for local in marketplace.local_images(zone))
        found += [image for image in published if image and (call.arg("name") or "") in image["name"]]
    if arch := call.arg("arch"):
        found = [image for image in found if image["arch"] == arch]
    return page(call, found, "images")


@INSTANCE.get("/images/{image_id}")
def get_image(call: Call) -> Answer:
    """One image, made by a user or published by Scaleway."""
    key = call.params["image_id"]
    published = marketplace.image(call.params["zone"], key)
    return {"image": published or public(find(call, "image", key))}


def _update(call: Call) -> Document:
    image = find(call, "image", call.params["image_id"])
    for field in ("name", "arch", "public"):
        if call.body.get(field) is not None:
            image[field] = call.body[field]
    if "tags" in call.body:
        image["tags"] = list_of_strings(call, "tags")
    image["modification_date"] = now(call.world)
    call.world.put(TABLE, image)
    return {"image": public(image)}


@INSTANCE.patch("/images/{image_id}")
def update_image(call: Call) -> Answer:
    """Rename, tag or share an image."""
    return _update(call)


@INSTANCE.put("/images/{image_id}")
def set_image(call: Call) -> Answer:
    """The same as PATCH: the snapshots of an image cannot change."""
    return _update(call)


@INSTANCE.delete("/images/{image_id}")
def delete_image(call: Call) -> Answer:
    """Delete an image; its snapshots stay."""
    image = find(call, "image", call.params["image_id"])
    for volume in (image["root_volume"], *image["extra_volumes"].values()):
        block.unlink(call.world, volume["id"], image["id"])
    call.world.remove(TABLE, image["id"])
    return None
