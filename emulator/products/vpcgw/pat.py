"""PAT rules: ports of a gateway's public address that lead to one port inside a private network."""

from __future__ import annotations

import ipaddress

from emulator.errors import ApiError, already_exists, invalid_arguments
from emulator.paging import page
from emulator.products.vpcgw.api import GATEWAYS, PAT_RULES, among, here, ordered, product, require, settled
from emulator.routing import Answer, Call
from emulator.world import Document, World, public

PROTOCOLS = ("both", "tcp", "udp")
FIELDS = ("public_port", "private_ip", "private_port", "protocol")


def _checked(world: World, gateway: Document, rule: Document, key: str | None) -> Document:
    """The four fields of a rule, if they are sound and its public port is free on the gateway."""
    protocol = rule.get("protocol") or "both"
    protocol = "both" if protocol == "unknown_protocol" else protocol
    if protocol not in PROTOCOLS:
        raise invalid_arguments(("protocol", "constraint", "must be both, tcp or udp"))
    for name in ("public_port", "private_port"):
        if not 1 <= int(rule.get(name) or 0) <= 65535:
            raise invalid_arguments((name, "constraint", 'range: {"min": "1", "max": 65535}'))
    try:
        private_ip = ipaddress.IPv4Address(str(rule.get("private_ip")))
    except ValueError:
        raise invalid_arguments(("private_ip", "format", "not an IPv4 address")) from None
    for other in world.where(PAT_RULES, gateway_id=gateway["id"], public_port=rule["public_port"]):
        if other["id"] != key and (protocol == other["protocol"] or "both" in (protocol, other["protocol"])):
            raise already_exists("pat_rule", other["id"], "public port is already forwarded")
    checked = {name: rule[name] for name in ("public_port", "private_port")}
    return checked | {"private_ip": str(private_ip), "protocol": protocol}


def _add(world: World, gateway: Document, rule: Document) -> Document:
    now = world.timestamp()
    document = {
        "id": world.new_id(),
        "gateway_id": gateway["id"],
        **_checked(world, gateway, rule, None),
        "zone": gateway["zone"],
        "created_at": now,
        "updated_at": now,
    }
    return world.put(PAT_RULES, document)


def _gateway(call: Call, gateway_id: str) -> Document:
    return settled(require(call, GATEWAYS, gateway_id, "gateway"), "gateway")


def _rule(call: Call) -> Document:
    return require(call, PAT_RULES, call.params["pat_rule_id"], "pat_rule")


@product.post("/pat-rules", call_ms=103)
def create_pat_rule(call: Call) -> Answer:
    """CreatePatRule."""
    return public(_add(call.world, _gateway(call, str(call.body.get("gateway_id"))), call.body))


@product.put("/pat-rules")
def set_pat_rules(call: Call) -> Answer:
    """SetPatRules: replaces all rules of a gateway, or none if one of the new ones is refused."""
    world, gateway = call.world, _gateway(call, str(call.body.get("gateway_id")))
    old = list(world.where(PAT_RULES, gateway_id=gateway["id"]))
    for rule in old:
        world.remove(PAT_RULES, rule["id"])
    added: list[Document] = []
    try:
        added.extend(_add(world, gateway, rule) for rule in call.body.get("pat_rules") or [])
    except ApiError:
        for rule in list(world.where(PAT_RULES, gateway_id=gateway["id"])):
            world.remove(PAT_RULES, rule["id"])
        for rule in old:
            world.put(PAT_RULES, rule)
        raise
    return {"pat_rules": [public(rule) for rule in added]}


@product.get("/pat-rules")
def list_pat_rules(call: Call) -> Answer:
    """ListPatRules."""
    found = among(call, among(call, here(call, PAT_RULES), "gateway_id", "gateway_ids"), "private_ip", "private_ips")
    protocol = call.arg("protocol", "unknown_protocol")
    if protocol != "unknown_protocol":
        found = [rule for rule in found if rule["protocol"] == protocol]
    return page(call, ordered(call, found), "pat_rules")


@product.get("/pat-rules/{pat_rule_id}", call_ms=27)
def get_pat_rule(call: Call) -> Answer:
    """GetPatRule."""
    return public(_rule(call))


@product.patch("/pat-rules/{pat_rule_id}")
def update_pat_rule(call: Call) -> Answer:
    """UpdatePatRule."""
    world, rule = call.world, _rule(call)
    gateway = _gateway(call, rule["gateway_id"])
    wanted = rule | {name: call.body[name] for name in FIELDS if call.body.get(name)}
    rule.update(_checked(world, gateway, wanted, rule["id"]), updated_at=world.timestamp())
    return public(world.put(PAT_RULES, rule))


@product.delete("/pat-rules/{pat_rule_id}", call_ms=46)
def delete_pat_rule(call: Call) -> Answer:
    """DeletePatRule."""
    rule = _rule(call)
    _gateway(call, rule["gateway_id"])
    call.world.remove(PAT_RULES, rule["id"])
    return None
