"""Versions of a zone: what its records were before each change, kept as differences."""

from __future__ import annotations

from emulator.errors import not_found
from emulator.paging import page
from emulator.products.domain.zones import RECORDS, VERSIONS, ZONES, propagate, records_of
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World, public

product = Product("domain", "/domain/v2beta1")

KEPT = 100
"""Versions per zone; the oldest goes."""


def note_version(world: World, zone: str, before: dict[str, Document], after: dict[str, Document]) -> None:
    """Keep the way back from `after` to `before`, both by record id; nothing if they are the same."""
    gone = [record for key, record in before.items() if record is not after.get(key)]
    added = [key for key in after if key not in before]
    if not gone and not added:
        return
    version = {"id": world.new_id(), "created_at": world.timestamp(), "_zone": zone, "_lost": gone, "_added": added}
    world.put(VERSIONS, version)
    kept = list(world.where(VERSIONS, _zone=zone))
    for old in kept[: max(len(kept) - KEPT, 0)]:
        world.remove(VERSIONS, old["id"])


def _records_at(world: World, version: Document) -> dict[str, Document]:
    """The zone's records as they were in a version, by id: every later change undone, the latest first."""
    records = {record["id"]: record for record in records_of(world, version["_zone"])}
    for later in reversed(list(world.where(VERSIONS, _zone=version["_zone"]))):
        for key in later["_added"]:
            records.pop(key, None)
        records.update({record["id"]: record for record in later["_lost"]})
        if later is version:
            break
    return records


@product.get("/dns-zones/{dns_zone}/versions")
def list_versions(call: Call) -> Answer:
    """The zone's versions, the newest first; none for a zone that never changed."""
    versions = list(call.world.where(VERSIONS, _zone=call.params["dns_zone"].lower()))
    return page(call, reversed(versions), "versions")


@product.get("/dns-zones/version/{version_id}")
def list_version_records(call: Call) -> Answer:
    """The records as they were."""
    version = _require(call)
    return page(call, _records_at(call.world, version).values(), "records")


@product.get("/dns-zones/version/{version_id}/diff")
def diff_version(call: Call) -> Answer:
    """The changes that lead from the version to the zone of today."""
    version = _require(call)
    then, now = _records_at(call.world, version), {r["id"]: r for r in records_of(call.world, version["_zone"])}
    added = [public(record) for key, record in now.items() if record != then.get(key)]
    lost: list[Document] = [{"delete": {"id": key}} for key, record in then.items() if record != now.get(key)]
    return {"changes": lost + ([{"add": {"records": added}}] if added else [])}


@product.post("/dns-zones/version/{version_id}/restore")
def restore_version(call: Call) -> Answer:
    """Make the zone what it was; that too is a new version."""
    version = _require(call)
    world, name = call.world, version["_zone"]
    then, now = _records_at(world, version), {record["id"]: record for record in records_of(world, name)}
    note_version(world, name, now, then)
    for key in now.keys() - then.keys():
        world.remove(RECORDS, key)
    for key, record in then.items():
        if record is not now.get(key):
            world.put(RECORDS, record)
    propagate(world, call.require(ZONES, name, "dns_zone"))
    return {}


def _require(call: Call) -> Document:
    version = call.world.find(VERSIONS, call.params["version_id"])
    if version is None:
        raise not_found("dns_zone_version", call.params["version_id"])
    return version
