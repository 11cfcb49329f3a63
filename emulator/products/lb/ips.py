"""Flexible addresses of load balancers: they are made with or without one, and outlive it unless asked not to."""

from __future__ import annotations

import ipaddress

from emulator.paging import matching, page
from emulator.products.account import organization_of
from emulator.products.lb.resources import IPS, ZONED, absent, find_lb, rejected
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_PROJECT, Document, World, public

product = Product("lb", ZONED)

IPV4_BLOCKS = ("51.15.0.0/16", "51.158.0.0/15", "163.172.0.0/16", "212.47.224.0/19")
IPV6_BLOCK = "2001:bc8:710::/44"


def allocate(world: World, zone: str, project_id: str, *, is_ipv6: bool, tags: list[str] | None = None) -> Document:
    """Take a public address (a /64 for IPv6) of Scaleway's ranges and store it, not yet attached.

    Raises:
        ApiError: 403 if there is no such project.
    """
    address = _free_address(world, is_ipv6)
    region = zone.rpartition("-")[0]
    return world.put(
        IPS,
        {
            "id": world.new_id(),
            "ip_address": address,
            "lb_id": None,
            "organization_id": organization_of(world, project_id),
            "project_id": project_id,
            "region": region,
            "reverse": default_reverse(address, region),
            "tags": list(tags or []),
            "zone": zone,
        },
    )


def default_reverse(address: str, region: str) -> str:
    """The name that Scaleway gives to an address of a load balancer."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return f"{address.replace('.', '-')}.lb.{region}.scw.cloud"
    return f"{'.'.join(reversed(parsed.exploded.replace(':', '')))}.lb.{region}.scw.cloud"


def _free_address(world: World, is_ipv6: bool) -> str:
    taken = {ip["ip_address"] for ip in world.all(IPS)}
    while True:
        if is_ipv6:
            block = ipaddress.ip_network(IPV6_BLOCK)
            address = str(block[world.random.getrandbits(20) << 64])
        else:
            address = world.public_ipv4(world.random.choice(IPV4_BLOCKS))
        if address not in taken:
            return address


def find_ip(call: Call, ip_id: str) -> Document:
    """The address of that id in the zone of the call; 404 otherwise."""
    ip = call.world.find(IPS, ip_id)
    if ip is None or ip["zone"] != call.params["zone"]:
        raise absent("ips")
    return ip


@product.post("/ips", call_ms=123)
def create_ip(call: Call) -> Answer:
    """Take an address."""
    project_id = call.body.get("project_id") or call.body.get("organization_id") or DEFAULT_PROJECT
    ip = allocate(
        call.world,
        call.params["zone"],
        project_id,
        is_ipv6=bool(call.body.get("is_ipv6")),
        tags=call.body.get("tags"),
    )
    if call.body.get("reverse"):
        ip["reverse"] = call.body["reverse"]
    return public(ip)


@product.get("/ips", call_ms=65)
def list_ips(call: Call) -> Answer:
    """The addresses of a zone."""
    found = matching(call, call.world.where(IPS, zone=call.params["zone"]))
    if address := call.arg("ip_address"):
        found = [ip for ip in found if ip["ip_address"] == address]
    if (kind := call.arg("ip_type")) in {"ipv4", "ipv6"}:
        found = [ip for ip in found if (":" in ip["ip_address"]) == (kind == "ipv6")]
    return page(call, found, "ips")


@product.get("/ips/{ip_id}", call_ms=60)
def get_ip(call: Call) -> Answer:
    """One address."""
    return public(find_ip(call, call.params["ip_id"]))


@product.patch("/ips/{ip_id}", call_ms=83)
def update_ip(call: Call) -> Answer:
    """Change the reverse name, the tags or the load balancer of an address."""
    ip = find_ip(call, call.params["ip_id"])
    if "reverse" in call.body:
        ip["reverse"] = call.body["reverse"] or default_reverse(ip["ip_address"], ip["region"])
    if call.body.get("tags") is not None:
        ip["tags"] = list(call.body["tags"])
    if call.body.get("lb_id"):
        ip["lb_id"] = find_lb(call, call.body["lb_id"])["id"]
    return public(call.world.put(IPS, ip))


@product.delete("/ips/{ip_id}", call_ms=375)
def release_ip(call: Call) -> Answer:
    """Give an address back; 400 while a load balancer has it."""
    ip = find_ip(call, call.params["ip_id"])
    if ip["lb_id"] is not None:
        raise rejected("the ip_id is used on a lb")
    call.world.remove(IPS, ip["id"])
    return None
