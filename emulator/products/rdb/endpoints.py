"""Where an instance can be reached: a public load balancer, a private network, or directly (read replicas)."""

from __future__ import annotations

import ipaddress

from emulator.errors import already_exists, invalid_arguments, not_found
from emulator.products import ipam
from emulator.products.rdb.model import (
    INSTANCES,
    PORT,
    PREFIX,
    READ_REPLICAS,
    RECONFIGURED_AFTER,
    become,
    ready_instance_of,
)
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World, hook

product = Product("rdb", PREFIX)

LOAD_BALANCERS = "_rdb.load_balancers"
PUBLIC_PORTS = range(1024, 32768)


def load_balancer_endpoint(world: World, region: str) -> Document:
    """A public endpoint: all instances of a region share an address, and a random port tells them apart."""
    balancer = world.find(LOAD_BALANCERS, region)
    if balancer is None:
        balancer = world.put(LOAD_BALANCERS, {"id": region, "ip": public_ip(world)})
    port = world.random.choice(PUBLIC_PORTS)
    return {"id": world.new_id(), "ip": balancer["ip"], "port": port, "name": None, "load_balancer": {}}


def direct_endpoint(world: World) -> Document:
    """A public endpoint of a read replica's own."""
    return {"id": world.new_id(), "ip": public_ip(world), "port": PORT, "name": None, "direct_access": {}}


def public_ip(world: World) -> str:
    """A public IPv4 address in a block of Scaleway's."""
    return world.public_ipv4("51.159.0.0/16")


def private_endpoint(call: Call, spec: Document, holder: Document) -> Document:
    """An endpoint in a private network, with its address booked or, if `service_ip` sets one, taken as it is.

    A static address does not appear in IPAM (Scaleway gotchas, RDB).

    Args:
        spec: {"private_network_id", "service_ip" or "ipam_config"}.
        holder: the instance that the address belongs to.

    Raises:
        ApiError: 404 no such private network, 400 `service_ip` is not an address with its mask.
    """
    world, network_id = call.world, str(spec.get("private_network_id") or "")
    ipam.subnet_of(world, network_id, is_ipv6=False)
    endpoint_id, static = world.new_id(), spec.get("service_ip")
    if static:
        service_ip = _checked(str(static))
    else:
        ip = ipam.book(
            world,
            project_id=holder["project_id"],
            region=holder["region"],
            private_network_id=network_id,
            resource={
                "type": "rdb_instance",
                "id": holder["id"],
                "mac_address": ipam.mac_address(world),
                "name": holder["name"],
            },
            tags=("managed", "scwdbaas"),
        )
        service_ip = ip["address"]
    return {
        "id": endpoint_id,
        "ip": service_ip.partition("/")[0],
        "port": PORT,
        "name": None,
        "private_network": {
            "private_network_id": network_id,
            "service_ip": service_ip,
            "zone": f"{holder['region']}-1",
            "provisioning_mode": "static" if static else "ipam",
        },
    }


def _checked(service_ip: str) -> str:
    try:
        ipaddress.IPv4Interface(service_ip)
    except ValueError:
        raise invalid_arguments(("service_ip", "format", "must be an IPv4 address with its mask")) from None
    if "/" not in service_ip:
        raise invalid_arguments(("service_ip", "format", "must be an IPv4 address with its mask"))
    return service_ip


def give_back(world: World, endpoint: Document, holder_id: str) -> None:
    """Release the address of a private endpoint."""
    network = endpoint.get("private_network")
    if network and network["provisioning_mode"] == "ipam":
        for ip in ipam.held(world, holder_id):
            if ip["address"] == network["service_ip"]:
                ipam.detach(world, ip["id"])


def owner_of(call: Call, endpoint_id: str) -> tuple[str, Document, Document]:
    """The table and the document that an endpoint belongs to, and the endpoint; 404 if there is none."""
    for table in (INSTANCES, READ_REPLICAS):
        for holder in call.world.where(table, region=call.params["region"]):
            for endpoint in holder["endpoints"]:
                if endpoint["id"] == endpoint_id:
                    return table, holder, endpoint
    raise not_found("endpoint", endpoint_id)


@product.post("/instances/{instance_id}/endpoints", call_ms=717)
def create_endpoint(call: Call) -> Answer:
    """Add an endpoint; the instance is initializing until it serves."""
    instance = ready_instance_of(call)
    spec = call.body.get("endpoint_spec") or {}
    kind = "private_network" if spec.get("private_network") else "load_balancer"
    if kind not in spec:
        raise invalid_arguments(("endpoint_spec", "required", "one of load_balancer and private_network"))
    for endpoint in instance["endpoints"]:
        if kind in endpoint:
            raise already_exists("endpoint", endpoint["id"], f"the instance has a {kind} endpoint")
    if kind == "load_balancer":
        instance["_coming"] = load_balancer_endpoint(call.world, instance["region"])
        become(call.world, instance, "initializing", RECONFIGURED_AFTER, run="rdb.publish")
        return {"id": "", "name": None, "port": 0}
    endpoint = private_endpoint(call, spec[kind], instance)
    instance["endpoints"].append(endpoint)
    become(call.world, instance, "initializing", RECONFIGURED_AFTER)
    return endpoint


@hook("rdb.publish")
def publish(world: World, instance: Document, data: Document) -> None:
    """The load balancer's endpoint, if one was asked for, appears when the instance is ready."""
    if coming := instance.pop("_coming", None):
        instance["endpoints"].append(coming)
        world.put(INSTANCES, instance)


def served(instance: Document) -> list[Document]:
    """The endpoints that a server has to listen at: one comes before it is shown, and goes before that ends."""
    coming = [instance["_coming"]] if "_coming" in instance else []
    return [each for each in instance["endpoints"] + coming if each["id"] != instance.get("_going")]


@product.get("/endpoints/{endpoint_id}")
def get_endpoint(call: Call) -> Answer:
    """One endpoint, of an instance or of a read replica."""
    return owner_of(call, call.params["endpoint_id"])[2]


@product.delete("/endpoints/{endpoint_id}", call_ms=213)
def delete_endpoint(call: Call) -> Answer:
    """Take an endpoint away; it is shown until the configuring is over."""
    table, holder, endpoint = owner_of(call, call.params["endpoint_id"])
    instance = ready_instance_of(call, holder["id"] if table == INSTANCES else holder["instance_id"])
    holder.update(status="configuring", _going=endpoint["id"])
    call.world.put(table, holder)
    call.world.later(
        RECONFIGURED_AFTER,
        table,
        holder["id"],
        change={"status": "ready"},
        run="rdb.unpublish",
        data={"table": table, "endpoint_id": endpoint["id"], "instance_id": instance["id"]},
    )
    return None


@hook("rdb.unpublish")
def unpublish(world: World, holder: Document, data: Document) -> None:
    """The endpoint is gone and its address free."""
    for endpoint in holder["endpoints"]:
        if endpoint["id"] == data["endpoint_id"]:
            give_back(world, endpoint, data["instance_id"])
    holder["endpoints"] = [e for e in holder["endpoints"] if e["id"] != data["endpoint_id"]]
    del holder["_going"]
    world.put(data["table"], holder)


@product.post("/endpoints/{endpoint_id}/migrate", call_ms=717)
def migrate_endpoint(call: Call) -> Answer:
    """Move an endpoint, with its address, to another instance."""
    _, holder, endpoint = owner_of(call, call.params["endpoint_id"])
    source = ready_instance_of(call, holder["id"])
    target = ready_instance_of(call, str(call.body.get("instance_id") or ""))
    move_endpoints(call.world, source, target, [endpoint])
    for instance in (source, target):
        become(call.world, instance, "configuring", RECONFIGURED_AFTER)
    return endpoint


def move_endpoints(world: World, source: Document, target: Document, endpoints: list[Document]) -> None:
    """Part endpoints from one instance and give them, with their addresses, to another."""
    moved = {endpoint["id"] for endpoint in endpoints}
    source["endpoints"] = [e for e in source["endpoints"] if e["id"] not in moved]
    target["endpoints"] = [*target["endpoints"], *endpoints]
    booked = {e["private_network"]["service_ip"] for e in endpoints if "private_network" in e}
    for ip in ipam.held(world, source["id"]):
        if ip["address"] in booked:
            ip["resource"].update(id=target["id"], name=target["name"])
            world.put(ipam.IPS, ip)
    world.put(INSTANCES, source)
    world.put(INSTANCES, target)
