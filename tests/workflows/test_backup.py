"""Every way that a backup run can end."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from starters.engine import Run
from tests.workflows.vault import BY, site_of
from tests.workflows.vault_house import VaultHouse, Vaults
from workflows.backup.backup import Backup
from workflows.backup.messages import BackupInput, BackupOutput
from workflows.messages import AbortInput, SkipInput


def begin(house: VaultHouse, **wishes: Any) -> Run[BackupOutput]:
    """Begin a backup."""
    return house.begin(Backup.run, BackupInput(site=house.vault.site, origin=BY, **wishes))


def test_everything_is_backed_up(vaults: Vaults) -> None:
    """After the store was opened, every asset under one id, and last a report."""
    house = vaults(site_of(managed=True))
    output: BackupOutput = house.result(begin(house, reason="schedule"))

    vault = house.vault
    assert (vault.calls[0], vault.calls[-1]) == ("open", "report")
    assert {entry.asset for entry in output.entries} == set(vault.site.assets) == {item.asset for item in output.assets}
    assert {entry.id for entry in vault.entries} == {output.id}
    assert {(entry.reason, entry.commit) for entry in vault.entries} == {("schedule", "c" * 40)}


def test_only_what_is_asked_for(vaults: Vaults) -> None:
    """One asset, and nothing else."""
    house = vaults(site_of())
    house.result(begin(house, only=("db/people",)))
    assert house.vault.named("database", "bucket", "describe") == ["database db/people"]


def test_what_is_not_declared_is_refused(vaults: Vaults) -> None:
    """It says what there is; the store is not even opened."""
    house = vaults(site_of())
    code, message, _ = house.ends(begin(house, only=("db/peopel",)), BackupOutput)
    assert code == "backup_failed"
    assert "db/peopel: " in message
    assert "db/orders, db/people, bucket/files, environment" in message
    assert not house.vault.calls


def test_lanes(vaults: Vaults) -> None:
    """One database at a time, two buckets at a time, and neither waits for the other."""
    house = vaults(site_of(buckets=("a", "b", "c")))
    gate = house.vault.gates["database"] = house.vault.gates["bucket"] = threading.Event()
    run = begin(house)
    for asset in ("db/orders", "bucket/a", "bucket/b", "environment"):
        house.until_called({"db": "database", "bu": "bucket", "en": "describe"}[asset[:2]] + f" {asset}")
    house.home.until(run, lambda states: states["environment"] == "done")
    assert not house.vault.named("database db/people", "bucket bucket/c")
    details = house.home.details(run)
    assert "**Now**: `db/orders`, `bucket/a`, `bucket/b`" in details
    assert "**Then**: `db/people`, `bucket/c`" in details

    gate.set()
    assert len(house.result(run).entries) == 6


def test_one_that_fails_keeps_no_other_from_its_backup(vaults: Vaults) -> None:
    """It waits for an operator and leaves its lane; once mended it is backed up, and the run is green."""
    house = vaults(site_of())
    house.vault.wrong["database db/orders"] = "permission_denied"
    run = begin(house)
    house.home.until_parked(run, "db/orders")
    assert {entry.asset for entry in house.vault.entries} == {"db/people", "bucket/files", "environment"}
    assert "Waiting for an operator" in house.home.details(run)

    house.vault.wrong.clear()
    house.home.run(house.engine.retry(run))

    output: BackupOutput = house.result(run)
    assert len(output.entries) == 4
    assert not house.vault.failures


def test_skipped(vaults: Vaults) -> None:
    """The failure is noted, the run fails, and says what there is all the same."""
    house = vaults(site_of())
    house.vault.wrong["database db/orders"] = "damaged"
    run = begin(house)
    house.home.until_parked(run, "db/orders")
    house.home.run(house.engine.skip(run, SkipInput(step="db/orders", reason="another day")))

    code, message, output = house.ends(run, BackupOutput)
    assert code == "backup_failed"
    assert "db/orders: database db/orders: made to fail" in message
    assert [(item.asset, item.code, item.id) for item in house.vault.failures] == [("db/orders", "damaged", output.id)]
    assert len(output.entries) == 3
    assert len(output.assets) == 4
    assert house.vault.calls[-1] == "report"


@pytest.mark.parametrize(("reason", "hours"), [("schedule", 4.0), ("before migration", 0.5), ("before restore", 0.5)])
def test_nobody_answers(vaults: Vaults, reason: str, hours: float) -> None:
    """A run at night gives up after hours; one that something waits for does so sooner."""
    house = vaults(site_of())
    house.vault.wrong["database db/orders"] = "unavailable"
    with house.skipping():
        run = begin(house, reason=reason)
    code, _, output = house.ends(run, BackupOutput)

    assert code == "backup_failed"
    assert [failure.asset for failure in output.failures] == ["db/orders"]
    assert house.timers(run) == [hours * 3600]


def test_a_database_that_is_not_there_is_not_waited_for_before_a_restore(vaults: Vaults) -> None:
    """Nobody can mend that; whoever restores it wants to know at once."""
    house = vaults(site_of())
    del house.vault.databases["orders"]
    run = begin(house, reason="before restore", only=("db/orders",))
    code, _, output = house.ends(run, BackupOutput)
    assert (code, output.failures[0].code) == ("backup_failed", "gone")
    assert not house.timers(run)


def test_a_store_that_cannot_be_opened(vaults: Vaults) -> None:
    """Nothing is backed up, and each asset has a note of it."""
    house = vaults(site_of())
    house.vault.wrong["open"] = "refused"
    run = begin(house)
    house.home.until_parked(run, "open the store")
    house.home.run(house.engine.skip(run, SkipInput(step="open the store", reason="x")))

    code, _, output = house.ends(run, BackupOutput)
    assert code == "backup_failed"
    assert {item.asset for item in house.vault.failures} == set(house.vault.site.assets)
    assert (output.entries, len(output.failures)) == ((), 4)


def test_abort(vaults: Vaults) -> None:
    """What runs comes to its end, and nothing else begins."""
    house = vaults(site_of())
    gate = house.vault.gates["database db/orders"] = threading.Event()
    house.vault.wrong["bucket"] = "refused"
    run = begin(house)
    house.home.until(run, lambda states: states.get("bucket/files") == "parked" and states["environment"] == "done")
    house.home.run(house.engine.abort(run, AbortInput(reason="wrong day")))
    gate.set()

    code, message, output = house.ends(run, BackupOutput)
    assert (code, message) == ("aborted", "ended by an operator: wrong day")
    assert {entry.asset for entry in output.entries} == {"db/orders", "environment"}
    assert [item.asset for item in output.failures] == ["bucket/files"]
    assert not house.vault.named("database db/people")
    assert house.home.states(run)["db/people"] == "dropped"


@pytest.mark.parametrize("step", ["open", "database db/orders", "bucket", "describe", "report"])
def test_cancelled(vaults: Vaults, step: str) -> None:
    """What is under way ends, nothing else begins, and nothing is noted as failed."""
    house = vaults(site_of())
    house.vault.slow.add(step)
    run = begin(house)
    house.until_called(step)
    house.home.run(run.cancel())

    assert house.home.failure(run)[0] == "cancelled"
    assert not house.vault.failures
    if step != "report":
        assert not house.vault.named("report")
    assert "running" not in house.home.states(run).values()


def test_cancelled_while_an_operator_is_asked(vaults: Vaults) -> None:
    """Nobody is asked any more."""
    house = vaults(site_of())
    house.vault.wrong["bucket"] = "refused"
    run = begin(house)
    house.home.until_parked(run, "bucket/files")
    house.home.run(run.cancel())
    assert house.home.failure(run)[0] == "cancelled"
    assert not house.vault.failures
