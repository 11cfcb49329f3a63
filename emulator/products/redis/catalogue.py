"""What Managed Redis offers: versions with their settings, and types of nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from emulator.errors import invalid_arguments
from emulator.paging import page
from emulator.routing import Answer, Call, Product
from emulator.world import Document

ZONED = "/redis/v1/zones/{zone}"
product = Product("redis", ZONED)

POLICIES = "volatile-lru|allkeys-lru|volatile-lfu|allkeys-lfu|volatile-random|allkeys-random|volatile-ttl|noeviction"
EVENTS = r"^(?:([KEg$lshzxetdnm])(?!.*\1))+$"
LOGO = "https://s3.fr-par.scw.cloud/scw-rkv-logos/logo.svg"
GIB = 2**30


@dataclass(frozen=True)
class Setting:
    """One setting of Redis that a user may change: an INT within bounds, a STRING of a pattern, or a BOOLEAN."""

    name: str
    kind: str
    default: str
    description: str
    lowest: int | None = None
    highest: int | None = None
    pattern: str | None = None

    def accepts(self, value: str) -> bool:
        """Whether a value, always written as text, is allowed."""
        if self.kind == "INT":
            written = re.fullmatch(r"-?\d+", value) is not None
            return written and not (
                (self.lowest is not None and int(value) < self.lowest)
                or (self.highest is not None and int(value) > self.highest)
            )
        if self.kind == "BOOLEAN":
            return value in {"true", "false"}
        return value == self.default or re.fullmatch(self.pattern or ".*", value) is not None


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("tcp-keepalive", "INT", "300", "Seconds between two ACKs", None, 65536),
        Setting("maxclients", "INT", "10000", "Most clients at the same time", 100, 65536),
        Setting("maxmemory-policy", "STRING", "noeviction", "What goes when memory is full", pattern=POLICIES),
        Setting("databases", "INT", "16", "Number of databases", 1, 128),
        Setting("notify-keyspace-events", "STRING", '""', "Which keyspace events are notified", pattern=EVENTS),
        Setting("disable-save", "BOOLEAN", "false", "Whether nothing is kept on disk"),
        Setting("slowlog-log-slower-than", "INT", "10000", "Microseconds from which a query is slow", -1, 100000000),
        Setting("slowlog-max-len", "INT", "128", "Length of the slow log", 1, 10000),
    )
}
"""As recorded for version 8.6.3; the descriptions are our own."""


@dataclass(frozen=True)
class Version:
    """A release of Redis that can be had; a deprecated one only shows if asked for."""

    name: str
    released_at: str
    end_of_life_at: str
    deprecated: bool


VERSIONS = [
    Version("8.6.3", "2026-05-18T00:00:00Z", "2028-05-01T00:00:00Z", deprecated=False),
    Version("7.2.11", "2025-10-06T00:00:00Z", "2026-12-01T00:00:00Z", deprecated=True),
    Version("7.0.5", "2022-09-21T00:00:00Z", "2026-12-01T00:00:00Z", deprecated=True),
    Version("6.2.7", "2022-04-27T00:00:00Z", "2026-12-01T00:00:00Z", deprecated=True),
    Version("6.2.6", "2021-10-04T00:00:00Z", "2026-12-01T00:00:00Z", deprecated=True),
]
"""The first as recorded; clusters of the others were recorded, their dates were not."""

NODE_TYPES = {
    name.lower(): (name, vcpus, memory * GIB)
    for name, vcpus, memory in (
        ("RED1-micro", 2, 1),
        ("RED1-2XS", 2, 2),
        ("RED1-XS", 2, 4),
        ("RED1-S", 4, 8),
        ("RED1-M", 4, 16),
        ("RED1-L", 8, 32),
        ("RED1-XL", 16, 64),
        ("MDB-BETA-M", 4, 4),
    )
}
"""Name as shown, vCPUs, bytes of memory, by name in lower case. Sizes are not recorded: take them as approximate."""


def checked_version(name: Any) -> str:
    """The version, or 400 if there is none of that name."""
    if name not in {version.name for version in VERSIONS}:
        raise invalid_arguments(("version", "constraint", f"version {name!r} is not available"))
    return str(name)


def checked_node_type(name: Any) -> str:
    """The node type as the user wrote it, or 400 if there is none of that name, in whatever case of letters."""
    if str(name).lower() not in NODE_TYPES:
        raise invalid_arguments(("node_type", "constraint", f"node type {name!r} is not available"))
    return str(name)


def checked_settings(given: Any) -> list[Document]:
    """Settings of a request as the API shows them; 400 for unknown names and values out of bounds."""
    settings: list[Document] = []
    for each in given or []:
        setting, value = SETTINGS.get(str(each.get("name"))), str(each.get("value"))
        if setting is None:
            raise invalid_arguments(("cluster_settings", "constraint", f"setting {each.get('name')!r} does not exist"))
        if not setting.accepts(value):
            raise invalid_arguments(("cluster_settings", "constraint", f"{value!r} is no value of {setting.name}"))
        settings.append({"name": setting.name, "value": value})
    return settings


def _show_setting(setting: Setting) -> Document:
    return {
        "name": setting.name,
        "default_value": setting.default,
        "type": setting.kind,
        "description": setting.description,
        "max_value": setting.highest,
        "min_value": setting.lowest,
        "regex": setting.pattern,
        "deprecated": False,
    }


@product.get("/cluster-versions", call_ms=86)
def list_cluster_versions(call: Call) -> Answer:
    """The versions, deprecated ones only with `include_deprecated`; `version` filters by prefix."""
    versions = [
        {
            "version": version.name,
            "end_of_life_at": version.end_of_life_at,
            "released_at": version.released_at,
            "available_settings": [_show_setting(setting) for setting in SETTINGS.values()],
            "logo_url": LOGO,
            "zone": call.params["zone"],
        }
        for version in VERSIONS
        if (call.flag("include_deprecated") or not version.deprecated)
        and version.name.startswith(call.arg("version") or "")
    ]
    return page(call, versions, "versions")


@product.get("/node-types", call_ms=86)
def list_node_types(call: Call) -> Answer:
    """The types of nodes."""
    types = [
        {
            "name": name,
            "stock_status": "available",
            "description": f"{vcpus} vCPU, {memory // GIB} GB",
            "vcpus": vcpus,
            "memory": memory,
            "disabled": False,
            "beta": "BETA" in name,
            "zone": call.params["zone"],
        }
        for name, vcpus, memory in NODE_TYPES.values()
    ]
    return page(call, types, "node_types")
