"""The network access control list of a VPC, one for each address family."""

from __future__ import annotations

import ipaddress
from typing import Any

from emulator.errors import ApiError, invalid_arguments
from emulator.products.vpc.api import ACLS, VPCS, require, vpc_product
from emulator.routing import Answer, Call
from emulator.world import Document

HIGHEST_PORT = 65535
PROTOCOLS = ("ANY", "TCP", "UDP", "ICMP")
ACTIONS = ("accept", "drop")


def _key(call: Call, ipv6: bool) -> str:
    vpc = require(call, VPCS, call.params["vpc_id"], "vpc")
    return f"{vpc['id']}/{'ipv6' if ipv6 else 'ipv4'}"


@vpc_product.get("/vpcs/{vpc_id}/acl-rules", call_ms=34)
def get_acl(call: Call) -> Answer:
    """GetAcl: a VPC without a list of its own accepts everything."""
    acl = call.world.find(ACLS, _key(call, bool(call.flag("is_ipv6"))))
    if acl is None:
        return {"default_policy": "accept", "rules": []}
    return {"default_policy": acl["default_policy"], "rules": acl["rules"]}


@vpc_product.put("/vpcs/{vpc_id}/acl-rules", call_ms=102)
def set_acl(call: Call) -> Answer:
    """SetAcl: replaces the whole list of one family, or nothing if one rule of it is refused."""
    ipv6 = bool(call.body.get("is_ipv6"))
    key, policy = _key(call, ipv6), call.body.get("default_policy")
    if policy not in ACTIONS:
        raise _constraint("default_policy", "must be accept or drop")
    rules = [_rule(f"rules[{number}]", rule, ipv6) for number, rule in enumerate(call.body.get("rules") or [])]
    acl = {"id": key, "vpc_id": call.params["vpc_id"], "default_policy": policy, "rules": rules}
    call.world.put(ACLS, acl)
    return {"default_policy": policy, "rules": rules}


def _rule(name: str, rule: Document, ipv6: bool) -> Document:
    protocol, action = str(rule.get("protocol") or "ANY").upper(), rule.get("action")
    if protocol not in PROTOCOLS:
        raise _constraint(f"{name}protocol", "unknown protocol")
    if action not in ACTIONS:
        raise _constraint(f"{name}action", "must be accept or drop")
    checked: Document = {"protocol": protocol, "action": action, "description": rule.get("description")}
    for side in ("source", "destination"):
        checked[side] = _range(f"{name}{side}", str(rule.get(side) or ("::/0" if ipv6 else "0.0.0.0/0")), ipv6)
    for side in ("src", "dst"):
        low = _port(f"{name}{side}_port_low", rule.get(f"{side}_port_low"), 0)
        checked[f"{side}_port_low"] = low
        checked[f"{side}_port_high"] = _port(f"{name}{side}_port_high", rule.get(f"{side}_port_high"), low)
    return checked


def _range(name: str, text: str, ipv6: bool) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise invalid_arguments((name, "format", f"{text} is not a valid CIDR")) from None
    if network.version != (6 if ipv6 else 4):
        raise _constraint(name, "address family differs from that of the list")
    return str(network)


def _port(name: str, value: Any, lowest: int) -> int:
    """An upper bound below the lower one is refused, an absent one (0) too: Terraform users meet this with one port."""
    port = int(value or 0)
    if not lowest <= port <= HIGHEST_PORT:
        raise _constraint(name, f'range: {{"min": "{lowest}", "max": {HIGHEST_PORT}}}')
    return port


def _constraint(name: str, text: str) -> ApiError:
    return invalid_arguments((name, "constraint", text))
