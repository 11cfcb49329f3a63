"""The records of a zone: listed with filters, changed by one atomic PATCH."""

from __future__ import annotations

import base64

from emulator.errors import ApiError
from emulator.paging import page
from emulator.products.domain.rrsets import check_together, matches, new_record, refused, relative_name
from emulator.products.domain.versions import note_version
from emulator.products.domain.zones import (
    RECORDS,
    ZONES,
    create_zone,
    name_of,
    propagate,
    records_of,
    require_zone,
    root_of,
    timestamp,
)
from emulator.routing import Answer, Call, Product, Reply
from emulator.world import Document, World, public

product = Product("domain", "/domain/v2beta1")

MOST_CHANGED = 10_000
"""Records that one PATCH may name; a bound against runaway requests."""


class Draft:
    """A zone's records while a PATCH is worked out: nothing is stored unless all of it holds.

    Args:
        zone: the zone's full name.
    """

    def __init__(self, world: World, zone: str) -> None:
        self.world = world
        self.zone = zone
        self.before = {record["id"]: record for record in records_of(world, zone)}
        self.records = dict(self.before)
        self.touched: list[str] = []
        self._by_name: dict[tuple[str, str], set[str]] = {}
        for record in self.before.values():
            self._index(record)

    def _index(self, record: Document) -> None:
        self._by_name.setdefault((record["name"], record["type"]), set()).add(record["id"])

    def _put(self, sent: Document, record_id: str | None = None) -> None:
        record = new_record(sent, self.zone)
        record |= {
            "id": record_id or self.world.new_id(),
            "updated_at": timestamp(self.world),
            "_zone": self.zone,
        }
        self.records[record["id"]] = record
        self._index(record)
        self.touched.append(record["id"])

    def found(self, change: Document) -> list[str]:
        """The ids that a `set` or `delete` means, by `id` or `id_fields`."""
        if record_id := change.get("id"):
            if record_id not in self.records:
                raise ApiError(404, {"message": "record not found"})
            return [record_id]
        fields = change.get("id_fields")
        if not fields:
            raise refused("id or id_fields is required")
        name = relative_name(str(fields.get("name") or ""), self.zone)
        candidates = self._by_name.get((name, str(fields.get("type") or "").upper()), set())
        return [
            record_id
            for record_id in self.records
            if record_id in candidates and matches(self.records[record_id], fields, self.zone)
        ]

    def apply(self, change: Document) -> None:
        """One change: add, set, delete or clear."""
        if "add" in change:
            for sent in change["add"].get("records") or []:
                self._put(sent)
        elif "set" in change:
            ids = self.found(change["set"])
            sent_records = change["set"].get("records") or []
            for record_id in ids[len(sent_records) :]:
                del self.records[record_id]
            for position, sent in enumerate(sent_records):
                self._put(sent, ids[position] if position < len(ids) else None)
        elif "delete" in change:
            for record_id in self.found(change["delete"]):
                del self.records[record_id]
        elif "clear" in change:
            self.records = {key: record for key, record in self.records.items() if record["type"] == "NS"}
        else:
            raise refused("a change is one of add, set, delete, clear")

    def commit(self) -> None:
        """Check the outcome as a whole and store it, with the version that it replaces."""
        check_together(self.records.values())
        note_version(self.world, self.zone, self.before, self.records)
        for record_id in self.before.keys() - self.records.keys():
            self.world.remove(RECORDS, record_id)
        for record_id, record in self.records.items():
            if record is not self.before.get(record_id):
                self.world.put(RECORDS, record)


@product.get("/dns-zones/{dns_zone}/records", call_ms=78)
def list_records(call: Call) -> Answer:
    """Records by name, type and id; an empty name and the type `unknown` mean any."""
    zone = name_of(require_zone(call))
    found = records_of(call.world, zone)
    if name := call.arg("name"):
        wanted = relative_name(name, zone)
        found = [record for record in found if record["name"] == wanted]
    kind = (call.arg("type") or "unknown").upper()
    if kind != "UNKNOWN":
        found = [record for record in found if record["type"] == kind]
    if record_id := call.arg("id"):
        found = [record for record in found if record["id"] == record_id]
    found.sort(key=lambda record: str(record["name"]), reverse=call.arg("order_by") == "name_desc")
    return page(call, found, "records")


@product.patch("/dns-zones/{dns_zone}/records", call_ms=176)
def patch_records(call: Call) -> Answer:
    """Apply all changes in order, or none. A missing sub-zone is created unless that is disallowed."""
    world = call.world
    name = call.params["dns_zone"].lower().rstrip(".")
    changes = call.body.get("changes") or []
    if sum(len((change.get(kind) or {}).get("records") or "x") for change in changes for kind in change) > MOST_CHANGED:
        raise refused("too many changes")
    domain = root_of(world, name)
    created = False
    if domain and name != domain and not world.find(ZONES, name) and not call.body.get("disallow_new_zone_creation"):
        root = world.find(ZONES, domain)
        create_zone(world, domain, name.removesuffix(f".{domain}"), root["project_id"] if root else "")
        created = True
    zone = require_zone(call)
    draft = Draft(world, name)
    try:
        for change in changes:
            draft.apply(change)
        draft.commit()
    except ApiError:
        if created:
            _forget(world, name)
        raise
    propagate(world, zone)
    if call.body.get("return_all_records"):
        return {"records": [public(record) for record in records_of(world, name)]}
    return {"records": [public(draft.records[key]) for key in draft.touched if key in draft.records]}


def _forget(world: World, name: str) -> None:
    for record in records_of(world, name):
        world.remove(RECORDS, record["id"])
    world.remove(ZONES, name)


@product.delete("/dns-zones/{dns_zone}/records")
def clear_records(call: Call) -> Answer:
    """Remove every record but the name servers'."""
    zone = require_zone(call)
    draft = Draft(call.world, name_of(zone))
    draft.apply({"clear": {}})
    draft.commit()
    propagate(call.world, zone)
    return {}


@product.get("/dns-zones/{dns_zone}/raw")
def export_zone(call: Call) -> Answer:
    """The zone as a BIND file, base64 in JSON as all files of the API."""
    zone = name_of(require_zone(call))
    lines = [f"$ORIGIN {zone}."]
    for record in sorted(records_of(call.world, zone), key=lambda record: str(record["name"])):
        lines.append(f"{record['name'] or '@'} {record['ttl']} IN {record['type']} {record['data']}")
    content = base64.b64encode("\n".join([*lines, ""]).encode()).decode()
    return Reply({"name": f"{zone}.txt", "content_type": "text/plain", "content": content})
