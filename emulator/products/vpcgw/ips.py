"""Public addresses of gateways: reserved by a user, or made along with a gateway, and outliving it."""

from __future__ import annotations

from typing import Any

from emulator.errors import invalid_arguments, precondition_failed
from emulator.paging import matching, page
from emulator.products.vpc.api import owner
from emulator.products.vpcgw.api import GATEWAYS, IPS, here, ordered, product, require
from emulator.routing import Answer, Call
from emulator.world import Document, World, public

IPV4_BLOCK = "51.15.0.0/16"


def reserve(world: World, holder: Document, zone: str, tags: list[str]) -> Document:
    """A fresh public address. `gateway_id` is there only while it is attached."""
    taken = {ip["address"] for ip in world.all(IPS)}
    address = ""
    while not address or address in taken:
        address = world.public_ipv4(IPV4_BLOCK)
    now = world.timestamp()
    return world.put(
        IPS,
        {
            "id": world.new_id(),
            **holder,
            "created_at": now,
            "updated_at": now,
            "tags": tags,
            "address": address,
            "reverse": _default_reverse(address),
            "zone": zone,
        },
    )


def free(call: Call, ip_id: str) -> Document:
    """The address of that id, if no gateway has it; 404 and 412 otherwise."""
    ip = require(call, IPS, ip_id, "ip")
    _require_detached(call.world, ip)
    return ip


def _require_detached(world: World, ip: Document) -> None:
    gateway = world.find(GATEWAYS, ip.get("gateway_id") or "")
    if gateway is not None:
        text = f"IP is attached to the {gateway['status']} gateway with id {gateway['id']}"
        raise precondition_failed("resource_still_in_use", text)


def _default_reverse(address: str) -> str:
    return "-".join(reversed(address.split("."))) + ".instances.scw.cloud"


def _checked_reverse(world: World, ip: Document, hostname: str) -> str:
    """The hostname, if a DNS record leads from it to the address."""
    if not hostname:
        return _default_reverse(ip["address"])
    for record in world.where("domain.records", type="A", data=ip["address"]):
        if f"{record['name']}.{record['_zone']}".strip(".") == hostname.rstrip("."):
            return hostname
    if hostname.rstrip(".") == _default_reverse(ip["address"]):
        return hostname
    raise invalid_arguments(("reverse", "unknown", 'must_resolve: {"dns": "Your reverse must resolve"}'))


def _ip(call: Call) -> Document:
    return require(call, IPS, call.params["ip_id"], "ip")


@product.post("/ips", call_ms=940)
def create_ip(call: Call) -> Answer:
    """CreateIP."""
    return public(reserve(call.world, owner(call), call.params["zone"], call.body.get("tags") or []))


@product.get("/ips")
def list_ips(call: Call) -> Answer:
    """ListIPs."""
    found = matching(call, here(call, IPS))
    if reverse := call.arg("reverse"):
        found = [ip for ip in found if reverse in ip["reverse"]]
    is_free = call.flag("is_free")
    if is_free is not None:
        found = [ip for ip in found if ("gateway_id" not in ip) is is_free]
    return page(call, ordered(call, found), "ips")


@product.get("/ips/{ip_id}", call_ms=33)
def get_ip(call: Call) -> Answer:
    """GetIP."""
    return public(_ip(call))


@product.patch("/ips/{ip_id}", call_ms=619)
def update_ip(call: Call) -> Answer:
    """UpdateIP: `gateway_id` moves the address to another gateway, an empty one frees it."""
    world, ip = call.world, _ip(call)
    change: dict[str, Any] = {}
    if call.body.get("tags") is not None:
        change["tags"] = call.body["tags"]
    if call.body.get("reverse") is not None:
        change["reverse"] = _checked_reverse(world, ip, call.body["reverse"])
    gateway_id = call.body.get("gateway_id")
    if gateway_id:
        gateway = require(call, GATEWAYS, gateway_id, "gateway")
        for other in list(world.where(IPS, gateway_id=gateway["id"])):
            other.pop("gateway_id")
            world.put(IPS, other)
        change["gateway_id"] = gateway_id
    elif gateway_id is not None:
        ip.pop("gateway_id", None)
    ip.update(change, updated_at=world.timestamp())
    return public(world.put(IPS, ip))


@product.delete("/ips/{ip_id}", call_ms=547)
def delete_ip(call: Call) -> Answer:
    """DeleteIP: refused while a gateway has the address."""
    call.world.remove(IPS, free(call, call.params["ip_id"])["id"])
    return None
