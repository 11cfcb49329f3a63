"""Public gateways with their SSH bastion."""

from __future__ import annotations

import ipaddress

from emulator.errors import ApiError, invalid_arguments, precondition_failed
from emulator.paging import matching, page
from emulator.products.vpc.api import owner
from emulator.products.vpcgw import networks
from emulator.products.vpcgw.api import (
    GATEWAY_NETWORKS,
    GATEWAYS,
    IPS,
    among,
    here,
    ordered,
    product,
    require,
    settled,
)
from emulator.products.vpcgw.ips import free, reserve
from emulator.routing import Answer, Call
from emulator.world import Document, World, hook, public

TYPES = {"VPC-GW-S": 100, "VPC-GW-M": 1000, "VPC-GW-L": 3000, "VPC-GW-XL": 10000}
"""The offers with their bandwidth in Mbit/s, smallest first."""

BASTION_PORT = 61000
ALLOWED_IPS = ["0.0.0.0/0"]
"""A bastion is open to everybody until its allowed addresses are set."""

SOFTWARE_VERSION = "0.8.5"
MACHINE, ALLOCATION, START = 0.2, 0.4, 5.0
"""Seconds until a new gateway has a machine with a software version, is configuring, and running (latencies, 1)."""
RECONFIGURATION, REMOVAL = 5.0, 0.5
"""Seconds that a change and a removal take."""


def show(world: World, gateway: Document) -> Document:
    """A gateway as the API shows it, with its address and networks; keys without a value are left out."""
    shown = public(gateway)
    shown["gateway_networks"] = [networks.show(n) for n in world.where(GATEWAY_NETWORKS, gateway_id=gateway["id"])]
    shown["ipv4"] = next((public(ip) for ip in world.where(IPS, gateway_id=gateway["id"])), None)
    return {key: value for key, value in shown.items() if value is not None}


def _gateway(call: Call) -> Document:
    return require(call, GATEWAYS, call.params["gateway_id"], "gateway")


def _offer(name: str) -> Document:
    if name not in TYPES:
        raise invalid_arguments(("type", "constraint", f"{name} is not a gateway type"))
    return {"type": name, "bandwidth": TYPES[name]}


def _port(value: object) -> int:
    port = int(str(value or BASTION_PORT))
    if not 1024 <= port <= 65535:
        raise invalid_arguments(("bastion_port", "constraint", 'range: {"min": "1024", "max": 65535}'))
    return port


def _changed(call: Call, gateway: Document, *, restart: bool) -> Answer:
    """Store a change. One that reaches the machine answers with the old state, and is configured from then on."""
    world = call.world
    gateway["updated_at"] = world.timestamp()
    answer = show(world, gateway)
    if restart:
        gateway["status"] = "configuring"
        world.later(RECONFIGURATION, GATEWAYS, gateway["id"], change={"status": "running"})
    world.put(GATEWAYS, gateway)
    return answer


@product.post("/gateways", call_ms=866)
def create_gateway(call: Call) -> Answer:
    """CreateGateway: without an address one is made."""
    world, body, zone = call.world, call.body, call.params["zone"]
    holder, offer = owner(call), _offer(str(body.get("type")))
    port = _port(body.get("bastion_port"))
    ip = free(call, body["ip_id"]) if body.get("ip_id") else reserve(world, holder, zone, [])
    now = world.timestamp()
    gateway = {
        "id": world.new_id(),
        "name": body.get("name") or f"gw-{world.new_id()[:8]}",
        "tags": body.get("tags") or [],
        **holder,
        **offer,
        "zone": zone,
        "status": "allocating",
        "version": None,
        "bastion_enabled": bool(body.get("enable_bastion")),
        "bastion_port": port,
        "bastion_allowed_ips": ALLOWED_IPS,
        "smtp_enabled": bool(body.get("enable_smtp")),
        "is_legacy": False,
        "created_at": now,
        "updated_at": now,
    }
    world.put(IPS, ip | {"gateway_id": gateway["id"]})
    world.put(GATEWAYS, gateway)
    for seconds, change in (
        (MACHINE, {"version": SOFTWARE_VERSION}),
        (ALLOCATION, {"status": "configuring"}),
        (START, {"status": "running"}),
    ):
        world.later(seconds, GATEWAYS, gateway["id"], change=change)
    return show(world, gateway)


@product.get("/gateways")
def list_gateways(call: Call) -> Answer:
    """ListGateways."""
    world = call.world
    found = matching(call, here(call, GATEWAYS))
    found = among(call, among(call, found, "status", "status"), "type", "types")
    if wanted := call.args("private_network_ids"):
        attached = {n["gateway_id"] for n in world.all(GATEWAY_NETWORKS) if n["private_network_id"] in wanted}
        found = [gateway for gateway in found if gateway["id"] in attached]
    return page(call, ordered(call, found), "gateways", show=lambda gateway: show(world, gateway))


@product.get("/gateways/{gateway_id}", call_ms=35)
def get_gateway(call: Call) -> Answer:
    """GetGateway."""
    return show(call.world, _gateway(call))


@product.patch("/gateways/{gateway_id}", call_ms=57)
def update_gateway(call: Call) -> Answer:
    """UpdateGateway."""
    gateway, body = settled(_gateway(call), "gateway"), call.body
    change = {key: body[key] for key in ("name", "tags") if body.get(key) is not None}
    machine: Document = {}
    if body.get("enable_bastion") is not None:
        machine["bastion_enabled"] = bool(body["enable_bastion"])
    if body.get("enable_smtp") is not None:
        machine["smtp_enabled"] = bool(body["enable_smtp"])
    if body.get("bastion_port"):
        machine["bastion_port"] = _port(body["bastion_port"])
    restart = any(gateway[key] != value for key, value in machine.items())
    gateway.update(change | machine)
    return _changed(call, gateway, restart=restart)


@product.delete("/gateways/{gateway_id}", call_ms=67)
def delete_gateway(call: Call) -> Answer:
    """DeleteGateway: its networks are detached; its address stays unless `delete_ip` is set."""
    world, gateway = call.world, settled(_gateway(call), "gateway")
    gateway.update(status="deleting", updated_at=world.timestamp())
    world.put(GATEWAYS, gateway)
    for network in list(world.where(GATEWAY_NETWORKS, gateway_id=gateway["id"])):
        networks.detach(world, network)
    data = {"delete_ip": bool(call.flag("delete_ip"))}
    world.later(REMOVAL, GATEWAYS, gateway["id"], run="vpcgw.gateway_removed", data=data, remove=True)
    return show(world, gateway)


@hook("vpcgw.gateway_removed")
def gateway_removed(world: World, gateway: Document, data: Document) -> None:
    """Free or delete the address of a gateway that is gone."""
    for ip in list(world.where(IPS, gateway_id=gateway["id"])):
        if data["delete_ip"]:
            world.remove(IPS, ip["id"])
        else:
            ip.pop("gateway_id")
            world.put(IPS, ip)


@product.post("/gateways/{gateway_id}/upgrade", call_ms=271)
def upgrade_gateway(call: Call) -> Answer:
    """UpgradeGateway: to a larger type, or without one to the newest software."""
    gateway = settled(_gateway(call), "gateway")
    if name := call.body.get("type"):
        offer = _offer(name)
        if offer["bandwidth"] < gateway["bandwidth"]:
            raise precondition_failed("resource_not_usable", "A gateway cannot be downgraded")
        gateway.update(offer)
    return _changed(call, gateway, restart=True)


@product.post("/gateways/{gateway_id}/refresh-ssh-keys", call_ms=66)
def refresh_ssh_keys(call: Call) -> Answer:
    """RefreshSSHKeys: the bastion takes the SSH keys of the project as they are now."""
    return _changed(call, settled(_gateway(call), "gateway"), restart=True)


@product.get("/gateway-types")
def list_gateway_types(call: Call) -> Answer:
    """ListGatewayTypes."""
    zone = call.params["zone"]
    return {"types": [{"name": name, "bandwidth": bandwidth, "zone": zone} for name, bandwidth in TYPES.items()]}


def _ip_ranges(name: str, ranges: list[str]) -> list[str]:
    return [_ip_range(name, text) for text in ranges]


def _ip_range(name: str, text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise _malformed(name, text) from None


def _malformed(name: str, text: str) -> ApiError:
    return invalid_arguments((name, "format", f"{text} is not a valid CIDR"))


def _set_allowed(call: Call, gateway: Document, ranges: list[str]) -> list[str]:
    gateway["bastion_allowed_ips"] = list(dict.fromkeys(ranges))
    _changed(call, gateway, restart=False)
    return list(gateway["bastion_allowed_ips"])


@product.post("/gateways/{gateway_id}/bastion-allowed-ips")
def add_bastion_allowed_ips(call: Call) -> Answer:
    """AddBastionAllowedIPs."""
    gateway = settled(_gateway(call), "gateway")
    added = _ip_range("ip_range", str(call.body.get("ip_range")))
    return {"ip_ranges": _set_allowed(call, gateway, [*gateway["bastion_allowed_ips"], added])}


@product.put("/gateways/{gateway_id}/bastion-allowed-ips")
def set_bastion_allowed_ips(call: Call) -> Answer:
    """SetBastionAllowedIPs: an empty list lets nobody in."""
    gateway = settled(_gateway(call), "gateway")
    return {"ip_ranges": _set_allowed(call, gateway, _ip_ranges("ip_ranges", call.body.get("ip_ranges") or []))}


@product.delete("/gateways/{gateway_id}/bastion-allowed-ips/{address}/{prefix}")
def delete_bastion_allowed_ips(call: Call) -> Answer:
    """DeleteBastionAllowedIPs: the range comes with its slash, so that it fills two segments of the path."""
    gateway = settled(_gateway(call), "gateway")
    gone = _ip_range("ip_range", f"{call.params['address']}/{call.params['prefix']}")
    _set_allowed(call, gateway, [text for text in gateway["bastion_allowed_ips"] if text != gone])
    return None
