"""A node's place in the pool while it changes, against the local Scaleway, without machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.cloud import Cloud
from activities.kinds.node.place import Place, can_spare
from activities.registry import LIFECYCLES
from activities.release.balancer import Balancer
from blueprint.environment import parse
from blueprint.errors import Unhealthy
from blueprint.release.contract import Site
from blueprint.release.site import site_of
from tests.activities import site as sites
from tests.activities.conftest import TARGET, Control, make_cloud
from tests.emulator.real.local import eventually

KINDS = [kind for kind in LIFECYCLES if kind != "schedule"]
NODES = tuple(f"lssm-prod-core-0{number}" for number in (1, 2))
BASE: dict[str, Any] = {
    "network": {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["203.0.113.0/24"]}}},
    "ssh_keys": {"ops": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm"},
    "nodes": {"core": {"count": 2}},
    "load_balancer": {"backends": {"api": {"nodes": "core"}}},
}
APP = {"repository": "https://git.example.org/backend.git", "healthy_within": "2s"}


def site_with(**settings: Any) -> Site:
    """The application with these settings."""
    site = site_of(parse({"org": "lssm", "env": "prod", **BASE, "app": APP | settings}), TARGET)
    assert site
    return site


def attempt(call: Callable[[], Any]) -> Any:
    """One attempt of an activity."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, scheduled_time=datetime.now(UTC))
    return environment.run(call)


@pytest.fixture
def cloud(emulator: Control) -> Cloud:
    """The way to two nodes in a pool, found healthy."""
    cloud = make_cloud(emulator)
    sites.Site(cloud, KINDS).apply(BASE)
    balancer = Balancer(cloud, "api")
    eventually(lambda: len(balancer.healthy(balancer.look())) == 2, "both are healthy")
    return cloud


def members(cloud: Cloud) -> int:
    """How many are in the pool."""
    return len(Balancer(cloud, "api").look().members)


def test_away_and_back(cloud: Cloud) -> None:
    """An attempt that was lost goes on where it was; the other node stays, as nobody stands in for it."""
    site = site_with()
    one, two = (Place(cloud, site, node) for node in NODES)
    assert attempt(one.leave) is True
    assert members(cloud) == 1
    assert attempt(one.leave) is True
    assert attempt(two.leave) is False
    assert members(cloud) == 1
    attempt(one.join)
    assert members(cloud) == 2
    attempt(one.join)
    assert members(cloud) == 2
    assert attempt(two.leave) is True


def test_in_place(cloud: Cloud) -> None:
    """Where all have to stay."""
    place = Place(cloud, site_with(min_healthy=2), NODES[0])
    assert attempt(place.leave) is False
    attempt(place.join)
    assert members(cloud) == 2


def test_no_pool(cloud: Cloud) -> None:
    """Before the first load balancer, and without one, there is nothing to leave and nothing to join."""
    for backend in ("", "other"):
        place = Place(cloud, site_with().model_copy(update={"backend": backend}), NODES[0])
        assert attempt(place.leave) is False
        attempt(place.join)


def test_what_never_gets_well(cloud: Cloud) -> None:
    """Waited for, and not for ever."""
    place = Place(cloud, site_with(healthy_within="100ms"), NODES[0])
    with pytest.raises(Unhealthy, match=r"does not find lssm-prod-core-01 healthy within 0\.1 s"):
        attempt(lambda: place._be_balanced("10.0.0.99"))


@pytest.mark.parametrize(
    ("healthy", "min_healthy", "can"),
    [(NODES, 1, True), (NODES[:1], 1, False), (NODES[1:], 1, True), (NODES, 2, False), (("other",), 1, False)],
)
def test_who_can_be_spared(healthy: Sequence[str], min_healthy: int, can: bool) -> None:
    """Enough others of the application have to serve."""
    assert can_spare(site_with(min_healthy=min_healthy), NODES[0], healthy) is can
