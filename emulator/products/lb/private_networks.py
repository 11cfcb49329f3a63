"""Load balancers in private networks: an attachment takes an address there, of the user's or the next free one."""

from __future__ import annotations

from emulator.errors import not_found
from emulator.paging import page
from emulator.products import ipam
from emulator.products.lb.resources import (
    LBS,
    PRIVATE_NETWORKS,
    ZONED,
    absent,
    find_lb,
    ordered,
    reconfigure,
    rejected,
    show_lb,
    writable,
)
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World, hook, public

product = Product("lb", ZONED)

ATTACHED, DETACHED = 2.7, 1.0
"""Seconds until an attachment is ready, and until one is gone (as recorded)."""

MOST_NETWORKS = 8
"""Private networks per load balancer (Scaleway reference 6)."""


@product.get("/lbs/{lb_id}/private-networks", call_ms=79)
def list_private_networks(call: Call) -> Answer:
    """The private networks that a load balancer is in."""
    lb = find_lb(call)
    found = ordered(call, list(call.world.where(PRIVATE_NETWORKS, _lb_id=lb["id"])))
    return page(call, found, "private_network", show=lambda row: _show(call.world, row, instances=False))


@product.post("/lbs/{lb_id}/attach-private-network", call_ms=529)
def attach_private_network(call: Call) -> Answer:
    """Attach to the private network of the body."""
    return _attach(call, str(call.body.get("private_network_id")))


@product.post("/lbs/{lb_id}/private-networks/{private_network_id}/attach", call_ms=529)
def attach_private_network_of_path(call: Call) -> Answer:
    """The older form of the same call."""
    return _attach(call, call.params["private_network_id"])


@product.post("/lbs/{lb_id}/detach-private-network", call_ms=369)
def detach_private_network(call: Call) -> Answer:
    """Detach from the private network of the body."""
    return _detach(call, str(call.body.get("private_network_id")))


@product.post("/lbs/{lb_id}/private-networks/{private_network_id}/detach", call_ms=369)
def detach_private_network_of_path(call: Call) -> Answer:
    """The older form of the same call."""
    return _detach(call, call.params["private_network_id"])


def _attach(call: Call, private_network_id: str) -> Answer:
    world = call.world
    lb = writable(find_lb(call))
    network = world.find(ipam.NETWORKS, private_network_id)
    if network is None or network["region"] != lb["region"]:
        raise not_found("private_network", private_network_id)
    attached = list(world.where(PRIVATE_NETWORKS, _lb_id=lb["id"]))
    if any(row["private_network_id"] == private_network_id for row in attached):
        raise rejected("the private network is already attached to the lb")
    if len(attached) >= MOST_NETWORKS:
        raise rejected(f"a lb cannot have more than {MOST_NETWORKS} private networks")
    wanted = _wanted(call.body)
    holder = {"type": "lb_server", "id": lb["id"], "mac_address": ipam.mac_address(world), "name": lb["name"]}
    now = world.timestamp()
    row = {
        "private_network_id": private_network_id,
        "status": "pending",
        "ipam_ids": wanted,
        "dhcp_config": {"ip_id": wanted[0] if wanted else None},
        "created_at": now,
        "updated_at": now,
        "_lb_id": lb["id"],
        "_key": f"{lb['id']}/{private_network_id}",
    }
    booked = [ipam.attach(world, ip_id, holder)["id"] for ip_id in wanted] or [
        ipam.book(
            world,
            project_id=lb["project_id"],
            region=lb["region"],
            private_network_id=private_network_id,
            resource=holder,
        )["id"]
    ]
    world.put(PRIVATE_NETWORKS, row, row["_key"])
    ready = {"status": "ready", "ipam_ids": booked, "dhcp_config": {"ip_id": booked[0]}}
    world.later(ATTACHED, PRIVATE_NETWORKS, row["_key"], change=ready, run="lb.attached")
    return _show(world, row, instances=True)


def _wanted(body: Document) -> list[str]:
    """The addresses that the user reserved for this: in the current field, or in the deprecated one."""
    wanted = body.get("ipam_ids") or [(body.get("dhcp_config") or {}).get("ip_id")]
    return [ip_id for ip_id in wanted if ip_id]


@hook("lb.attached")
def _attached(world: World, row: Document, data: Document) -> None:
    lb = world.find(LBS, row["_lb_id"])
    if lb is not None:
        reconfigure(world, lb)


def _detach(call: Call, private_network_id: str) -> Answer:
    world = call.world
    lb = writable(find_lb(call))
    row = world.find(PRIVATE_NETWORKS, f"{lb['id']}/{private_network_id}")
    if row is None:
        raise absent("privateNetwork")
    world.forget_pending(PRIVATE_NETWORKS, row["_key"])
    row.update(status="pending", updated_at=world.timestamp())
    world.put(PRIVATE_NETWORKS, row, row["_key"])
    world.later(DETACHED, PRIVATE_NETWORKS, row["_key"], run="lb.detached", remove=True)
    return None


@hook("lb.detached")
def _detached(world: World, row: Document, data: Document) -> None:
    for ip in ipam.held(world, row["_lb_id"]):
        if ip["_private_network_id"] == row["private_network_id"]:
            ipam.detach(world, ip["id"])


def _show(world: World, row: Document, *, instances: bool) -> Document:
    return {**public(row), "lb": show_lb(world, world.tables[LBS][row["_lb_id"]], instances=instances)}
