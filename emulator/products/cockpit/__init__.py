"""Cockpit v1: data sources, tokens, alerts and Grafana."""

from __future__ import annotations

from emulator.products.cockpit import alerts, grafana, sources

PRODUCTS = [sources.product, alerts.product, alerts.outliving, grafana.product, grafana.regional]
