"""Managed Databases: states, endpoints, what an instance holds, and the copies of it."""

from __future__ import annotations

import base64
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from scaleway import Client
from scaleway.rdb.v1 import EndpointSpec, EndpointSpecPrivateNetwork, EndpointSpecPrivateNetworkIpamConfig, RdbV1API

from emulator.products.rdb.databases import take_over
from emulator.world import World
from tests.emulator.conftest import Api

RDB = "/rdb/v1/regions/fr-par"
PASSWORD = "Corr3ct-horse!"
ORDER = {
    "name": "db",
    "engine": "PostgreSQL-16",
    "node_type": "db-dev-s",
    "user_name": "owner",
    "password": PASSWORD,
    "is_ha_cluster": False,
    "disable_backup": False,
    "volume_type": "sbs_5k",
    "volume_size": 10_000_000_000,
    "tags": ["stack=test"],
}


def ok(api: Api, method: str, path: str, json: Any = None, **query: Any) -> Any:
    """The body of a call that must succeed."""
    status, body = api.request(method, path, json=json, query=query)
    assert status in {200, 204}, body
    return body


def network(api: Api) -> str:
    """A private network of its own."""
    return str(ok(api, "POST", "/vpc/v2/regions/fr-par/private-networks", {"name": "pn"})["id"])


def order(api: Api, **changes: Any) -> Any:
    """Create an instance; changes go over the usual order."""
    return ok(api, "POST", f"{RDB}/instances", {**ORDER, **changes})


def private(network_id: str) -> list[Any]:
    """The endpoints of an instance that is only in a private network."""
    return [{"private_network": {"private_network_id": network_id, "ipam_config": {}}}]


def instance(api: Api, key: str) -> Any:
    """The instance now."""
    return ok(api, "GET", f"{RDB}/instances/{key}")


def test_private_instance_books_its_address_and_gives_it_back(api: Api) -> None:
    """Its address is in IPAM while it lives, and keeps the network from being deleted."""
    pn = network(api)
    made = order(api, init_endpoints=private(pn))
    assert (made["status"], made["endpoint"], made["settings"]) == ("provisioning", None, [])
    endpoint = made["endpoints"][0]
    assert endpoint["port"] == 5432
    assert endpoint["private_network"]["service_ip"].startswith(endpoint["ip"] + "/")
    ready = instance(api, made["id"])
    assert (ready["status"], ready["endpoints"]) == ("ready", [endpoint])
    assert {s["name"]: s["value"] for s in ready["settings"]}["effective_cache_size"] == "1300"
    ips = ok(api, "GET", "/ipam/v1/regions/fr-par/ips", resource_type="rdb_instance", resource_id=made["id"])["ips"]
    assert [ip["address"] for ip in ips] == [endpoint["private_network"]["service_ip"]]
    pn_path = f"/vpc/v2/regions/fr-par/private-networks/{pn}"
    assert api.request("DELETE", pn_path)[0] == 412
    assert ok(api, "DELETE", f"{RDB}/instances/{made['id']}")["status"] == "deleting"
    assert api.request("GET", f"{RDB}/instances/{made['id']}")[1]["resource"] == "instance"
    assert api.request("DELETE", pn_path)[0] == 204


def test_public_endpoint_appears_when_ready_and_is_open_to_everybody(api: Api) -> None:
    """Without init_endpoints: a load balancer, 0.0.0.0/0, a random port; the ACL can then be closed."""
    made = order(api)
    assert made["endpoints"] == []
    ready = instance(api, made["id"])
    (endpoint,) = ready["endpoints"]
    assert ready["endpoint"] == endpoint
    assert endpoint["load_balancer"] == {}
    acls = f"{RDB}/instances/{made['id']}/acls"
    assert [(rule["ip"], rule["port"]) for rule in ok(api, "GET", acls)["rules"]] == [("0.0.0.0/0", endpoint["port"])]
    rules = [{"ip": "192.0.2.0/24", "description": "office"}, {"ip": "198.51.100.7/32", "description": ""}]
    shown = ok(api, "PUT", acls, {"rules": rules})["rules"]
    assert [rule["description"] for rule in shown] == ["office", "IP allowed"]
    assert [rule["ip"] for rule in ok(api, "DELETE", acls, {"acl_rule_ips": ["192.0.2.0/24"]})["rules"]] == [
        "192.0.2.0/24"
    ]
    assert ok(api, "GET", acls)["total_count"] == 1


def test_states_while_it_is_busy(api: Api) -> None:
    """409 for every change until it is ready, in the words of the API or of the database engine."""
    ready = order(api, name="ready")
    instance(api, ready["id"])
    api.world.latency = 0.05
    made = order(api)
    path = f"{RDB}/instances/{made['id']}"
    busy = {
        ("PATCH", path): ("resource is in a transient state", "instance", "provisioning"),
        ("DELETE", path): ("resource is in a transient state", "instance", "provisioning"),
        ("POST", f"{path}/endpoints"): ("resource is in a transient state", "instance", "provisioning"),
        ("GET", f"{path}/certificate"): ("resource is in a transient state", "instance", "provisioning"),
        ("POST", f"{path}/databases"): ("Database engine is not able to handle your request", "", ""),
        ("PUT", f"{path}/privileges"): ("Database engine is not able to handle your request", "", ""),
    }
    for (method, target), (message, resource, state) in busy.items():
        status, body = api.request(method, target, json={"name": "app"})
        assert (status, body["type"]) == (409, "transient_state")
        assert (body["message"], body["resource"], body["current_state"]) == (message, resource, state)
    path = f"{RDB}/instances/{ready['id']}"
    assert ok(api, "POST", f"{path}/endpoints", {"endpoint_spec": private(network(api))[0]})["port"] == 5432
    assert instance(api, ready["id"])["status"] == "initializing"
    assert api.request("PATCH", path, json={"name": "other"})[0] == 409
    assert ok(api, "GET", f"{RDB}/instances", name="ready")["total_count"] == 1


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"engine": ""}, "engine"),
    ({"engine": "PostgreSQL"}, "engine"),
    ({"engine": "PostgreSQL-13"}, "engine"),
    ({"node_type": "db-huge"}, "node_type"),
    ({"node_type": "db-play2-pico", "volume_type": "lssd"}, "volume_type"),
    ({"volume_size": 7_000_000_000}, "volume_size"),
    ({"volume_size": 0}, "volume_size"),
    ({"password": "simple"}, "password"),
    ({"init_settings": [{"name": "work_mem", "value": "4"}]}, "settings"),
]


@pytest.mark.parametrize(("change", "argument"), REFUSALS)
def test_orders_that_are_refused(api: Api, change: dict[str, Any], argument: str) -> None:
    """400 names the argument, and nothing is made."""
    status, body = api.request("POST", f"{RDB}/instances", json={**ORDER, **change})
    assert (status, body["type"]) == (400, "invalid_arguments")
    assert [detail["argument_name"] for detail in body["details"]] == [argument]
    assert ok(api, "GET", f"{RDB}/instances")["total_count"] == 0


def test_upgrades(api: Api) -> None:
    """One target at a time, no shrinking; settings follow the node under what the user set."""
    key = order(api)["id"]
    path = f"{RDB}/instances/{key}/upgrade"
    grown = ok(api, "POST", path, {"volume_size": 20_000_000_000})
    assert (grown["status"], grown["volume"]["size"]) == ("initializing", 20_000_000_000)
    for bad in ({"volume_size": 10_000_000_000}, {}, {"node_type": "db-gp-s", "enable_ha": True}, {"node_type": "no"}):
        assert api.request("POST", path, json=bad)[0] == 400
    ok(api, "PUT", f"{RDB}/instances/{key}/settings", {"settings": [{"name": "work_mem", "value": "9"}]})
    ok(api, "POST", path, {"node_type": "DB-GP-S"})
    settings = {s["name"]: s["value"] for s in instance(api, key)["settings"]}
    assert (settings["work_mem"], settings["effective_cache_size"]) == ("9", "20000")
    for name, value in (("work_mem", "lots"), ("work_mem", "0"), ("no_such", "1")):
        body = {"settings": [{"name": name, "value": value}]}
        assert api.request("PUT", f"{RDB}/instances/{key}/settings", json=body)[0] == 400


def test_major_upgrade_is_a_new_instance_that_takes_the_endpoints(api: Api) -> None:
    """Blue and green: another id, the same addresses."""
    old = order(api, init_endpoints=private(network(api)))
    version = instance(api, old["id"])["upgradable_version"][0]
    workflow = {"upgradable_version_id": version["id"], "with_endpoints": True}
    new = ok(api, "POST", f"{RDB}/instances/{old['id']}/upgrade", {"major_upgrade_workflow": workflow})
    assert (new["engine"], new["endpoints"], new["id"] != old["id"]) == ("PostgreSQL-17", [], True)
    assert instance(api, new["id"])["endpoints"] == old["endpoints"]
    assert instance(api, old["id"])["endpoints"] == []
    ok(api, "DELETE", f"{RDB}/instances/{old['id']}")
    ips = ok(api, "GET", "/ipam/v1/regions/fr-par/ips", resource_id=new["id"])["ips"]
    assert [ip["resource"]["id"] for ip in ips] == [new["id"]]


def test_users_databases_and_privileges(api: Api) -> None:
    """What is granted keeps its user from being dropped."""
    path = f"{RDB}/instances/{order(api)['id']}"
    assert ok(api, "POST", f"{path}/databases", {"name": "app"}) == {
        "name": "app",
        "managed": True,
        "owner": "",
        "size": 0,
    }
    (shown,) = ok(api, "GET", f"{path}/databases", name="app")["databases"]
    assert shown["owner"] == "_rdb_superadmin"
    assert shown["size"] > 0
    ok(api, "POST", f"{path}/users", {"name": "app", "password": PASSWORD, "is_admin": False})
    assert [user["name"] for user in ok(api, "GET", f"{path}/users")["users"]] == ["app", "owner"]
    refused = {
        ("POST", "databases"): ({"name": "app"}, 409),
        ("POST", "users"): ({"name": "postgres", "password": PASSWORD}, 400),
        ("PATCH", "users/app"): ({"password": "weak"}, 400),
        ("DELETE", "databases/none"): ({}, 404),
        ("PUT", "privileges"): ({"database_name": "app", "user_name": "nobody", "permission": "all"}, 404),
    }
    for (method, target), (body, status) in refused.items():
        assert api.request(method, f"{path}/{target}", json=body)[0] == status
    grant = {"database_name": "app", "user_name": "app", "permission": "readwrite"}
    assert ok(api, "PUT", f"{path}/privileges", grant) == grant
    assert ok(api, "GET", f"{path}/privileges", database_name="app", user_name="app")["privileges"] == [grant]
    status, body = api.request("DELETE", f"{path}/users/app")
    assert (status, body) == (409, {"message": "User cannot be dropped because some objects depend on it"})
    ok(api, "PUT", f"{path}/privileges", {**grant, "permission": "none"})
    assert api.request("DELETE", f"{path}/users/app")[0] == 204


def test_privilege_writes_that_overlap_collide(api: Api) -> None:
    """Two at once: one is refused; one after the other: both pass."""
    path = f"{RDB}/instances/{order(api)['id']}/privileges"
    instance(api, path.split("/")[-2])
    api.world.latency = 1.0

    def grant(permission: str) -> int:
        body = {"database_name": "rdb", "user_name": "owner", "permission": permission}
        client = Api(api.emulator)
        return client.request("PUT", path, json=body)[0]

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(grant, ("readonly", "readwrite"))) == [200, 409]
    assert [grant("all"), grant("none")] == [200, 200]


def test_instance_from_snapshot_is_public_whatever_its_source_was(api: Api) -> None:
    """It holds what the source held then, and everybody may reach it."""
    source = order(api, init_endpoints=private(network(api)))
    path = f"{RDB}/instances/{source['id']}"
    ok(api, "POST", f"{path}/databases", {"name": "app"})
    snapshot = ok(api, "POST", f"{path}/snapshots", {"name": "before"})
    assert (snapshot["status"], snapshot["size"]) == ("creating", None)
    assert ok(api, "GET", f"{RDB}/snapshots/{snapshot['id']}")["size"] == ORDER["volume_size"]
    ok(api, "DELETE", f"{path}/databases/app")
    ok(api, "DELETE", path)
    made = ok(api, "POST", f"{RDB}/snapshots/{snapshot['id']}/create-instance", {"instance_name": "again"})
    restored = instance(api, made["id"])
    assert (restored["name"], restored["tags"]) == ("again", ORDER["tags"])
    assert ["load_balancer" in endpoint for endpoint in restored["endpoints"]] == [True]
    new = f"{RDB}/instances/{made['id']}"
    assert [rule["ip"] for rule in ok(api, "GET", f"{new}/acls")["rules"]] == ["0.0.0.0/0"]
    assert ok(api, "GET", f"{new}/databases", name="app")["total_count"] == 1
    assert api.request("DELETE", f"{RDB}/endpoints/{restored['endpoints'][0]['id']}")[0] == 204
    assert instance(api, made["id"])["endpoints"] == []


def test_backups(api: Api) -> None:
    """Export, restore into another database, expiry."""
    key = order(api)["id"]
    instance(api, key)
    body = {"instance_id": key, "database_name": "rdb", "name": "nightly"}
    backup = ok(api, "POST", f"{RDB}/backups", body)
    path = f"{RDB}/backups/{backup['id']}"
    assert (backup["status"], backup["size"]) == ("creating", None)
    assert ok(api, "GET", path)["status"] == "ready"
    assert ok(api, "POST", f"{path}/export")["status"] == "exporting"
    assert ok(api, "GET", path)["download_url_expires_at"] > backup["created_at"]
    restore = {"instance_id": key, "database_name": "copy"}
    assert ok(api, "POST", f"{path}/restore", restore)["status"] == "restoring"
    assert ok(api, "GET", f"{RDB}/instances/{key}/databases", name="copy")["total_count"] == 1
    assert api.request("POST", f"{RDB}/backups", json={**body, "database_name": "none"})[0] == 404
    assert ok(api, "GET", f"{RDB}/backups", instance_id=key)["total_count"] == 1
    other = ok(api, "POST", "/account/v3/projects", {"name": "other"})["id"]
    assert ok(api, "GET", f"{RDB}/backups", project_id=other)["total_count"] == 0
    ok(api, "PATCH", path, {"expires_at": "2020-01-01T00:00:00Z"})
    assert api.request("GET", path)[1]["resource"] == "database_backup"


def test_read_replica_is_part_of_its_instance_until_promoted(api: Api) -> None:
    """Promotion makes an instance of it."""
    key = order(api)["id"]
    instance(api, key)
    body = {"instance_id": key, "endpoint_spec": [{"direct_access": {}}], "same_zone": True}
    replica = ok(api, "POST", f"{RDB}/read-replicas", body)
    assert (replica["status"], replica["endpoints"]) == ("provisioning", [])
    (shown,) = instance(api, key)["read_replicas"]
    assert (shown["status"], shown["endpoints"][0]["port"]) == ("ready", 5432)
    promoted = ok(api, "POST", f"{RDB}/read-replicas/{replica['id']}/promote")
    assert promoted["name"] == "promoted - db"
    assert instance(api, key)["read_replicas"] == []
    assert api.request("GET", f"{RDB}/read-replicas/{replica['id']}")[0] == 404
    assert instance(api, promoted["id"])["status"] == "ready"


def test_certificate_is_one_and_changes_on_renewal(api: Api) -> None:
    """A certificate that TLS libraries take."""
    path = f"{RDB}/instances/{order(api)['id']}"
    first = ok(api, "GET", f"{path}/certificate")["content"]
    pem = base64.b64decode(first).decode()
    ssl.create_default_context(cadata=pem)
    assert ok(api, "GET", f"{path}/certificate")["content"] == first
    ok(api, "POST", f"{path}/renew-certificate")
    assert ok(api, "GET", f"{path}/certificate")["content"] != first


def test_the_sdk_reads_every_answer(api: Api) -> None:
    """The calls that an engine makes, through Scaleway's own library."""
    client = Client(
        api_url=api.url,
        access_key="SCWLOCAL000000000000",
        secret_key="22222222-2222-4222-8222-222222222222",
        default_project_id="11111111-1111-4111-8111-111111111111",
        default_region="fr-par",
    )
    rdb = RdbV1API(client)
    spec = EndpointSpecPrivateNetwork(
        private_network_id=network(api), ipam_config=EndpointSpecPrivateNetworkIpamConfig()
    )
    made = rdb.create_instance(
        engine="PostgreSQL-17",
        user_name="owner",
        password=PASSWORD,
        node_type="db-play2-pico",
        is_ha_cluster=False,
        disable_backup=False,
        volume_size=10_000_000_000,
        volume_type="sbs_5k",  # type: ignore[arg-type]
        backup_same_region=False,
        init_endpoints=[EndpointSpec(private_network=spec)],
    )
    ready = rdb.wait_for_instance(instance_id=made.id)
    assert ready.status == "ready"
    assert ready.endpoints[0].private_network is not None
    rdb.update_instance(instance_id=made.id, backup_schedule_frequency=12, backup_schedule_retention=3)
    rdb.create_database(instance_id=made.id, name="app")
    rdb.create_user(instance_id=made.id, name="app", password=PASSWORD, is_admin=False)
    rdb.set_privilege(instance_id=made.id, database_name="app", user_name="app", permission="all")  # type: ignore[arg-type]
    assert [p.permission for p in rdb.list_privileges_all(instance_id=made.id, user_name="app", database_name="app")]
    backup = rdb.create_database_backup(instance_id=made.id, database_name="app", name="b")
    assert rdb.wait_for_database_backup(database_backup_id=backup.id).size
    snapshot = rdb.create_snapshot(instance_id=made.id, name="s")
    assert rdb.wait_for_snapshot(snapshot_id=snapshot.id).volume_type is not None
    assert "PostgreSQL" in [engine.name for engine in rdb.list_database_engines_all()]
    assert rdb.list_node_types_all(include_disabled_types=False)[0].volume_constraint is not None
    assert rdb.prepare_instance_logs(instance_id=made.id).instance_logs[0].node_name
    assert rdb.get_instance_certificate(instance_id=made.id).name == "ssl_certificate"
    assert rdb.get_endpoint(endpoint_id=ready.endpoints[0].id).ip == ready.endpoints[0].ip
    rdb.delete_instance(instance_id=made.id)
    assert rdb.list_instances_all() == []


def database(name: str, oid: int | None = None) -> dict[str, Any]:
    """A database; without an oid it is still to be made."""
    return {"name": name, "managed": True, "owner": "x", **({"_oid": oid} if oid else {})}


@pytest.mark.parametrize(
    ("noted", "dropped", "there", "expected"),
    [
        pytest.param([("a", 1)], [], [("a", 1), ("b", 2)], [("a", 1), ("b", 2)], id="made in SQL"),
        pytest.param([("a", 1)], [], [("a_before", 1)], [("a_before", 1)], id="renamed in SQL"),
        pytest.param([("a", 1), ("b", 2)], [], [("b", 2)], [("b", 2)], id="dropped in SQL"),
        pytest.param([("a", None)], [], [], [("a", None)], id="still to be made"),
        pytest.param([("a", None)], [], [("a", 3)], [("a", 3)], id="made now"),
        pytest.param([], ["a"], [("a", 1)], [], id="still to be dropped"),
        pytest.param([("a", None)], ["a"], [("a", 1)], [("a", None)], id="to be dropped and made anew"),
    ],
)
def test_what_a_server_has_is_taken_over(
    noted: list[tuple[str, int | None]],
    dropped: list[str],
    there: list[tuple[str, int]],
    expected: list[tuple[str, int | None]],
) -> None:
    """Users make, rename and drop databases in SQL; what the API was told and has not come about stays."""
    instance = {
        "id": "i",
        "_databases": [database(*each) for each in noted],
        "_dropped": [{"id": name, "name": name} for name in dropped],
    }
    take_over(World(), instance, [database(*each) for each in there])
    assert instance["_databases"] == [database(*each) for each in expected]
