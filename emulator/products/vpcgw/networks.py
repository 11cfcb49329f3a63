"""Gateway networks: the attachment of a gateway to a private network, with an address that IPAM gives."""

from __future__ import annotations

import ipaddress

from emulator.errors import already_exists, invalid_arguments, not_found
from emulator.paging import page
from emulator.products import ipam
from emulator.products.vpc.routes import add_default_route, remove_routes_through
from emulator.products.vpcgw.api import (
    GATEWAY_NETWORKS,
    GATEWAYS,
    PAT_RULES,
    among,
    here,
    ordered,
    product,
    require,
    settled,
)
from emulator.routing import Answer, Call
from emulator.world import Document, World, hook, public

ATTACHING, CONFIGURING, READY = 6.0, 7.0, 8.7
GATEWAY_READY = 9.0
RECONFIGURATION, DETACHMENT = 4.6, 5.0
"""Seconds after the call (Scaleway latencies, 1)."""


def show(network: Document) -> Document:
    """A gateway network as the API shows it; keys without a value are left out."""
    return {key: value for key, value in public(network).items() if value is not None}


def detach(world: World, network: Document) -> None:
    """Begin to detach: the PAT rules into the private network end at once, the address is free when it is gone."""
    network.update(status="detaching", updated_at=world.timestamp())
    world.put(GATEWAY_NETWORKS, network)
    world.forget_pending(GATEWAY_NETWORKS, network["id"])
    private_network = world.find(ipam.NETWORKS, network["private_network_id"]) or {"subnets": []}
    subnets = [ipaddress.ip_network(subnet["subnet"]) for subnet in private_network["subnets"]]
    for rule in list(world.where(PAT_RULES, gateway_id=network["gateway_id"])):
        if any(ipaddress.ip_address(rule["private_ip"]) in subnet for subnet in subnets):
            world.remove(PAT_RULES, rule["id"])
    world.later(DETACHMENT, GATEWAY_NETWORKS, network["id"], run="vpcgw.network_detached", remove=True)


@hook("vpcgw.network_detached")
def network_detached(world: World, network: Document, data: Document) -> None:
    """Give the address back and withdraw the default route."""
    ipam.release_of(world, network["id"])
    remove_routes_through(world, network["id"])


@hook("vpcgw.network_ready")
def network_ready(world: World, network: Document, data: Document) -> None:
    """Announce the default route, if the gateway is to push one."""
    remove_routes_through(world, network["id"])
    if network["push_default_route"] and world.find(ipam.NETWORKS, network["private_network_id"]):
        add_default_route(world, network["private_network_id"], network["id"])


def _network(call: Call) -> Document:
    return require(call, GATEWAY_NETWORKS, call.params["gateway_network_id"], "gateway_network")


def _resource(gateway: Document, network_id: str, mac_address: str | None) -> Document:
    return {"id": network_id, "mac_address": mac_address, "name": gateway["name"], "type": "vpc_gateway_network"}


def _reserved(world: World, ip_id: str, private_network_id: str) -> Document:
    ip = world.find(ipam.IPS, ip_id)
    if ip is None:
        raise not_found("ip", ip_id)
    if ip["_private_network_id"] != private_network_id or ip["is_ipv6"]:
        raise invalid_arguments(("ipam_ip_id", "constraint", "IP is not an IPv4 of the Private Network"))
    return ip


@product.post("/gateway-networks", call_ms=630)
def create_gateway_network(call: Call) -> Answer:
    """CreateGatewayNetwork: the gateway is configuring, and refuses other writes, until the network is ready."""
    world, body, zone = call.world, call.body, call.params["zone"]
    gateway = require(call, GATEWAYS, str(body.get("gateway_id")), "gateway")
    private_network = call.require(ipam.NETWORKS, str(body.get("private_network_id")), "private_network")
    if private_network["region"] != zone.rpartition("-")[0]:
        raise not_found("private_network", private_network["id"])
    settled(gateway, "gateway")
    for other in world.where(GATEWAY_NETWORKS, gateway_id=gateway["id"], private_network_id=private_network["id"]):
        raise already_exists("gateway_network", other["id"], "gateway is already attached to the Private Network")
    key, mac_address = world.new_id(), ipam.mac_address(world)
    if wanted := body.get("ipam_ip_id"):
        ip = _reserved(world, wanted, private_network["id"])
        ipam.attach(world, ip["id"], _resource(gateway, key, mac_address))
    else:
        ip = ipam.book(
            world,
            project_id=gateway["project_id"],
            region=private_network["region"],
            private_network_id=private_network["id"],
            resource=_resource(gateway, key, mac_address),
        )
    now = world.timestamp()
    network = {
        "id": key,
        "gateway_id": gateway["id"],
        "private_network_id": private_network["id"],
        "ipam_ip_id": ip["id"],
        "mac_address": None,
        "masquerade_enabled": bool(body.get("enable_masquerade")),
        "push_default_route": bool(body.get("push_default_route")),
        "status": "created",
        "zone": zone,
        "created_at": now,
        "updated_at": now,
    }
    world.put(GATEWAY_NETWORKS, network)
    world.later(ATTACHING, GATEWAY_NETWORKS, key, change={"status": "attaching"})
    configured = {"status": "configuring", "mac_address": mac_address}
    world.later(CONFIGURING, GATEWAY_NETWORKS, key, change=configured)
    world.later(READY, GATEWAY_NETWORKS, key, change={"status": "ready"}, run="vpcgw.network_ready")
    gateway.update(status="configuring", updated_at=now)
    world.put(GATEWAYS, gateway)
    world.later(GATEWAY_READY, GATEWAYS, gateway["id"], change={"status": "running"})
    return show(network)


@product.get("/gateway-networks")
def list_gateway_networks(call: Call) -> Answer:
    """ListGatewayNetworks."""
    found = here(call, GATEWAY_NETWORKS)
    for field, parameter in (
        ("status", "status"),
        ("gateway_id", "gateway_ids"),
        ("private_network_id", "private_network_ids"),
    ):
        found = among(call, found, field, parameter)
    masquerade = call.flag("masquerade_enabled")
    if masquerade is not None:
        found = [network for network in found if network["masquerade_enabled"] is masquerade]
    return page(call, ordered(call, found), "gateway_networks", show=show)


@product.get("/gateway-networks/{gateway_network_id}", call_ms=54)
def get_gateway_network(call: Call) -> Answer:
    """GetGatewayNetwork."""
    return show(_network(call))


@product.patch("/gateway-networks/{gateway_network_id}")
def update_gateway_network(call: Call) -> Answer:
    """UpdateGatewayNetwork: the gateway itself stays running."""
    world, network, body = call.world, settled(_network(call), "gateway_network"), call.body
    gateway = world.tables[GATEWAYS][network["gateway_id"]]
    wanted = body.get("ipam_ip_id")
    if wanted and wanted != network["ipam_ip_id"]:
        ip = _reserved(world, wanted, network["private_network_id"])
        ipam.attach(world, ip["id"], _resource(gateway, network["id"], None))
        ipam.detach(world, network["ipam_ip_id"])
        network["ipam_ip_id"] = ip["id"]
    for field, argument in (("masquerade_enabled", "enable_masquerade"), ("push_default_route", "push_default_route")):
        if body.get(argument) is not None:
            network[field] = bool(body[argument])
    network.update(status="configuring", updated_at=world.timestamp())
    world.put(GATEWAY_NETWORKS, network)
    ready = {"status": "ready"}
    world.later(RECONFIGURATION, GATEWAY_NETWORKS, network["id"], change=ready, run="vpcgw.network_ready")
    return show(network)


@product.delete("/gateway-networks/{gateway_network_id}", call_ms=77)
def delete_gateway_network(call: Call) -> Answer:
    """DeleteGatewayNetwork: several of one gateway may be detached at a time."""
    network = settled(_network(call), "gateway_network")
    detach(call.world, network)
    return show(network)
