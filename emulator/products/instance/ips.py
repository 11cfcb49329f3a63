"""Flexible IPs: public addresses that outlive the servers they are attached to."""

from __future__ import annotations

import ipaddress
from typing import Any

from emulator.errors import not_found
from emulator.products import ipam
from emulator.products.instance.api import (
    INSTANCE,
    constraint,
    list_of_strings,
    lookup,
    owner,
    page,
    unusable,
    zone_region,
)
from emulator.products.instance.catalogue import matching_ips
from emulator.routing import Answer, Call, Reply
from emulator.world import Document, World, public

TABLE = "instance.ips"
TYPES = ("routed_ipv4", "routed_ipv6")
PUBLIC_POOLS = {"fr-par": "51.15.128.0/17", "nl-ams": "51.158.64.0/18", "pl-waw": "151.115.32.0/19"}
PUBLIC_PREFIXES = {"fr-par": "2001:bc8:710::/44", "nl-ams": "2001:bc8:1640::/44", "pl-waw": "2001:bc8:1d90::/44"}
MOST_OF_A_SERVER = 5
"""IPv4 addresses that one server can hold, and as many IPv6 ones."""


def make(world: World, zone: str, owned_by: dict[str, str], kind: str) -> Document:
    """Take a public address of the zone: an IPv4 address or an IPv6 /64."""
    region = zone_region(zone)
    is_ipv6 = kind == "routed_ipv6"
    shown = _free(world, region, is_ipv6=is_ipv6)
    row = ipam.book(
        world,
        project_id=owned_by["project"],
        region=region,
        private_network_id=None,
        resource=None,
        is_ipv6=is_ipv6,
        address=shown if is_ipv6 else f"{shown}/32",
        zonal=zone,
    )
    return world.put(
        TABLE,
        {
            "id": row["id"],
            "address": None if is_ipv6 else shown,
            "prefix": shown if is_ipv6 else None,
            "reverse": None,
            "server": None,
            **owned_by,
            "zone": zone,
            "type": kind,
            "state": "detached",
            "tags": [],
            "ipam_id": row["id"],
        },
    )


def _free(world: World, region: str, *, is_ipv6: bool) -> str:
    taken = {ip["prefix"] or ip["address"] for ip in world.all(TABLE)}
    while True:
        if is_ipv6:
            pool: Any = ipaddress.ip_network(PUBLIC_PREFIXES[region])
            drawn = str(ipaddress.ip_network((int(pool[0]) + (world.random.getrandbits(20) << 64), 64)))
        else:
            pool = ipaddress.ip_network(PUBLIC_POOLS[region])
            drawn = str(pool[world.random.randrange(1, pool.num_addresses - 1)])
        if drawn not in taken:
            return drawn


def attach(world: World, ip: Document, server: Document) -> None:
    """Give an address to a server; 400 if another one holds it."""
    if ip["server"] and ip["server"]["id"] != server["id"]:
        raise unusable("ip is attached to another server", "resource_still_in_use")
    ip.update(server={"id": server["id"], "name": server["name"]}, state="attached")
    _tell_ipam(world, ip, {"type": "instance_server", "id": server["id"], "mac_address": None, "name": None})


def detach(world: World, ip: Document) -> None:
    """Take an address from its server."""
    ip.update(server=None, state="detached")
    _tell_ipam(world, ip, None)


def _tell_ipam(world: World, ip: Document, resource: Document | None) -> None:
    world.put(TABLE, ip)
    if row := world.find(ipam.IPS, ip["ipam_id"]):
        row.update(resource=resource, updated_at=world.timestamp())
        world.put(ipam.IPS, row)


def dynamic(world: World, zone: str) -> Document:
    """The address that a running server without a flexible IP is lent, as the server shows it."""
    return {
        "id": world.new_id(),
        "address": _free(world, zone_region(zone), is_ipv6=False),
        "dynamic": True,
        "gateway": "62.210.0.1",
        "netmask": "32",
        "family": "inet",
        "provisioning_mode": "dhcp",
        "tags": [],
        "state": "attached",
        "ipam_id": "",
    }


def of_server(world: World, server_id: str) -> list[Document]:
    """The flexible IPs of a server, in order of creation."""
    return [ip for ip in world.all(TABLE) if ip["server"] and ip["server"]["id"] == server_id]


def on_server(ip: Document, mac_address: str) -> Document:
    """How a server shows one of its addresses; an IPv6 one follows from the server's MAC address (SLAAC)."""
    shown = {"id": ip["id"], "dynamic": False, "tags": ip["tags"], "state": ip["state"], "ipam_id": ip["ipam_id"]}
    if ip["prefix"] is None:
        family = {"gateway": "62.210.0.1", "netmask": "32", "family": "inet", "provisioning_mode": "dhcp"}
        return {**shown, "address": ip["address"], **family}
    interface = _interface_id(mac_address)
    network: Any = ipaddress.ip_network(ip["prefix"])
    gateway = ipaddress.ip_address((0xFE80 << 112) + interface + 1)
    family = {"gateway": str(gateway), "netmask": "64", "family": "inet6", "provisioning_mode": "slaac"}
    return {**shown, "address": str(network[interface]), **family}


def _interface_id(mac_address: str) -> int:
    """The modified EUI-64 of a MAC address (RFC 4291, appendix A)."""
    octets = [int(octet, 16) for octet in mac_address.split(":")]
    octets[0] ^= 2
    return int.from_bytes(bytes([*octets[:3], 0xFF, 0xFE, *octets[3:]]), "big")


def lookup_ip(world: World, zone: str, key: str) -> Document:
    """The flexible IP of that id or address; 404 instance_ip."""
    for ip in world.where(TABLE, zone=zone):
        if key in (ip["id"], ip["address"]):
            return ip
    raise not_found("instance_ip", key)


def _ip(call: Call) -> Document:
    return lookup_ip(call.world, call.params["zone"], call.params["ip"])


@INSTANCE.post("/ips", call_ms=632)
def create_ip(call: Call) -> Answer:
    """Reserve an address, attached at once if a server is named."""
    kind = call.body.get("type") or TYPES[0]
    if kind not in TYPES:
        raise constraint("type", f"value must be one of {', '.join(TYPES)}")
    server_id = call.body.get("server")
    server = lookup(call.world, "server", server_id, call.params["zone"]) if server_id else None
    ip = make(call.world, call.params["zone"], owner(call), kind)
    ip["tags"] = list_of_strings(call, "tags")
    if server:
        attach(call.world, ip, server)
    return Reply({"ip": public(ip)}, 201)


@INSTANCE.get("/ips")
def list_ips(call: Call) -> Answer:
    """The flexible IPs of the zone."""
    found = matching_ips(call)
    if organization := call.arg("organization"):
        found = [ip for ip in found if ip["organization"] == organization]
    if tags := call.args("tags"):
        found = [ip for ip in found if set(tags) <= set(ip["tags"])]
    if kind := call.arg("type"):
        found = [ip for ip in found if ip["type"] == kind]
    if name := call.arg("name"):
        found = [ip for ip in found if name in (ip["reverse"] or "")]
    return page(call, found, "ips")


@INSTANCE.get("/ips/{ip}")
def get_ip(call: Call) -> Answer:
    """One flexible IP, by id or address."""
    return {"ip": public(_ip(call))}


@INSTANCE.patch("/ips/{ip}", call_ms=442)
def update_ip(call: Call) -> Answer:
    """Attach or detach an address, tag it, or set its reverse (which must resolve to it)."""
    world, ip, body = call.world, _ip(call), call.body
    if body.get("type") not in (None, ip["type"]):
        raise constraint("type", "only an IP of type nat can change its type")
    if body.get("reverse"):
        _check_reverse(world, ip, body["reverse"])
    if "reverse" in body:
        ip["reverse"] = body["reverse"]
    if "tags" in body:
        ip["tags"] = list_of_strings(call, "tags")
    if "server" in body:
        wanted = body["server"]
        if wanted is None:
            detach(world, ip)
        else:
            attach(world, ip, lookup(world, "server", wanted, ip["zone"]))
    world.put(TABLE, ip)
    return {"ip": public(ip)}


def _check_reverse(world: World, ip: Document, name: str) -> None:
    """400 unless a record of Domains and DNS sends the name to the address."""
    for record in world.all("domain.records"):
        full = f"{record['name']}.{record['_zone']}".removeprefix(".")
        if full == name.rstrip(".") and record["data"] == ip["address"]:
            return
    raise constraint(
        "reverse",
        f"Your reverse must resolve. Ensure the command 'dig +short {name}' matches your IP address "
        f"'{ip['address'] or ip['prefix']}'. If it does, please contact our support.",
    )


@INSTANCE.delete("/ips/{ip}", call_ms=584)
def delete_ip(call: Call) -> Answer:
    """Give an address back, even from a server that uses it."""
    ip = _ip(call)
    detach(call.world, ip)
    call.world.remove(ipam.IPS, ip["ipam_id"])
    call.world.remove(TABLE, ip["id"])
    return None
