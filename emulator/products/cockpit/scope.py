"""What the modules of Cockpit share: projects, catalogue, and the data sources that Scaleway feeds."""

from __future__ import annotations

import json
import uuid
from functools import cache
from pathlib import Path
from typing import Any

from emulator.routing import Call
from emulator.world import DEFAULT_PROJECT, Document, World

REGIONAL = "/cockpit/v1/regions/{region}"
GLOBAL = "/cockpit/v1"

FEEDING = ("instance.servers", "lb.lbs", "rdb.instances", "redis.clusters", "vpcgw.gateways")
"""Tables of resources whose metrics and logs Scaleway sends to the Cockpit of their project."""

DEFAULT_RETENTION = {"metrics": 31, "logs": 7, "traces": 7}
LONGEST_RETENTION = {"metrics": 365, "logs": 31, "traces": 31}
"""Days."""


@cache
def catalogue() -> dict[str, Any]:
    """The preconfigured alerts and the products that Cockpit knows."""
    facts: dict[str, Any] = json.loads((Path(__file__).parent / "catalogue.json").read_text())
    return {
        key: [dict(zip(facts[f"{key[:-1]}_columns"], row, strict=True)) for row in facts[key]]
        for key in ("alerts", "products")
    }


def project_of(call: Call) -> str:
    """The project that a call is about, in its query or its body; the default one if it names none.

    That there is such a project, the server has made sure.
    """
    return str(call.body.get("project_id") or call.arg("project_id") or DEFAULT_PROJECT)


def order(call: Call, documents: list[Document], default: str) -> list[Document]:
    """Apply order_by: `<field>_asc` or `<field>_desc`."""
    field, _, direction = (call.arg("order_by") or default).rpartition("_")
    return sorted(documents, key=lambda document: str(document.get(field) or ""), reverse=direction == "desc")


def shown_source(source: Document) -> Document:
    """A data source as get and list show it: with its usage, which changing calls leave out."""
    return {**{k: v for k, v in source.items() if not k.startswith("_")}, "current_month_usage": 0}


def url_of(world: World, kind: str, source_id: str, region: str) -> str:
    """Where a data source is read and written: by a name of its own, or where real machines reach it."""
    if world.cockpit:
        return f"{world.cockpit}/{region}/{source_id}"
    return f"https://{source_id}.{kind}.cockpit.{region}.scw.cloud"


def scaleway_source(world: World, project: str, region: str, kind: str) -> Document:
    """The data source into which Scaleway's own products write."""
    key = str(uuid.uuid5(uuid.UUID(project), f"{kind}.cockpit.{region}"))
    owner = world.find("account.projects", project) or {}
    made = owner.get("created_at") or world.timestamp()
    return {
        "id": key,
        "project_id": project,
        "name": f"Scaleway {kind.capitalize()}",
        "url": url_of(world, kind, key, region),
        "type": kind,
        "origin": "scaleway",
        "created_at": made,
        "updated_at": made,
        "synchronized_with_grafana": True,
        "retention_days": DEFAULT_RETENTION[kind],
        "region": region,
    }


def scaleway_sources(world: World, project: str, region: str) -> list[Document]:
    """Scaleway's data sources of a project: they come into being when they are first asked for or fed."""
    return [scaleway_source(world, project, region, kind) for kind in ("metrics", "logs")]


def fed(world: World, project: str, region: str) -> bool:
    """Whether a project's Scaleway data sources are among all its data sources.

    They are in the default project, and where the project owns a resource of the region that feeds them; recorded
    lists of fresh projects do not have them.
    """
    return project == DEFAULT_PROJECT or any(_feeds(world, table, project, region) for table in FEEDING)


def _feeds(world: World, table: str, project: str, region: str) -> bool:
    return any(
        project in (document.get("project_id"), document.get("project"))
        and str(document.get("region") or document.get("zone") or "").startswith(region)
        for document in world.all(table)
    )
