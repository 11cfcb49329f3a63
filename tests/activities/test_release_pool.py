"""The pool, the facts, the queues and the backup point of a release against the local Scaleway, without machines."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing import ActivityEnvironment

from activities.kinds.sqs import QueueLifecycle
from activities.registry import LIFECYCLES, Clouds
from activities.release.balancer import Balancer
from activities.release.releases import Releases
from activities.release.surroundings import backup_point
from activities.temporal_client import TemporalBridge
from blueprint.contract import freeze_id
from blueprint.environment import parse
from blueprint.errors import Gone, NotReady, PoolTooSmall, Unhealthy
from blueprint.release.contract import FactsInput, PoolInput, PoolOutput, Site
from blueprint.release.site import site_of
from tests.activities import site as sites
from tests.activities.conftest import TARGET, Control, make_cloud
from tests.emulator.real.local import eventually

KINDS = [kind for kind in LIFECYCLES if kind != "schedule"]
NODES = tuple(f"lssm-prod-core-0{number}" for number in (1, 2, 3))
ONE, TWO, THREE = NODES
BASE: dict[str, Any] = {
    "network": {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["203.0.113.0/24"]}}},
    "ssh_keys": {"ops": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm"},
    "nodes": {"core": {"count": 3}},
    "load_balancer": {"backends": {"api": {"nodes": "core"}}},
    "sqs": {"queues": {"lssm/jobs": {}}},
}
APP = {"repository": "https://git.example.org/backend.git", "min_healthy": 2, "healthy_within": "1s"}


class Here:
    """Three nodes behind a load balancer."""

    def __init__(self, emulator: Control, temporal: TemporalBridge) -> None:
        cloud = make_cloud(emulator)
        sites.Site(cloud, KINDS).apply(BASE)
        self.emulator = emulator
        self.clouds = Clouds(cloud.settings, temporal)
        self.releases = Releases(self.clouds)
        site = site_of(parse({"org": "lssm", "env": "prod", **BASE, "app": APP}), TARGET)
        assert site
        self.site: Site = site

    def step(self, call: Callable[[Any], Any], argument: Any, at: datetime | None = None) -> Any:
        """One attempt of an activity."""
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, scheduled_time=at or datetime.now(UTC))
        return environment.run(call, argument)

    def pool(self, leave: tuple[str, ...] = (), join: tuple[str, ...] = ()) -> list[str]:
        """Change the pool; who is in it afterwards."""
        done: PoolOutput = self.step(self.releases.set_pool, PoolInput(site=self.site, leave=leave, join=join))
        return sorted(done.members)

    def writes(self) -> int:
        """How often the pool was written."""
        return sum(
            request["method"] == "PUT" and request["path"].endswith("/servers")
            for request in self.emulator.requests()["requests"]
        )


@pytest.fixture
def here(emulator: Control, bridge: TemporalBridge) -> Here:
    """An environment of this test's own."""
    return Here(emulator, bridge)


def test_the_pool(here: Here) -> None:
    """Written only if it changes; never below the minimum; strangers stay."""
    before = here.writes()
    assert here.pool(join=NODES) == list(NODES)
    assert here.writes() == before
    assert here.pool(leave=(ONE,)) == [TWO, THREE]
    assert here.pool(leave=(ONE,)) == [TWO, THREE]
    assert here.writes() == before + 1
    with pytest.raises(PoolTooSmall, match="2 must stay"):
        here.pool(leave=(TWO,))

    balancer = Balancer(here.clouds.cloud(TARGET), "api")
    pool = balancer.look()
    balancer.set(pool, [*pool.members, "10.0.0.99"])
    assert here.pool(join=(ONE,)) == ["10.0.0.99", *NODES]
    with pytest.raises(NotReady, match="lssm-prod-core-09 has no private address"):
        here.pool(join=("lssm-prod-core-09",))
    with pytest.raises(Gone, match="no backend other"):
        here.step(here.releases.set_pool, PoolInput(site=here.site.model_copy(update={"backend": "other"}), join=NODES))


def test_changes_that_meet(here: Here) -> None:
    """None is lost."""
    here.site = here.site.model_copy(update={"app": here.site.app.model_copy(update={"min_healthy": 1})})
    with ThreadPoolExecutor(2) as threads:
        changes = [threads.submit(here.pool, leave=(node,)) for node in (ONE, TWO)]
        assert THREE in changes[0].result()
        assert THREE in changes[1].result()
    assert here.pool() == [THREE]


def test_what_the_load_balancer_finds(here: Here) -> None:
    """Waited for, and not for ever."""
    wanted = PoolInput(site=here.site, join=NODES)
    eventually(lambda: _balanced(here, wanted), "balanced")
    balancer = Balancer(here.clouds.cloud(TARGET), "api")
    assert len(balancer.healthy(balancer.look())) == 3

    gone = PoolInput(site=here.site, join=(ONE, "lssm-prod-core-09"))
    with pytest.raises(Unhealthy, match=r"lssm-prod-core-09 healthy within 1 s"):
        here.step(here.releases.wait_balanced, gone, at=datetime.now(UTC) - timedelta(seconds=2))


def _balanced(here: Here, wanted: PoolInput) -> bool:
    try:
        return sorted(here.step(here.releases.wait_balanced, wanted).members) == list(NODES)
    except (NotReady, Unhealthy):
        return False


def test_facts_of_nodes_that_cannot_be_reached(here: Here, bridge: TemporalBridge) -> None:
    """Told, not an error; so are the pool and the freeze."""
    site = here.site
    freeze = bridge.run(_freeze(bridge.client, TARGET.environment))
    try:
        facts = here.step(here.releases.facts, FactsInput(site=site, ref="main"))
    finally:
        bridge.run(freeze.terminate())
    assert [node.name for node in facts.nodes] == list(NODES)
    assert not any(node.reachable for node in facts.nodes)
    assert all("its first boot is not over" in node.trouble for node in facts.nodes)
    assert all(node.in_pool and node.address.startswith("10.0.0.") for node in facts.nodes)
    assert (facts.balancer_ready, facts.commit) == (True, None)
    assert facts.freeze
    assert (facts.freeze.by, facts.freeze.reason, facts.freeze.until) == ("ann", "audit", 4e9)

    assert here.step(here.releases.facts, FactsInput(site=site)).freeze is None


async def _freeze(client: Client, environment: str) -> WorkflowHandle[Any, Any]:
    """A run that is a freeze; nobody works on it."""
    return await client.start_workflow(
        "Freeze",
        id=freeze_id(environment),
        task_queue="nobody",
        id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        memo={"by": "ann", "reason": "audit", "until": 4e9},
    )


def test_queues(here: Here) -> None:
    """Messages that wait and messages in hand; a queue that is not there lacks."""
    sqs = QueueLifecycle(here.clouds.cloud(TARGET)).client()
    url = sqs.get_queue_url(QueueName="lssm-prod-jobs")["QueueUrl"]
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)
    site = here.site.model_copy(update={"queues": ("lssm-prod-jobs", "lssm-prod-others")})

    told = here.step(here.releases.queues, FactsInput(site=site))

    assert (told.waiting, told.in_flight) == ({"lssm-prod-jobs": 2}, {"lssm-prod-jobs": 1})


def test_the_backup_point(here: Here) -> None:
    """The newest backup or snapshot that is ready, and the moment before the migration."""
    cloud, now = here.clouds.cloud(TARGET), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    began = "the migration began at 2026-01-02 03:04:05 UTC"
    assert backup_point(cloud, now) == f"no managed database; {began}"

    site = sites.Site(make_cloud(here.emulator), KINDS)
    database = {**BASE, "postgresql": {"databases": ["shop"]}}
    site.apply(database)
    assert backup_point(cloud, now) == f"no backup of db-lssm-prod yet; {began}"

    path = "/rdb/v1/regions/fr-par"
    instance = site.one(database, "rdb_instance.main").id
    made = here.emulator.call("POST", f"{path}/instances/{instance}/snapshots", {"name": "by hand"})
    snapshot = f"{path}/snapshots/{made['id']}"
    eventually(lambda: here.emulator.call("GET", snapshot)["status"] == "ready", "ready")
    assert backup_point(cloud, now).startswith(f"snapshot by hand ({made['id']}) of ")
