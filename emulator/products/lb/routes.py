"""Routes: requests of a frontend that go to another backend than its own."""

from __future__ import annotations

from emulator.errors import ApiError
from emulator.paging import page
from emulator.products.lb.resources import (
    BACKENDS,
    FRONTENDS,
    ROUTES,
    ZONED,
    find_child,
    invalid_field,
    lb_of,
    ordered,
    reconfigure,
    writable,
)
from emulator.routing import Answer, Call, Product
from emulator.world import Document, public

product = Product("lb", ZONED)

CRITERIA = ("sni", "host_header", "path_begin")


def _match(body: Document) -> Document:
    given = body.get("match") or {}
    criteria = [name for name in CRITERIA if given.get(name) is not None]
    if len(criteria) != 1:
        raise invalid_field("match", f"one of {', '.join(CRITERIA)} is required")
    return {criteria[0]: given[criteria[0]], "match_subdomains": bool(given.get("match_subdomains"))}


def _backend(call: Call, lb_id: str | None) -> Document:
    """The backend of the body; a backend that is not there, or of another load balancer, is a 403 here."""
    backend = call.world.find(BACKENDS, str(call.body.get("backend_id")))
    if backend is None or backend["_lb_id"] != lb_id:
        raise ApiError(403, {"message": "permission denied"})
    return backend


def _find(call: Call) -> Document:
    return find_child(call, ROUTES, call.params["route_id"], "privateNetwork")


@product.post("/routes", call_ms=341)
def create_route(call: Call) -> Answer:
    """Add a route to a frontend."""
    frontend = call.world.find(FRONTENDS, str(call.body.get("frontend_id")))
    backend = _backend(call, frontend["_lb_id"] if frontend else None)
    lb = writable(lb_of(call.world, backend))
    now = call.world.timestamp()
    route = {
        "id": call.world.new_id(),
        "frontend_id": call.body["frontend_id"],
        "backend_id": backend["id"],
        "match": _match(call.body),
        "created_at": now,
        "updated_at": now,
        "_lb_id": lb["id"],
    }
    call.world.put(ROUTES, route)
    reconfigure(call.world, lb)
    return public(route)


@product.get("/routes", call_ms=128)
def list_routes(call: Call) -> Answer:
    """The routes of a zone, or of one frontend."""
    zone, world = call.params["zone"], call.world
    found = [route for route in world.all(ROUTES) if lb_of(world, route)["zone"] == zone]
    if frontend_id := call.arg("frontend_id"):
        find_child(call, FRONTENDS, frontend_id, "frontend")
        found = [route for route in found if route["frontend_id"] == frontend_id]
    return page(call, ordered(call, found), "routes")


@product.get("/routes/{route_id}", call_ms=110)
def get_route(call: Call) -> Answer:
    """One route."""
    return public(_find(call))


@product.put("/routes/{route_id}", call_ms=522)
def update_route(call: Call) -> Answer:
    """Replace the match and the backend."""
    route = _find(call)
    lb = writable(lb_of(call.world, route))
    backend = _backend(call, lb["id"])
    route.update(match=_match(call.body), backend_id=backend["id"], updated_at=call.world.timestamp())
    call.world.put(ROUTES, route)
    reconfigure(call.world, lb)
    return public(route)


@product.delete("/routes/{route_id}", call_ms=313)
def delete_route(call: Call) -> Answer:
    """Remove a route."""
    route = _find(call)
    lb = writable(lb_of(call.world, route))
    call.world.remove(ROUTES, route["id"])
    reconfigure(call.world, lb)
    return None
