"""The volumes of a server: made from its image or brought along, local disks or block volumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulator.errors import not_found
from emulator.products import block, marketplace
from emulator.products.instance import volumes
from emulator.products.instance.api import constraint, unusable
from emulator.world import Document, World, hook, public

ATTACH_SECONDS = 1
NETWORK, LOCAL = "sbs_volume", "l_ssd"


@dataclass(frozen=True)
class Planned:
    """A volume of a server to be, before anything is stored.

    Attributes:
        make: stores a new volume or finds the existing one.
    """

    key: str
    boot: bool
    kind: str
    size: int
    make: Callable[[], Document]


def plan(world: World, server: Document, image: Document | None, given: Document) -> list[Planned]:
    """What volumes a new server gets; nothing is stored yet.

    Args:
        given: `volumes` of the request: {"0": {"size", "volume_type"} | {"id"} | {"base_snapshot"}, ...}.

    Raises:
        ApiError: 404 for a volume or snapshot that is not there, 400 for what cannot be.
    """
    parts = {"0": image["root_volume"], **image["extra_volumes"]} if image else {}
    keys = sorted({*parts, *given}, key=int)
    if not keys or keys[0] != "0":
        raise constraint("volumes", "a root volume or an image is required")
    planned = []
    for key in keys:
        spec, part = given.get(key) or {}, parts.get(key)
        if spec.get("id"):
            planned.append(_existing(world, server, key, spec))
        elif spec.get("base_snapshot"):
            planned.append(_from_snapshot(world, server, key, spec))
        elif part is not None and image is not None:
            planned.append(_from_image(world, server, key, spec, image, part))
        else:
            planned.append(_empty(world, server, key, spec))
    return planned


def check_local_size(planned: list[Planned], commercial_type: str, server_type: Document) -> None:
    """400 unless the local volumes fit the server type (types of the last years have none at all)."""
    total = sum(volume.size for volume in planned if volume.kind == LOCAL)
    limits = server_type["volumes_constraint"]
    if not limits["min_size"] <= total <= limits["max_size"]:
        raise constraint(
            "volumes",
            f"The total local-volume size of {commercial_type} instances must be between "
            f"{limits['min_size']} and {limits['max_size']} bytes",
        )


def _existing(world: World, server: Document, key: str, spec: Document) -> Planned:
    volume = find(world, server["zone"], str(spec["id"]))
    return Planned(key, bool(spec.get("boot")), kind_of(volume), volume["size"], lambda: volume)


def _from_image(world: World, server: Document, key: str, spec: Document, image: Document, part: Document) -> Planned:
    kind = NETWORK if part["volume_type"] == "sbs_snapshot" else str(part["volume_type"])
    if spec.get("volume_type") not in (None, kind):
        raise constraint(f"volumes.{key}.volume_type", f"image {image['id']} needs a volume of type {kind}")
    snapshot = world.find(block.SNAPSHOTS, part["id"])
    least = part["size"] or (snapshot["size"] if snapshot else marketplace.ROOT_SIZE)
    size = spec.get("size") or least
    if size < least:
        raise constraint(f"volumes.{key}.size", f"image {image['id']} needs at least {least} bytes")
    name = f"{image['name']}_{NETWORK}_{key}" if kind == NETWORK else part["name"]
    return _new(world, server, key, {**spec, "name": name}, kind, size, part["id"])


def _from_snapshot(world: World, server: Document, key: str, spec: Document) -> Planned:
    snapshot_id = str(spec["base_snapshot"])
    if local := world.find("instance.snapshots", snapshot_id):
        return _new(world, server, key, spec, local["volume_type"], local["size"], snapshot_id)
    if snapshot := world.find(block.SNAPSHOTS, snapshot_id):
        return _new(world, server, key, spec, NETWORK, spec.get("size") or snapshot["size"], snapshot_id)
    raise not_found("instance_snapshot", snapshot_id)


def _empty(world: World, server: Document, key: str, spec: Document) -> Planned:
    kind = spec.get("volume_type") or LOCAL
    if kind not in (NETWORK, LOCAL, "scratch"):
        raise constraint(f"volumes.{key}.volume_type", f"value must be one of {NETWORK}, {LOCAL}, scratch")
    size = spec.get("size") or 0
    if kind != NETWORK:
        volumes.checked_size(size, f"volumes.{key}.size")
    elif not block.SMALLEST_VOLUME <= size <= block.LARGEST_VOLUME:
        raise constraint(
            f"volumes.{key}.size", f"value must be between {block.SMALLEST_VOLUME} and {block.LARGEST_VOLUME}"
        )
    return _new(world, server, key, spec, kind, size, None)


def _new(
    world: World, server: Document, key: str, spec: Document, kind: str, size: int, snapshot_id: str | None
) -> Planned:
    name = spec.get("name") or f"{server['name']}-vol-{key}"

    def on_network() -> Document:
        iops = spec.get("perf_iops") or 5000
        return block.make_volume(
            world,
            zone=server["zone"],
            project_id=server["project"],
            name=name,
            size=size,
            perf_iops=iops,
            parent_snapshot_id=snapshot_id,
        )

    def local() -> Document:
        owned_by = {"organization": server["organization"], "project": server["project"]}
        return volumes.make(world, zone=server["zone"], owned_by=owned_by, name=name, kind=kind, size=size)

    return Planned(key, bool(spec.get("boot")), kind, size, on_network if kind == NETWORK else local)


def find(world: World, zone: str, volume_id: str) -> Document:
    """A volume of the zone, local or block; 404 instance_volume."""
    volume = world.find(volumes.TABLE, volume_id) or world.find(block.VOLUMES, volume_id)
    if volume is None or volume["zone"] != zone:
        raise not_found("instance_volume", volume_id)
    return volume


def kind_of(volume: Document) -> str:
    """`volume_type` as a server shows it."""
    return str(volume.get("volume_type", NETWORK))


def attach(world: World, server: Document, key: str, volume: Document, *, boot: bool = False) -> None:
    """Give a free volume to a server under a key: "0" is the root volume.

    Raises:
        ApiError: 400 or 412, something else holds the volume.
    """
    if kind_of(volume) == NETWORK:
        block.attach(world, volume, server["id"])
    else:
        volumes.attach(world, volume, server)
    server["_volumes"][key] = {"id": volume["id"], "boot": boot}


def show(world: World, server: Document) -> Document:
    """`volumes` of a server. Of a block volume it knows little more than the id."""
    shown: Document = {}
    for key, held in server["_volumes"].items():
        if local := world.find(volumes.TABLE, held["id"]):
            shown[key] = {"boot": held["boot"], **public(local)}
        else:
            state = "attaching" if held["id"] in server["_attaching"] else "available"
            shown[key] = {
                "boot": held["boot"],
                "volume_type": NETWORK,
                "id": held["id"],
                "state": state,
                "zone": server["zone"],
            }
    return shown


def replace(world: World, server: Document, given: Document) -> None:
    """Make a server's volumes those of a PATCH: detach what it leaves out, attach what is new, keep the rest.

    Raises:
        ApiError: 404 no such volume, 400 a local volume would come or go while the server is on.
    """
    wanted = {key: find(world, server["zone"], str(spec.get("id"))) for key, spec in given.items()}
    old = server["_volumes"]
    ids = {volume["id"] for volume in wanted.values()}
    leaving = [held["id"] for held in old.values() if held["id"] not in ids]
    coming = [volume for volume in wanted.values() if volume["id"] not in {held["id"] for held in old.values()}]
    moved = [find(world, server["zone"], volume_id) for volume_id in leaving] + coming
    if server["state"] != "stopped" and any(kind_of(volume) != NETWORK for volume in moved):
        raise unusable("server should be stopped")
    for volume_id in leaving:
        volumes.detach(world, volume_id)
    server["_volumes"] = {}
    boots = {held["id"]: held["boot"] for held in old.values()}
    for key in sorted(wanted, key=int):
        volume, spec = wanted[key], given[key]
        boot = bool(spec.get("boot", boots.get(volume["id"], False)))
        if volume in coming:
            attach(world, server, key, volume, boot=boot)
        else:
            server["_volumes"][key] = {"id": volume["id"], "boot": boot}
    network = [volume["id"] for volume in coming if kind_of(volume) == NETWORK]
    if network:
        server["_attaching"] = [*server["_attaching"], *network]
        world.later(ATTACH_SECONDS, "instance.servers", server["id"], run="instance.attached")


@hook("instance.attached")
def _attached(_world: World, server: Document, _data: Document) -> None:
    server["_attaching"] = []


def release(world: World, server: Document, *, delete_local: bool) -> None:
    """Free all volumes of a server that goes away.

    Args:
        delete_local: local ones go with it (action terminate) instead of staying behind (DELETE). Block volumes always
            stay, and go on costing money.
    """
    for held in server["_volumes"].values():
        if delete_local and world.find(volumes.TABLE, held["id"]):
            world.remove(volumes.TABLE, held["id"])
        else:
            volumes.detach(world, held["id"])
