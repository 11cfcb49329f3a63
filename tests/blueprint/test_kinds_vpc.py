"""What the network section of a file becomes."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.environment import parse
from blueprint.graph import resources_of
from blueprint.resource import Resource, ref

MINIMAL: dict[str, Any] = {
    "org": "lssm",
    "env": "prod",
    "network": {"cidr": "10.0.0.0/24"},
    "nodes": {"core": {"count": 2}, "web": {"count": 1}},
}
ANY = "0.0.0.0/0"


def resources(**sections: Any) -> dict[str, Resource]:
    """The resources of a file with these sections."""
    return {resource.key: resource for resource in resources_of(parse(MINIMAL | sections))}


def rules(**sections: Any) -> list[dict[str, Any]]:
    """The rules of its network ACL."""
    found: list[dict[str, Any]] = resources(**sections)["vpc_acl.main"].fields["rules"]
    return found


def acl(*declared: dict[str, Any]) -> dict[str, Any]:
    """A network section with these rules."""
    return {"cidr": "10.0.0.0/24", "acl": {"rules": list(declared)}}


def test_names_and_parents() -> None:
    """By rule; the ACL is the VPC's."""
    found = resources()
    assert found["vpc.main"].name == "vpc-lssm-prod"
    assert found["private_network.core"].name == "pn-lssm-prod-core"
    assert found["private_network.core"].fields == {"subnet": "10.0.0.0/24", "vpc_id": ref("vpc.main")}
    assert (found["vpc_acl.main"].parent, found["vpc_acl.main"].name) == ("vpc.main", "vpc-lssm-prod/ipv4")
    assert found["vpc_acl.main"].fields == {"default_policy": "accept", "rules": []}


@pytest.mark.parametrize(
    ("rule", "ports"),
    [
        ({"protocol": "tcp", "ports": 22}, [22, 22]),
        ({"protocol": "udp", "ports": "8000-8100"}, [8000, 8100]),
        ({"protocol": "tcp"}, [1, 65535]),
        ({"protocol": "udp"}, [1, 65535]),
        ({"protocol": "icmp"}, [0, 0]),
        ({"protocol": "any"}, [0, 0]),
    ],
)
def test_both_bounds_always(rule: dict[str, Any], ports: list[int]) -> None:
    """The API takes a missing upper one for 0."""
    (found,) = rules(network=acl({"action": "drop", **rule}))
    assert found["ports"] == ports


@pytest.mark.parametrize(
    ("clients", "sources"),
    [
        (None, ["core-01", "core-02", "web-01"]),
        (["web"], ["web-01"]),
        ([], []),
    ],
    ids=["everybody", "one role", "nobody"],
)
@pytest.mark.parametrize(
    ("section", "settings", "port"),
    [("postgresql", {"databases": ["app"]}, 5432), ("redis", {}, 6379)],
    ids=["postgresql", "redis"],
)
def test_data_services_are_for_their_clients(
    section: str, settings: dict[str, Any], port: int, clients: Any, sources: list[str]
) -> None:
    """Accepted from the nodes of these roles, dropped from anywhere else, before any rule of the file."""
    if clients is not None:
        settings = settings | {"clients": clients}
    last = {"action": "accept", "protocol": "any"}
    *accepted, nowhere_else, declared = rules(**{section: settings}, network=acl(last))

    assert [rule["source"] for rule in accepted] == [ref(f"private_nic.{name}", "host_network") for name in sources]
    for rule in (*accepted, nowhere_else):
        assert (rule["protocol"], rule["destination"], rule["ports"]) == ("tcp", "10.0.0.0/24", [port, port])
    assert {rule["action"] for rule in accepted} <= {"accept"}
    assert (nowhere_else["action"], nowhere_else["source"]) == ("drop", ANY)
    assert (declared["action"], declared["protocol"], declared["source"]) == ("accept", "any", ANY)


def test_the_acl_waits_for_the_addresses_it_names() -> None:
    """Those of the nodes that may reach the database."""
    found = resources(postgresql={"databases": ["app"], "clients": ["core"]})["vpc_acl.main"]
    assert {"private_nic.core-01", "private_nic.core-02", "vpc.main"} == set(found.dependencies())


def test_rules_of_the_file_keep_their_order() -> None:
    """First match wins."""
    declared = [{"action": "drop", "ports": port, "description": str(port)} for port in (3, 1, 2)]
    assert [rule["description"] for rule in rules(network=acl(*declared))] == ["3", "1", "2"]
