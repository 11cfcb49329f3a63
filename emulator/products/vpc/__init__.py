"""VPC v2, and the private networks of v1."""

from __future__ import annotations

from emulator.products.vpc import acl, object_storage, peering, private_networks, routes, subnets, vpcs, zonal
from emulator.products.vpc.api import product, vpc_product

PRODUCTS = [product, vpc_product, zonal.product]

__all__ = ["PRODUCTS", "acl", "object_storage", "peering", "private_networks", "routes", "subnets", "vpcs", "zonal"]
