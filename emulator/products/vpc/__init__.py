"""VPC v2: VPCs, private networks, routes, access control lists, connectors and ingress rules."""

from __future__ import annotations

from emulator.products.vpc import acl, object_storage, peering, private_networks, routes, subnets, vpcs
from emulator.products.vpc.api import product, vpc_product

PRODUCTS = [product, vpc_product]

__all__ = ["PRODUCTS", "acl", "object_storage", "peering", "private_networks", "routes", "subnets", "vpcs"]
