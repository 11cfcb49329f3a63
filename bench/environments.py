"""The environments that are measured: the repository's own `prod`, and larger ones grown from it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from blueprint.environment import read

ROOT = Path(__file__).resolve().parents[1]


def prod() -> dict[str, Any]:
    """environments/prod.yaml without its application, which needs machines, and without a person who approves."""
    data = read("prod", ROOT / "environments")
    del data["app"], data["approval"]
    return data


def apart(number: int) -> dict[str, Any]:
    """An environment of which one project can hold many side by side: nothing in it is of the project as a whole."""
    data = prod()
    return {
        "org": data["org"],
        "env": f"e{number:02d}",
        "network": {"cidr": f"10.0.{number}.0/24"},
        "security_groups": data["security_groups"],
        "postgresql": data["postgresql"],
        "redis": data["redis"],
        "buckets": {"shop/files": {"versioning": True}, "shop/core": {"versioning": True}},
        "secrets": {"token": {"generate": 32}, "other": {"generate": 32}},
    }


def grown(data: dict[str, Any], *, records: int, queues: int, buckets: int) -> dict[str, Any]:
    """The same environment with so many DNS record sets, queues (dead-letter queues not counted) and buckets."""
    data = copy.deepcopy(data)
    zone = next(iter(data["dns"].values()))
    present = sum(len(item.get("records", [])) for item in data["dns"].values())
    for number in range(present, records):
        zone["records"].append({"name": f"r{number:04d}", "type": "A", "values": [f"192.0.2.{number % 250 + 1}"]})
    data["sqs"]["quota"] = 2 * queues
    for number in range(len(data["sqs"]["queues"]), queues):
        data["sqs"]["queues"][f"grown/q{number:03d}"] = {"visibility_timeout": "5m"}
    for number in range(len(data["buckets"]), buckets):
        data["buckets"][f"grown/b{number:03d}"] = {"versioning": True, "lifecycle": [{"expire_days": 30}]}
    return data
