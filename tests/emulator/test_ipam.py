"""Addresses of private networks: booked by users and by the resources they attach."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.products import ipam
from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import Api

IPS = "/ipam/v1/regions/fr-par/ips"
NETWORKS = "/vpc/v2/regions/fr-par/private-networks"


@pytest.fixture
def network(api: Api) -> Any:
    """A private network of 10.9.0.0/24."""
    return api.request("POST", NETWORKS, {"name": "app", "subnets": ["10.9.0.0/24"]})[1]


def book(api: Api, network: Any, **fields: Any) -> tuple[int, Any]:
    """Reserve an address for nobody yet."""
    return api.request("POST", IPS, {"source": {"private_network_id": network["id"]}, "is_ipv6": False, **fields})


def hold(api: Api, network: Any, holder: str, name: str) -> Any:
    """What a product does when it attaches one of its resources."""
    return ipam.book(
        api.world,
        project_id=DEFAULT_PROJECT,
        region="fr-par",
        private_network_id=network["id"],
        resource={"type": "lb_server", "id": holder, "mac_address": ipam.mac_address(api.world), "name": name},
    )


def test_the_next_free_address_comes_with_the_mask_of_its_subnet(api: Api, network: Any) -> None:
    """Chosen addresses begin at .2 and leave out those that are taken."""
    assert book(api, network, address="10.9.0.3")[1]["address"] == "10.9.0.3/24"
    assert [book(api, network)[1]["address"] for _ in range(3)] == ["10.9.0.2/24", "10.9.0.4/24", "10.9.0.5/24"]
    _, six = book(api, network, is_ipv6=True)
    assert six["address"].endswith("/64")
    assert six["source"] == {"subnet_id": network["subnets"][1]["id"]}


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"address": "10.9.1.4"}, 400),
        ({"address": "10.9.0.0"}, 400),
        ({"address": "10.9.0.255"}, 400),
        ({"address": "ten"}, 400),
        ({"address": "10.9.0.2"}, 409),
        ({"resource": {"mac_address": "nonsense"}}, 400),
        ({"source": {"zonal": "fr-par-1"}}, 400),
        ({"source": {"private_network_id": DEFAULT_PROJECT}}, 404),
    ],
)
def test_a_booking_that_cannot_be_is_refused_and_leaves_nothing(
    api: Api, network: Any, fields: dict[str, Any], status: int
) -> None:
    """Outside the subnet, unusable, taken, or not from a private network."""
    book(api, network)
    assert book(api, network, **fields)[0] == status
    assert api.request("GET", IPS)[1]["total_count"] == 1


def test_a_reserved_address_outlives_its_resource_and_blocks_its_network(api: Api, network: Any) -> None:
    """What a product booked for itself goes with the resource; what the user reserved has to be released."""
    _, reserved = book(api, network)
    holder = {"type": "vpc_gateway_network", "id": "gn", "mac_address": None, "name": "gw"}
    ipam.attach(api.world, reserved["id"], holder)
    taken = hold(api, network, "gn", "gw")
    assert api.request("DELETE", f"{IPS}/{reserved['id']}")[0] == 412
    ipam.release_of(api.world, "gn")
    assert api.request("GET", f"{IPS}/{taken['id']}")[0] == 404
    assert api.request("GET", f"{IPS}/{reserved['id']}")[1]["resource"] is None
    assert api.request("DELETE", f"{NETWORKS}/{network['id']}")[0] == 412
    assert api.request("DELETE", f"{IPS}/{reserved['id']}")[0] == 204
    assert api.request("DELETE", f"{NETWORKS}/{network['id']}")[0] == 204


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["web", "db", None]),
        ({"order_by": "created_at_asc"}, [None, "db", "web"]),
        ({"attached": "True"}, ["web", "db"]),
        ({"attached": "false"}, [None]),
        ({"resource_name": "we"}, ["web"]),
        ({"resource_id": "lb-2"}, ["web"]),
        ({"resource_ids": ["lb-1", "lb-2"]}, ["web", "db"]),
        ({"resource_type": "lb_server"}, ["web", "db"]),
        ({"resource_types": "rdb_instance"}, []),
        ({"resource_type": "unknown_type"}, ["web", "db", None]),
        ({"tags": ["a", "z"]}, [None]),
        ({"is_ipv6": "true"}, []),
        ({"private_network_id": DEFAULT_PROJECT}, []),
        ({"zonal": "fr-par-1"}, []),
        ({"project_id": DEFAULT_PROJECT}, ["web", "db", None]),
    ],
)
def test_list_filters(api: Api, network: Any, query: dict[str, Any], expected: list[str | None]) -> None:
    """Every filter that an engine looks resources up with; newest first unless told."""
    book(api, network, tags=["a", "b"])
    hold(api, network, "lb-1", "db")
    hold(api, network, "lb-2", "web")
    status, listed = api.request("GET", IPS, query=query)
    assert status == 200
    assert [(ip["resource"] or {}).get("name") for ip in listed["ips"]] == expected
    assert listed["total_count"] == len(expected)


def test_a_new_attachment_is_not_listed_at_once(api: Api, network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists may lag by about a second after an attachment (Scaleway latencies, 2)."""
    moment = api.world.now()
    monkeypatch.setattr(api.world, "now", lambda: moment)
    monkeypatch.setattr(api.world, "latency", 0.01)
    ip = hold(api, network, "lb-1", "web")
    assert api.request("GET", IPS)[1]["ips"] == []
    assert api.request("GET", f"{IPS}/{ip['id']}")[0] == 200
    monkeypatch.setattr(api.world, "now", lambda: moment + 0.01)
    assert api.request("GET", IPS)[1]["total_count"] == 1


def test_custom_resources_are_mac_addresses(api: Api, network: Any) -> None:
    """Attach, move and detach name the resource by its MAC address, which comes back in capitals."""
    _, ip = book(api, network, resource={"mac_address": "bc:24:11:74:d0:5a"})
    assert ip["resource"] == {"id": ip["id"], "mac_address": "BC:24:11:74:D0:5A", "name": None, "type": "custom"}
    first, second = {"mac_address": "bc:24:11:74:d0:5a"}, {"mac_address": "bc:24:11:74:d0:5b"}
    path = f"{IPS}/{ip['id']}"
    assert api.request("POST", f"{path}/attach", {"resource": second})[0] == 412
    assert api.request("POST", f"{path}/move", {"from_resource": second, "to_resource": first})[0] == 400
    _, moved = api.request("POST", f"{path}/move", {"from_resource": first, "to_resource": second})
    assert moved["resource"]["mac_address"] == "BC:24:11:74:D0:5B"
    assert api.request("POST", f"{path}/detach", {"resource": second})[1]["resource"] is None
    assert api.request("POST", "/ipam/v1/regions/fr-par/ip-sets/release", {"ip_ids": [ip["id"]]})[0] == 204
    assert api.request("GET", path)[1]["resource"] == "ip"


def test_reverse_names_are_read_back_after_the_answer(api: Api, network: Any) -> None:
    """The answer of the update itself shows no reverse names."""
    _, ip = book(api, network)
    path = f"{IPS}/{ip['id']}"
    change = {"tags": ["x"], "reverses": [{"hostname": "app.example.com", "address": "10.9.0.2"}]}
    _, answer = api.request("PATCH", path, change)
    assert (answer["tags"], answer["reverses"]) == (["x"], [])
    assert api.request("GET", path)[1]["reverses"] == [{"hostname": "app.example.com.", "address": "10.9.0.2"}]
