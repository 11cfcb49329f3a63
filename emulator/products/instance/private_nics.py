"""Private NICs: a server's legs in private networks, each with addresses from IPAM."""

from __future__ import annotations

from emulator.errors import not_found
from emulator.products import ipam
from emulator.products.instance.api import (
    INSTANCE,
    constraint,
    find,
    list_of_strings,
    now,
    page,
    unusable,
    zone_region,
)
from emulator.routing import Answer, Call, Reply
from emulator.world import Document, World, public

TABLE = "instance.private_nics"
SYNC_SECONDS = 35
"""A running server learns of its NIC only after this time; a stopped one has it at once (Scaleway latencies, 1)."""
MOST_OF_A_SERVER = 8
NETWORKS = "vpc.private_networks"


def make(world: World, server: Document, private_network_id: str, ip_ids: list[str], tags: list[str]) -> Document:
    """Join a server to a private network, with addresses reserved before (`ip_ids`) or fresh ones.

    Raises:
        ApiError: 404 no such private network or address, 400 the server has the network already or is full.
    """
    zone = server["zone"]
    network = world.find(NETWORKS, private_network_id)
    if network is None or network["region"] != zone_region(zone):
        raise not_found("private_network", private_network_id)
    present = of_server(world, server["id"])
    if any(nic["private_network_id"] == private_network_id for nic in present):
        raise constraint("private_network_id", "server is already attached to this private network")
    if len(present) >= MOST_OF_A_SERVER:
        raise constraint("private_network_id", f"a server has at most {MOST_OF_A_SERVER} private NICs")
    created = now(world)
    nic: Document = {
        "id": world.new_id(),
        "private_network_id": private_network_id,
        "server_id": server["id"],
        "mac_address": ipam.mac_address(world).lower(),
        "state": "available" if server["state"] == "stopped" else "syncing",
        "creation_date": created,
        "modification_date": created,
        "zone": zone,
        "tags": tags,
        "ipam_ip_ids": [],
    }
    _take_addresses(world, nic, server, ip_ids)
    if nic["state"] == "syncing":
        world.later(SYNC_SECONDS, TABLE, nic["id"], change={"state": "available"}, run="instance.modified")
    return world.put(TABLE, nic)


def _take_addresses(world: World, nic: Document, server: Document, ip_ids: list[str]) -> None:
    resource = {
        "type": "instance_private_nic",
        "id": nic["id"],
        "mac_address": nic["mac_address"],
        "name": server["name"],
    }
    rows = [ipam.attach(world, ip_id, resource) for ip_id in ip_ids]
    for is_ipv6 in (False, True):
        if not any(row["is_ipv6"] is is_ipv6 for row in rows):
            rows.append(
                ipam.book(
                    world,
                    project_id=server["project"],
                    region=zone_region(server["zone"]),
                    private_network_id=nic["private_network_id"],
                    resource=resource,
                    is_ipv6=is_ipv6,
                )
            )
    nic["ipam_ip_ids"] = [row["id"] for row in rows]


def remove(world: World, nic: Document) -> None:
    """Take a NIC away. Addresses that the user reserved stay booked, the others are free again."""
    ipam.release_of(world, nic["id"])
    world.remove(TABLE, nic["id"])


def of_server(world: World, server_id: str) -> list[Document]:
    """The NICs of a server, in order of creation."""
    return list(world.where(TABLE, server_id=server_id))


def _server(call: Call) -> Document:
    return find(call, "server", call.params["server_id"])


def _nic(call: Call) -> Document:
    server = _server(call)
    nic = find(call, "private_nic", call.params["private_nic_id"])
    if nic["server_id"] != server["id"]:
        raise not_found("instance_private_nic", nic["id"])
    return nic


@INSTANCE.post("/servers/{server_id}/private_nics", call_ms=897)
def create_private_nic(call: Call) -> Answer:
    """Join a server to a private network."""
    server = _server(call)
    if server["state"] not in ("running", "stopped", "stopped in place"):
        raise unusable("server should be running or stopped")
    ip_ids = list_of_strings(call, "ipam_ip_ids") or list_of_strings(call, "ip_ids")
    network = str(call.body.get("private_network_id"))
    nic = make(call.world, server, network, ip_ids, list_of_strings(call, "tags"))
    return Reply({"private_nic": public(nic)}, 201)


@INSTANCE.get("/servers/{server_id}/private_nics")
def list_private_nics(call: Call) -> Answer:
    """The NICs of a server."""
    found = of_server(call.world, _server(call)["id"])
    if tags := call.args("tags"):
        found = [nic for nic in found if set(tags) <= set(nic["tags"])]
    return page(call, found, "private_nics")


@INSTANCE.get("/servers/{server_id}/private_nics/{private_nic_id}")
def get_private_nic(call: Call) -> Answer:
    """One NIC of a server."""
    return {"private_nic": public(_nic(call))}


@INSTANCE.patch("/servers/{server_id}/private_nics/{private_nic_id}")
def update_private_nic(call: Call) -> Answer:
    """Tag a NIC."""
    nic = _nic(call)
    if "tags" in call.body:
        nic["tags"] = list_of_strings(call, "tags")
    nic["modification_date"] = now(call.world)
    call.world.put(TABLE, nic)
    return {"private_nic": public(nic)}


@INSTANCE.delete("/servers/{server_id}/private_nics/{private_nic_id}")
def delete_private_nic(call: Call) -> Answer:
    """Part a server from a private network, whether it is on or off."""
    remove(call.world, _nic(call))
    return None
