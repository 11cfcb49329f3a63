"""VPC connectors, which peer two VPCs, and ingress rules, which send what comes in to one address."""

from __future__ import annotations

import ipaddress

from emulator.errors import already_exists, invalid_arguments, not_found
from emulator.paging import matching, page
from emulator.products.vpc.api import (
    CONNECTORS,
    INGRESS_RULES,
    PRIVATE_NETWORKS,
    VPCS,
    here,
    ordered,
    product,
    require,
    updated,
)
from emulator.routing import Answer, Call
from emulator.world import Document, World, public


def _show(world: World, connector: Document) -> Document:
    """A connector, with its status: orphan until the target VPC has one that points back."""
    shown = public(connector)
    target = world.find(VPCS, connector["target_vpc_id"])
    pair = {"vpc_id": connector["target_vpc_id"], "target_vpc_id": connector["vpc_id"]}
    if target is None or not any(world.where(CONNECTORS, **pair)):
        return shown | {"status": "orphan"}
    status = "conflict" if _overlaps(world, connector) else "peered"
    peer = {
        "organization_id": target["organization_id"],
        "project_id": target["project_id"],
        "vpc_name": target["name"],
    }
    return shown | {"status": status, "peer_info": peer}


def _overlaps(world: World, connector: Document) -> list[Document]:
    own, other = (
        [subnet for network in world.where(PRIVATE_NETWORKS, vpc_id=connector[name]) for subnet in network["subnets"]]
        for name in ("vpc_id", "target_vpc_id")
    )
    return [
        {"subnet_id": a["id"], "subnet": a["subnet"], "target_subnet_id": b["id"], "target_subnet": b["subnet"]}
        for a in own
        for b in other
        if (":" in a["subnet"]) == (":" in b["subnet"])
        and ipaddress.ip_network(a["subnet"]).overlaps(ipaddress.ip_network(b["subnet"]))
    ]


def _connector(call: Call) -> Document:
    return require(call, CONNECTORS, call.params["vpc_connector_id"], "vpc_connector")


@product.post("/vpc-connectors", call_ms=88)
def create_vpc_connector(call: Call) -> Answer:
    """CreateVPCConnector."""
    world, body = call.world, call.body
    vpc, target = (require(call, VPCS, str(body.get(name)), "vpc") for name in ("vpc_id", "target_vpc_id"))
    if vpc["id"] == target["id"]:
        raise invalid_arguments(("target_vpc_id", "constraint", "a VPC cannot be peered with itself"))
    for connector in world.where(CONNECTORS, vpc_id=vpc["id"], target_vpc_id=target["id"]):
        raise already_exists("vpc_connector", connector["id"])
    now = world.timestamp()
    connector = {
        "id": world.new_id(),
        "name": body.get("name") or f"connector-{world.new_id()[:8]}",
        "organization_id": vpc["organization_id"],
        "project_id": vpc["project_id"],
        "vpc_id": vpc["id"],
        "target_vpc_id": target["id"],
        "region": vpc["region"],
        "tags": body.get("tags") or [],
        "created_at": now,
        "updated_at": now,
    }
    return _show(world, world.put(CONNECTORS, connector))


@product.get("/vpc-connectors", call_ms=69)
def list_vpc_connectors(call: Call) -> Answer:
    """ListVPCConnectors."""
    found = matching(call, here(call, CONNECTORS))
    for name in ("vpc_id", "target_vpc_id"):
        if value := call.arg(name):
            found = [connector for connector in found if connector[name] == value]
    shown = [_show(call.world, connector) for connector in ordered(call, found)]
    if status := call.arg("status"):
        shown = [connector for connector in shown if connector["status"] == status]
    return page(call, shown, "vpc_connectors")


@product.get("/vpc-connectors/{vpc_connector_id}", call_ms=29)
def get_vpc_connector(call: Call) -> Answer:
    """GetVPCConnector."""
    return _show(call.world, _connector(call))


@product.patch("/vpc-connectors/{vpc_connector_id}")
def update_vpc_connector(call: Call) -> Answer:
    """UpdateVPCConnector."""
    return _show(call.world, updated(call, CONNECTORS, _connector(call), "name", "tags"))


@product.delete("/vpc-connectors/{vpc_connector_id}", call_ms=59)
def delete_vpc_connector(call: Call) -> Answer:
    """DeleteVPCConnector."""
    call.world.remove(CONNECTORS, _connector(call)["id"])
    return None


@product.get("/vpc-connectors/{vpc_connector_id}/subnet-overlaps")
def list_subnet_overlaps(call: Call) -> Answer:
    """ListSubnetOverlaps."""
    return page(call, _overlaps(call.world, _connector(call)), "subnet_overlaps")


def _ingress_rule(call: Call) -> Document:
    rule = call.world.find(INGRESS_RULES, call.params["rule_id"])
    if rule is None or rule["region"] != call.params["region"]:
        raise not_found("unknown", "")
    return rule


def _checked(rule: Document) -> Document:
    try:
        source = ipaddress.ip_network(rule["source"])
        nexthop = ipaddress.ip_address(rule["nexthop_resource_ip"])
    except ValueError as error:
        raise invalid_arguments(("source", "format", str(error))) from None
    if source.version != nexthop.version:
        raise invalid_arguments(("nexthop_resource_ip", "constraint", "address family differs from that of source"))
    return rule | {"is_ipv6": source.version == 6}


@product.post("/ingress-rules")
def create_ingress_rule(call: Call) -> Answer:
    """CreateIngressRule."""
    world, body = call.world, call.body
    vpc = require(call, VPCS, str(body.get("vpc_id")), "vpc")
    network = require(call, PRIVATE_NETWORKS, str(body.get("nexthop_private_network_id")), "private_network")
    now = world.timestamp()
    rule = _checked(
        {
            "id": world.new_id(),
            "vpc_id": vpc["id"],
            "source": str(body.get("source")),
            "nexthop_resource_ip": str(body.get("nexthop_resource_ip")),
            "nexthop_private_network_id": network["id"],
            "description": body.get("description") or "",
            "tags": body.get("tags") or [],
            "organization_id": vpc["organization_id"],
            "project_id": vpc["project_id"],
            "region": vpc["region"],
            "created_at": now,
            "updated_at": now,
        }
    )
    return public(world.put(INGRESS_RULES, rule))


@product.get("/ingress-rules")
def list_ingress_rules(call: Call) -> Answer:
    """ListIngressRules."""
    found = matching(call, here(call, INGRESS_RULES))
    for name in ("vpc_id", "nexthop_resource_ip", "nexthop_private_network_id"):
        if value := call.arg(name):
            found = [rule for rule in found if rule[name] == value]
    ipv6 = call.flag("is_ipv6")
    if ipv6 is not None:
        found = [rule for rule in found if rule["is_ipv6"] is ipv6]
    return page(call, ordered(call, found), "rules")


@product.get("/ingress-rules/{rule_id}", call_ms=32)
def get_ingress_rule(call: Call) -> Answer:
    """GetIngressRule."""
    return public(_ingress_rule(call))


@product.patch("/ingress-rules/{rule_id}")
def update_ingress_rule(call: Call) -> Answer:
    """UpdateIngressRule."""
    rule = _ingress_rule(call)
    fields = ("source", "nexthop_resource_ip", "nexthop_private_network_id", "description", "tags")
    rule.update(_checked(rule | {name: call.body[name] for name in fields if call.body.get(name) is not None}))
    return public(updated(call, INGRESS_RULES, rule))


@product.delete("/ingress-rules/{rule_id}")
def delete_ingress_rule(call: Call) -> Answer:
    """DeleteIngressRule."""
    call.world.remove(INGRESS_RULES, _ingress_rule(call)["id"])
    return None
