"""Runs of every backup workflow, for `record.py`."""

from __future__ import annotations

from typing import Any

from blueprint.backup.contract import BucketRestoreInput, ScheduledInput
from blueprint.backup.manifest import Pin
from starters.engine import Run
from tests.workflows.house import House
from tests.workflows.vault import BY, Vault, site_of
from tests.workflows.vault_house import VaultHouse, vault_house
from workflows.backup.backup import Backup
from workflows.backup.drill import Drill
from workflows.backup.look import Backups, DropDatabase, PinBackup
from workflows.backup.messages import (
    BackupInput,
    BackupsInput,
    DrillInput,
    DropInput,
    PinRunInput,
    RestoreBucketInput,
    RestoreDatabaseInput,
    RestoreInstanceInput,
    RetentionInput,
)
from workflows.backup.restore import RestoreDatabase
from workflows.backup.restore_others import RestoreBucket, RestoreInstance
from workflows.backup.retention import Retention
from workflows.backup.scheduled import Scheduled
from workflows.messages import AbortInput, SkipInput


def record_backups(home: House) -> dict[str, Run[Any]]:
    """Backups, drills, retention and restores, with everything that an operator can decide."""
    with vault_house(home, Vault(site_of(managed=True))) as house:
        return _backups(house) | _drills(house) | _restores(house) | _others(house)


def _backups(house: VaultHouse) -> dict[str, Run[Any]]:
    home, vault = house.home, house.vault
    request = BackupInput(site=vault.site, origin=BY)
    runs = {"backup": house.begin(Backup.run, request)}
    house.result(runs["backup"])

    vault.wrong |= {"database": "permission_denied", "bucket": "permission_denied"}
    run = runs["backup_skipped_and_retried"] = house.begin(Backup.run, request)
    home.until_parked(run, "db/orders", "db/people", "bucket/files")
    home.run(house.engine.skip(run, SkipInput(step="db/people", reason="recorded")))
    home.until_parked(run, "db/orders", "bucket/files")
    vault.wrong.clear()
    home.run(house.engine.retry(run))
    home.failure(run)

    vault.wrong["open"] = "refused"
    run = runs["backup_aborted"] = house.begin(Backup.run, request)
    home.until_parked(run, "open the store")
    home.run(house.engine.abort(run, AbortInput(reason="recorded")))
    home.failure(run)

    vault.wrong.clear()
    runs["backup_cancelled"] = _cancelled(house, house.begin(Backup.run, request), "database db/people")
    for what in ("backup", "drill", "retention"):
        scheduled = ScheduledInput(what=what, site=vault.site, patience=600.0)
        runs[f"scheduled_{what}"] = house.begin(Scheduled.run, scheduled)
        house.result(runs[f"scheduled_{what}"])
    return runs


def _drills(house: VaultHouse) -> dict[str, Run[Any]]:
    home, vault = house.home, house.vault
    request = DrillInput(site=vault.site, origin=BY)
    runs = {"drill": house.begin(Drill.run, request)}
    house.result(runs["drill"])
    # No rule wants it, since a newer one is proven.
    vault.keep("db/orders", 3, True)
    runs["retention"] = house.begin(Retention.run, RetentionInput(site=vault.site, origin=BY))
    house.result(runs["retention"])

    vault.wrong |= {"load drill_orders": "damaged", "load drill_people": "ssh_unreachable"}
    run = runs["drill_failed"] = house.begin(Drill.run, request)
    home.until_parked(run, "restore db/people")
    home.run(house.engine.skip(run, SkipInput(step="restore db/people", reason="recorded")))
    home.failure(run)

    vault.wrong.clear()
    runs["drill_cancelled"] = _cancelled(house, house.begin(Drill.run, request), "verify")
    return runs


def _restores(house: VaultHouse) -> dict[str, Run[Any]]:
    home, vault = house.home, house.vault
    vault.keep("db/orders", 0, True)
    request = RestoreDatabaseInput(site=vault.site, database="orders", origin=BY)
    runs = {"restore_beside": house.begin(RestoreDatabase.run, request)}
    house.result(runs["restore_beside"])

    vault.findings = ("table lines is empty",)
    in_place = request.model_copy(update={"in_place": True})
    run = runs["restore_in_place"] = house.begin(RestoreDatabase.run, in_place)
    home.until(run, lambda states: "parked" in states.values())
    step = home.progress(run).parked[0].id
    home.run(house.engine.skip(run, SkipInput(step=step, reason="recorded")))
    kept = house.result(run).kept

    vault.findings = ()
    back = request.model_copy(update={"back_to": kept})
    runs["restore_back"] = house.begin(RestoreDatabase.run, back)
    house.result(runs["restore_back"])

    vault.wrong["swap"] = "refused"
    run = runs["restore_aborted"] = house.begin(RestoreDatabase.run, in_place)
    home.until_parked(run, "swap")
    home.run(house.engine.abort(run, AbortInput(reason="recorded")))
    home.failure(run)

    vault.wrong.clear()
    runs["restore_cancelled"] = _cancelled(house, house.begin(RestoreDatabase.run, in_place), "load")
    other = site_of()
    vault.serve(other)
    runs["restore_into"] = house.begin(RestoreDatabase.run, in_place.model_copy(update={"into": other}))
    house.result(runs["restore_into"])
    return runs


def _others(house: VaultHouse) -> dict[str, Run[Any]]:
    site = house.vault.site
    newest = house.vault.keep("db/orders", 0)
    pin = Pin(name="operator", reason="recorded", by="tests", at=1.0)
    objects = BucketRestoreInput(site=site, bucket="files", id="")
    runs = {
        "restore_bucket": house.begin(RestoreBucket.run, RestoreBucketInput(request=objects, origin=BY)),
        "restore_instance": house.begin(RestoreInstance.run, RestoreInstanceInput(site=site, name="new", origin=BY)),
        "backups": house.begin(Backups.run, BackupsInput(site=site)),
        "pin_backup": house.begin(PinBackup.run, PinRunInput(site=site, asset="db/orders", id=newest.id, pin=pin)),
        "drop_database": house.begin(DropDatabase.run, DropInput(site=site, name="before_orders_1", origin=BY)),
    }
    for run in runs.values():
        house.result(run)
    return runs


def _cancelled(house: VaultHouse, run: Run[Any], call: str) -> Run[Any]:
    """The run, cancelled during a call."""
    house.vault.slow.add(call)
    times = len(house.vault.named(call))
    house.until_called(call, times + 1)
    house.home.run(run.cancel())
    house.home.failure(run)
    house.vault.slow.clear()
    return run
