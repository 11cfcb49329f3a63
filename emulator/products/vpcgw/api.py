"""What the routes of Public Gateway v2 share: the product, zones and the guard against busy objects."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.errors import not_found, transient_state
from emulator.routing import Call, Product
from emulator.world import Document

product = Product("vpc-gw", "/vpc-gw/v2/zones/{zone}")

GATEWAYS = "vpcgw.gateways"
GATEWAY_NETWORKS = "vpcgw.gateway_networks"
IPS = "vpcgw.ips"
PAT_RULES = "vpcgw.pat_rules"

STABLE = {"gateway": ("running", "stopped", "failed"), "gateway_network": ("ready",)}
"""States in which each kind of object takes writes; in any other it answers 409 (Scaleway errors 3.2)."""


def require(call: Call, table: str, key: str, resource: str) -> Document:
    """The document of that key in the zone of the path, or Scaleway's 404 for `resource`."""
    document = call.require(table, key, resource)
    if document["zone"] != call.params["zone"]:
        raise not_found(resource, key)
    return document


def settled(document: Document, resource: str) -> Document:
    """The document, if nothing is under way for it.

    Raises:
        ApiError: 409 transient_state while it is being changed.
    """
    if document["status"] not in STABLE[resource]:
        raise transient_state(resource, document["id"], document["status"])
    return document


def here(call: Call, table: str) -> list[Document]:
    """The documents of the zone of the path, in order of creation."""
    return list(call.world.where(table, zone=call.params["zone"]))


def ordered(call: Call, documents: Iterable[Document]) -> list[Document]:
    """Sort by `order_by` (created_at_asc, name_desc, ...); equal ones stay in order of creation."""
    field, _, direction = (call.arg("order_by") or "created_at_asc").rpartition("_")

    def value(document: Document) -> tuple[int, str]:
        found = document.get(field)
        return (found, "") if isinstance(found, int) else (0, str(found or ""))

    found = sorted(documents, key=value)
    return found[::-1] if direction == "desc" else found


def among(call: Call, documents: Iterable[Document], field: str, parameter: str) -> list[Document]:
    """Those documents whose field has one of the values of a query parameter; all of them without the parameter."""
    wanted = call.args(parameter)
    return [document for document in documents if not wanted or document[field] in wanted]
