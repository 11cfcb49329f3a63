"""VPC v1: the private networks of before the regions, seen zone by zone.

They are those of v2, in the project's default VPC; only their names for things differ: a zone, and plain subnets.
"""

from __future__ import annotations

from dataclasses import replace

from emulator.paging import matching, page
from emulator.products.vpc import private_networks
from emulator.products.vpc.api import PRIVATE_NETWORKS, here, ordered
from emulator.routing import Answer, Call, Product
from emulator.world import Document

product = Product("vpc", "/vpc/v1/zones/{zone}")

KEPT = ("id", "name", "tags", "organization_id", "project_id", "created_at", "updated_at")


def _regional(call: Call) -> Call:
    return replace(call, params={**call.params, "region": call.params["zone"].rpartition("-")[0]})


def _show(call: Call, private_network: Document) -> Document:
    subnets = [subnet["subnet"] for subnet in private_network["subnets"]]
    return {**{field: private_network[field] for field in KEPT}, "subnets": subnets, "zone": call.params["zone"]}


@product.post("/private-networks", call_ms=671)
def create_private_network(call: Call) -> Answer:
    """CreatePrivateNetwork."""
    return _show(call, private_networks.create(_regional(call)))


@product.get("/private-networks")
def list_private_networks(call: Call) -> Answer:
    """ListPrivateNetworks."""
    regional = _regional(call)
    found = ordered(call, matching(call, here(regional, PRIVATE_NETWORKS)))
    return page(call, found, "private_networks", show=lambda private_network: _show(call, private_network))


@product.get("/private-networks/{private_network_id}")
def get_private_network(call: Call) -> Answer:
    """GetPrivateNetwork."""
    return _show(call, private_networks.find(_regional(call)))


@product.patch("/private-networks/{private_network_id}")
def update_private_network(call: Call) -> Answer:
    """UpdatePrivateNetwork: its name and tags."""
    return _show(call, private_networks.change(_regional(call)))


@product.delete("/private-networks/{private_network_id}", call_ms=1398)
def delete_private_network(call: Call) -> Answer:
    """DeletePrivateNetwork."""
    return private_networks.delete_private_network(_regional(call))
