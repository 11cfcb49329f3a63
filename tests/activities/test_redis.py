"""Managed Redis against the local Scaleway."""

from __future__ import annotations

from typing import Any

import pytest

from activities.cloud import Cloud
from activities.kinds.redis import ClusterLifecycle
from activities.kinds.secret import SecretLifecycle
from activities.lifecycle import NO_PARENT, Scope
from blueprint.errors import Gone, NotReady, Unavailable
from blueprint.resource import Observed, Resource
from tests.activities.conftest import Control, declared, differences, resolved

REDIS = "/redis/v1/zones/fr-par-1/clusters"
SECTION: dict[str, Any] = {"version": "7.2.11", "type": "RED1-MICRO", "settings": {"maxmemory-policy": "allkeys-lru"}}


@pytest.fixture
def network(cloud: Cloud, emulator: Control) -> str:
    """Id of the private network."""
    vpc = emulator.call("POST", "/vpc/v2/regions/fr-par/vpcs", {"name": "vpc"})
    body = {"name": "pn", "vpc_id": vpc["id"], "subnets": ["10.0.0.0/24"]}
    made: str = emulator.call("POST", "/vpc/v2/regions/fr-par/private-networks", body)["id"]
    SecretLifecycle(cloud).create(declared({"redis": {}})["secret.redis"])
    return made


def main(network: str, **changed: Any) -> Resource:
    """The cluster's resource."""
    return resolved(declared({"redis": SECTION | changed})["redis_cluster.main"], {"private_network.core": network})


def ready(cloud: Cloud) -> Observed:
    """The cluster once it has settled."""
    for _ in range(50):
        (item,) = ClusterLifecycle(cloud).list(NO_PARENT, Scope())
        if item.health == "ok":
            return item
    raise AssertionError(f"the cluster is still {item.status}")


def update(cloud: Cloud, wanted: Resource, item: Observed) -> None:
    """Repeat an update as its activity is repeated."""
    for _ in range(50):
        try:
            ClusterLifecycle(cloud).update(wanted, item, differences(wanted, item))
        except NotReady:
            continue
        return
    raise AssertionError("the update never came to its end")


def test_cluster(cloud: Cloud, emulator: Control, network: str) -> None:
    """Made once though the answer was lost, reached through the private network only, deleted."""
    lifecycle, wanted = ClusterLifecycle(cloud), main(network)

    emulator.faults({"operation": f"POST {REDIS}", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create(wanted)
    assert len(lifecycle.find(wanted)) == 1

    item = ready(cloud)
    assert not differences(wanted, item)
    assert item.outputs["address"].startswith("10.0.0.")
    assert item.outputs["port"] == 6379
    assert item.uses == (network,)
    assert item.protected
    assert lifecycle.read(item).outputs == item.outputs

    lifecycle.delete(item)
    assert not lifecycle.find(wanted)
    with pytest.raises(Gone):
        lifecycle.read(item)


@pytest.mark.parametrize(
    ("changed", "paths"),
    [
        ({"version": "8.6.3"}, ["version"]),
        ({"type": "RED1-XS"}, ["node_type"]),
        ({"nodes": 2}, ["nodes"]),
        ({"settings": {"maxclients": 500}}, ["settings.maxclients"]),
        (
            {"version": "8.6.3", "type": "RED1-S", "nodes": 2, "settings": {"maxclients": 500}},
            ["version", "node_type", "nodes", "settings.maxclients"],
        ),
    ],
    ids=["version", "node type", "standby", "settings", "several"],
)
def test_updated(cloud: Cloud, network: str, changed: dict[str, Any], paths: list[str]) -> None:
    """One change at a time, each once the one before has settled."""
    ClusterLifecycle(cloud).create(main(network))
    item, wanted = ready(cloud), main(network, **changed)

    assert sorted(difference.path for difference in differences(wanted, item)) == sorted(paths)
    update(cloud, wanted, item)

    assert not differences(wanted, ready(cloud))


def test_grown_cluster(cloud: Cloud, network: str) -> None:
    """A cluster of three nodes may become one of five."""
    ClusterLifecycle(cloud).create(main(network, nodes=3))
    item, wanted = ready(cloud), main(network, nodes=5)

    update(cloud, wanted, item)

    assert not differences(wanted, ready(cloud))


def test_public_endpoint_is_closed(cloud: Cloud, emulator: Control, network: str) -> None:
    """The private address stays what it was."""
    wanted = main(network)
    ClusterLifecycle(cloud).create(wanted)
    item = ready(cloud)
    emulator.call("POST", f"{REDIS}/{item.id}/endpoints", {"endpoints": [{"public_network": {}}]})

    opened = ready(cloud)
    assert [difference.path for difference in differences(wanted, opened)] == ["public"]
    update(cloud, wanted, opened)

    closed = ready(cloud)
    assert not differences(wanted, closed)
    assert closed.outputs["address"] == item.outputs["address"]


def test_public_cluster_is_brought_into_the_network(cloud: Cloud, emulator: Control, network: str) -> None:
    """A cluster made by hand without endpoints is public; adopted, it becomes private and ours."""
    wanted = main(network)
    order = {"version": "7.2.11", "node_type": "RED1-MICRO", "tls_enabled": True}
    emulator.call("POST", REDIS, {"name": wanted.name, "user_name": "me", "password": "Somebody-else-1", **order})

    item = ready(cloud)
    assert item.ownership == "foreign"
    update(cloud, wanted, item)

    ours = ready(cloud)
    assert ours.ownership == "ours"
    assert not differences(wanted, ours)


def test_password_follows_its_secret(cloud: Cloud, emulator: Control, network: str) -> None:
    """A version that a person adds in Secret Manager reaches Redis with the next apply."""
    wanted = main(network)
    ClusterLifecycle(cloud).create(wanted)
    cloud.secrets.store("/lssm/prod", "redis", "Chosen-by-hand-1")

    item = ready(cloud)
    assert [difference.path for difference in differences(wanted, item)] == ["password"]
    before = emulator.call("GET", f"{REDIS}/{item.id}")["updated_at"]
    update(cloud, wanted, item)

    assert not differences(wanted, ready(cloud))
    assert emulator.call("GET", f"{REDIS}/{item.id}")["updated_at"] != before


def test_cluster_on_its_way_out(cloud: Cloud, emulator: Control, network: str) -> None:
    """It is not waited for, as after a destroy that was cancelled: another one of its name can be made at once."""
    wanted = main(network)
    ClusterLifecycle(cloud).create(wanted)
    item = ready(cloud)
    emulator.call("PUT", "/_emulator/latency", {"factor": 1})
    ClusterLifecycle(cloud).delete(item)
    assert ClusterLifecycle(cloud).read(item).status == "deleting"

    assert not list(ClusterLifecycle(cloud).find(wanted))
    assert ClusterLifecycle(cloud).create(wanted) != item.id
