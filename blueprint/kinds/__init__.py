"""The registry of resource kinds: one module for each product, one line here for each module."""

from __future__ import annotations

from blueprint.kinds import (
    alert_rules,
    buckets,
    cockpit,
    dns,
    gateway,
    iam,
    instance,
    lb,
    node,
    node_agent,
    rdb,
    redis,
    schedule,
    seal,
    secret,
    sqs,
    vpc,
)
from blueprint.kinds.kind import Kind

MODULES = (
    vpc,
    gateway,
    instance,
    secret,
    lb,
    dns,
    seal,
    buckets,
    sqs,
    iam,
    cockpit,
    alert_rules,
    schedule,
    rdb,
    redis,
    node,
    node_agent,
)

KINDS: dict[str, Kind] = {kind.name: kind for module in MODULES for kind in module.KINDS}
"""Every kind, by name."""

__all__ = ["KINDS", "Kind"]
