"""Domains bought at another registrar and served by Scaleway's name servers."""

from __future__ import annotations

from emulator.errors import ApiError
from emulator.paging import page
from emulator.products.domain.zones import (
    DOMAINS,
    ZONES,
    create_zone,
    drop_zone,
    name_of,
    register_domain,
    root_of,
)
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_PROJECT, Document, World, public

product = Product("domain", "/domain/v2beta1")

_SUMMARY = ("domain", "project_id", "organization_id", "created_at", "updated_at")


def _summary(document: Document) -> Document:
    return {key: document[key] for key in _SUMMARY} | {
        "auto_renew_status": "disabled",
        "dnssec_status": "disabled",
        "epp_code": [],
        "expired_at": None,
        "is_external": True,
        "pending_trade": False,
        "registrar": "",
        "status": "active",
        "external_domain_registration_status": {"validation_token": document["_token"]},
        "transfer_registration_status": None,
    }


def _zones_of(world: World, domain: str) -> list[Document]:
    return list(world.where(ZONES, domain=domain))


@product.post("/external-domains", call_ms=198)
def register_external_domain(call: Call) -> Answer:
    """Register a domain with its root zone. The proof of ownership at the registrar counts as given at once."""
    domain = str(call.body.get("domain") or "").lower().rstrip(".")
    project_id = str(call.body.get("project_id") or DEFAULT_PROJECT)
    if "." not in domain:
        raise ApiError(400, {"message": f"invalid argument: {domain!r} is not a domain"})
    if taken := root_of(call.world, domain):
        raise ApiError(403, {"message": f"the domain {taken} is already registered"})
    document = register_domain(call.world, domain, project_id)
    create_zone(call.world, domain, "", project_id)
    return {
        "created_at": document["created_at"],
        "domain": domain,
        "organization_id": document["organization_id"],
        "project_id": project_id,
        "validation_token": document["_token"],
    }


@product.delete("/external-domains/{domain}")
def delete_external_domain(call: Call) -> Answer:
    """Give up a domain: its root zone, every sub-zone and all records go with it."""
    document = _require(call)
    for zone in _zones_of(call.world, document["domain"]):
        drop_zone(call.world, name_of(zone))
    call.world.remove(DOMAINS, document["domain"])
    return {}


@product.get("/domains")
def list_domains(call: Call) -> Answer:
    """The organization's domains."""
    found = call.world.all(DOMAINS)
    if project := call.arg("project_id"):
        found = [document for document in found if document["project_id"] == project]
    if domain := call.arg("domain"):
        found = [document for document in found if document["domain"] == domain.lower()]
    found.sort(key=lambda document: str(document["domain"]), reverse=(call.arg("order_by") or "") == "domain_desc")
    return page(call, found, "domains", show=_summary)


@product.get("/domains/{domain}", call_ms=111)
def get_domain(call: Call) -> Answer:
    """One domain with its zones."""
    document = _require(call)
    summary = _summary(document)
    del summary["dnssec_status"], summary["created_at"]
    return summary | {
        "administrative_contact": None,
        "dns_zones": [public(zone) for zone in _zones_of(call.world, document["domain"])],
        "dnssec": {"status": "disabled", "ds_records": []},
        "linked_products": [],
        "owner_contact": None,
        "technical_contact": None,
        "tld": None,
    }


@product.get("/tasks", call_ms=95)
def list_tasks(call: Call) -> Answer:
    """Tasks of the registrar: none, for domains that are registered elsewhere."""
    return page(call, [], "tasks")


def _require(call: Call) -> Document:
    document = call.world.find(DOMAINS, call.params["domain"].lower())
    if document is None:
        raise ApiError(404, {"message": "domain not found"})
    return document
