"""Public Gateway v2: gateways, their networks, addresses and PAT rules."""

from __future__ import annotations

from emulator.products.vpcgw import gateways, ips, networks, pat
from emulator.products.vpcgw.api import product

PRODUCTS = [product]

__all__ = ["PRODUCTS", "gateways", "ips", "networks", "pat"]
