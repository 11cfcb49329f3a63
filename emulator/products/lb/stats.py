"""Backend statistics: what the health checks of each instance say about each server of each pool.

A server is well if its address leads to a running instance: a private address needs the load balancer in that private
network, a public one has to be the instance's. A row of "lb.health" overrides this for an address ("10.0.0.2") or a
port of one ("10.0.0.2:8080"): {"id", "passed"}; it is how a test or a data plane lets an application fail its check.
A server comes up after two passed checks and goes down after `check_max_retries` failed ones; one that has never been
reached is stopped/unknown, as recorded. Where the load balancer is real, it tells all this by itself.
"""

from __future__ import annotations

from emulator.paging import page
from emulator.products import ipam
from emulator.products.lb.resources import BACKENDS, PRIVATE_NETWORKS, ZONED, find_lb, is_real
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World

product = Product("lb", ZONED)

HEALTH = "lb.health"

PASSES_NEEDED = 2
"""Passed checks after which a server is back (Scaleway reference 6)."""


def healthy(world: World, lb: Document, backend: Document, address: str) -> bool | None:
    """What a health check of a server finds: passed, failed, or None if nothing answers at that address."""
    port = backend["health_check"]["port"]
    for key in (f"{address}:{port}", address):
        if (override := world.find(HEALTH, key)) is not None:
            return bool(override["passed"])
    server_id = _private_server(world, lb, address) or _public_server(world, address)
    server = world.find("instance.servers", server_id) if server_id else None
    return True if server is not None and server["state"] == "running" else None


def _private_server(world: World, lb: Document, address: str) -> str | None:
    networks = {row["private_network_id"] for row in world.where(PRIVATE_NETWORKS, _lb_id=lb["id"])}
    for ip in world.all(ipam.IPS):
        if ip["_private_network_id"] in networks and ipam.host(ip) == address and ip["resource"] is not None:
            nic = world.find("instance.private_nics", ip["resource"]["id"])
            return str(nic["server_id"]) if nic is not None else None
    return None


def _public_server(world: World, address: str) -> str | None:
    for ip in world.where("instance.ips", address=address):
        if ip.get("server"):
            return str(ip["server"]["id"])
    return None


def _seen(world: World, backend: Document, address: str) -> Document:
    """What is known of a server; of one that was never looked at, that it does not run."""
    unseen = {"state": "stopped", "check": "unknown", "passed": False, "since": world.now(), "changed_at": None}
    seen: Document = backend["_health"].setdefault(address, unseen)
    return seen


def tell(world: World, backend: Document, address: str, state: str, check: str) -> None:
    """A real load balancer says how a server is; `unknown` while a check is under way leaves the last one standing."""
    seen = _seen(world, backend, address)
    known = {"state": state, "check": seen["check"] if check == "unknown" else check}
    if state != seen["state"] or seen["changed_at"] is None:
        known["changed_at"] = world.timestamp()
    if not known.items() <= seen.items():
        seen.update(known)
        world.put(BACKENDS, backend)


def _observe(world: World, lb: Document, backend: Document, address: str) -> Document:
    """Bring the health of a server up to now: checks turn its state only after enough of them agree."""
    seen = _seen(world, backend, address)
    if is_real(world, lb):
        return dict(seen)
    now = world.now()
    passed = healthy(world, lb, backend, address)
    if bool(passed) != seen["passed"]:
        seen.update(passed=bool(passed), since=now)
    reached = passed is not None or seen["check"] != "unknown"
    seen["check"] = ("passed" if passed else "failed") if reached else "unknown"
    check = backend["health_check"]
    needed = PASSES_NEEDED if passed else check["check_max_retries"]
    decided = now - seen["since"] >= needed * check["check_delay"] / 1000 * world.latency
    if passed:
        state = "running" if decided or seen["state"] in {"running", "stopping"} else "starting"
    else:
        state = "stopped" if decided or seen["state"] in {"stopped", "starting"} else "stopping"
    if state != seen["state"]:
        seen.update(state=state, changed_at=world.timestamp())
        world.put(BACKENDS, backend)
    return dict(seen)


def _rows(call: Call) -> list[Document]:
    """One row for each instance and each server; instances of one load balancer agree."""
    lb, world = find_lb(call), call.world
    wanted = call.arg("backend_id")
    rows: list[Document] = []
    for backend in world.where(BACKENDS, _lb_id=lb["id"]):
        if wanted and backend["id"] != wanted:
            continue
        for address in backend["pool"]:
            seen = _observe(world, lb, backend, address)
            rows.extend(
                {
                    "instance_id": instance["id"],
                    "backend_id": backend["id"],
                    "ip": address,
                    "server_state": seen["state"],
                    "server_state_changed_at": seen["changed_at"],
                    "last_health_check_status": seen["check"],
                }
                for instance in lb["instances"]
            )
    return rows


@product.get("/lbs/{lb_id}/backend-stats")
def list_backend_stats(call: Call) -> Answer:
    """Health of the servers of a load balancer, or of one backend."""
    return page(call, _rows(call), "backend_servers_stats")


@product.get("/lbs/{lb_id}/stats")
def get_lb_stats(call: Call) -> Answer:
    """The same, all at once."""
    return {"backend_servers_stats": _rows(call)}
