"""Databases and Redis asked from a real machine: each of them real, too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from activities.health.inside import Inside
from activities.health.looking import Looking
from blueprint.backup.site import SecretPlace
from blueprint.errors import Gone, SecretMissing
from blueprint.health.contract import Cache, HealthSite
from blueprint.health.contract import Inside as Asked
from tests.activities.conftest import TARGET
from tests.activities.database_site import LIVE, OBSTACLE, PASSWORD, DatabaseSite
from tests.activities.ssh_site import NODE
from tests.emulator.real.local import eventually, real_emulator

REDIS = "/redis/v1/zones/fr-par-1/clusters"
CACHE = Cache(name="redis-lssm-prod", user="lssm_prod", password=SecretPlace(path="/lssm/prod", name="redis"))

pytestmark = [
    pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or ""),
    pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server"),
]


class Private(DatabaseSite):
    """With a Redis that speaks TLS beside the database."""

    def __init__(self, api: Any, folder: Path) -> None:
        super().__init__(api, folder)
        self.secret("redis", PASSWORD)
        body = {
            "name": CACHE.name,
            "version": "8.6.3",
            "node_type": "RED1-MICRO",
            "user_name": CACHE.user,
            "password": PASSWORD,
            "cluster_size": 1,
            "tls_enabled": True,
            "endpoints": [{"private_network": {"id": self.network, "service_ips": [], "ipam_config": {}}}],
        }
        self.cluster = self.call("POST", REDIS, body)["id"]
        self.health = HealthSite(
            target=TARGET,
            inside=Asked(nodes=("lssm-prod-core-02", NODE), databases=self.site.databases, cache=CACHE),
        )
        eventually(lambda: self.troubles()["redis"] == "", "Redis serves")

    def troubles(self, **changes: Any) -> dict[str, str]:
        """What is wrong, by check."""
        assert self.health.inside
        site = self.health.model_copy(update={"inside": self.health.inside.model_copy(update=changes)})
        return {check.name: check.trouble for check in Inside(self.clouds, site).look()}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Private]:
    """One machine, one PostgreSQL and one Redis for all tests."""
    folder = tmp_path_factory.mktemp("inside")
    with real_emulator(folder) as api:
        made = Private(api, folder)
        try:
            yield made
        finally:
            made.clouds.nodes.close()


def test_both_answer(site: Private) -> None:
    """From the first node that lets us in; no value stays in Redis, and no password in what the node shows."""
    looking = Looking(site.clouds, site.settings())
    checked = site.step(looking.inside, site.health)

    assert [(check.name, check.up) for check in checked.checks] == [(f"database/{LIVE}", True), ("redis", True)]
    assert PASSWORD not in checked.model_dump_json()


def test_what_is_wrong_is_told(site: Private) -> None:
    """A database that is not there, a user whom Redis does not know, a cluster that nobody made."""
    lost = site.asset.model_copy(update={"name": "lost"})
    nobody = CACHE.model_copy(update={"user": "nobody"})

    found = site.troubles(databases=(site.asset, lost), cache=nobody)
    assert found[f"database/{LIVE}"] == ""
    assert 'database "lost" does not exist' in found["database/lost"]
    assert "WRONGPASS" in found["redis"]
    assert site.troubles(cache=CACHE.model_copy(update={"name": "other"}))["redis"] == "there is no such cluster"
    elsewhere = site.asset.model_copy(update={"instance": "other"})
    assert site.troubles(databases=(elsewhere,))[f"database/{LIVE}"] == "there is no such instance"


def test_a_redis_that_hangs(site: Private) -> None:
    """Said as people say it, and not as OpenSSL does."""
    [server] = [child for child in psutil.Process().children(recursive=True) if child.name() == "redis-server"]
    server.suspend()
    try:
        checks = Inside(site.clouds, site.health.model_copy(update={"timeout": 1.0})).look()
    finally:
        server.resume()
    assert {check.name: check.trouble for check in checks}["redis"] == "Redis: no answer in time"


def test_a_renewed_certificate_is_trusted(site: Private) -> None:
    """It is the API that says which one to trust."""
    path = f"{REDIS}/{site.cluster}"
    told = site.call("GET", f"{path}/certificate")
    site.call("POST", f"{path}/renew-certificate")
    eventually(lambda: site.call("GET", f"{path}/certificate") != told, "another certificate")
    eventually(lambda: site.troubles()["redis"] == "", "the new one is served, and trusted")


def test_that_nobody_can_ask_is_no_answer(site: Private) -> None:
    """It says nothing of a database."""
    with pytest.raises(Gone):
        site.troubles(nodes=("lssm-prod-core-02",))
    place = SecretPlace(path="/lssm/prod", name="unknown")
    with pytest.raises(SecretMissing):
        site.troubles(cache=CACHE.model_copy(update={"password": place}))
