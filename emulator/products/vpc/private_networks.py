"""Private networks with their subnets."""

from __future__ import annotations

from emulator.errors import precondition_failed
from emulator.paging import matching, page
from emulator.products import ipam
from emulator.products.vpc.api import (
    INGRESS_RULES,
    PRIVATE_NETWORKS,
    ROUTES,
    VPCS,
    here,
    ordered,
    owner,
    product,
    require,
    updated,
)
from emulator.products.vpc.subnets import subnets_of
from emulator.products.vpc.vpcs import default_vpc
from emulator.routing import Answer, Call
from emulator.world import Document, public


def find(call: Call) -> Document:
    """The private network of the path, or Scaleway's 404."""
    return require(call, PRIVATE_NETWORKS, call.params["private_network_id"], "private_network")


def create(call: Call) -> Document:
    """Make a private network: without a VPC in the project's default one, without subnets with a /22 and a /64."""
    world, body, region = call.world, call.body, call.params["region"]
    holder = owner(call)
    if body.get("vpc_id"):
        vpc = require(call, VPCS, body["vpc_id"], "vpc")
    else:
        vpc = default_vpc(world, holder["project_id"], region)
    networks = subnets_of(world, body.get("subnets") or [], vpc, holder)
    now, key = world.timestamp(), world.new_id()
    stamps = {"created_at": now, "updated_at": now}
    subnets = [
        {
            "id": world.new_id(),
            "subnet": str(network),
            "project_id": holder["project_id"],
            "private_network_id": key,
            "vpc_id": vpc["id"],
            "region": region,
            **stamps,
        }
        for network in networks
    ]
    private_network = {
        "id": key,
        "name": body.get("name") or f"pn-{world.new_id()[:8]}",
        "tags": body.get("tags") or [],
        **holder,
        **stamps,
        "region": region,
        "subnets": subnets,
        "vpc_id": vpc["id"],
        "dhcp_enabled": True,
        "default_route_propagation_enabled": bool(body.get("default_route_propagation_enabled")),
        "has_s3_integration": False,
    }
    return world.put(PRIVATE_NETWORKS, private_network)


def change(call: Call) -> Document:
    """Set what the body names of a private network."""
    return updated(call, PRIVATE_NETWORKS, find(call), "name", "tags", "default_route_propagation_enabled")


@product.post("/private-networks", call_ms=671)
def create_private_network(call: Call) -> Answer:
    """CreatePrivateNetwork."""
    return public(create(call))


@product.get("/private-networks", call_ms=92)
def list_private_networks(call: Call) -> Answer:
    """ListPrivateNetworks."""
    found = matching(call, here(call, PRIVATE_NETWORKS))
    if vpc_id := call.arg("vpc_id"):
        found = [network for network in found if network["vpc_id"] == vpc_id]
    if ids := call.args("private_network_ids"):
        found = [network for network in found if network["id"] in ids]
    dhcp = call.flag("dhcp_enabled")
    if dhcp is not None:
        found = [network for network in found if network["dhcp_enabled"] is dhcp]
    return page(call, ordered(call, found), "private_networks")


@product.get("/private-networks/{private_network_id}", call_ms=33)
def get_private_network(call: Call) -> Answer:
    """GetPrivateNetwork."""
    return public(find(call))


@product.patch("/private-networks/{private_network_id}", call_ms=62)
def update_private_network(call: Call) -> Answer:
    """UpdatePrivateNetwork."""
    return public(change(call))


@product.delete("/private-networks/{private_network_id}", call_ms=1398)
def delete_private_network(call: Call) -> Answer:
    """DeletePrivateNetwork: refused while an address is booked in it, and for some seconds after the last one left."""
    world, private_network = call.world, find(call)
    key = private_network["id"]
    if any(ipam.in_network(world, key)) or private_network.get("_in_use_until", 0.0) > world.now():
        raise precondition_failed("resource_still_in_use", "Private Network must be empty to be deleted")
    for table in (ROUTES, INGRESS_RULES):
        for document in list(world.where(table, nexthop_private_network_id=key)):
            world.remove(table, document["id"])
    world.remove(PRIVATE_NETWORKS, key)
    return None


@product.post("/private-networks/{private_network_id}/enable-dhcp")
def enable_dhcp(call: Call) -> Answer:
    """EnableDHCP."""
    private_network = find(call)
    private_network["dhcp_enabled"] = True
    return public(updated(call, PRIVATE_NETWORKS, private_network))
