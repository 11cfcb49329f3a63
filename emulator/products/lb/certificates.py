"""Certificates: issued by Let's Encrypt for names that lead to the load balancer, or brought along.

The common name is checked in the call itself, as recorded (400 `invalid_field`). What only the issuance can find out
ends in the status `error`, and the certificate stays in the way until it is deleted: another name that does not lead
here, or a port 80 whose backend is not HTTP (Scaleway reference 6 and issues 1613, 2041 of the Terraform provider).
"""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID, NameOID

from emulator.paging import matching, page
from emulator.products.lb.resolution import resolves
from emulator.products.lb.resources import (
    BACKENDS,
    CERTIFICATES,
    FRONTENDS,
    IPS,
    LBS,
    ZONED,
    find_child,
    find_lb,
    invalid_field,
    lb_of,
    ordered,
    reconfigure,
    rejected,
    show_certificate,
    writable,
)
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World, hook

product = Product("lb", ZONED)

ISSUED = 4.3
"""Seconds that Let's Encrypt takes (Scaleway latencies, 1)."""

VALIDITY = 90 * 86400 - 1
BACKDATED = 3540
"""Seconds for which a certificate of Let's Encrypt is valid, and by which its start lies before its issuance."""

NEVER = "0001-01-01T00:00:00Z"


def _instant(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def read_chain(chain: str) -> Document:
    """Names and validity of the first certificate of a PEM chain that also holds its private key.

    Its alternative names come before its subject: the first is shown as the common name, as recorded.

    Raises:
        ApiError: 400 if there is no certificate, no key, or the key is not that of the certificate.
    """
    try:
        leaf = x509.load_pem_x509_certificates(chain.encode())[0]
    except ValueError:
        raise invalid_field("certificate_chain", "no certificate could be read") from None
    _check_key(chain, leaf)
    subject = [str(attribute.value) for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    common_name, *others = _alternative_names(leaf) or subject or [""]
    return {
        "common_name": common_name,
        "subject_alternative_name": others,
        "not_valid_before": _instant(leaf.not_valid_before_utc),
        "not_valid_after": _instant(leaf.not_valid_after_utc),
    }


def _check_key(chain: str, leaf: x509.Certificate) -> None:
    start = chain.find("-----BEGIN", chain.find("PRIVATE KEY-----") - 40)
    try:
        key = serialization.load_pem_private_key(chain[max(start, 0) :].encode(), password=None)
    except (ValueError, TypeError):
        raise invalid_field("certificate_chain", "no private key could be read") from None
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise invalid_field("certificate_chain", "the private key does not belong to the certificate")


def _alternative_names(leaf: x509.Certificate) -> list[str]:
    try:
        extension = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return []
    value = extension.value
    return value.get_values_for_type(x509.DNSName) if isinstance(value, x509.SubjectAlternativeName) else []


def _leads_to(world: World, lb: Document, name: str) -> bool:
    return bool({ip["ip_address"] for ip in world.where(IPS, lb_id=lb["id"])} & resolves(world, name))


def _order(world: World, lb: Document, request: Document) -> Document:
    """The start of a certificate of Let's Encrypt; 400 if its common name does not lead to the load balancer."""
    common_name = str(request.get("common_name") or "")
    addresses = [ip["ip_address"] for ip in world.where(IPS, lb_id=lb["id"])]
    if not _leads_to(world, lb, common_name):
        raise invalid_field("dns_name", f"{common_name} not resolve to your Load Balancer IP {', '.join(addresses)}")
    return {
        "type": "letsencrypt",
        "status": "pending",
        "common_name": common_name,
        "subject_alternative_name": list(request.get("subject_alternative_name") or []),
        "not_valid_before": NEVER,
        "not_valid_after": NEVER,
    }


@hook("lb.certificate_issued")
def _issued(world: World, certificate: Document, data: Document) -> None:
    lb = world.tables[LBS][certificate["_lb_id"]]
    if (problem := _obstacle(world, lb, certificate)) is not None:
        certificate.update(status="error", status_details=problem)
        return
    start = world.now() - BACKDATED
    certificate.update(
        status="ready",
        fingerprint=f"{world.random.getrandbits(160):040x}",
        not_valid_before=_instant(datetime.datetime.fromtimestamp(start, datetime.UTC)),
        not_valid_after=_instant(datetime.datetime.fromtimestamp(start + VALIDITY, datetime.UTC)),
    )


def _obstacle(world: World, lb: Document, certificate: Document) -> str | None:
    """Why Let's Encrypt cannot reach the load balancer under all names; None if it can."""
    for name in [certificate["common_name"], *certificate["subject_alternative_name"]]:
        if not _leads_to(world, lb, name):
            return f"{name} does not resolve to the Load Balancer"
    for frontend in world.where(FRONTENDS, _lb_id=lb["id"], inbound_port=80):
        if world.tables[BACKENDS][frontend["_backend_id"]]["forward_protocol"] != "http":
            return "the frontend on port 80 does not forward HTTP"
    return None


@product.post("/lbs/{lb_id}/certificates", call_ms=452)
def create_certificate(call: Call) -> Answer:
    """Order a certificate, or bring one."""
    lb = writable(find_lb(call))
    body, world = call.body, call.world
    custom, ordered_one = body.get("custom_certificate"), body.get("letsencrypt")
    if bool(custom) == bool(ordered_one):
        raise invalid_field("type", "either letsencrypt or custom_certificate is required")
    if custom:
        chain = str(custom.get("certificate_chain"))
        content = {"type": "custom", "status": "ready", **read_chain(chain), "_chain": chain}
    else:
        content = _order(world, lb, body["letsencrypt"])
    now = world.timestamp()
    certificate = {
        "id": world.new_id(),
        "name": body.get("name") or f"lb-crt-{world.new_id()[:8]}",
        "fingerprint": "",
        "status_details": None,
        **content,
        "created_at": now,
        "updated_at": now,
        "_lb_id": lb["id"],
    }
    world.put(CERTIFICATES, certificate)
    if not custom:
        world.later(ISSUED, CERTIFICATES, certificate["id"], change={}, run="lb.certificate_issued")
    return show_certificate(world, certificate, instances=True)


def _find(call: Call) -> Document:
    return find_child(call, CERTIFICATES, call.params["certificate_id"], "certificate")


@product.get("/lbs/{lb_id}/certificates")
def list_certificates(call: Call) -> Answer:
    """The certificates of a load balancer."""
    found = ordered(call, matching(call, call.world.where(CERTIFICATES, _lb_id=find_lb(call)["id"])))
    return page(call, found, "certificates", show=lambda each: show_certificate(call.world, each))


@product.get("/certificates/{certificate_id}")
def get_certificate(call: Call) -> Answer:
    """One certificate."""
    return show_certificate(call.world, _find(call))


@product.put("/certificates/{certificate_id}", call_ms=217)
def update_certificate(call: Call) -> Answer:
    """Rename a certificate."""
    certificate = _find(call)
    certificate.update(name=call.body.get("name") or certificate["name"], updated_at=call.world.timestamp())
    return show_certificate(call.world, call.world.put(CERTIFICATES, certificate))


@product.delete("/certificates/{certificate_id}", call_ms=394)
def delete_certificate(call: Call) -> Answer:
    """Delete a certificate; 400 while a frontend uses it."""
    certificate = _find(call)
    lb = lb_of(call.world, certificate)
    if any(certificate["id"] in frontend["certificate_ids"] for frontend in call.world.all(FRONTENDS)):
        raise rejected("the certificate is used on a frontend")
    call.world.remove(CERTIFICATES, certificate["id"])
    if certificate["status"] == "ready":
        reconfigure(call.world, lb)
    return None
