"""Domains and DNS v2beta1: zones, their records and versions, and domains that are registered elsewhere."""

from __future__ import annotations

from emulator.products.domain import domains, records, versions, zones

PRODUCTS = [zones.product, records.product, versions.product, domains.product]
