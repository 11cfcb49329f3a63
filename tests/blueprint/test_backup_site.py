"""What of an environment is backed up, from its file."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.backup.site import BackupSite
from blueprint.backup.site_of import backup_site
from blueprint.contract import Target
from blueprint.environment import parse
from blueprint.errors import EnvironmentFileError

TARGET = Target(org="acme", env="test", region="fr-par", zone="fr-par-1")
FILE: dict[str, Any] = {
    "org": "acme",
    "env": "test",
    "network": {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["203.0.113.0/24"]}}},
    "ssh_keys": {"ops": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm ops"},
    "nodes": {"core": {"count": 2}},
    "postgresql": {"databases": ["orders", "people"]},
    "buckets": {"acme/files": {}, "acme/cache": {}, "acme/backups": {}},
}


def site(**backup: Any) -> BackupSite:
    """The site of the file with this section `backup`."""
    found = backup_site(parse({**FILE, "backup": {"bucket": "acme/backups", **backup}}), TARGET)
    assert found
    return found


def test_without_the_section() -> None:
    """Nothing is backed up unless the file says where to."""
    assert backup_site(parse(FILE), TARGET) is None


def test_everything_by_default() -> None:
    """All databases, all buckets but the one that holds the backups, the instance and the environment."""
    found = site()

    assert found.assets == (
        "db/orders",
        "db/people",
        "bucket/acme-test-files",
        "bucket/acme-test-cache",
        "instance/db-acme-test",
        "environment",
    )
    assert found.before_migration == ("db/orders", "db/people")
    assert found.nodes == ("acme-test-core-01", "acme-test-core-02")
    assert (found.store.bucket, found.store.region, found.store.prefix) == ("acme-test-backups", "fr-par", "acme-test")
    assert (found.key.path, found.key.name) == ("/acme/test", "backup-key")
    assert found.databases[0].password.name == "postgresql-acme-test-admin"


def test_settings_of_a_database() -> None:
    """What is said of one database is said of no other; a number is a value like any text."""
    settings = {
        "tables": ["public.orders"],
        "newest": {"table": "orders", "column": "at", "within": "1d"},
        "migrations": "_migrations",
        "checks": {"count": {"sql": "select 3", "expect": 3}},
        "mask": ["update people set name = 'x'"],
    }
    orders, people = site(databases={"orders": settings}).databases

    assert orders.tables == ("public.orders",)
    assert orders.newest
    assert orders.newest.within == 86400.0
    assert orders.migrations == "_migrations"
    assert [(check.name, check.expect) for check in orders.checks] == [("count", "3")]
    assert people == site().databases[1]


@pytest.mark.parametrize(
    ("backup", "gone"),
    [
        ({"exclude_buckets": ["acme/cache"]}, "bucket/acme-test-cache"),
        ({"managed": None}, "instance/db-acme-test"),
        ({"managed": {"snapshot_days": 0}}, "instance/db-acme-test"),
    ],
    ids=["an excluded bucket", "no copies of Scaleway's", "copies of no kind"],
)
def test_left_out(backup: dict[str, Any], gone: str) -> None:
    """What the file leaves out is not backed up."""
    assert set(site().assets) - set(site(**backup).assets) == {gone}


def test_a_store_elsewhere() -> None:
    """Its region and project are its own; then every bucket of the file is backed up."""
    store = {"bucket": "vault", "region": "nl-ams", "project_id": "5f2c1c4e-0d43-4c5e-9d5b-2f4f3f6f7a11"}
    found = site(bucket=None, store=store)

    assert found.store.model_dump() == {**store, "prefix": "acme-test"}
    assert found.bucket("acme-test-backups")


def test_the_file_travels_along() -> None:
    """What the site carries is the environment, without what is default anyway."""
    found = site(late_after="26h")

    assert parse(found.file) == parse({**FILE, "backup": {"bucket": "acme/backups"}})
    assert backup_site(parse(found.file), TARGET) == found


def test_a_mistyped_recipient() -> None:
    """A public key with one wrong letter would be found out when it is too late."""
    right = "age1ac3fuq35nqr9md7ace45pwe03zay3y7r69t9uljydw2e6p00vadqwq320g"
    assert site(recipients=[right]).recipients == (right,)

    with pytest.raises(EnvironmentFileError, match="mistyped"):
        site(recipients=[right[:-1] + "h"])
