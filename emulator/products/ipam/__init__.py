"""IPAM v1. Other products book and release their private addresses with the functions of this package."""

from __future__ import annotations

from emulator.products.ipam.addresses import (
    IPS,
    LONGEST_DETACH,
    NETWORKS,
    attach,
    book,
    detach,
    held,
    host,
    in_network,
    mac_address,
    release,
    release_of,
    subnet_of,
)
from emulator.products.ipam.operations import product

PRODUCTS = [product]

__all__ = [
    "IPS",
    "LONGEST_DETACH",
    "NETWORKS",
    "PRODUCTS",
    "attach",
    "book",
    "detach",
    "held",
    "host",
    "in_network",
    "mac_address",
    "release",
    "release_of",
    "subnet_of",
]
