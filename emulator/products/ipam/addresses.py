"""Addresses of private networks, whoever holds them.

Instances, load balancers, databases and gateways take their private addresses here with `book` and give them back with
`release_of`. An address that a user booked for himself (`_reserved`) outlives the resource that it is attached to; both
kinds keep their private network from being deleted (Scaleway gotchas 9.7).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from emulator.errors import already_exists, invalid_arguments, not_found, precondition_failed
from emulator.world import Document, World

IPS = "ipam.ips"
NETWORKS = "vpc.private_networks"

FIRST_HOST = 2
"""The first two addresses of a subnet, and the last of an IPv4 one, are not to be had."""

HIDDEN = 1.0
"""Seconds for which a list may not show the address of a new attachment (Scaleway latencies, 2)."""

LONGEST_DETACH = 35.0
"""Seconds for which a private network may refuse its deletion after the last detachment (Scaleway latencies, 2)."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def mac_address(world: World) -> str:
    """A fresh MAC address as Scaleway gives to virtual interfaces."""
    tail = world.random.getrandbits(24)
    return f"02:00:00:{tail >> 16:02X}:{tail >> 8 & 255:02X}:{tail & 255:02X}"


def book(
    world: World,
    *,
    project_id: str,
    region: str,
    private_network_id: str | None,
    resource: Document | None,
    is_ipv6: bool = False,
    address: str | None = None,
    zonal: str | None = None,
    tags: Iterable[str] = (),
) -> Document:
    """Take an address and store it in "ipam.ips".

    Args:
        private_network_id: the network whose subnet gives the address; None for a public address of a zone.
        resource: who holds it: {"type", "id", "mac_address", "name"}; None if nobody does yet.
        address: the wanted address without mask; None takes the next free one. Required outside private networks.
        zonal: the zone of a public address.

    Returns:
        The address as the API shows it: "172.16.0.2/22", with the mask of its subnet.

    Raises:
        ApiError: 404 no such private network, 400 `address` is not in the subnet, 409 it is taken, 412 none is left.
    """
    if private_network_id is None:
        source, shown = {"zonal": zonal}, str(address)
    else:
        subnet = subnet_of(world, private_network_id, is_ipv6=is_ipv6)
        network = ipaddress.ip_network(subnet["subnet"])
        source, shown = {"subnet_id": subnet["id"]}, f"{_pick(world, subnet, address)}/{network.prefixlen}"
    now = world.timestamp()
    return world.put(
        IPS,
        {
            "id": world.new_id(),
            "address": shown,
            "project_id": project_id,
            "is_ipv6": is_ipv6,
            "created_at": now,
            "updated_at": now,
            "source": source,
            "resource": _holder(resource),
            "tags": list(tags),
            "reverses": [],
            "region": region,
            "zone": zonal,
            "_private_network_id": private_network_id,
            "_reserved": False,
            "_listed_at": world.now() + (HIDDEN * world.latency if resource else 0.0),
        },
    )


def _holder(resource: Document | None) -> Document | None:
    """The resource with its MAC address in capitals, as IPAM writes it wherever it comes from."""
    if resource is None or not resource.get("mac_address"):
        return resource
    return resource | {"mac_address": resource["mac_address"].upper()}


def subnet_of(world: World, private_network_id: str, *, is_ipv6: bool) -> Document:
    """The first subnet of a private network in that family; 404 if there is no such network."""
    private_network = world.find(NETWORKS, private_network_id)
    if private_network is None:
        raise not_found("private_network", private_network_id)
    for subnet in private_network["subnets"]:
        if ipaddress.ip_network(subnet["subnet"]).version == (6 if is_ipv6 else 4):
            found: Document = subnet
            return found
    raise not_found("subnet", private_network_id)


def host(ip: Document) -> str:
    """The address of a row without its mask: "172.16.0.2"."""
    return str(ip["address"]).partition("/")[0]


def held(world: World, resource_id: str) -> list[Document]:
    """The addresses attached to a resource, in order of booking."""
    return [ip for ip in world.all(IPS) if ip["resource"] is not None and ip["resource"]["id"] == resource_id]


def in_network(world: World, private_network_id: str) -> Iterator[Document]:
    """The addresses booked in a private network."""
    return world.where(IPS, _private_network_id=private_network_id)


def attach(world: World, ip_id: str, resource: Document) -> Document:
    """Attach a reserved address to a resource; 404 if it is not there, 412 if somebody else holds it."""
    ip = world.find(IPS, ip_id)
    if ip is None:
        raise not_found("ip", ip_id)
    if ip["resource"] is not None and ip["resource"]["id"] != resource["id"]:
        raise precondition_failed("resource_still_in_use", "IP is already attached to a resource")
    ip.update(resource=_holder(resource), updated_at=world.timestamp())
    return world.put(IPS, ip)


def detach(world: World, ip_id: str) -> None:
    """Part an address from its resource: a reserved one stays booked, any other is released."""
    ip = world.find(IPS, ip_id)
    if ip is None:
        return
    _linger(world, ip)
    if ip["_reserved"]:
        ip.update(resource=None, updated_at=world.timestamp())
        world.put(IPS, ip)
    else:
        world.remove(IPS, ip_id)


def release(world: World, ip_id: str) -> None:
    """Give an address back, reserved or not; nothing happens if it is gone."""
    ip = world.find(IPS, ip_id)
    if ip is not None and ip["resource"] is not None:
        _linger(world, ip)
    world.remove(IPS, ip_id)


def release_of(world: World, resource_id: str) -> None:
    """Part a resource that goes away from all its addresses; those that the user reserved stay booked."""
    for ip in held(world, resource_id):
        detach(world, ip["id"])


def _linger(world: World, ip: Document) -> None:
    """Let the private network believe for a while that it is in use: mostly not at all, one time in ten above 11 s."""
    private_network = world.find(NETWORKS, ip["_private_network_id"] or "")
    if private_network is not None:
        seconds = LONGEST_DETACH * world.random.random() ** 11
        private_network["_in_use_until"] = world.now() + seconds * world.latency
        world.put(NETWORKS, private_network)


def _pick(world: World, subnet: Document, wanted: str | None) -> str:
    network = ipaddress.ip_network(subnet["subnet"])
    taken = {host(ip) for ip in world.all(IPS) if ip["source"].get("subnet_id") == subnet["id"]}
    if wanted is not None:
        return _checked(network, wanted, taken)
    if isinstance(network, ipaddress.IPv6Network):
        return str(network[world.random.getrandbits(64) | FIRST_HOST])
    for number in range(FIRST_HOST, network.num_addresses - 1):
        if str(network[number]) not in taken:
            return str(network[number])
    raise precondition_failed("resource_not_usable", "No address is left in the subnet")


def _checked(network: Network, wanted: str, taken: set[str]) -> str:
    try:
        address: Any = ipaddress.ip_address(wanted.partition("/")[0])
    except ValueError:
        raise invalid_arguments(("address", "format", f"{wanted} is not an IP address")) from None
    last = network.broadcast_address if network.version == 4 else None
    if address not in network or address == last or int(address) - int(network.network_address) < FIRST_HOST:
        raise invalid_arguments(("address", "constraint", f"{wanted} is not available in subnet {network}"))
    if str(address) in taken:
        raise already_exists("ip", "", f"address {address} is already booked")
    return str(address)
