"""Frontends: the ports that a load balancer listens on."""

from __future__ import annotations

from emulator.paging import matching, page
from emulator.products.lb.resources import (
    ACLS,
    BACKENDS,
    CERTIFICATES,
    FRONTENDS,
    ROUTES,
    ZONED,
    absent,
    find_child,
    find_lb,
    integer,
    invalid_field,
    lb_of,
    ordered,
    reconfigure,
    show_frontend,
    writable,
)
from emulator.routing import Answer, Call, Product
from emulator.world import Document

product = Product("lb", ZONED)


def _settings(call: Call, lb: Document) -> Document:
    """What a create or an update sets; absent fields have their defaults."""
    body, world = call.body, call.world
    backend = world.find(BACKENDS, str(body.get("backend_id")))
    if backend is None or backend["_lb_id"] != lb["id"]:
        raise absent("backend")
    certificates = body.get("certificate_ids") or [body.get("certificate_id")]
    certificate_ids = [certificate_id for certificate_id in certificates if certificate_id]
    for certificate_id in certificate_ids:
        certificate = world.find(CERTIFICATES, certificate_id)
        if certificate is None or certificate["_lb_id"] != lb["id"]:
            raise absent("certificate")
        if certificate["status"] != "ready":
            raise invalid_field("certificate_ids", f"certificate {certificate_id} is not ready")
    port = integer(body, "inbound_port", 0)
    if not port:
        raise invalid_field("inbound_port", "must be between 1 and 65535")
    return {
        "name": body.get("name") or "",
        "inbound_port": port,
        "timeout_client": body.get("timeout_client"),
        "certificate_ids": certificate_ids,
        "enable_http3": bool(body.get("enable_http3")),
        "connection_rate_limit": body.get("connection_rate_limit") or None,
        "enable_access_logs": bool(body.get("enable_access_logs")),
        "_backend_id": backend["id"],
    }


def _check_port(call: Call, lb: Document, port: int, frontend_id: str = "") -> None:
    for other in call.world.where(FRONTENDS, _lb_id=lb["id"], inbound_port=port):
        if other["id"] != frontend_id:
            raise invalid_field("inbound_port", f"port {port} is already used by frontend {other['id']}")


def _find(call: Call) -> Document:
    return find_child(call, FRONTENDS, call.params["frontend_id"], "frontend")


@product.post("/lbs/{lb_id}/frontends", call_ms=493)
def create_frontend(call: Call) -> Answer:
    """Listen on a port."""
    lb = writable(find_lb(call))
    settings = _settings(call, lb)
    _check_port(call, lb, settings["inbound_port"])
    now = call.world.timestamp()
    frontend = {
        "id": call.world.new_id(),
        **settings,
        "name": settings["name"] or f"lb-frt-{call.world.new_id()[:8]}",
        "created_at": now,
        "updated_at": now,
        "_lb_id": lb["id"],
    }
    call.world.put(FRONTENDS, frontend)
    reconfigure(call.world, lb)
    return show_frontend(call.world, frontend, instances=True)


@product.get("/lbs/{lb_id}/frontends", call_ms=141)
def list_frontends(call: Call) -> Answer:
    """The frontends of a load balancer."""
    found = ordered(call, matching(call, call.world.where(FRONTENDS, _lb_id=find_lb(call)["id"])))
    return page(
        call,
        found,
        "frontends",
        show=lambda frontend: show_frontend(call.world, frontend, instances=True, backend_instances=True),
    )


@product.get("/frontends/{frontend_id}", call_ms=112)
def get_frontend(call: Call) -> Answer:
    """One frontend."""
    return show_frontend(call.world, _find(call))


@product.put("/frontends/{frontend_id}", call_ms=478)
def update_frontend(call: Call) -> Answer:
    """Replace everything: port, backend, certificates, limits."""
    frontend = _find(call)
    lb = writable(lb_of(call.world, frontend))
    settings = _settings(call, lb)
    _check_port(call, lb, settings["inbound_port"], frontend["id"])
    frontend.update(settings, name=settings["name"] or frontend["name"], updated_at=call.world.timestamp())
    call.world.put(FRONTENDS, frontend)
    reconfigure(call.world, lb)
    return show_frontend(call.world, frontend, instances=True)


@product.delete("/frontends/{frontend_id}", call_ms=352)
def delete_frontend(call: Call) -> Answer:
    """Stop listening; the routes and ACLs of the frontend go with it."""
    frontend = _find(call)
    lb = writable(lb_of(call.world, frontend))
    for table, parent in ((ROUTES, "frontend_id"), (ACLS, "_frontend_id")):
        for child in list(call.world.where(table, **{parent: frontend["id"]})):
            call.world.remove(table, child["id"])
    call.world.remove(FRONTENDS, frontend["id"])
    reconfigure(call.world, lb)
    return None
