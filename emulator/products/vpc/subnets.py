"""Subnets of private networks: those a user asks for, and those chosen for him."""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
import uuid
from collections.abc import Sequence

from emulator.errors import ApiError, invalid_arguments, precondition_failed
from emulator.paging import page
from emulator.products.vpc.api import PRIVATE_NETWORKS, here, ordered, product
from emulator.routing import Answer, Call
from emulator.world import Document, World

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

POOL = ipaddress.IPv4Network("172.16.0.0/12")
CHOSEN_PREFIX = 22
LARGEST_PREFIX, SMALLEST_PREFIX = 20, 29
"""Sizes that an IPv4 subnet may have."""
IPV6_PREFIX = 64

RESERVED = [
    ipaddress.IPv4Network(text)
    for text in ("0.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32")
]
"""Ranges that are not routed in the internet and yet not for private networks (Scaleway docs, reserved IP ranges)."""
LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
"""One more of them, except where things are real and have their addresses in it."""


def subnets_of(world: World, wanted: list[str], vpc: Document, holder: Document) -> list[Network]:
    """The subnets of a new private network: `wanted`, and one chosen for each family that is missing.

    Raises:
        ApiError: 400 for a subnet that is malformed, of a forbidden size, public, or overlaps one of the same VPC.
    """
    taken = [ipaddress.ip_network(subnet["subnet"]) for subnet in _all(world) if subnet["vpc_id"] == vpc["id"]]
    asked = [_parsed(world, number, text) for number, text in enumerate(wanted)]
    for number, network in enumerate(asked):
        if _overlaps(network, taken + asked[:number]):
            raise _refused("subnets", "subnet_overlaps_in_vpc: {}")
    families = {network.version for network in asked}
    if 4 not in families:
        # Free in the whole project, so that its VPCs can be peered.
        elsewhere = [ipaddress.ip_network(s["subnet"]) for s in _all(world) if s["project_id"] == holder["project_id"]]
        asked.insert(0, _free(taken + elsewhere))
    if 6 not in families:
        asked.append(_free_ipv6(world, holder["organization_id"], taken))
    return asked


def _parsed(world: World, number: int, text: str) -> Network:
    name = f"subnets[{number}]"
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise _refused(name, "cidr: {}") from None
    if network.is_global or _overlaps(network, RESERVED if world.loopback else [*RESERVED, LOOPBACK]):
        raise _refused(name, "private_range: {}")
    if isinstance(network, ipaddress.IPv6Network):
        if network.prefixlen != IPV6_PREFIX:
            raise _refused(name, 'prefix: {"max": 64, "min": 64}')
    elif not LARGEST_PREFIX <= network.prefixlen <= SMALLEST_PREFIX:
        raise _refused(name, 'prefix: {"max": 20, "min": 29}')
    return network


def _refused(argument: str, text: str) -> ApiError:
    return invalid_arguments((argument, "unknown", text))


def _overlaps(network: Network, others: Sequence[Network]) -> bool:
    return any(network.version == other.version and network.overlaps(other) for other in others)


def _free(taken: list[Network]) -> Network:
    for network in POOL.subnets(new_prefix=CHOSEN_PREFIX):
        if not _overlaps(network, taken):
            return network
    raise precondition_failed("resource_not_usable", "No free subnet is left in the VPC")


def _free_ipv6(world: World, organization_id: str, taken: list[Network]) -> Network:
    """A /64 of the /48 of unique local addresses that belongs to the organization."""
    prefix = b"\xfd" + hashlib.sha256(uuid.UUID(organization_id).bytes).digest()[:5]
    for _ in itertools.count():
        network = ipaddress.IPv6Network((prefix + world.random.randbytes(2) + bytes(8), IPV6_PREFIX))
        if not _overlaps(network, taken):
            return network
    raise AssertionError


def _all(world: World) -> list[Document]:
    return [subnet for network in world.all(PRIVATE_NETWORKS) for subnet in network["subnets"]]


@product.get("/subnets")
def list_subnets(call: Call) -> Answer:
    """ListSubnets."""
    found = [subnet for network in here(call, PRIVATE_NETWORKS) for subnet in network["subnets"]]
    for field in ("project_id", "vpc_id"):
        if value := call.arg(field):
            found = [subnet for subnet in found if subnet[field] == value]
    if ids := call.args("subnet_ids"):
        found = [subnet for subnet in found if subnet["id"] in ids]
    return page(call, ordered(call, found), "subnets")
