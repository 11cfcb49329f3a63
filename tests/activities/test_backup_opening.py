"""What must be true before a backup run begins, against the local Scaleway."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyrage
import pytest
from botocore.exceptions import ClientError
from scaleway.secret.v1beta1 import SecretV1Beta1API

from activities.backup.opening import MOST_SKEW, released, require_same_time
from activities.boto_errors import boto_errors
from blueprint.backup.contract import OpenOutput, SiteInput
from blueprint.errors import Gone, PermissionDenied, Refused, SecretMissing
from tests.activities.backup_site import DAY, PLACE, BackupHouse
from tests.activities.conftest import TARGET, Control
from tests.activities.release_site import OBSTACLE, Fleet
from tests.activities.release_site import fleet as fleet
from tests.activities.ssh_site import NODE

IDENTITY = pyrage.x25519.Identity.generate()
PUBLIC = str(IDENTITY.to_public())
FILE: dict[str, Any] = {
    "org": "lssm",
    "env": "prod",
    "network": {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["203.0.113.0/24"]}}},
    "ssh_keys": {"ops": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm ops"},
    "nodes": {
        "core": {"type": "DEV1-S", "cloud_init": {"packages": ["git", "curl", "postgresql-client", "zstd", "age"]}}
    },
    "app": {"repository": "git://git.test/app.git", "units": ["api"]},
}
"""With an application, whose node nobody has made."""


def opened(house: BackupHouse, **site: Any) -> OpenOutput:
    """What a run is told."""
    return house.catalogues.open(SiteInput(site=house.site.model_copy(update=site)))


def with_key(emulator: Control, value: str = str(IDENTITY), *, locked: bool = False) -> BackupHouse:
    """A store whose key is this."""
    house = BackupHouse(emulator, locked=locked)
    cloud = house.clouds.cloud(TARGET)
    cloud.api(SecretV1Beta1API).create_secret(name=PLACE.name, path=PLACE.path, tags=[], protected=False)
    cloud.secrets.store(PLACE.path, PLACE.name, value)
    return house


def test_all_is_well(emulator: Control) -> None:
    """The environment's own key comes first, and each key once; nothing stays in the store."""
    house, other = with_key(emulator), str(pyrage.x25519.Identity.generate().to_public())

    assert opened(house) == OpenOutput(recipients=(PUBLIC,))
    assert opened(house, recipients=(other, PUBLIC)).recipients == (PUBLIC, other)
    assert house.stored() == []


def test_attempts_at_once(emulator: Control) -> None:
    """One that was given up for dead, and lives, does not get in the way of its successor."""
    house = with_key(emulator)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: opened(house), range(16)))

    assert {each.recipients for each in found} == {(PUBLIC,)}
    assert house.stored() == []


def test_a_key_file_with_remarks(emulator: Control) -> None:
    """As age-keygen writes it."""
    house = with_key(emulator, f"# created: 2026-11-26\n# public key: {PUBLIC}\n{IDENTITY}\n")
    assert opened(house).recipients == (PUBLIC,)


def test_a_locked_bucket(emulator: Control) -> None:
    """How long it keeps things goes into each manifest; what shows that it can be written is not seen afterwards."""
    house = with_key(emulator, locked=True)
    assert opened(house).locked_for == DAY
    assert house.stored() == []


@pytest.mark.parametrize("value", ["", "AGE-SECRET-KEY-1MISTYPED", "another secret"])
def test_a_key_that_is_none(emulator: Control, value: str) -> None:
    """It is said without the value."""
    with pytest.raises(SecretMissing) as missing:
        opened(with_key(emulator, value or "x"))
    assert "/lssm/prod/backup-key" in str(missing.value)
    assert "MISTYPED" not in str(missing.value)


def test_no_key(emulator: Control) -> None:
    """Nothing is encrypted for nobody."""
    with pytest.raises(SecretMissing, match="/lssm/prod/backup-key: has no value"):
        opened(BackupHouse(emulator))


def test_no_bucket(emulator: Control) -> None:
    """Neither one that does not exist, nor another project's."""
    house = with_key(emulator)
    project = emulator.call("POST", "/account/v3/projects", json={"name": "other", "description": ""})["id"]
    for store in ({"bucket": "lssm-none"}, {"project_id": project}):
        with pytest.raises(Gone, match="apply"):
            opened(house, store=house.site.store.model_copy(update=store))


def test_a_bucket_that_cannot_be_written(emulator: Control) -> None:
    """Before an hour is spent on a dump."""
    house = with_key(emulator)
    emulator.faults({"operation": "S3 PutObject", "kind": "denied"})
    with pytest.raises(PermissionDenied, match="probe"):
        opened(house)


def test_an_application_whose_nodes_do_not_answer(emulator: Control) -> None:
    """The backup goes on without its commit."""
    assert opened(with_key(emulator), file=FILE).commit == ""


@pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")
def test_the_release_that_runs(fleet: Fleet) -> None:
    """The nodes tell it, those that do not answer left aside."""
    both = fleet.site.model_copy(update={"nodes": (NODE, "lssm-prod-core-02")})
    assert released(fleet.clouds.nodes, both) == ""
    commit = fleet.repository.commit()
    fleet.deploy(commit)
    assert released(fleet.clouds.nodes, both) == commit


@pytest.mark.parametrize(("skew", "way"), [(MOST_SKEW + 1, "ahead of"), (-MOST_SKEW - 1, "behind")])
def test_a_clock_that_is_wrong(skew: float, way: str) -> None:
    """Either way; a little is forgiven."""
    with pytest.raises(Refused, match=f"301 s {way} that of Object Storage"):
        require_same_time(1e9, 1e9 + skew)
    require_same_time(1e9, 1e9 + skew * 0.99)


def test_a_clock_that_object_storage_refuses() -> None:
    """No retry mends it, and it is no question of rights."""
    skewed: Any = {"Error": {"Code": "RequestTimeTooSkewed"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    with pytest.raises(Refused, match="set the clock"), boto_errors("list buckets"):
        raise ClientError(skewed, "ListBuckets")
