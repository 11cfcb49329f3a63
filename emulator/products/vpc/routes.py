"""Routes of a VPC: generated ones of its subnets, default ones of its gateways, and the user's own."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from emulator.errors import invalid_arguments, not_found, precondition_failed
from emulator.paging import page
from emulator.products import ipam
from emulator.products.vpc.api import (
    CONNECTORS,
    PRIVATE_NETWORKS,
    ROUTES,
    VPCS,
    here,
    ordered,
    product,
    updated,
)
from emulator.routing import Answer, Call
from emulator.world import Document, World, public

NEXTHOPS = ("nexthop_resource_id", "nexthop_private_network_id", "nexthop_vpc_connector_id")


def add_default_route(world: World, private_network_id: str, gateway_network_id: str) -> None:
    """The read-only default route that a gateway pushes into a private network."""
    private_network = world.tables[PRIVATE_NETWORKS][private_network_id]
    now = world.timestamp()
    route = _route(private_network, "0.0.0.0/0", "Default route", "default", now)
    world.put(ROUTES, route | {"id": world.new_id(), "nexthop_resource_id": gateway_network_id})


def remove_routes_through(world: World, resource_id: str) -> None:
    """Forget the routes whose next hop goes away."""
    for route in list(world.where(ROUTES, nexthop_resource_id=resource_id)):
        world.remove(ROUTES, route["id"])


def _route(place: Document, destination: str, description: str, kind: str, now: str) -> Document:
    return {
        "id": "",
        "created_at": now,
        "updated_at": now,
        "description": description,
        "destination": destination,
        "is_read_only": kind != "custom",
        "nexthop_private_network_id": place["id"],
        "nexthop_resource_id": None,
        "nexthop_vpc_connector_id": None,
        "region": place["region"],
        "tags": [],
        "type": kind,
        "vpc_id": place["vpc_id"],
    }


def _generated(private_networks: Iterable[Document]) -> list[Document]:
    """The routes to subnets: they have no id and cannot be read one by one."""
    return [
        _route(network, subnet["subnet"], "Local Private Network route", "subnet", subnet["created_at"])
        | {"tags": ["MANAGED"]}
        for network in private_networks
        for subnet in network["subnets"]
    ]


def _stored(call: Call) -> Document:
    route = call.world.find(ROUTES, call.params["route_id"])
    if route is None or route["region"] != call.params["region"]:
        raise not_found("unknown", "")
    return route


def _writable(call: Call) -> Document:
    route = _stored(call)
    if route["is_read_only"]:
        raise precondition_failed("resource_not_usable", "Route is read-only")
    return route


def _checked_destination(call: Call, vpc_id: str) -> str:
    text = str(call.body.get("destination") or "")
    try:
        destination = ipaddress.ip_network(text)
    except ValueError:
        raise invalid_arguments(("destination", "format", f"{text} is not a valid CIDR")) from None
    for network in call.world.where(PRIVATE_NETWORKS, vpc_id=vpc_id):
        if any(ipaddress.ip_network(subnet["subnet"]) == destination for subnet in network["subnets"]):
            raise invalid_arguments(("destination", "constraint", "destination is a subnet of the VPC"))
    return str(destination)


def _checked_nexthop(call: Call, nexthops: Document, vpc_id: str) -> None:
    world = call.world
    if not any(nexthops.values()):
        raise invalid_arguments(("nexthop_private_network_id", "required", "a next hop is required"))
    resource = nexthops["nexthop_resource_id"]
    # Instances are named by the id of their private NIC, gateways by that of their gateway network.
    if resource and not ipam.held(world, resource):
        raise invalid_arguments(("nexthop_resource_id", "unknown", "resource is not attached to a Private Network"))
    for name, table in (("nexthop_private_network_id", PRIVATE_NETWORKS), ("nexthop_vpc_connector_id", CONNECTORS)):
        if nexthops[name]:
            found = world.find(table, nexthops[name])
            if found is None or found["vpc_id"] != vpc_id:
                raise invalid_arguments((name, "unknown", "next hop is not in the VPC"))


@product.post("/routes", call_ms=115)
def create_route(call: Call) -> Answer:
    """CreateRoute."""
    world, body = call.world, call.body
    vpc = world.find(VPCS, str(body.get("vpc_id")))
    if vpc is None or vpc["region"] != call.params["region"]:
        raise invalid_arguments(("vpc_id", "unknown", "VPC does not exist"))
    nexthops = {name: body.get(name) or None for name in NEXTHOPS}
    destination = _checked_destination(call, vpc["id"])
    _checked_nexthop(call, nexthops, vpc["id"])
    place = {"id": None, "region": vpc["region"], "vpc_id": vpc["id"]}
    route = _route(place, destination, body.get("description") or "Custom route", "custom", world.timestamp())
    route |= {**nexthops, "id": world.new_id(), "tags": body.get("tags") or []}
    return public(world.put(ROUTES, route))


@product.get("/routes/{route_id}", call_ms=29)
def get_route(call: Call) -> Answer:
    """GetRoute."""
    return public(_stored(call))


@product.patch("/routes/{route_id}", call_ms=128)
def update_route(call: Call) -> Answer:
    """UpdateRoute: a new next hop takes the place of the old one."""
    route = _writable(call)
    if call.body.get("destination"):
        call.body["destination"] = _checked_destination(call, route["vpc_id"])
    nexthops = {name: call.body.get(name) or None for name in NEXTHOPS}
    if any(nexthops.values()):
        _checked_nexthop(call, nexthops, route["vpc_id"])
        route.update(nexthops)
    return public(updated(call, ROUTES, route, "description", "tags", "destination"))


@product.delete("/routes/{route_id}", call_ms=56)
def delete_route(call: Call) -> Answer:
    """DeleteRoute."""
    call.world.remove(ROUTES, _writable(call)["id"])
    return None


@product.get("/routes-with-nexthop", call_ms=68)
def list_routes_with_nexthop(call: Call) -> Answer:
    """ListRoutesWithNexthop: tags narrow the stored routes; generated ones always appear."""
    stored = here(call, ROUTES)
    if tags := set(call.args("tags")):
        stored = [route for route in stored if tags & set(route["tags"])]
    routes = [*_generated(here(call, PRIVATE_NETWORKS)), *stored]
    for name in ("vpc_id", *NEXTHOPS):
        if value := call.arg(name):
            routes = [route for route in routes if route[name] == value]
    ipv6 = call.flag("is_ipv6")
    if ipv6 is not None:
        routes = [route for route in routes if (":" in route["destination"]) is ipv6]
    if contained := call.arg("contains"):
        wanted = ipaddress.ip_network(contained)
        routes = [route for route in routes if wanted.overlaps(ipaddress.ip_network(route["destination"]))]
    found = [_with_nexthop(call.world, route) for route in ordered(call, routes)]
    kind = call.arg("nexthop_resource_type", "unknown_type")
    if kind != "unknown_type":
        found = [entry for entry in found if entry["nexthop_resource_type"] == kind]
    return page(call, found, "routes")


def _with_nexthop(world: World, route: Document) -> Document:
    entry: Document = {"route": public(route), "nexthop_ip": None, "nexthop_name": None}
    entry["nexthop_resource_type"] = "unknown_type"
    for ip in ipam.held(world, route["nexthop_resource_id"] or ""):
        kind = ip["resource"]["type"]
        entry.update(nexthop_name=ip["resource"]["name"], nexthop_resource_type=kind)
        if not ip["is_ipv6"] and kind != "vpc_gateway_network":
            entry["nexthop_ip"] = ipam.host(ip)
    return entry
