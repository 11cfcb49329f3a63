"""VPC, private network and network ACL against the local Scaleway."""

from __future__ import annotations

from typing import Any

import pytest

from activities.cloud import Cloud
from activities.lifecycle import NO_PARENT, Scope
from tests.activities.conftest import Control
from tests.activities.site import Site

VPC = "/vpc/v2/regions/fr-par"
KINDS = ("vpc", "private_network", "vpc_acl")
RULES = [
    {"action": "drop", "protocol": "tcp", "ports": 22, "description": "no SSH"},
    {"action": "accept", "protocol": "tcp", "ports": "8000-8100", "source": "10.0.0.0/25"},
    {"action": "accept", "protocol": "udp"},
    {"action": "accept", "protocol": "icmp", "destination": "10.0.0.7"},
    {"action": "drop", "protocol": "any"},
]


def file(cidr: str = "10.0.0.0/24", rules: Any = (), default: str = "accept") -> dict[str, Any]:
    """An environment with this subnet and this ACL."""
    return {"network": {"cidr": cidr, "acl": {"default": default, "rules": list(rules)}}}


@pytest.fixture
def site(cloud: Cloud) -> Site:
    """Nothing yet."""
    return Site(cloud, KINDS)


def acl_of(emulator: Control, site: Site) -> Any:
    """The ACL as the API shows it."""
    return emulator.call("GET", f"{VPC}/vpcs/{site.one(file(), 'vpc.main').id}/acl-rules", query={"is_ipv6": "false"})


@pytest.mark.parametrize(
    "operation", ["POST */vpcs", "POST */private-networks", "PUT */vpcs/*/acl-rules"], ids=["vpc", "network", "acl"]
)
@pytest.mark.parametrize("kind", ["unavailable", "response_lost", "throttled"])
def test_one_of_each_after_a_fault(site: Site, emulator: Control, operation: str, kind: str) -> None:
    """Made once, whether the call was never carried out or only its answer was lost."""
    emulator.faults({"operation": operation, "kind": kind})
    site.apply(file(rules=RULES))

    assert emulator.call("GET", "/_emulator/faults")["faults"][0]["fired"] == 1
    assert {name: len(found) for name, found in site.look(file()).items()} == dict.fromkeys(KINDS, 1)
    assert not site.plan(file(rules=RULES)).changes


@pytest.mark.parametrize(
    ("before", "after", "actions"),
    [
        (file(), file(rules=RULES), {"vpc_acl.main": "update"}),
        (file(rules=RULES), file(rules=RULES[::-1]), {"vpc_acl.main": "update"}),
        (file(rules=RULES), file(rules=RULES[1:]), {"vpc_acl.main": "update"}),
        (file(rules=RULES), file(rules=RULES, default="drop"), {"vpc_acl.main": "update"}),
        (file(rules=RULES), file(), {"vpc_acl.main": "update"}),
        (file(), file("10.1.0.0/24"), {"private_network.core": "replace"}),
    ],
    ids=["rules", "their order", "one less", "default", "no rules", "subnet"],
)
def test_change(site: Site, before: Any, after: Any, actions: dict[str, str]) -> None:
    """Each change of the file is one of the plan, and then there is none."""
    site.apply(before)
    assert not site.plan(before).changes

    plan = site.apply(after)

    assert {change.key: change.action for change in plan.changes} == actions
    assert not site.plan(after).changes
    assert {name: len(found) for name, found in site.look(after).items()} == dict.fromkeys(KINDS, 1)


def test_both_bounds_of_every_port_range(site: Site, emulator: Control) -> None:
    """A single port, a range, all ports, and what has none: a bound left out would count as 0."""
    site.apply(file(rules=RULES))

    shown = [
        tuple(rule[f"{side}_port_{bound}"] for side in ("src", "dst") for bound in ("low", "high"))
        for rule in acl_of(emulator, site)["rules"]
    ]
    assert shown == [
        (1, 65535, 22, 22),
        (1, 65535, 8000, 8100),
        (1, 65535, 1, 65535),
        (0, 0, 0, 0),
        (0, 0, 0, 0),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("action", "accept"),
        ("protocol", "UDP"),
        ("source", "10.0.0.0/24"),
        ("destination", "10.0.0.0/24"),
        ("dst_port_low", 21),
        ("dst_port_high", 23),
        ("src_port_low", 1024),
        ("src_port_high", 1024),
        ("description", "somebody else's"),
    ],
)
def test_rule_changed_by_hand(site: Site, emulator: Control, field: str, value: Any) -> None:
    """Whatever of a rule is changed shows, and is put back."""
    site.apply(file(rules=RULES))
    acl = acl_of(emulator, site)
    acl["rules"][0][field] = value
    vpc_id = site.one(file(), "vpc.main").id
    emulator.call("PUT", f"{VPC}/vpcs/{vpc_id}/acl-rules", {**acl, "is_ipv6": False})

    plan = site.apply(file(rules=RULES))

    assert [(change.key, change.action) for change in plan.changes] == [("vpc_acl.main", "update")]
    assert not site.plan(file(rules=RULES)).changes


def test_protocol_in_either_case(site: Site, emulator: Control) -> None:
    """The API's enumeration is in upper case, the file is in lower case."""
    site.apply(file(rules=RULES))
    acl = acl_of(emulator, site)
    assert [rule["protocol"] for rule in acl["rules"]] == ["TCP", "TCP", "UDP", "ICMP", "ANY"]
    for rule in acl["rules"]:
        rule["protocol"] = rule["protocol"].lower()
    vpc_id = site.one(file(), "vpc.main").id
    emulator.call("PUT", f"{VPC}/vpcs/{vpc_id}/acl-rules", {**acl, "is_ipv6": False})

    assert not site.plan(file(rules=RULES)).changes


def test_removing_the_acl_accepts_everything(site: Site, emulator: Control) -> None:
    """As a new VPC does; the list itself cannot be deleted."""
    site.apply(file(rules=RULES, default="drop"))
    lifecycle, item = site.lifecycles["vpc_acl"], site.one(file(), "vpc_acl.main")

    lifecycle.delete(item)
    lifecycle.delete(item)

    assert acl_of(emulator, site) == {"default_policy": "accept", "rules": []}


def test_destroy(site: Site, emulator: Control) -> None:
    """The network, then the VPC; the ACL goes with it, and others' stay."""
    emulator.call("POST", f"{VPC}/vpcs", {"name": "theirs"})
    site.apply(file(rules=RULES))

    plan = site.apply(file(rules=RULES), destroy=True)

    assert {change.key for change in plan.changes} == {"vpc.main", "private_network.core"}
    assert not any(site.look(file()).values())
    assert [vpc["name"] for vpc in emulator.call("GET", f"{VPC}/vpcs")["vpcs"] if not vpc["is_default"]] == ["theirs"]


def test_names_taken_by_others(site: Site, emulator: Control) -> None:
    """A VPC and a network made by hand stand in the way until they are adopted; then they are ours, once."""
    vpc = emulator.call("POST", f"{VPC}/vpcs", {"name": "vpc-lssm-prod"})
    body = {"name": "pn-lssm-prod-core", "vpc_id": vpc["id"], "subnets": ["10.0.0.0/24"]}
    network = emulator.call("POST", f"{VPC}/private-networks", body)

    blocked = {change.key for change in site.plan(file()).blocked}
    assert blocked == {"vpc.main", "private_network.core"}

    site.apply(file(), adopt=tuple(blocked))
    assert not site.plan(file()).changes
    assert site.one(file(), "vpc.main").id == vpc["id"]
    assert site.one(file(), "private_network.core").id == network["id"]


def test_vpcs_beyond_a_page(site: Site, emulator: Control) -> None:
    """Ours is found among more than a hundred."""
    for number in range(101):
        emulator.call("POST", f"{VPC}/vpcs", {"name": f"other-{number:03d}"})
    site.apply(file())

    found = list(site.lifecycles["vpc"].list(NO_PARENT, Scope()))
    assert [item.name for item in found if item.ownership == "ours"] == ["vpc-lssm-prod"]
    assert not site.plan(file()).changes
