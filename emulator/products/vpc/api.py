"""What the routes of VPC v2 share: the product, projects, regions and order."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.errors import not_found
from emulator.products.account import organization_of
from emulator.routing import Call, Product
from emulator.world import DEFAULT_PROJECT, Document

PREFIX = "/vpc/v2/regions/{region}"
product = Product("vpc", PREFIX)
vpc_product = Product("vpc", PREFIX, "vpc_vpc")
"""The routes of VPCs themselves, whose 403 was recorded with this name."""

VPCS = "vpc.vpcs"
PRIVATE_NETWORKS = "vpc.private_networks"
ROUTES = "vpc.routes"
ACLS = "vpc.acls"
CONNECTORS = "vpc.vpc_connectors"
INGRESS_RULES = "vpc.ingress_rules"


def owner(call: Call) -> Document:
    """`{"project_id", "organization_id"}` of what the call creates; 404 for a project that is not there."""
    project_id = call.body.get("project_id") or DEFAULT_PROJECT
    if call.world.find("account.projects", project_id) is None:
        raise not_found("project", project_id)
    return {"project_id": project_id, "organization_id": organization_of(call.world, project_id)}


def require(call: Call, table: str, key: str, resource: str) -> Document:
    """The document of that key in the region of the path, or Scaleway's 404 for `resource`."""
    document = call.require(table, key, resource)
    if document["region"] != call.params["region"]:
        raise not_found(resource, key)
    return document


def here(call: Call, table: str) -> list[Document]:
    """The documents of the region of the path, in order of creation."""
    return list(call.world.where(table, region=call.params["region"]))


def updated(call: Call, table: str, document: Document, *fields: str) -> Document:
    """Set those `fields` of the document that the body carries and that are not null, and store it."""
    document.update({name: call.body[name] for name in fields if call.body.get(name) is not None})
    document["updated_at"] = call.world.timestamp()
    return call.world.put(table, document)


def ordered(call: Call, documents: Iterable[Document], default: str = "created_at_asc") -> list[Document]:
    """Sort by `order_by` (created_at_asc, name_desc, ...); equal ones stay in order of creation."""
    field, _, direction = (call.arg("order_by") or default).rpartition("_")
    found = sorted(documents, key=lambda document: str(document.get(field) or ""))
    return found[::-1] if direction == "desc" else found
