"""Managed Redis: how a cluster is reached, what it goes through, and what it refuses."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509

from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import Api

REDIS = "/redis/v1/zones/fr-par-1"
CLUSTER = {"name": "cache", "version": "8.6.3", "node_type": "RED1-XS", "user_name": "app", "password": "S3cret-pass"}


def ok(answer: tuple[int, Any]) -> Any:
    """The body of a successful call."""
    assert answer[0] == 200, answer
    return answer[1]


def new_cluster(api: Api, **fields: Any) -> Any:
    """A cluster that is ready."""
    made = ok(api.request("POST", f"{REDIS}/clusters", {**CLUSTER, "tls_enabled": True, **fields}))
    assert (made["status"], made["updated_at"]) == ("provisioning", None)
    ready = ok(api.request("GET", f"{REDIS}/clusters/{made['id']}"))
    assert ready["status"] == "ready"
    return ready


def new_private_network(api: Api, subnet: str = "10.9.0.0/24") -> str:
    """A private network of its own; the tables are enough for a cluster."""
    world = api.world
    subnets = [{"id": world.new_id(), "subnet": subnet}]
    row = {"id": world.new_id(), "region": "fr-par", "subnets": subnets, "project_id": DEFAULT_PROJECT}
    return str(world.put("vpc.private_networks", row)["id"])


def private(network: str, *addresses: str) -> dict[str, Any]:
    """An endpoint in a private network, with addresses of IPAM or of our own."""
    return {"private_network": {"id": network, "service_ips": list(addresses), "ipam_config": {}}}


def test_a_cluster_without_endpoints_is_public_and_has_its_address_late(api: Api) -> None:
    """The default that exposes a cluster to the world."""
    made = ok(api.request("POST", f"{REDIS}/clusters", CLUSTER))
    [endpoint] = made["endpoints"]
    assert (endpoint["public_network"], endpoint["ips"], endpoint["port"]) == ({}, [], 6379)
    [endpoint] = ok(api.request("GET", f"{REDIS}/clusters/{made['id']}"))["endpoints"]
    assert len(endpoint["ips"]) == 1
    assert api.request("GET", f"{REDIS}/clusters/{made['id']}/certificate")[0] == 404

    content = ok(api.request("GET", f"{REDIS}/clusters/{new_cluster(api)['id']}/certificate"))["content"]
    names = x509.load_pem_x509_certificate(base64.b64decode(content)).subject
    assert names.rfc4514_string().startswith("CN=51.159.")


def test_writes_lead_through_states_and_meet_a_busy_cluster_with_409(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write has its own path; `error` is told as a transient state, too."""
    cluster = new_cluster(api)
    path = f"{REDIS}/clusters/{cluster['id']}"
    now = api.world.now()
    api.world.latency = 0.001
    monkeypatch.setattr(api.world, "now", lambda: now)

    def states(method: str, url: str, body: Any) -> list[str]:
        nonlocal now
        ok(api.request(method, url, body))
        seen = [ok(api.request("GET", path))["status"]]
        if seen != ["ready"]:
            status, refused = api.request("PATCH", path, {"name": "late"})
            assert (status, refused["type"], refused["current_state"]) == (409, "transient_state", seen[0])
        for _ in range(40):
            now += 0.005
            status = ok(api.request("GET", path))["status"]
            seen += [status] if status != seen[-1] else []
        return seen

    assert states("PATCH", path, {"name": "renamed", "tags": ["a"]}) == ["ready"]
    assert states("PATCH", path, {"password": "An0ther-pass"}) == ["provisioning", "ready"]
    assert states("PUT", f"{path}/acls", {"acl_rules": [{"ip_cidr": "10.0.0.0/8"}]}) == ["configuring", "ready"]
    settings = {"settings": [{"name": "maxclients", "value": "200"}]}
    assert states("PUT", f"{path}/settings", settings) == ["configuring", "ready"]
    long_way = ["provisioning", "initializing", "ready"]
    assert states("POST", f"{path}/migrate", {"node_type": "RED1-S"}) == long_way
    assert states("PUT", f"{path}/endpoints", {"endpoints": [{"public_network": {}}]}) == long_way
    seen = ok(api.request("GET", path))
    assert (seen["name"], seen["node_type"], seen["acl_rules"][0]["ip_cidr"]) == ("renamed", "RED1-S", "10.0.0.0/8")
    assert seen["cluster_settings"] == settings["settings"]

    api.world.tables["redis.clusters"][cluster["id"]]["status"] = "error"
    status, refused = api.request("DELETE", path)
    assert (status, refused["type"], refused["current_state"]) == (409, "transient_state", "error")


def test_private_endpoints_book_an_address_for_each_node_and_give_them_back(api: Api) -> None:
    """A cluster grows within cluster mode, and its network is fixed there."""
    network = new_private_network(api)
    cluster = new_cluster(api, cluster_size=3, endpoints=[private(network)])
    path = f"{REDIS}/clusters/{cluster['id']}"
    [endpoint] = cluster["endpoints"]
    assert endpoint["ips"] == ["10.9.0.2", "10.9.0.3", "10.9.0.4"]
    assert endpoint["private_network"]["service_ips"][0] == "10.9.0.2/24"
    assert endpoint["private_network"]["provisioning_mode"] == "ipam"
    for method, url, body in (
        ("PUT", "endpoints", {"endpoints": [{"public_network": {}}]}),
        ("PUT", "acls", {"acl_rules": [{"ip_cidr": "10.0.0.0/8"}]}),
        ("POST", "migrate", {"cluster_size": 1}),
    ):
        assert api.request(method, f"{path}/{url}", body)[0] == 400
    grown = ok(api.request("POST", f"{path}/migrate", {"cluster_size": 5}))
    assert (grown["status"], len(grown["endpoints"][0]["ips"])) == ("provisioning", 5)
    holders = {ip["resource"]["type"] for ip in api.world.all("ipam.ips")}
    assert (holders, len(api.world.all("ipam.ips"))) == ({"redis_cluster"}, 5)

    assert ok(api.request("GET", path))["status"] == "ready"
    assert ok(api.request("DELETE", path))["status"] == "deleting"
    status, gone = api.request("GET", path)
    assert (status, gone["resource"]) == (404, "cluster")
    assert api.world.all("ipam.ips") == []


def test_endpoints_are_replaced_added_moved_and_removed(api: Api) -> None:
    """Of a standalone: a static address is not in IPAM, and a replaced endpoint has a new id."""
    first, second = new_private_network(api), new_private_network(api, "10.10.0.0/24")
    cluster = new_cluster(api, endpoints=[private(first, "10.12.1.0/20")])
    path = f"{REDIS}/clusters/{cluster['id']}"
    assert cluster["endpoints"][0]["private_network"]["provisioning_mode"] == "static"
    assert api.world.all("ipam.ips") == []
    replaced = ok(api.request("PUT", f"{path}/endpoints", {"endpoints": [private(first)]}))["endpoints"]
    assert replaced[0]["id"] != cluster["endpoints"][0]["id"]
    ok(api.request("GET", path))
    moved = ok(api.request("PATCH", f"{REDIS}/endpoints/{replaced[0]['id']}", private(second)))
    assert (moved["id"], moved["ips"]) == (replaced[0]["id"], ["10.10.0.2"])
    added = ok(api.request("POST", f"{path}/endpoints", {"endpoints": [{"public_network": {}}]}))
    assert added["endpoints"][-1]["ips"], "nodes that exist have a public address at once"
    assert added["total_count"] == 2
    left = ok(api.request("DELETE", f"{REDIS}/endpoints/{moved['id']}"))["endpoints"]
    assert [sorted(endpoint) for endpoint in left] == [["id", "ips", "port", "public_network"]]
    assert api.world.all("ipam.ips") == []


@pytest.mark.parametrize(
    ("fields", "argument"),
    [
        ({"password": ""}, "password"),
        ({"version": "5.0.0"}, "version"),
        ({"node_type": "RED9-XS"}, "node_type"),
        ({"cluster_size": 7}, "cluster_size"),
        ({"acl_rules": [{"ip_cidr": "everywhere", "description": ""}]}, "ip_cidr"),
        ({"cluster_settings": [{"name": "maxclients", "value": "1"}]}, "cluster_settings"),
        ({"cluster_settings": [{"name": "appendonly", "value": "yes"}]}, "cluster_settings"),
        ({"endpoints": [{"public_network": {}}, {"public_network": {}}]}, "endpoints"),
    ],
)
def test_unfit_input_is_refused(api: Api, fields: Any, argument: str) -> None:
    """400 names the argument, and nothing is made."""
    status, refused = api.request("POST", f"{REDIS}/clusters", {**CLUSTER, **fields})
    assert (status, refused["type"]) == (400, "invalid_arguments")
    assert refused["details"][0]["argument_name"] == argument
    assert ok(api.request("GET", f"{REDIS}/clusters"))["total_count"] == 0


def test_lists_are_filtered(api: Api) -> None:
    """By tags, name, version and project; deprecated versions only if asked for."""
    for name, tags in (("one", ["a"]), ("two", ["a", "b"])):
        new_cluster(api, name=name, tags=tags)
    for query, names in (
        ({"tags": "b"}, ["two"]),
        ({"name": "one"}, ["one"]),
        ({"version": "7.0.5"}, []),
        ({"project_id": DEFAULT_PROJECT, "order_by": "created_at_desc"}, ["two", "one"]),
    ):
        clusters = ok(api.request("GET", f"{REDIS}/clusters", query=query))["clusters"]
        assert [cluster["name"] for cluster in clusters] == names
    versions = ok(api.request("GET", f"{REDIS}/cluster-versions", query={"include_deprecated": "False"}))["versions"]
    assert [version["version"] for version in versions] == ["8.6.3"]
    assert ok(api.request("GET", f"{REDIS}/node-types"))["total_count"] > 5
