"""Managed Databases for PostgreSQL and MySQL, rdb v1."""

from __future__ import annotations

from emulator.products.rdb import access, copies, endpoints, instances, logs, replicas, users

PRODUCTS = [module.product for module in (instances, endpoints, users, access, copies, replicas, logs)]
