"""Managed Redis v1: clusters, who may reach them and how they are set up."""

from __future__ import annotations

from emulator.products.redis import catalogue, clusters, configuration, endpoints
from emulator.routing import Product

PRODUCTS: list[Product] = [catalogue.product, clusters.product, configuration.product, endpoints.product]
