"""Load balancers: made within seconds from a pool of waiting instances, moved between offers, deleted."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.paging import matching, page
from emulator.products import ipam
from emulator.products.account import organization_of
from emulator.products.lb.ips import allocate, find_ip
from emulator.products.lb.resources import (
    ACLS,
    BACKENDS,
    CERTIFICATES,
    FRONTENDS,
    IPS,
    LBS,
    PRIVATE_NETWORKS,
    ROUTES,
    ZONED,
    choice,
    find_lb,
    invalid_field,
    ordered,
    reconfigure,
    rejected,
    show_lb,
    writable,
)
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_PROJECT, Document, World, hook

product = Product("lb", ZONED)

CREATING, CREATED, MIGRATED, DELETED = 0.5, 4.0, 5.0, 2.0
"""Seconds from the call (Scaleway latencies, 1; the migration as recorded)."""

WARM = 261.0
"""Seconds by which the instance is older than its load balancer: they wait in a pool (Scaleway latencies, 2)."""

SSL_LEVELS = tuple(f"ssl_compatibility_level_{level}" for level in ("intermediate", "modern", "old"))


@dataclass(frozen=True)
class Offer:
    """One offer: its name, bandwidth in bits per second, and whether servers outside Scaleway are allowed."""

    name: str
    bandwidth: int
    multicloud: bool
    description: str


OFFERS = {
    offer.name.lower(): offer
    for offer in (
        Offer("LB-S", 200_000_000, False, "Small load balancer, 200 Mbit/s"),
        Offer("LB-GP-M", 500_000_000, False, "Medium load balancer, 500 Mbit/s"),
        Offer("LB-GP-L", 1_000_000_000, True, "Large load balancer with multicloud, 1 Gbit/s"),
        Offer("LB-GP-XL", 4_000_000_000, True, "Extra large load balancer with multicloud, 4 Gbit/s"),
    )
}


def offer_of(body: Document) -> str:
    """The offer that a request names, in lower case as the API shows it; 400 if there is none of that name."""
    name = str(body.get("type") or "").lower()
    if name not in OFFERS:
        raise invalid_field("type", f"{name!r} is not a Load Balancer type")
    return name


def new_instance(world: World, zone: str, status: str) -> Document:
    """An underlying instance from the pool."""
    now = world.now()
    return {
        "created_at": world.timestamp(now - WARM),
        "id": world.new_id(),
        "ip_address": "",
        "region": zone.rpartition("-")[0],
        "status": status,
        "updated_at": world.timestamp(now),
        "zone": zone,
    }


@product.post("/lbs", call_ms=360)
def create_lb(call: Call) -> Answer:
    """Make a load balancer; without addresses of the user's it takes an IPv4 one, unless that is declined."""
    body, world, zone = call.body, call.world, call.params["zone"]
    project_id = body.get("project_id") or body.get("organization_id") or DEFAULT_PROJECT
    organization_id = organization_of(world, project_id)
    offer = offer_of(body)
    level = choice(body, "ssl_compatibility_level", SSL_LEVELS[0], SSL_LEVELS)
    ips = _addresses(call, project_id)
    now = world.timestamp()
    lb = world.put(
        LBS,
        {
            "id": world.new_id(),
            "name": body.get("name") or f"lb-{world.new_id()[:8]}",
            "description": body.get("description") or "",
            "status": "to_create",
            "instances": [],
            "organization_id": organization_id,
            "project_id": project_id,
            "ip": [],
            "tags": list(body.get("tags") or []),
            "frontend_count": 0,
            "backend_count": 0,
            "type": offer,
            "subscriber": None,
            "ssl_compatibility_level": level,
            "created_at": now,
            "updated_at": now,
            "private_network_count": 0,
            "route_count": 0,
            "region": zone.rpartition("-")[0],
            "zone": zone,
        },
    )
    for ip in ips:
        ip["lb_id"] = lb["id"]
        world.put(IPS, ip)
    instance = new_instance(world, zone, "unknown")
    world.later(CREATING, LBS, lb["id"], change={"status": "creating", "instances": [instance]})
    ready = {"status": "ready", "instances": [{**instance, "status": "ready"}]}
    world.later(CREATED, LBS, lb["id"], change=ready)
    return show_lb(world, lb)


def _addresses(call: Call, project_id: str) -> list[Document]:
    """The addresses that a new load balancer gets: those named, and those to be assigned."""
    body = call.body
    named = [*([body["ip_id"]] if body.get("ip_id") else []), *(body.get("ip_ids") or [])]
    ips = [find_ip(call, ip_id) for ip_id in dict.fromkeys(named)]
    if any(ip["lb_id"] is not None for ip in ips):
        raise rejected("the ip_id is used on a lb")
    assign = body.get("assign_flexible_ip")
    if assign or (assign is None and not ips):
        ips.append(allocate(call.world, call.params["zone"], project_id, is_ipv6=False))
    if body.get("assign_flexible_ipv6"):
        ips.append(allocate(call.world, call.params["zone"], project_id, is_ipv6=True))
    return ips


@product.get("/lbs", call_ms=104)
def list_lbs(call: Call) -> Answer:
    """The load balancers of a zone."""
    found = matching(call, call.world.where(LBS, zone=call.params["zone"]))
    if wanted := call.args("lb_ids"):
        found = [lb for lb in found if lb["id"] in wanted]
    return page(call, ordered(call, found), "lbs", show=lambda lb: show_lb(call.world, lb))


@product.get("/lbs/{lb_id}")
def get_lb(call: Call) -> Answer:
    """One load balancer."""
    return show_lb(call.world, find_lb(call))


@product.put("/lbs/{lb_id}", call_ms=191)
def update_lb(call: Call) -> Answer:
    """Replace name, description, tags and SSL level; only the last is a new configuration for the instances."""
    lb = writable(find_lb(call))
    level = choice(call.body, "ssl_compatibility_level", SSL_LEVELS[0], SSL_LEVELS)
    changed = level != lb["ssl_compatibility_level"]
    lb.update(
        name=call.body.get("name") or lb["name"],
        description=call.body.get("description") or "",
        tags=list(call.body.get("tags") or []),
        ssl_compatibility_level=level,
        updated_at=call.world.timestamp(),
    )
    call.world.put(LBS, lb)
    if changed:
        reconfigure(call.world, lb)
    return show_lb(call.world, lb)


@product.post("/lbs/{lb_id}/migrate")
def migrate_lb(call: Call) -> Answer:
    """Move to another offer: another instance takes over, and the old offer is shown until it has."""
    lb = writable(find_lb(call))
    offer = offer_of(call.body)
    lb.update(status="migrating", updated_at=call.world.timestamp())
    call.world.put(LBS, lb)
    instances = [new_instance(call.world, lb["zone"], "ready") for _ in lb["instances"]]
    call.world.later(MIGRATED, LBS, lb["id"], change={"status": "ready", "type": offer, "instances": instances})
    return show_lb(call.world, lb)


@product.delete("/lbs/{lb_id}", call_ms=324)
def delete_lb(call: Call) -> Answer:
    """Delete a load balancer and its configuration; its addresses stay, unless `release_ip` is true."""
    lb = find_lb(call)
    if lb["status"] != "to_delete":
        call.world.forget_pending(LBS, lb["id"])
        lb.update(status="to_delete", updated_at=call.world.timestamp())
        call.world.put(LBS, lb)
        data = {"release_ip": call.flag("release_ip") is True}
        call.world.later(DELETED, LBS, lb["id"], run="lb.deleted", data=data, remove=True)
    return None


@hook("lb.deleted")
def _deleted(world: World, lb: Document, data: Document) -> None:
    for ip in list(world.where(IPS, lb_id=lb["id"])):
        ip["lb_id"] = None
        world.put(IPS, ip)
        if data["release_ip"]:
            world.remove(IPS, ip["id"])
    for table in (ACLS, ROUTES, FRONTENDS, BACKENDS, CERTIFICATES, PRIVATE_NETWORKS):
        for child in list(world.where(table, _lb_id=lb["id"])):
            world.remove(table, child["id"] if "id" in child else child["_key"])
    ipam.release_of(world, lb["id"])


@product.get("/lb-types")
def list_lb_types(call: Call) -> Answer:
    """The offers of a zone."""
    zone = call.params["zone"]
    types = [
        {
            "name": offer.name,
            "stock_status": "available",
            "bandwidth": offer.bandwidth,
            "multicloud": offer.multicloud,
            "description": offer.description,
            "region": zone.rpartition("-")[0],
            "zone": zone,
        }
        for offer in OFFERS.values()
    ]
    return page(call, types, "lb_types")
