"""What one can buy: database engines with their settings, node types, volumes."""

from __future__ import annotations

import json
import math
import re
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from emulator.errors import invalid_arguments, not_found
from emulator.world import Document

GB = 1_000_000_000

MINOR_VERSIONS = {"17": "17.10", "16": "16.14", "15": "15.18", "14": "14.23", "8": "8.4.6"}
"""The release that each enabled major version runs."""


@dataclass(frozen=True)
class NodeType:
    """A size of database node.

    Attributes:
        memory: in GB.
        local: GB of local storage for data, which is the Instance type's own less 15 GB; 0 means block storage only.
    """

    name: str
    vcpus: int
    memory: int
    local: int


NODE_TYPES = {
    row[0]: NodeType(*row)
    for row in (
        ("db-dev-s", 2, 2, 5),
        ("db-dev-m", 3, 4, 25),
        ("db-dev-l", 4, 8, 65),
        ("db-dev-xl", 4, 12, 105),
        ("db-gp-xs", 4, 16, 135),
        ("db-gp-s", 8, 32, 285),
        ("db-gp-m", 16, 64, 585),
        ("db-gp-l", 32, 128, 585),
        ("db-gp-xl", 48, 256, 585),
        ("db-play2-pico", 1, 2, 0),
        ("db-play2-nano", 2, 4, 0),
        ("db-play2-micro", 4, 8, 0),
        ("db-pro2-xxs", 2, 8, 0),
        ("db-pro2-xs", 4, 16, 0),
        ("db-pro2-s", 8, 32, 0),
        ("db-pro2-m", 16, 64, 0),
        ("db-pop2-2c-8g", 2, 8, 0),
        ("db-pop2-4c-16g", 4, 16, 0),
        ("db-pop2-8c-32g", 8, 32, 0),
    )
}

VOLUME_CLASSES = {"lssd": "lssd", "bssd": "bssd", "sbs_5k": "sbs", "sbs_15k": "sbs"}
SMALLEST_VOLUME, LARGEST_VOLUME, VOLUME_STEP = 5 * GB, 10_000 * GB, 5 * GB

CACHE_MEASURED = {2: 1300, 4: 2700, 32: 20000}
"""effective_cache_size in MB by memory in GB, where traffic shows it."""


@cache
def _facts() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((Path(__file__).parent / "engines.json").read_text())
    return facts


def _setting(engine: str, row: list[Any]) -> Document:
    setting = dict(zip(_facts()["setting_columns"], row, strict=True))
    for note in ("first_version", "last_version", "init"):
        del setting[note]
    return {**setting, "description": f"{engine} parameter {setting['name']}"}


@cache
def _engine_versions() -> dict[str, Document]:
    """Every version by its name ("PostgreSQL-17"), newest first within an engine."""
    versions: dict[str, Document] = {}
    for engine in _facts()["engines"]:
        for version, released, ends, disabled in engine["versions"]:
            rows = [r for r in engine["settings"] if float(r[10]) <= float(version) <= float(r[11])]
            versions[f"{engine['name']}-{version}"] = {
                "version": version,
                "name": f"{engine['name']}-{version}",
                "end_of_life": f"{ends}T00:00:00Z",
                "release_date": f"{released}T00:00:00Z",
                "disabled": disabled,
                "beta": False,
                "available_settings": [_setting(engine["name"], row) for row in rows if not row[12]],
                "available_init_settings": [_setting(engine["name"], row) for row in rows if row[12]],
            }
    return versions


def engines(region: str) -> list[Document]:
    """The engines as the catalogue of a region shows them."""
    return [
        {
            "name": engine["name"],
            "logo_url": engine["logo"],
            "region": region,
            "versions": [v for name, v in _engine_versions().items() if name.startswith(f"{engine['name']}-")],
        }
        for engine in _facts()["engines"]
    ]


def engine_version(name: str) -> Document:
    """The version that an instance asks for.

    Raises:
        ApiError: 400 if there is none of that name, or it is no longer offered.
    """
    if not name:
        raise invalid_arguments(("engine", "constraint", "length must be at least: 1"))
    version = _engine_versions().get(name)
    if version is None:
        raise invalid_arguments(("engine", "constraint", "engine must contains engine name and version"))
    if version["disabled"]:
        raise invalid_arguments(("engine", "constraint", f"{name} is not available any more"))
    return version


def upgradable_versions(engine: str) -> list[Document]:
    """The newer versions of the same engine, oldest first, each with the id that a major upgrade names."""
    family, _, version = engine.partition("-")
    newer = [
        found
        for name, found in _engine_versions().items()
        if name.startswith(f"{family}-") and not found["disabled"] and float(found["version"]) > float(version)
    ]
    return [
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{found['name']}.rdb.scaleway.com")),
            "name": found["name"],
            "version": found["version"],
            "minor_version": MINOR_VERSIONS[found["version"]],
        }
        for found in reversed(newer)
    ]


def node_type(name: str) -> NodeType:
    """The node type of that name, in any case of letters; 400 if there is none."""
    found = NODE_TYPES.get(name.lower())
    if found is None:
        raise invalid_arguments(("node_type", "constraint", f"unknown node type {name!r}"))
    return found


def volume(node: NodeType, kind: str, size: int) -> Document:
    """The volume of an instance.

    Args:
        kind: lssd, bssd, sbs_5k or sbs_15k.
        size: in bytes; local storage comes with the node and ignores it.

    Raises:
        ApiError: 400 if the node has no such storage or the size is out of bounds.
    """
    if kind not in VOLUME_CLASSES:
        raise invalid_arguments(("volume_type", "constraint", f"unknown volume type {kind!r}"))
    if kind == "lssd":
        if not node.local:
            raise invalid_arguments(("volume_type", "constraint", f"{node.name} has no local storage"))
        size = node.local * GB
    elif not SMALLEST_VOLUME <= size <= LARGEST_VOLUME or size % VOLUME_STEP:
        raise invalid_arguments(("volume_size", "constraint", "must be a multiple of 5 GB between 5 GB and 10 TB"))
    return {"type": kind, "class": VOLUME_CLASSES[kind], "size": size}


def default_settings(engine: str, node: NodeType) -> dict[str, str]:
    """The settings that Scaleway derives from the size of a node; MySQL instances show none."""
    if not engine.startswith("PostgreSQL"):
        return {}
    workers = max(node.vcpus - 2, 0)
    return {
        "effective_cache_size": str(CACHE_MEASURED.get(node.memory, node.memory * 650)),
        "maintenance_work_mem": str(min(node.memory * 75, 800)),
        "max_connections": str(50 + 50 * int(math.log2(node.memory))),
        "max_parallel_workers": str(workers),
        "max_parallel_workers_per_gather": str(workers // 2),
        "work_mem": str(min(node.memory * 2, 64)),
    }


def check_settings(engine: str, settings: list[Document], catalogue: str = "available_settings") -> None:
    """Refuse settings that the engine does not have, or whose values it would not take (400)."""
    known = {setting["name"]: setting for setting in _engine_versions()[engine][catalogue]}
    for setting in settings:
        facts = known.get(setting["name"])
        if facts is None:
            raise invalid_arguments(("settings", "constraint", f"unknown setting {setting['name']}"))
        if not _fits(facts, str(setting["value"])):
            raise invalid_arguments(("settings", "constraint", f"invalid value for {setting['name']}"))


def _fits(facts: Document, value: str) -> bool:
    kind = facts["property_type"]
    try:
        if kind == "INT":
            return bool(facts["int_min"] <= int(value) <= facts["int_max"])
        if kind == "FLOAT":
            return bool(facts["float_min"] <= float(value) <= facts["float_max"])
    except ValueError:
        return False
    if kind == "BOOLEAN":
        return value.lower() in {"on", "off"}
    return facts["string_constraint"] is None or bool(re.match(facts["string_constraint"], value))


def upgrade_target(instance: Document, version_id: str) -> Document:
    """The newer version of that id among those that an instance can be upgraded to.

    Raises:
        ApiError: 404 if the instance cannot be upgraded to it.
    """
    for version in upgradable_versions(instance["engine"]):
        if version["id"] == version_id:
            return version
    raise not_found("upgradable_version", version_id)


def shown_node_type(node: NodeType, region: str) -> Document:
    """A node type as the catalogue of a region shows it."""
    kinds = [("sbs_5k", "Block Storage, 5000 IOPS"), ("sbs_15k", "Block Storage, 15000 IOPS")]
    volumes = [
        {
            "type": kind,
            "class": VOLUME_CLASSES[kind],
            "description": text,
            "min_size": SMALLEST_VOLUME,
            "max_size": LARGEST_VOLUME,
            "chunk_size": VOLUME_STEP,
        }
        for kind, text in kinds
    ]
    if node.local:
        size = node.local * GB
        local = {"type": "lssd", "class": "lssd", "description": "Local storage", "chunk_size": size}
        volumes.insert(0, {**local, "min_size": size, "max_size": size})
    return {
        "name": node.name,
        "stock_status": "available",
        "description": f"{node.vcpus} vCPU, {node.memory} GB",
        "vcpus": node.vcpus,
        "memory": node.memory * GB,
        "volume_constraint": {"min_size": volumes[0]["min_size"], "max_size": LARGEST_VOLUME},
        "is_bssd_compatible": True,
        "disabled": False,
        "beta": False,
        "available_volume_types": volumes,
        "is_ha_required": False,
        "generation": "generation_v2" if "2-" in node.name else "generation_v1",
        "instance_range": node.name.split("-")[1],
        "region": region,
    }
