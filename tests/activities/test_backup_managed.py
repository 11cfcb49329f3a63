"""Scaleway's own copies of an instance: waited for and looked into; an instance made from one is reached by nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.backup.managed import ManagedCopies
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import AssetInput, ManagedRestoreInput, ManagedRestoreOutput, OpenOutput
from blueprint.backup.site import BackupSite, Managed
from blueprint.errors import FailedState, RestoreRefused
from tests.activities.database_site import ADMIN, OBSTACLE, PASSWORD, RDB, DatabaseSite, database_site
from tests.activities.site import persistently
from tests.emulator.real.local import eventually

pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")
INSTANCE = "instance/db-lssm-prod"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSite]:
    """One machine and one server for all tests."""
    with database_site(tmp_path_factory.mktemp("managed")) as made:
        yield made


def managed(site: DatabaseSite) -> BackupSite:
    """The site, with Scaleway's copies of its instance."""
    copies = Managed(instance="db-lssm-prod", snapshot_days=7, backup_days=3)
    return site.site.model_copy(update={"managed": copies})


def copied(site: DatabaseSite, id: str = "") -> Entry:
    """A backup of the instance."""
    request = AssetInput(site=managed(site), asset=INSTANCE, id=id or site.next_id(), opened=OpenOutput(recipients=()))
    activities = ManagedCopies(site.clouds)
    return persistently(lambda: activities.managed(request))


def restored(site: DatabaseSite, entry: Entry, name: str) -> ManagedRestoreOutput:
    """An instance from a backup's snapshot."""
    request = ManagedRestoreInput(site=managed(site), id=entry.id, name=name)
    activities = ManagedCopies(site.clouds)
    return persistently(lambda: activities.restore(request))


def test_copies_are_made_once_and_looked_into(site: DatabaseSite) -> None:
    """A snapshot and a backup of each database, found again by their names, with the days that they stay."""
    entry = copied(site)
    assert copied(site, entry.id) == entry
    contents = site.store.manifest(INSTANCE, entry.id).managed
    assert contents
    assert list(contents.backups) == ["equitya"]
    assert 2.9 < (contents.expires - time.time()) / 86400 < 3.1
    snapshots = site.call("GET", "/rdb/v1/regions/fr-par/snapshots")["snapshots"]
    assert [(each["id"], each["name"]) for each in snapshots] == [(contents.snapshot, f"{entry.id}-db-lssm-prod")]
    assert entry.size > snapshots[0]["size"]

    # As if the worker had died before it published.
    site.store.delete(site.keys(f"lssm-prod/catalogue/{INSTANCE}/{entry.id}/"))
    assert copied(site, entry.id).size == entry.size
    assert len(site.call("GET", "/rdb/v1/regions/fr-par/snapshots")["snapshots"]) == 1
    assert len(site.call("GET", "/rdb/v1/regions/fr-par/backups")["database_backups"]) == 1


def test_a_copy_that_ends_in_error_is_no_backup(site: DatabaseSite) -> None:
    """And says which one."""
    site.emulator.faults({"operation": "POST /rdb/v1/*/backups", "kind": "error_state"})
    try:
        with pytest.raises(FailedState, match="equitya"):
            copied(site)
    finally:
        site.emulator.faults()


def test_an_instance_from_a_snapshot_is_shut(site: DatabaseSite) -> None:
    """It has a private address and its data; it is marked, and no plan takes it for ours."""
    entry = copied(site)
    done = restored(site, entry, "db-lssm-prod-back")
    assert restored(site, entry, "db-lssm-prod-back").instance == done.instance

    made = site.call("GET", f"{RDB}/{done.instance}")
    assert [(each["ip"], "private_network" in each) for each in made["endpoints"]] == [(done.address, True)]
    assert made["tags"] == [f"restored-from={entry.id}"]
    assert done.closed_after > 0
    rules = [
        entry
        for entry in site.emulator.requests()["requests"]
        if entry["path"].startswith(f"{RDB}/{done.instance}") and entry["method"] in ("PUT", "POST", "PATCH")
    ]
    assert rules[0]["path"].endswith("/acls"), "nothing comes before the shutting"
    site.instance, before = made, site.instance
    try:
        assert eventually(lambda: site.sql("SELECT count(*) FROM orders") == "20000", "its data is there")
    finally:
        site.instance = before


def test_an_instance_that_an_earlier_request_made_is_shut(site: DatabaseSite) -> None:
    """An operator said retry: nothing is known any more but when the restore began. It must not stay open."""
    entry, began = copied(site), time.time()
    contents = site.store.manifest(INSTANCE, entry.id).managed
    assert contents
    body = {"instance_name": "db-lssm-prod-again"}
    made = site.call("POST", f"/rdb/v1/regions/fr-par/snapshots/{contents.snapshot}/create-instance", body)
    request = ManagedRestoreInput(site=managed(site), id=entry.id, name="db-lssm-prod-again", began=began)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, scheduled_time=datetime.now(UTC) + timedelta(hours=1))
    done = environment.run(ManagedCopies(site.clouds).restore, request)
    assert done.instance == made["id"]
    endpoints = site.call("GET", f"{RDB}/{done.instance}")["endpoints"]
    assert [each["ip"] for each in endpoints] == [done.address]


@pytest.mark.parametrize("name", ["db-lssm-prod", "db-of-others"])
def test_an_instance_of_that_name_is_left_alone(site: DatabaseSite, name: str) -> None:
    """The live one, and somebody's."""
    entry = copied(site)
    if name == "db-of-others":
        body = {
            "name": name,
            "engine": "PostgreSQL-16",
            "node_type": "DB-DEV-S",
            "volume_type": "sbs_5k",
            "volume_size": 10_000_000_000,
            "user_name": ADMIN,
            "password": PASSWORD,
        }
        site.call("POST", RDB, body)
    with pytest.raises(RestoreRefused):
        restored(site, entry, name)
