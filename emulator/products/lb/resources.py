"""What load balancing consists of: tables, look-ups, refusals, and how each object shows the ones around it.

Frontends, backends and certificates embed their load balancer. Whether that copy lists the underlying instances
depends on the call: most reads leave them out, lists and writes have them (recorded answers; OPERATIONS of lb).
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from emulator.errors import ApiError, transient_state
from emulator.real.follower import is_loopback
from emulator.routing import Call
from emulator.world import Document, World, hook, public

ZONED = "/lb/v1/zones/{zone}"

LBS = "lb.lbs"
IPS = "lb.ips"
BACKENDS = "lb.backends"
FRONTENDS = "lb.frontends"
ROUTES = "lb.routes"
ACLS = "lb.acls"
CERTIFICATES = "lb.certificates"
PRIVATE_NETWORKS = "lb.private_networks"
SUBSCRIBERS = "lb.subscribers"

APPLIED = 0.3
"""Seconds until an instance has taken over a new configuration (Scaleway latencies, 1)."""

BUSY = {"to_create", "creating", "migrating", "to_delete"}
"""States of a load balancer in which its configuration cannot be written."""

FOLLOWED: WeakSet[World] = WeakSet()
"""Worlds whose load balancers are made real, so that these tell what is applied and which servers are well."""


# -- refusals --------------------------------------------------------------------------------------------------------


def absent(what: str, status: int = 404) -> ApiError:
    """404 as load balancing words it: a message, no type (Scaleway errors 3.2)."""
    return ApiError(status, {"message": f"{what} not Found"})


def rejected(reason: str) -> ApiError:
    """400: something else still uses the object (Scaleway errors 3.2)."""
    return ApiError(400, {"message": f"operation was rejected because {reason}"})


def invalid_field(field: str, message: str) -> ApiError:
    """400 for one field, in the form of the recorded refusal of a certificate (Scaleway errors 3.2)."""
    return ApiError(
        400,
        {
            "details": [{"field": field, "message": message, "reason": "constraint"}],
            "message": "Invalid parameters",
            "type": "invalid_field",
        },
    )


# -- look-ups --------------------------------------------------------------------------------------------------------


def find_lb(call: Call, lb_id: str | None = None) -> Document:
    """The load balancer of the path (or of that id) in the zone of the call; 404 otherwise."""
    lb = call.world.find(LBS, lb_id or call.params["lb_id"])
    if lb is None or lb["zone"] != call.params["zone"]:
        raise absent("lbs")
    return lb


def find_child(call: Call, table: str, key: str, what: str) -> Document:
    """A frontend, backend, route, ACL or certificate of a load balancer in the zone of the call; 404 otherwise."""
    child = call.world.find(table, key)
    if child is None or lb_of(call.world, child)["zone"] != call.params["zone"]:
        raise absent(what)
    return child


def lb_of(world: World, child: Document) -> Document:
    """The load balancer that a frontend, backend, route, ACL or certificate belongs to."""
    return world.tables[LBS][child["_lb_id"]]


def writable(lb: Document) -> Document:
    """The load balancer itself, or 409 while it is being made, moved or deleted."""
    if lb["status"] in BUSY:
        raise transient_state("lb", lb["id"], lb["status"])
    return lb


def ordered(call: Call, documents: list[Document]) -> list[Document]:
    """Sort as `order_by` says: created_at or name, _asc (the default) or _desc."""
    field, _, direction = (call.arg("order_by") or "created_at_asc").rpartition("_")
    if field != "created_at":
        documents = sorted(documents, key=lambda document: str(document.get(field, "")))
    return documents[::-1] if direction == "desc" else documents


# -- configuration ---------------------------------------------------------------------------------------------------


def is_real(world: World, lb: Document) -> bool:
    """Whether there is a real load balancer behind the documents: its public address is on loopback."""
    return world in FOLLOWED and any(is_loopback(ip["ip_address"]) for ip in world.where(IPS, lb_id=lb["id"]))


def reconfigure(world: World, lb: Document) -> None:
    """Send a new configuration to the instances: each is pending, then ready; the load balancer itself stays ready."""
    now = world.timestamp()
    for instance in lb["instances"]:
        instance.update(status="pending", updated_at=now)
    lb["_configuration"] = lb.get("_configuration", 0) + 1
    world.put(LBS, lb)
    world.later(APPLIED, LBS, lb["id"], run="lb.configured", data={"configuration": lb["_configuration"]})


@hook("lb.configured")
def _configured(world: World, lb: Document, data: Document) -> None:
    if not is_real(world, lb):
        configured(world, lb, data["configuration"])


def configured(world: World, lb: Document, configuration: int, status: str = "ready") -> None:
    """The instances that wait have taken over (or refused: error) this configuration, unless it is no longer the last.

    One that refused may take it later, once what was in its way is gone.
    """
    if lb.get("_configuration", 0) != configuration:
        return
    waiting = [instance for instance in lb["instances"] if instance["status"] not in {"ready", status}]
    for instance in waiting:
        instance.update(status=status, updated_at=world.timestamp())
    if waiting:
        world.put(LBS, lb)


# -- representations -------------------------------------------------------------------------------------------------


def show_lb(world: World, lb: Document, *, instances: bool = True) -> Document:
    """A load balancer with its addresses and counts, and with its instances if asked for."""
    shown = public(lb)
    shown["ip"] = [public(ip) for ip in world.where(IPS, lb_id=lb["id"])]
    shown["backend_count"] = _count(world, BACKENDS, lb)
    shown["frontend_count"] = _count(world, FRONTENDS, lb)
    shown["route_count"] = _count(world, ROUTES, lb)
    shown["private_network_count"] = _count(world, PRIVATE_NETWORKS, lb)
    if not instances:
        shown["instances"] = []
    return shown


def show_backend(world: World, backend: Document, *, instances: bool = True) -> Document:
    """A backend with its load balancer."""
    return {**public(backend), "lb": show_lb(world, lb_of(world, backend), instances=instances)}


def show_certificate(world: World, certificate: Document, *, instances: bool = False) -> Document:
    """A certificate with its load balancer."""
    return {**public(certificate), "lb": show_lb(world, lb_of(world, certificate), instances=instances)}


def show_frontend(
    world: World, frontend: Document, *, instances: bool = False, backend_instances: bool = False
) -> Document:
    """A frontend with its load balancer, its backend and its first certificate.

    Args:
        instances: whether the load balancer of the frontend and of the certificate list their instances.
        backend_instances: whether that of the backend does.
    """
    shown = public(frontend)
    shown["lb"] = show_lb(world, lb_of(world, frontend), instances=instances)
    backend = world.tables[BACKENDS][frontend["_backend_id"]]
    shown["backend"] = show_backend(world, backend, instances=backend_instances)
    shown["certificate"] = None
    if frontend["certificate_ids"]:
        certificate = world.tables[CERTIFICATES][frontend["certificate_ids"][0]]
        shown["certificate"] = show_certificate(world, certificate, instances=instances)
    return shown


def _count(world: World, table: str, lb: Document) -> int:
    return sum(1 for _ in world.where(table, _lb_id=lb["id"]))


def integer(body: Document, field: str, default: int, lowest: int = 1, highest: int = 65535) -> int:
    """A number of a request body within its bounds; 400 otherwise."""
    value: Any = body.get(field)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise invalid_field(field, f"must be between {lowest} and {highest}")
    return value


def choice(body: Document, field: str, default: str, allowed: tuple[str, ...]) -> str:
    """An enum value of a request body; absent and "..._unknown" mean the default, anything else is a 400."""
    value = body.get(field)
    if value is None or str(value).endswith("_unknown"):
        return default
    if value not in allowed:
        raise invalid_field(field, f"must be one of {', '.join(allowed)}")
    return str(value)
