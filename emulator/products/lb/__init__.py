"""Load Balancer v1, zoned: load balancers, their addresses, what they listen on and where they send it."""

from __future__ import annotations

from emulator.products.lb import (
    acls,
    backends,
    balancers,
    certificates,
    frontends,
    ips,
    private_networks,
    routes,
    stats,
    subscribers,
)
from emulator.routing import Product

PRODUCTS: list[Product] = [
    acls.product,
    backends.product,
    balancers.product,
    certificates.product,
    frontends.product,
    ips.product,
    private_networks.product,
    routes.product,
    stats.product,
    subscribers.product,
]
