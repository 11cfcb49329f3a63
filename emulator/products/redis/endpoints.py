"""Endpoints: how a cluster is reached. One that asks for nothing is public, and open until ACL rules say otherwise."""

from __future__ import annotations

import ipaddress
from typing import Any

from emulator.errors import invalid_arguments, not_found
from emulator.products import ipam
from emulator.products.redis.catalogue import ZONED
from emulator.products.redis.states import (
    CLUSTERS,
    REPROVISIONED,
    find_cluster,
    give_public_addresses,
    reprovision,
    show_cluster,
    writable,
)
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World

product = Product("redis", ZONED)

PORT = 6379
MANAGED = ("managed", "scwdbaas")
"""Tags of the addresses that the database products book for themselves (as recorded)."""

SMALLEST_CLUSTER_MODE = 3
"""Nodes from which a cluster shards its data; its network is then fixed (Scaleway gotchas, Redis)."""


def build(world: World, cluster: Document, specs: Any) -> list[Document]:
    """Make the endpoints of a request and take their addresses.

    Raises:
        ApiError: 404 for an unknown private network; 400 for more than one public endpoint, for ACL rules beside a
            private network, and for addresses that are no addresses or not one for each node.
    """
    specs = specs or [{"public_network": {}}]
    private = [spec["private_network"] for spec in specs if spec.get("private_network") is not None]
    if len(specs) - len(private) > 1:
        raise invalid_arguments(("endpoints", "constraint", "only one public endpoint is possible"))
    if private and cluster["acl_rules"]:
        raise invalid_arguments(("acl_rules", "constraint", "ACL rules cannot be set on a private network endpoint"))
    for spec in private:
        network = world.find(ipam.NETWORKS, str(spec.get("id")))
        if network is None or network["region"] != cluster["zone"].rpartition("-")[0]:
            raise not_found("private_network", str(spec.get("id")))
        _check_static(cluster, spec)
    return [_endpoint(world, cluster, spec.get("private_network")) for spec in specs]


def _take(world: World, cluster: Document, endpoints: list[Document]) -> None:
    """Let a cluster that exists have these endpoints."""
    cluster["endpoints"] = endpoints
    give_public_addresses(world, cluster)
    reprovision(world, cluster, REPROVISIONED)


def _check_static(cluster: Document, spec: Document) -> None:
    static = spec.get("service_ips") or []
    if static and len(static) != cluster["cluster_size"]:
        raise invalid_arguments(("service_ips", "constraint", "one address is needed for each node"))
    for address in static:
        try:
            ipaddress.ip_interface(address)
        except ValueError:
            raise invalid_arguments(("service_ips", "format", f"{address!r} is not an IP address")) from None


def _endpoint(world: World, cluster: Document, private_network: Document | None) -> Document:
    endpoint: Document = {"id": world.new_id(), "port": PORT, "ips": []}
    if private_network is None:
        return {**endpoint, "public_network": {}}
    static = list(private_network.get("service_ips") or [])
    endpoint["private_network"] = {
        "id": private_network["id"],
        "service_ips": static,
        "zone": cluster["zone"],
        "provisioning_mode": "static" if static else "ipam",
    }
    if not static:
        book(world, cluster, endpoint)
    endpoint["ips"] = [address.partition("/")[0] for address in endpoint["private_network"]["service_ips"]]
    return endpoint


def book(world: World, cluster: Document, endpoint: Document) -> None:
    """Take addresses of the private network until each node has one."""
    network = endpoint["private_network"]
    bookings = cluster["_bookings"].setdefault(endpoint["id"], [])
    while len(bookings) < cluster["cluster_size"]:
        holder = {
            "type": "redis_cluster",
            "id": cluster["id"],
            "mac_address": ipam.mac_address(world),
            "name": cluster["name"],
        }
        ip = ipam.book(
            world,
            project_id=cluster["project_id"],
            region=cluster["zone"].rpartition("-")[0],
            private_network_id=network["id"],
            resource=holder,
            tags=MANAGED,
        )
        bookings.append(ip["id"])
        network["service_ips"].append(ip["address"])
    endpoint["ips"] = [address.partition("/")[0] for address in network["service_ips"]]


def drop(world: World, cluster: Document, gone: list[Document]) -> None:
    """Give back the addresses of endpoints."""
    for endpoint in gone:
        for ip_id in cluster["_bookings"].pop(endpoint["id"], []):
            ipam.detach(world, ip_id)


def _fixed_in_cluster_mode(cluster: Document) -> None:
    if cluster["cluster_size"] >= SMALLEST_CLUSTER_MODE:
        raise invalid_arguments(("endpoints", "constraint", "endpoints cannot be changed in cluster mode"))


def _find(call: Call) -> tuple[Document, Document]:
    wanted = call.params["endpoint_id"]
    for cluster in call.world.where(CLUSTERS, zone=call.params["zone"]):
        for endpoint in cluster["endpoints"]:
            if endpoint["id"] == wanted:
                return cluster, endpoint
    raise not_found("endpoint", wanted)


@product.put("/clusters/{cluster_id}/endpoints", call_ms=950)
def set_endpoints(call: Call) -> Answer:
    """Replace all endpoints; each gets a new id, kept or not."""
    cluster = writable(find_cluster(call))
    _fixed_in_cluster_mode(cluster)
    drop(call.world, cluster, cluster["endpoints"])
    _take(call.world, cluster, build(call.world, cluster, call.body.get("endpoints")))
    return {"endpoints": cluster["endpoints"]}


@product.post("/clusters/{cluster_id}/endpoints", call_ms=950)
def add_endpoints(call: Call) -> Answer:
    """Add endpoints."""
    cluster = writable(find_cluster(call))
    _fixed_in_cluster_mode(cluster)
    specs = call.body.get("endpoints") or []
    if not specs:
        raise invalid_arguments(("endpoints", "required", ""))
    public = [endpoint for endpoint in cluster["endpoints"] if "public_network" in endpoint]
    if public and any(spec.get("private_network") is None for spec in specs):
        raise invalid_arguments(("endpoints", "constraint", "only one public endpoint is possible"))
    _take(call.world, cluster, [*cluster["endpoints"], *build(call.world, cluster, specs)])
    return {"endpoints": cluster["endpoints"], "total_count": len(cluster["endpoints"])}


@product.get("/endpoints/{endpoint_id}")
def get_endpoint(call: Call) -> Answer:
    """One endpoint."""
    return _find(call)[1]


@product.patch("/endpoints/{endpoint_id}")
def update_endpoint(call: Call) -> Answer:
    """Move an endpoint to another private network or to other addresses; it keeps its id."""
    cluster, endpoint = _find(call)
    writable(cluster)
    _fixed_in_cluster_mode(cluster)
    if call.body.get("private_network") is not None:
        drop(call.world, cluster, [endpoint])
        [moved] = build(call.world, cluster, [call.body])
        cluster["_bookings"][endpoint["id"]] = cluster["_bookings"].pop(moved["id"], [])
        endpoint.pop("public_network", None)
        endpoint.update(moved, id=endpoint["id"])
        reprovision(call.world, cluster, REPROVISIONED)
    return endpoint


@product.delete("/endpoints/{endpoint_id}")
def delete_endpoint(call: Call) -> Answer:
    """Remove an endpoint; the answer is the cluster."""
    cluster, endpoint = _find(call)
    writable(cluster)
    _fixed_in_cluster_mode(cluster)
    drop(call.world, cluster, [endpoint])
    _take(call.world, cluster, [each for each in cluster["endpoints"] if each["id"] != endpoint["id"]])
    return show_cluster(cluster)
