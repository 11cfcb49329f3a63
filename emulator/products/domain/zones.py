"""DNS zones: each is a root zone (a domain) or a sub-zone of one, keyed by its full name.

Zones are rows of "domain.zones", domains of "domain.domains", records of "domain.records" with their zone in `_zone`.
"""

from __future__ import annotations

from emulator.errors import ApiError
from emulator.paging import page
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_PROJECT, Document, World, hook, public

product = Product("domain", "/domain/v2beta1")

ZONES, DOMAINS, RECORDS, VERSIONS = "domain.zones", "domain.domains", "domain.records", "_domain.versions"
NAMESERVERS = ("ns0.dom.scw.cloud", "ns1.dom.scw.cloud")
NS_TTL = 1800
PROPAGATION = 7.0
"""Seconds that a zone stays `pending` after its records changed (Scaleway latencies, 1)."""


def timestamp(world: World) -> str:
    """Now, in whole seconds as this API writes it."""
    return world.timestamp(float(int(world.now()))).replace(".000000", "")


def root_of(world: World, name: str) -> str | None:
    """The registered domain that a zone of this name would belong to, or None."""
    labels = name.split(".")
    candidates = (".".join(labels[start:]) for start in range(len(labels)))
    return next((domain for domain in candidates if world.find(DOMAINS, domain)), None)


def require_zone(call: Call) -> Document:
    """The zone in the call's path.

    Raises:
        ApiError: 403 where others say 404 (Scaleway errors: "subdomain not found"); 404 if the domain is unknown too.
    """
    name = call.params["dns_zone"].lower().rstrip(".")
    zone = call.world.find(ZONES, name)
    if zone is None:
        if root_of(call.world, name) is None:
            raise ApiError(404, {"message": "domain not found"})
        raise ApiError(403, {"message": "subdomain not found"})
    return zone


def records_of(world: World, zone: str) -> list[Document]:
    """The records of a zone, in order of creation."""
    return list(world.where(RECORDS, _zone=zone))


def name_of(zone: Document) -> str:
    """The zone's full name."""
    return ".".join(part for part in (zone["subdomain"], zone["domain"]) if part)


def register_domain(world: World, domain: str, project_id: str) -> Document:
    """Note that a domain, bought elsewhere, is served here."""
    now = timestamp(world)
    return world.put(
        DOMAINS,
        {
            "domain": domain,
            "project_id": project_id,
            "organization_id": _organization(world, project_id),
            "created_at": now,
            "updated_at": now,
            "_token": world.new_id(),
        },
        domain,
    )


def _organization(world: World, project_id: str) -> str:
    project = world.find("account.projects", project_id)
    return str(project["organization_id"]) if project else DEFAULT_PROJECT


def create_zone(world: World, domain: str, subdomain: str, project_id: str) -> Document:
    """A new zone with its two name-server records."""
    zone = {
        "domain": domain,
        "linked_products": [],
        "message": None,
        "ns": list(NAMESERVERS),
        "ns_default": list(NAMESERVERS),
        "ns_master": [],
        "project_id": project_id,
        "status": "active",
        "subdomain": subdomain,
        "updated_at": timestamp(world),
        "_created_at": world.timestamp(),
    }
    name = name_of(zone)
    set_nameserver_records(world, name, NAMESERVERS)
    return world.put(ZONES, zone, name)


def set_nameserver_records(world: World, zone: str, nameservers: tuple[str, ...] | list[str]) -> None:
    """Replace the NS records of the zone itself."""
    for record in records_of(world, zone):
        if record["type"] == "NS" and not record["name"]:
            world.remove(RECORDS, record["id"])
    for server in nameservers:
        world.put(
            RECORDS,
            {
                "comment": None,
                "data": f"{server}.",
                "id": world.new_id(),
                "name": "",
                "priority": 0,
                "ttl": NS_TTL,
                "type": "NS",
                "updated_at": timestamp(world),
                "_zone": zone,
            },
        )


def propagate(world: World, zone: Document) -> None:
    """The zone changed: pending until its servers have it."""
    name = name_of(zone)
    zone["status"], zone["updated_at"] = "pending", timestamp(world)
    world.forget_pending(ZONES, name)
    world.put(ZONES, zone, name)
    world.later(PROPAGATION, ZONES, name, run="domain.propagated")


@hook("domain.propagated")
def _propagated(world: World, zone: Document, data: Document) -> None:
    zone["status"], zone["updated_at"] = "active", timestamp(world)


def drop_zone(world: World, name: str) -> None:
    """Remove a zone with its records and versions."""
    for record in records_of(world, name):
        world.remove(RECORDS, record["id"])
    for version in list(world.where(VERSIONS, _zone=name)):
        world.remove(VERSIONS, version["id"])
    world.forget_pending(ZONES, name)
    world.remove(ZONES, name)


@product.get("/dns-zones", call_ms=88)
def list_zones(call: Call) -> Answer:
    """All zones that the filters leave; `domain` and `dns_zone` may be empty."""
    found = call.world.all(ZONES)
    names = {name.lower() for name in [*call.args("dns_zones"), *call.args("dns_zone")]}
    if names:
        found = [zone for zone in found if name_of(zone) in names]
    if domain := call.arg("domain"):
        found = [zone for zone in found if zone["domain"] == domain.lower()]
    if project := call.arg("project_id"):
        found = [zone for zone in found if zone["project_id"] == project]
    if organization := call.arg("organization_id"):
        found = [zone for zone in found if _organization(call.world, zone["project_id"]) == organization]
    order = call.arg("order_by") or "domain_asc"
    field = order.rsplit("_", 1)[0]
    found.sort(key=lambda zone: str(zone.get("_created_at" if field == "created_at" else field, "")))
    if order.endswith("_desc"):
        found.reverse()
    return page(call, found, "dns_zones")


@product.post("/dns-zones", call_ms=368)
def post_zone(call: Call) -> Answer:
    """Create a zone. A root zone registers its domain with it if nobody has; a sub-zone needs its domain."""
    domain = str(call.body.get("domain") or "").lower().rstrip(".")
    subdomain = str(call.body.get("subdomain") or "").lower().strip(".")
    project_id = str(call.body.get("project_id") or DEFAULT_PROJECT)
    if "." not in domain:
        raise ApiError(400, {"message": f"invalid argument: {domain!r} is not a domain"})
    if call.world.find(ZONES, f"{subdomain}.{domain}" if subdomain else domain):
        raise ApiError(409, {"message": f"dns zone {f'{subdomain}.' if subdomain else ''}{domain} already exists"})
    if not call.world.find(DOMAINS, domain):
        if subdomain:
            raise ApiError(404, {"message": "domain not found"})
        register_domain(call.world, domain, project_id)
    return public(create_zone(call.world, domain, subdomain, project_id))


@product.patch("/dns-zones/{dns_zone}")
def patch_zone(call: Call) -> Answer:
    """Move a zone to another project or, a sub-zone only, to another name."""
    zone = require_zone(call)
    old = name_of(zone)
    if project := call.body.get("project_id"):
        zone["project_id"] = project
    new = str(call.body.get("new_dns_zone") or old).lower()
    if new != old:
        if not zone["subdomain"] or not new.endswith(f".{zone['domain']}"):
            raise ApiError(400, {"message": f"invalid argument: {new} is not a sub-zone of {zone['domain']}"})
        if call.world.find(ZONES, new):
            raise ApiError(409, {"message": f"dns zone {new} already exists"})
        records = records_of(call.world, old)
        call.world.remove(ZONES, old)
        zone["subdomain"] = new.removesuffix(f".{zone['domain']}")
        for record in records:
            call.world.put(RECORDS, record | {"_zone": new})
    propagate(call.world, zone)
    return public(zone)


@product.delete("/dns-zones/{dns_zone}", call_ms=175)
def delete_zone(call: Call) -> Answer:
    """Delete a sub-zone with its records. A root zone goes with its domain only (Scaleway errors)."""
    zone = require_zone(call)
    if not zone["subdomain"]:
        raise ApiError(403, {"message": "root zone can't be deleted"})
    drop_zone(call.world, name_of(zone))
    return {}


@product.post("/dns-zones/{dns_zone}/clone")
def clone_zone(call: Call) -> Answer:
    """Copy a zone's records to another zone, which is created or, with `overwrite`, replaced."""
    source = require_zone(call)
    target = str(call.body.get("dest_dns_zone") or "").lower()
    domain = root_of(call.world, target)
    if domain is None:
        raise ApiError(404, {"message": "domain not found"})
    if call.world.find(ZONES, target):
        if not call.body.get("overwrite"):
            raise ApiError(409, {"message": f"dns zone {target} already exists"})
        drop_zone(call.world, target)
    project_id = str(call.body.get("project_id") or source["project_id"])
    zone = create_zone(call.world, domain, target.removesuffix(domain).rstrip("."), project_id)
    for record in records_of(call.world, name_of(source)):
        if record["type"] != "NS" or record["name"]:
            call.world.put(RECORDS, record | {"id": call.world.new_id(), "_zone": target})
    propagate(call.world, zone)
    return public(zone)


@product.post("/dns-zones/{dns_zone}/refresh")
def refresh_zone(call: Call) -> Answer:
    """Send a zone to its servers once more."""
    zone = require_zone(call)
    propagate(call.world, zone)
    return {"dns_zones": [public(zone)]}


@product.get("/dns-zones/{dns_zone}/nameservers")
def list_nameservers(call: Call) -> Answer:
    """The zone's name servers."""
    return {"ns": [{"name": name, "ip": []} for name in require_zone(call)["ns"]]}


@product.put("/dns-zones/{dns_zone}/nameservers")
def put_nameservers(call: Call) -> Answer:
    """Replace the zone's name servers and its NS records."""
    zone = require_zone(call)
    servers = [str(server["name"]).rstrip(".") for server in call.body.get("ns") or []]
    if not servers:
        raise ApiError(400, {"message": "invalid argument: ns is required"})
    zone["ns"] = servers
    set_nameserver_records(call.world, name_of(zone), servers)
    propagate(call.world, zone)
    return {"ns": [{"name": name, "ip": []} for name in servers]}
