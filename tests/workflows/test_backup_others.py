"""Restores of buckets and instances, and what is done in one call."""

from __future__ import annotations

import pytest

from blueprint.backup.contract import BucketRestoreInput, BucketRestoreOutput
from blueprint.backup.manifest import Pin
from starters.engine import Run
from tests.workflows.vault import BY, site_of
from tests.workflows.vault_house import Vaults
from workflows.backup.look import Backups, DropDatabase, PinBackup
from workflows.backup.messages import (
    BackupsInput,
    BackupsOutput,
    DropInput,
    PinRunInput,
    RestoreBucketInput,
    RestoreInstanceInput,
)
from workflows.backup.restore_others import RestoreBucket, RestoreInstance
from workflows.identity import backup_turn
from workflows.messages import AbortInput, SkipInput


def test_a_bucket(vaults: Vaults) -> None:
    """From the newest backup, which is pinned meanwhile; what the restore writes over is backed up before."""
    house = vaults(site_of())
    house.vault.keep("bucket/files", 2)
    newest = house.vault.keep("bucket/files", 1)
    request = BucketRestoreInput(site=house.vault.site, bucket="files", id="")
    output: BucketRestoreOutput = house.result(
        house.begin(RestoreBucket.run, RestoreBucketInput(request=request, origin=BY))
    )
    assert output.restored == 2
    assert house.vault.calls == [
        "catalogue", "pin bucket/files", "open", "bucket bucket/files", "published bucket/files", "report",
        f"objects of {newest.id} into files/", "unpin bucket/files"
    ]  # fmt: skip


def test_only_a_look_at_a_bucket(vaults: Vaults) -> None:
    """It writes nothing, not even a pin."""
    house = vaults(site_of())
    house.vault.keep("bucket/files", 1)
    request = BucketRestoreInput(site=house.vault.site, bucket="files", id="", write=False)
    house.result(house.begin(RestoreBucket.run, RestoreBucketInput(request=request, origin=BY)))
    assert house.vault.calls == ["catalogue", "look at files"]


def test_a_bucket_at_a_moment(vaults: Vaults) -> None:
    """The last backup before it, where backups know no versions; none is as old as that otherwise."""
    house = vaults(site_of())
    old = house.vault.keep("bucket/files", 3)
    house.vault.keep("bucket/files", 1)
    request = BucketRestoreInput(site=house.vault.site, bucket="files", id="", at=old.point + 60)
    house.result(house.begin(RestoreBucket.run, RestoreBucketInput(request=request, origin=BY)))
    assert house.vault.named(f"objects of {old.id}")

    request = request.model_copy(update={"at": old.point - 60})
    run = house.begin(RestoreBucket.run, RestoreBucketInput(request=request, origin=BY))
    assert house.home.failure(run)[0] == "restore_refused"


def test_a_bucket_that_cannot_be_restored(vaults: Vaults) -> None:
    """An operator is asked; the pin goes in any case."""
    house = vaults(site_of())
    house.vault.keep("bucket/files", 1)
    house.vault.wrong["objects"] = "permission_denied"
    request = BucketRestoreInput(site=house.vault.site, bucket="files", id="")
    run = house.begin(RestoreBucket.run, RestoreBucketInput(request=request, origin=BY))
    house.home.until_parked(run, "restore bucket/files")
    house.home.run(house.engine.abort(run, AbortInput()))
    assert house.home.failure(run) == ("aborted", "ended by an operator: no reason given")
    assert not house.vault.pinned()


def test_a_bucket_that_cannot_be_backed_up_before(vaults: Vaults) -> None:
    """Nothing of it is written over, unless an operator wants it so."""
    house = vaults(site_of())
    house.vault.keep("bucket/files", 1)
    house.vault.wrong["bucket"] = "permission_denied"
    request = RestoreBucketInput(request=BucketRestoreInput(site=house.vault.site, bucket="files", id=""), origin=BY)

    def until_asked() -> Run[BucketRestoreOutput]:
        run = house.begin(RestoreBucket.run, request)
        house.until_called("bucket", len(house.vault.named("bucket")) + 1)
        backup = house.follow(backup_turn(house.vault.site.target.environment))
        house.home.until_parked(backup, "bucket/files")
        house.home.run(house.engine.skip(backup, SkipInput(step="bucket/files", reason="x")))
        house.home.until_parked(run, "back up bucket/files")
        return run

    run = until_asked()
    house.home.run(house.engine.abort(run, AbortInput(reason="x")))
    assert house.home.failure(run)[0] == "aborted"
    assert not house.vault.named("objects")

    run = until_asked()
    house.home.run(house.engine.skip(run, SkipInput(step="back up bucket/files", reason="x")))
    house.result(run)
    assert house.vault.named("objects")


def test_a_backup_that_went_meanwhile(vaults: Vaults) -> None:
    """Between the look and the pin: the run fails at once, and restores nothing."""
    house = vaults(site_of())
    house.vault.keep("bucket/files", 1)
    gate = house.gate("pin")
    request = BucketRestoreInput(site=house.vault.site, bucket="files", id="")
    run = house.begin(RestoreBucket.run, RestoreBucketInput(request=request, origin=BY))
    house.until_called("pin")
    house.vault.entries.clear()
    gate.set()
    code, message = house.home.failure(run)
    assert (code, "there is no such backup" in message) == ("restore_failed", True)
    assert not house.vault.named("objects")


@pytest.mark.parametrize("step", ["catalogue", "pin", "objects"])
def test_a_bucket_cancelled(vaults: Vaults, step: str) -> None:
    """The pin goes."""
    house = vaults(site_of())
    house.vault.keep("bucket/files", 1)
    house.vault.slow.add(step)
    request = BucketRestoreInput(site=house.vault.site, bucket="files", id="")
    run = house.begin(RestoreBucket.run, RestoreBucketInput(request=request, origin=BY))
    house.until_called(step)
    house.home.run(run.cancel())
    assert house.home.failure(run)[0] == "cancelled"
    assert not house.vault.pinned()


def test_an_instance(vaults: Vaults) -> None:
    """From the newest snapshot; refused where the file asks for none."""
    house = vaults(site_of(managed=True))
    newest = house.vault.keep("instance/db", 1)
    request = RestoreInstanceInput(site=house.vault.site, name="db-restored", origin=BY)
    assert house.result(house.begin(RestoreInstance.run, request)).closed_after == 2.0
    assert house.vault.named("instance") == [f"instance db-restored from {newest.id}"]

    run = house.begin(RestoreInstance.run, request.model_copy(update={"site": site_of()}))
    code, message = house.home.failure(run)
    assert (code, "there is no snapshot" in message) == ("restore_refused", True)


def test_the_catalogue(vaults: Vaults) -> None:
    """All of it, or some assets, and how they are; nobody else is told of it."""
    house = vaults(site_of())
    kept = house.vault.keep("db/orders", 1)
    house.vault.keep("db/people", 1)
    output: BackupsOutput = house.result(house.begin(Backups.run, BackupsInput(site=house.vault.site)))
    assert len(output.catalogue.entries) == 2
    assert [item.asset for item in output.assets] == list(house.vault.site.assets)
    assert output.assets[0].newest == kept.id
    assert house.vault.named("report") == []
    request = BackupsInput(site=house.vault.site, only=("db/people",))
    output = house.result(house.begin(Backups.run, request))
    assert [entry.asset for entry in output.catalogue.entries] == ["db/people"]
    assert [item.asset for item in output.assets] == ["db/people"]


def test_pins(vaults: Vaults) -> None:
    """Set, and removed."""
    house = vaults(site_of())
    entry = house.vault.keep("db/orders", 1)
    pin = Pin(name="operator", reason="the audit", by="tests", at=1.0)
    request = PinRunInput(site=house.vault.site, asset="db/orders", id=entry.id, pin=pin)
    assert house.result(house.begin(PinBackup.run, request)).pins == (pin,)
    house.result(house.begin(PinBackup.run, request.model_copy(update={"remove": True})))
    assert not house.vault.pinned()


def test_drop(vaults: Vaults) -> None:
    """What a restore kept goes; what could be live does not."""
    house = vaults(site_of())
    house.vault.databases["before_orders_1"] = "old"
    request = DropInput(site=house.vault.site, name="before_orders_1", origin=BY)
    house.result(house.begin(DropDatabase.run, request))
    assert set(house.vault.databases) == {"orders", "people"}
    for name in ("orders", "postgres"):
        run = house.begin(DropDatabase.run, request.model_copy(update={"name": name}))
        assert house.home.failure(run)[0] == "restore_refused"
    assert len(house.vault.named("drop")) == 1
