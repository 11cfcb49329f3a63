"""Public gateways: the states they go through, what they refuse meanwhile, and what outlives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emulator.products import ipam
from tests.emulator.conftest import Api

GW = "/vpc-gw/v2/zones/fr-par-1"
NETWORKS = "/vpc/v2/regions/fr-par/private-networks"
LATENCY = 0.01

Jump = Callable[[float], None]


@pytest.fixture
def jump(api: Api, monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Stop the clock; the function moves it by seconds of Scaleway's time."""
    moment = [api.world.now()]

    def move(seconds: float) -> None:
        moment[0] += seconds * LATENCY

    monkeypatch.setattr(api.world, "now", lambda: moment[0])
    monkeypatch.setattr(api.world, "latency", LATENCY)
    return move


def make_gateway(api: Api, **fields: Any) -> Any:
    """Create a gateway with a bastion."""
    body = {"name": "gw", "type": "VPC-GW-S", "enable_bastion": True, "enable_smtp": False, **fields}
    status, gateway = api.request("POST", f"{GW}/gateways", body)
    assert status == 200
    return gateway


def make_network(api: Api) -> Any:
    """Create a private network."""
    return api.request("POST", NETWORKS, {"name": "app"})[1]


def attach(api: Api, gateway: Any, network: Any, **fields: Any) -> tuple[int, Any]:
    """Create a gateway network that pushes its default route."""
    body = {
        "gateway_id": gateway["id"],
        "private_network_id": network["id"],
        "enable_masquerade": True,
        "push_default_route": True,
        **fields,
    }
    return api.request("POST", f"{GW}/gateway-networks", body)


def test_a_new_gateway_is_open_to_everybody_and_lacks_what_has_no_value(api: Api) -> None:
    """Bastion on port 61000 for 0.0.0.0/0; v2 leaves null keys out."""
    gateway = make_gateway(api)
    assert (gateway["status"], gateway["bastion_port"]) == ("allocating", 61000)
    assert gateway["bastion_allowed_ips"] == ["0.0.0.0/0"]
    assert gateway["ipv4"]["gateway_id"] == gateway["id"]
    assert "version" not in gateway
    running = api.request("GET", f"{GW}/gateways/{gateway['id']}")[1]
    assert running["status"] == "running"
    assert running["version"]
    assert api.request("POST", f"{GW}/gateways", {"type": "VPC-GW-XXL"})[0] == 400


def test_a_gateway_refuses_writes_until_its_network_is_ready(api: Api, jump: Jump) -> None:
    """allocating, configuring, running; a new network makes it configuring, and 409 answers every other write."""
    gateway, first, second = make_gateway(api), make_network(api), make_network(api)
    path = f"{GW}/gateways/{gateway['id']}"
    seen = []
    for _ in range(3):
        seen.append(api.request("GET", path)[1]["status"])
        assert (attach(api, gateway, first)[0] == 409) is (seen[-1] != "running")
        jump(2.5)
    assert seen == ["allocating", "configuring", "running"]

    shown = api.request("GET", path)[1]
    assert shown["status"] == "configuring"
    (network,) = shown["gateway_networks"]
    assert network["status"] == "created"
    assert "mac_address" not in network
    refusals = [
        attach(api, gateway, second),
        api.request("PATCH", path, {"name": "other"}),
        api.request("POST", f"{path}/upgrade", {"type": "VPC-GW-M"}),
        api.request("DELETE", path),
        api.request("PUT", f"{path}/bastion-allowed-ips", {"ip_ranges": ["10.0.0.0/8"]}),
    ]
    for status, refusal in refusals:
        assert (status, refusal["type"], refusal["resource"]) == (409, "transient_state", "gateway")
        assert (refusal["resource_id"], refusal["current_state"]) == (gateway["id"], "configuring")
    states = []
    for _ in range(7):
        jump(1.0)
        states.append(api.request("GET", f"{GW}/gateway-networks/{network['id']}")[1]["status"])
    assert list(dict.fromkeys(states)) == ["created", "attaching", "configuring", "ready"]
    assert api.request("GET", path)[1]["status"] == "running"
    assert attach(api, gateway, second)[0] == 200


def test_a_gateway_network_holds_an_address_and_a_default_route(api: Api) -> None:
    """All of it is gone once the network is detached."""
    gateway, network = make_gateway(api), make_network(api)
    _, attached = attach(api, gateway, network)
    listing = f"/ipam/v1/regions/fr-par/ips?resource_type=vpc_gateway_network&resource_id={attached['id']}"
    (ip,) = api.request("GET", listing)[1]["ips"]
    assert (ip["id"], ip["resource"]["name"]) == (attached["ipam_ip_id"], "gw")
    routes = f"/vpc/v2/regions/fr-par/routes-with-nexthop?nexthop_private_network_id={network['id']}"
    (default,) = [r for r in api.request("GET", routes)[1]["routes"] if r["route"]["type"] == "default"]
    assert default["route"]["nexthop_resource_id"] == attached["id"]
    assert (default["nexthop_name"], default["nexthop_resource_type"]) == ("gw", "vpc_gateway_network")
    assert api.request("DELETE", f"/vpc/v2/regions/fr-par/routes/{default['route']['id']}")[0] == 412
    assert attach(api, gateway, network)[0] == 409

    assert api.request("DELETE", f"{NETWORKS}/{network['id']}")[0] == 412
    status, detaching = api.request("DELETE", f"{GW}/gateway-networks/{attached['id']}")
    assert (status, detaching["status"]) == (200, "detaching")
    assert api.request("GET", f"{GW}/gateway-networks/{attached['id']}")[0] == 404
    assert api.request("GET", listing)[1]["ips"] == []
    assert len(api.request("GET", routes)[1]["routes"]) == 2
    assert api.request("DELETE", f"{NETWORKS}/{network['id']}")[0] == 204


def test_a_reserved_address_can_take_the_place_of_the_booked_one(api: Api) -> None:
    """The address that the gateway booked is released, the reserved one stays reserved at the end."""
    gateway, network = make_gateway(api), make_network(api)
    _, attached = attach(api, gateway, network)
    _, reserved = api.request("POST", "/ipam/v1/regions/fr-par/ips", {"source": {"private_network_id": network["id"]}})
    path = f"{GW}/gateway-networks/{attached['id']}"
    status, changed = api.request("PATCH", path, {"ipam_ip_id": reserved["id"]})
    assert (status, changed["status"], changed["ipam_ip_id"]) == (200, "configuring", reserved["id"])
    assert [ip["id"] for ip in ipam.in_network(api.world, network["id"])] == [reserved["id"]]
    api.request("DELETE", path)
    assert api.request("GET", f"/ipam/v1/regions/fr-par/ips/{reserved['id']}")[1]["resource"] is None


@pytest.mark.parametrize(("delete_ip", "left"), [("False", 200), ("True", 404)])
def test_the_address_outlives_its_gateway_unless_asked(api: Api, delete_ip: str, left: int) -> None:
    """An attached address cannot be deleted; `delete_ip` decides whether it goes with the gateway."""
    gateway = make_gateway(api)
    address = f"{GW}/ips/{gateway['ipv4']['id']}"
    status, refusal = api.request("DELETE", address)
    assert (status, refusal["precondition"]) == (412, "resource_still_in_use")
    assert refusal["help_message"] == f"IP is attached to the running gateway with id {gateway['id']}"
    path = f"{GW}/gateways/{gateway['id']}"
    status, deleting = api.request("DELETE", path, query={"delete_ip": delete_ip})
    assert (status, deleting["status"]) == (200, "deleting")
    assert api.request("GET", path)[0] == 404
    status, ip = api.request("GET", address)
    assert status == left
    assert "gateway_id" not in ip
    if left == 200:
        again = make_gateway(api, ip_id=gateway["ipv4"]["id"])
        assert again["ipv4"]["address"] == gateway["ipv4"]["address"]


def test_the_bastion_lets_in_whom_it_is_told_to(api: Api) -> None:
    """Set, add and delete ranges of allowed addresses."""
    path = f"{GW}/gateways/{make_gateway(api)['id']}/bastion-allowed-ips"
    assert api.request("PUT", path, {"ip_ranges": ["10.0.0.0/8"]})[1] == {"ip_ranges": ["10.0.0.0/8"]}
    assert api.request("POST", path, {"ip_range": "192.0.2.1/32"})[1]["ip_ranges"] == ["10.0.0.0/8", "192.0.2.1/32"]
    assert api.request("POST", path, {"ip_range": "everybody"})[0] == 400
    assert api.request("DELETE", f"{path}/10.0.0.0/8")[0] == 204
    gateway = api.request("GET", path.removesuffix("/bastion-allowed-ips"))[1]
    assert gateway["bastion_allowed_ips"] == ["192.0.2.1/32"]


def test_changes_that_reach_the_machine_configure_it(api: Api, jump: Jump) -> None:
    """The answer shows the old state, the next read the new one."""
    path = f"{GW}/gateways/{make_gateway(api)['id']}"
    jump(10)
    for method, suffix, body in (
        ("POST", "/upgrade", {"type": "VPC-GW-M"}),
        ("POST", "/refresh-ssh-keys", {}),
        ("PATCH", "", {"bastion_port": 2222}),
    ):
        status, answer = api.request(method, path + suffix, body)
        assert (status, answer["status"]) == (200, "running"), suffix
        assert api.request("GET", path)[1]["status"] == "configuring"
        jump(10)
    assert api.request("PATCH", path, {"tags": ["a"]})[1]["tags"] == ["a"]
    gateway = api.request("GET", path)[1]
    assert (gateway["status"], gateway["type"], gateway["bandwidth"]) == ("running", "VPC-GW-M", 1000)
    assert gateway["bastion_port"] == 2222
    assert api.request("POST", f"{path}/upgrade", {"type": "VPC-GW-S"})[0] == 412


def test_pat_rules_do_not_share_a_public_port_and_end_with_their_network(api: Api) -> None:
    """Setting rules is all or nothing; detaching the private network removes those that lead into it."""
    gateway, network = make_gateway(api), make_network(api)
    _, attached = attach(api, gateway, network)
    inside = network["subnets"][0]["subnet"].replace("0/22", "9")
    rule = {"gateway_id": gateway["id"], "public_port": 2022, "private_ip": inside, "private_port": 22}
    status, made = api.request("POST", f"{GW}/pat-rules", rule | {"protocol": "tcp"})
    assert (status, made["protocol"]) == (200, "tcp")
    assert api.request("POST", f"{GW}/pat-rules", rule)[0] == 409
    assert api.request("POST", f"{GW}/pat-rules", rule | {"public_port": 0})[0] == 400
    assert api.request("POST", f"{GW}/pat-rules", rule | {"protocol": "udp"})[0] == 200
    wanted = [rule | {"public_port": 80}, rule | {"public_port": 80}]
    assert api.request("PUT", f"{GW}/pat-rules", {"gateway_id": gateway["id"], "pat_rules": wanted})[0] == 409
    listing = {"gateway_ids": gateway["id"]}
    assert api.request("GET", f"{GW}/pat-rules", query=listing)[1]["total_count"] == 2
    status, done = api.request("PUT", f"{GW}/pat-rules", {"gateway_id": gateway["id"], "pat_rules": wanted[:1]})
    assert (status, [r["public_port"] for r in done["pat_rules"]]) == (200, [80])
    api.request("DELETE", f"{GW}/gateway-networks/{attached['id']}")
    assert api.request("GET", f"{GW}/pat-rules", query=listing)[1] == {"pat_rules": [], "total_count": 0}
