"""The load balancer's kinds against the local Scaleway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from activities.cloud import Cloud
from activities.lifecycle import NO_PARENT, Lifecycle, Parent, Scope
from activities.registry import LIFECYCLES
from blueprint.errors import Gone, StillInUse, Unavailable, Unresolved
from blueprint.kinds.node import release_id
from blueprint.resource import Observed, Resource, resolve_known
from tests.activities.conftest import Control, declared, differences

LB = "/lb/v1/zones/fr-par-1"
FILE: dict[str, Any] = {
    "nodes": {"core": {"count": 2, "type": "DEV1-M"}},
    "load_balancer": {
        "type": "LB-S",
        "ipv6": True,
        "backends": {"api": {"nodes": "core", "sticky": "cookie"}},
        "certificates": {"api": {"domains": ["api.lssm.tech", "api.equitya.lssm.tech"]}},
    },
    "dns": {
        "lssm.tech": {
            "records": [
                {"name": "api", "target": "load_balancer"},
                {"name": "api.equitya", "target": "load_balancer"},
                {"name": "other", "target": "load_balancer"},
            ]
        }
    },
}
ORDER = ("vpc", "private_network", "lb_ip", "lb", "lb_private_network", "dns_zone", "dns_record")
UNDER_IT = ("lb_backend", "lb_certificate", "lb_frontend", "lb_acl")


def changed(**load_balancer: Any) -> dict[str, Any]:
    """The file with some keys of its load balancer changed."""
    return {**FILE, "load_balancer": {**FILE["load_balancer"], **load_balancer}}


class Site:
    """What a file asks for, as far as it is made."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.resources = declared(FILE)
        self.made: dict[str, Observed] = {}
        self.outputs = {f"private_nic.core-0{n}": {"address": f"10.0.0.{n}", "host_network": ""} for n in (1, 2)}

    def lifecycle(self, key: str) -> Lifecycle:
        """The lifecycle of a resource's kind."""
        return LIFECYCLES[self.resources[key].kind](self.cloud)

    def resource(self, key: str) -> Resource:
        """A resource with its references resolved."""
        resource = self.resources[key]
        inputs = {**resource.inputs}
        if resource.parent:
            inputs["parent_id"] = self.made[resource.parent].id
        fields = resolve_known(resource.fields, self.outputs, key)
        return resource.model_copy(update={"fields": fields, "inputs": inputs})

    def note(self, key: str, object_id: str) -> Observed:
        """Read what has just been made."""
        resource = self.resource(key)
        parent = resource.inputs.get("parent_id", "")
        item = Observed(kind=resource.kind, name=resource.name, id=object_id, parent_id=parent)
        self.made[key] = self.lifecycle(key).read(item)
        self.outputs[key] = self.made[key].outputs
        return self.made[key]

    def make(self, *kinds: str) -> None:
        """Make every resource of these kinds."""
        for kind in kinds:
            for key in [key for key, resource in self.resources.items() if resource.kind == kind]:
                self.note(key, self.lifecycle(key).create(self.resource(key)))

    def listed(self, key: str) -> Observed:
        """The object of a resource, as a plan sees it."""
        resource = self.resources[key]
        parent = (
            Parent(self.made[resource.parent].id, self.made[resource.parent].name) if resource.parent else NO_PARENT
        )
        (item,) = [item for item in self.lifecycle(key).list(parent, Scope()) if item.name == resource.name]
        return item


@pytest.fixture
def site(cloud: Cloud) -> Site:
    """All but what is under the load balancer."""
    site = Site(cloud)
    site.make(*ORDER)
    return site


def test_what_was_made_is_as_declared(site: Site, emulator: Control) -> None:
    """Every kind reads back as it was sent, is ours and ready; the load balancer has our addresses and no other."""
    site.make(*UNDER_IT)

    for key in [key for key, resource in site.resources.items() if resource.kind.startswith("lb")]:
        item = site.listed(key)
        assert not differences(site.resource(key), item), key
        assert (item.ownership, item.health) == ("ours", "ok"), key
        assert site.made[key].health == "ok"
    addresses = [ip["ip_address"] for ip in emulator.call("GET", f"{LB}/ips")["ips"]]
    assert sorted(addresses) == sorted(site.outputs[f"lb_ip.ipv{version}"]["address"] for version in (4, 6))
    assert site.made["lb.main"].uses == tuple(sorted(site.made[f"lb_ip.ipv{version}"].id for version in (4, 6)))


BACKEND_CHANGES: dict[str, Any] = {
    "port": 8080,
    "balance": "leastconn",
    "sticky": "table",
    "proxy_protocol": "v2",
    "on_marked_down": "shutdown_sessions",
    "connect_timeout": "1500ms",
    "server_timeout": "10s",
    "tunnel_timeout": "1h",
    "queue_timeout": "250ms",
    "max_connections": 100,
    "max_retries": 0,
    "redispatch": False,
    "health_check": {"path": "/up", "expected_code": 204, "interval": "2s", "timeout": "1s", "retries": 2, "port": 81},
}


@pytest.mark.parametrize(
    ("key", "load_balancer"),
    [("lb_backend.api", {"backends": {"api": {"nodes": "core", "sticky": "cookie", name: value}}})
     for name, value in BACKEND_CHANGES.items()]
    + [
        ("lb.main", {"type": "LB-GP-M"}),
        ("lb.main", {"ssl_compatibility": "modern"}),
        ("lb_frontend.https", {"frontends": {"http": {"port": 80}, "https": {"port": 8443, "certificates": ["api"]}}}),
        ("lb_frontend.http", {"frontends": {"http": {"port": 80, "client_timeout": "5s", "access_logs": True},
                                            "https": {"port": 443, "certificates": ["api"]}}}),
    ],
)  # fmt: skip
def test_every_field_can_be_changed(site: Site, key: str, load_balancer: dict[str, Any]) -> None:
    """A change shows, is carried out, and leaves everything else as it was."""
    site.make(*UNDER_IT)
    site.resources = declared(changed(**load_balancer))
    wanted, item = site.resource(key), site.listed(key)
    found = differences(wanted, item)
    assert found

    site.lifecycle(key).update(wanted, item, found)

    assert not differences(wanted, site.listed(key))


def test_pool_follows_the_nodes(site: Site, emulator: Control) -> None:
    """Another number of nodes is one call, which touches nothing but the pool."""
    site.make(*UNDER_IT)
    site.resources = declared({**FILE, "nodes": {"core": {"count": 1, "type": "DEV1-M"}}})
    wanted, item = site.resource("lb_backend.api"), site.listed("lb_backend.api")
    emulator.call("DELETE", "/_emulator/requests")

    site.lifecycle("lb_backend.api").update(wanted, item, differences(wanted, item))

    assert list(emulator.requests()["operations"]) == ["PUT /lb/v1/zones/{zone}/backends/{backend_id}/servers"]
    assert site.listed("lb_backend.api").fields["server_ip"] == ["10.0.0.1"]


def test_pool_holds_on_to_its_nodes(site: Site, emulator: Control) -> None:
    """A node that leaves is taken out of the pool first."""
    servers = "/instance/v1/zones/fr-par-1/servers"
    body = {"name": "core", "commercial_type": "DEV1-S", "image": "debian_bookworm"}
    server = emulator.call("POST", servers, body)["server"]
    network = {"private_network_id": site.made["private_network.core"].id}
    nic = emulator.call("POST", f"{servers}/{server['id']}/private_nics", network)["private_nic"]
    (ip,) = emulator.call("GET", "/ipam/v1/regions/fr-par/ips", query={"resource_id": nic["id"], "is_ipv6": False})[
        "ips"
    ]
    site.outputs["private_nic.core-02"]["address"] = ip["address"].split("/")[0]
    site.make("lb_backend")

    assert site.listed("lb_backend.api").uses == (nic["id"], release_id(nic["id"]))


def test_ipv6_can_be_added(cloud: Cloud) -> None:
    """A load balancer takes a second address while it runs; its first one it keeps."""
    site = Site(cloud)
    site.resources = declared(changed(ipv6=False))
    site.make("lb_ip", "lb")
    site.resources = declared(FILE)
    site.note("lb_ip.ipv6", site.lifecycle("lb_ip.ipv6").create(site.resource("lb_ip.ipv6")))
    wanted, item = site.resource("lb.main"), site.listed("lb.main")
    assert [difference.path for difference in differences(wanted, item)] == ["ipv6"]

    site.lifecycle("lb.main").update(wanted, item, differences(wanted, item))

    assert not differences(wanted, site.listed("lb.main"))


@pytest.mark.parametrize(
    ("key", "operation"),
    [
        ("lb_ip.ipv4", "POST /lb/v1/zones/{zone}/ips"),
        ("lb.main", "POST /lb/v1/zones/{zone}/lbs"),
        ("lb_private_network.main", "POST /lb/v1/zones/{zone}/lbs/{lb_id}/attach-private-network"),
        ("lb_backend.api", "POST /lb/v1/zones/{zone}/lbs/{lb_id}/backends"),
        ("lb_certificate.api", "POST /lb/v1/zones/{zone}/lbs/{lb_id}/certificates"),
        ("lb_frontend.http", "POST /lb/v1/zones/{zone}/lbs/{lb_id}/frontends"),
        ("lb_acl.http", "POST /lb/v1/zones/{zone}/frontends/{frontend_id}/acls"),
    ],
)
def test_lost_answer(cloud: Cloud, emulator: Control, key: str, operation: str) -> None:
    """What was made without our hearing of it is found again, once; deleted, it is not."""
    site = Site(cloud)
    for kind in (*ORDER, *UNDER_IT):
        if kind == site.resources[key].kind:
            break
        site.make(kind)
    lifecycle, wanted = site.lifecycle(key), site.resource(key)
    assert not lifecycle.find(wanted)
    emulator.faults({"operation": operation, "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create(wanted)

    (found,) = lifecycle.find(wanted)
    assert not differences(wanted, found)
    lifecycle.delete(found)
    assert not lifecycle.find(wanted)
    with pytest.raises(Gone):
        lifecycle.read(found)


@pytest.mark.parametrize("key", ["lb_backend.api", "lb_frontend.http", "lb_acl.http"])
def test_ready_means_the_instances_are(site: Site, emulator: Control, key: str) -> None:
    """The load balancer says "ready" while its instances still have the old configuration."""
    site.make(*UNDER_IT)
    lifecycle, wanted = site.lifecycle(key), site.resource(key)
    emulator.faults({"operation": "mutating", "kind": "stuck", "count": None})

    lifecycle.update(wanted, site.made[key], differences(wanted, site.made[key].model_copy(update={"fields": {}})))

    assert emulator.call("GET", f"{LB}/lbs/{site.made['lb.main'].id}")["status"] == "ready"
    assert lifecycle.read(site.made[key]).health == "pending"
    assert site.listed("lb.main").health == "pending"


def test_certificate_waits_for_dns(site: Site, emulator: Control) -> None:
    """A common name that does not lead here yet is worth another try; another name ends in error, which says why."""
    lifecycle = site.lifecycle("lb_certificate.api")
    wanted = site.resource("lb_certificate.api")
    nowhere = wanted.model_copy(update={"fields": {"domains": ["nowhere.lssm.tech"]}})
    with pytest.raises(Unresolved):
        lifecycle.create(nowhere)

    half = wanted.model_copy(update={"fields": {"domains": ["api.lssm.tech", "nowhere.lssm.tech"]}})
    failed = lifecycle.read(
        Observed(kind=half.kind, name=half.name, id=lifecycle.create(half), parent_id=site.made["lb.main"].id)
    )
    assert failed.health == "failed"
    assert "nowhere.lssm.tech does not resolve" in failed.status
    lifecycle.delete(failed)
    assert not lifecycle.find(wanted)


def test_certificate_in_use(site: Site, emulator: Control) -> None:
    """It cannot be deleted; one that failed to renew makes room for its successor, and is shown until that is there."""
    site.make(*UNDER_IT)
    lifecycle, wanted, item = (
        site.lifecycle("lb_certificate.api"),
        site.resource("lb_certificate.api"),
        site.listed("lb_certificate.api"),
    )
    with pytest.raises(StillInUse):
        lifecycle.delete(item)

    snapshot = emulator.call("GET", "/_emulator/snapshot")
    snapshot["world"]["tables"]["lb.certificates"][item.id]["status"] = "error"
    emulator.call("PUT", "/_emulator/snapshot", snapshot)
    failed = site.listed("lb_certificate.api")
    assert failed.health == "failed"
    lifecycle.delete(failed)

    assert not lifecycle.find(wanted)
    with pytest.raises(Gone):
        lifecycle.read(failed)
    assert site.listed("lb_frontend.https").fields["certificate_ids"] == [failed.id]


def test_deletion_leaves_the_addresses(site: Site, emulator: Control) -> None:
    """An address is refused to go while it is in use, and goes with nothing but a step of its own."""
    for key in ("lb_ip.ipv4", "lb_ip.ipv6"):
        with pytest.raises(StillInUse):
            site.lifecycle(key).delete(site.made[key])
    site.lifecycle("lb_private_network.main").delete(site.made["lb_private_network.main"])
    site.lifecycle("lb.main").delete(site.made["lb.main"])
    with pytest.raises(Gone):
        site.lifecycle("lb.main").read(site.made["lb.main"])

    for key in ("lb_ip.ipv4", "lb_ip.ipv6"):
        assert site.listed(key).ownership == "ours"
        site.lifecycle(key).delete(site.made[key])
    assert not emulator.call("GET", f"{LB}/ips")["ips"]


def test_made_by_hand(cloud: Cloud, emulator: Control) -> None:
    """A load balancer of our name without our tags, and all that is under it, is foreign until it is adopted."""
    lb = emulator.call("POST", f"{LB}/lbs", {"name": "lb-lssm-prod", "type": "LB-S"})
    emulator.call("POST", f"{LB}/lbs/{lb['id']}/backends", {"name": "api", "forward_port": 3000})
    emulator.call("POST", f"{LB}/ips", {})
    site = Site(cloud)
    site.resources = declared(changed(ipv6=False))

    def objects() -> Iterator[tuple[str, str]]:
        for kind, parent in (("lb_ip", NO_PARENT), ("lb", NO_PARENT), ("lb_backend", Parent(lb["id"], lb["name"]))):
            for item in LIFECYCLES[kind](cloud).list(parent, Scope()):
                if item.name.startswith("lb-lssm-prod"):
                    yield item.name, item.ownership

    names = ("lb-lssm-prod/ipv4", "lb-lssm-prod", "lb-lssm-prod/api")
    assert list(objects()) == [(name, "foreign") for name in names]

    for key in ("lb_ip.ipv4", "lb.main"):
        site.made[key] = site.listed(key)
        site.outputs[key] = site.made[key].outputs
        wanted = site.resource(key)
        site.lifecycle(key).update(wanted, site.made[key], differences(wanted, site.made[key]))

    assert list(objects()) == [(name, "ours") for name in names]
    assert not differences(site.resource("lb.main"), site.listed("lb.main"))
