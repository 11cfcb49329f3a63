"""VPCs, private networks, routes and access control lists."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from emulator.products import ipam
from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import Api

VPC = "/vpc/v2/regions/fr-par"


def make_vpc(api: Api, **fields: Any) -> Any:
    """Create a VPC that asks for no routing."""
    status, vpc = api.request("POST", f"{VPC}/vpcs", {"name": "prod", "enable_routing": False, **fields})
    assert status == 200
    return vpc


def make_network(api: Api, vpc_id: str | None = None, **fields: Any) -> Any:
    """Create a private network."""
    status, network = api.request("POST", f"{VPC}/private-networks", {"name": "app", "vpc_id": vpc_id, **fields})
    assert status == 200
    return network


def test_v1_shows_the_private_networks_of_v2_by_zone(api: Api) -> None:
    """What one version makes or changes, the other shows."""
    v1 = "/vpc/v1/zones/fr-par-2/private-networks"
    _, made = api.request("POST", v1, {"name": "old", "tags": None, "subnets": None})
    _, seen = api.request("GET", f"{VPC}/private-networks/{made['id']}")
    assert made["subnets"] == [subnet["subnet"] for subnet in seen["subnets"]]
    assert (made["zone"], "region" in made) == ("fr-par-2", False)
    api.request("PATCH", f"{v1}/{made['id']}", {"name": "renamed"})
    assert [network["name"] for network in api.request("GET", v1)[1]["private_networks"]] == ["renamed"]
    assert api.request("GET", f"/vpc/v1/zones/nl-ams-1/private-networks/{made['id']}")[0] == 404
    assert api.request("DELETE", f"{v1}/{made['id']}")[0] == 204
    assert api.request("GET", f"{VPC}/private-networks/{made['id']}")[0] == 404


def test_a_vpc_always_routes_and_counts_its_networks(api: Api) -> None:
    """enable_routing=false is answered with routing_enabled=true (Scaleway gotchas, VPC)."""
    vpc = make_vpc(api, tags=["team:a"])
    assert vpc["routing_enabled"] is True
    assert vpc["is_default"] is False
    make_network(api, vpc["id"])
    assert api.request("GET", f"{VPC}/vpcs/{vpc['id']}")[1]["private_network_count"] == 1
    status, refusal = api.request("DELETE", f"{VPC}/vpcs/{vpc['id']}")
    assert (status, refusal["precondition"]) == (412, "resource_still_in_use")
    assert api.request("GET", f"/vpc/v2/regions/nl-ams/vpcs/{vpc['id']}")[0] == 404


def test_a_network_without_vpc_lands_in_the_default_one_of_its_project(api: Api) -> None:
    """A default VPC is made when it is needed, cannot be deleted, and does not keep its project from being deleted."""
    _, project = api.request("POST", "/account/v3/projects", {"name": "fresh"})
    query = {"project_id": project["id"]}
    assert api.request("GET", f"{VPC}/vpcs", query=query)[1] == {"vpcs": [], "total_count": 0}
    network = make_network(api, project_id=project["id"])
    _, listed = api.request("GET", f"{VPC}/vpcs", query=query | {"is_default": "True"})
    assert [vpc["id"] for vpc in listed["vpcs"]] == [network["vpc_id"]]
    assert listed["vpcs"][0]["tags"] == ["default"]
    assert api.request("DELETE", f"{VPC}/private-networks/{network['id']}")[0] == 204
    assert api.request("DELETE", f"{VPC}/vpcs/{network['vpc_id']}")[0] == 412
    assert api.request("DELETE", f"/account/v3/projects/{project['id']}")[0] == 204


def test_chosen_subnets_are_a_22_and_a_64_that_never_overlap(api: Api) -> None:
    """Nobody has to choose subnets."""
    vpc = make_vpc(api)
    chosen = [
        ipaddress.ip_network(subnet["subnet"]) for _ in range(5) for subnet in make_network(api, vpc["id"])["subnets"]
    ]
    assert [network.prefixlen for network in chosen] == [22, 64] * 5
    assert len(set(chosen)) == 10
    fours = [network for network in chosen if isinstance(network, ipaddress.IPv4Network)]
    assert not any(a.overlaps(b) for a in fours for b in fours if a is not b)


@pytest.mark.parametrize(
    ("subnet", "argument", "text"),
    [
        ("192.168.0.0/16", "subnets[0]", "prefix"),
        ("192.168.0.0/30", "subnets[0]", "prefix"),
        ("10.0.0.5/24", "subnets[0]", "cidr"),
        ("51.15.0.0/24", "subnets[0]", "private_range"),
        ("100.64.0.0/24", "subnets[0]", "private_range"),
        ("fd00:1:2:300::/56", "subnets[0]", "prefix"),
        ("10.9.0.128/25", "subnets", "subnet_overlaps_in_vpc"),
    ],
)
def test_an_unsound_subnet_is_refused(api: Api, subnet: str, argument: str, text: str) -> None:
    """Sizes, ranges and overlaps are checked, with the argument names of the real API."""
    vpc = make_vpc(api)
    make_network(api, vpc["id"], subnets=["10.9.0.0/24"])
    status, refusal = api.request("POST", f"{VPC}/private-networks", {"vpc_id": vpc["id"], "subnets": [subnet]})
    assert (status, refusal["type"]) == (400, "invalid_arguments")
    assert refusal["details"][0]["argument_name"] == argument
    assert refusal["details"][0]["help_message"].startswith(text)
    assert api.request("GET", f"{VPC}/vpcs/{vpc['id']}")[1]["private_network_count"] == 1


def test_a_network_in_use_cannot_be_deleted_and_for_a_while_after(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """412 while an address is booked, and for up to 35 s after the last one went (Scaleway latencies, 2)."""
    network = make_network(api)
    path = f"{VPC}/private-networks/{network['id']}"
    world = api.world
    holder = {"type": "instance_private_nic", "id": "nic", "mac_address": "02:00:00:00:00:01", "name": "web"}
    ipam.book(
        world,
        project_id=DEFAULT_PROJECT,
        region="fr-par",
        private_network_id=network["id"],
        resource=holder,
    )
    status, refusal = api.request("DELETE", path)
    assert (status, refusal["help_message"]) == (412, "Private Network must be empty to be deleted")

    moment = world.now()
    monkeypatch.setattr(world, "now", lambda: moment)
    monkeypatch.setattr(world.random, "random", lambda: 0.99)
    monkeypatch.setattr(world, "latency", 0.01)
    ipam.release_of(world, "nic")
    assert api.request("DELETE", path)[0] == 412
    monkeypatch.setattr(world, "now", lambda: moment + ipam.LONGEST_DETACH * 0.01)
    assert api.request("DELETE", path)[0] == 204
    assert api.request("GET", path)[1]["resource"] == "private_network"


def test_acl_rules_need_both_ends_of_a_port_range(api: Api) -> None:
    """One refused rule leaves the whole list as it was; the families have lists of their own."""
    path = f"{VPC}/vpcs/{make_vpc(api)['id']}/acl-rules"
    assert api.request("GET", path, query={"is_ipv6": "False"})[1] == {"default_policy": "accept", "rules": []}
    rule = {
        "protocol": "TCP",
        "source": "10.0.0.0/8",
        "destination": "10.0.0.0/8",
        "dst_port_low": 22,
        "dst_port_high": 0,
        "action": "accept",
    }
    acl = {"is_ipv6": False, "default_policy": "drop", "rules": [rule]}
    status, refusal = api.request("PUT", path, acl)
    assert status == 400
    assert refusal["details"] == [
        {
            "argument_name": "rules[0]dst_port_high",
            "reason": "constraint",
            "help_message": 'range: {"min": "22", "max": 65535}',
        }
    ]
    assert api.request("GET", path)[1]["default_policy"] == "accept"
    rule["dst_port_high"] = 22
    assert api.request("PUT", path, acl)[0] == 200
    stored = api.request("GET", path, query={"is_ipv6": "false"})[1]
    assert stored["default_policy"] == "drop"
    assert stored["rules"] == [rule | {"src_port_low": 0, "src_port_high": 0, "description": None}]
    assert api.request("GET", path, query={"is_ipv6": "true"})[1]["rules"] == []
    for change in ({"source": "fd00::/8"}, {"action": "unknown_action"}, {"dst_port_high": 70000}, {"protocol": "gre"}):
        assert api.request("PUT", path, acl | {"rules": [rule | change]})[0] == 400, change


def test_routes_show_their_next_hop(api: Api) -> None:
    """Subnets have generated routes without an id; a custom route needs a next hop of its VPC."""
    vpc = make_vpc(api)
    network = make_network(api, vpc["id"])
    body = {
        "vpc_id": vpc["id"],
        "destination": "192.168.42.0/24",
        "description": "",
        "nexthop_private_network_id": network["id"],
    }
    status, route = api.request("POST", f"{VPC}/routes", body)
    assert (status, route["description"], route["type"]) == (200, "Custom route", "custom")
    _, listed = api.request("GET", f"{VPC}/routes-with-nexthop", query={"vpc_id": vpc["id"]})
    assert [entry["route"]["type"] for entry in listed["routes"]] == ["subnet", "subnet", "custom"]
    assert listed["routes"][0]["route"] | {"id": "", "tags": ["MANAGED"]} == listed["routes"][0]["route"]
    for change in ({"destination": "nowhere"}, {"nexthop_private_network_id": None}, {"vpc_id": vpc["id"][::-1]}):
        assert api.request("POST", f"{VPC}/routes", body | change)[0] == 400, change
    assert api.request("DELETE", f"{VPC}/routes/{route['id']}")[0] == 204
    assert api.request("GET", f"{VPC}/routes/{route['id']}")[1]["resource"] == "unknown"


def test_two_connectors_that_face_each_other_are_peered(api: Api) -> None:
    """A connector is an orphan until the other side has one."""
    first, second = make_vpc(api), make_vpc(api)
    make_network(api, first["id"])
    make_network(api, second["id"])
    _, there = api.request("POST", f"{VPC}/vpc-connectors", {"vpc_id": first["id"], "target_vpc_id": second["id"]})
    assert there["status"] == "orphan"
    _, back = api.request("POST", f"{VPC}/vpc-connectors", {"vpc_id": second["id"], "target_vpc_id": first["id"]})
    assert back["status"] == "peered"
    assert api.request("GET", f"{VPC}/vpc-connectors/{there['id']}")[1]["status"] == "peered"
