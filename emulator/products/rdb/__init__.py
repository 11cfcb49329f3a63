"""Managed Databases for PostgreSQL and MySQL, rdb v1."""

from __future__ import annotations

from emulator.products.rdb import access, copies, databases, endpoints, instances, logs, privileges, replicas, users

PRODUCTS = [
    module.product for module in (instances, endpoints, databases, users, privileges, access, copies, replicas, logs)
]
