"""Runs that wait for their turn, and what schedules start."""

from __future__ import annotations

from typing import Literal

import pytest

from blueprint.backup.contract import ScheduledInput
from starters.engine import Run
from tests.workflows.vault import BY, site_of
from tests.workflows.vault_house import VaultHouse, Vaults
from workflows.backup.backup import Backup
from workflows.backup.messages import BackupInput, BackupOutput, ScheduledOutput
from workflows.backup.scheduled import Scheduled
from workflows.identity import ENVIRONMENT, OPERATION, STARTED_BY, backup_turn, drill_turn


def scheduled(house: VaultHouse, what: Literal["backup", "drill", "retention"] = "backup") -> Run[ScheduledOutput]:
    """What a schedule starts."""
    return house.begin(Scheduled.run, ScheduledInput(what=what, site=house.vault.site, patience=600.0))


def turn(house: VaultHouse) -> str:
    """Of backups."""
    return backup_turn(house.vault.site.target.environment)


@pytest.mark.parametrize("what", ["backup", "drill", "retention"])
def test_what_was_scheduled_runs_under_its_turn(vaults: Vaults, what: Literal["backup", "drill", "retention"]) -> None:
    """It is found as a run that somebody started is, and the schedule's run has its output."""
    house = vaults(site_of())
    for asset in ("db/orders", "db/people", "bucket/files"):
        house.vault.keep(asset, 1)
    output: ScheduledOutput = house.result(scheduled(house, what))
    assert [name for name in ("backup", "drill", "retention") if getattr(output, name)] == [what]

    environment = house.vault.site.target.environment
    child = house.follow(drill_turn(environment) if what == "drill" else backup_turn(environment))
    found = house.home.run(child.handle.describe()).typed_search_attributes
    assert (found[ENVIRONMENT], found[OPERATION], found[STARTED_BY]) == (environment, what, "schedule")
    if output.backup:
        assert {entry.reason for entry in output.backup.entries} == {"schedule"}


def test_it_waits_until_the_turn_is_free(vaults: Vaults) -> None:
    """Two backups of an environment never run at once."""
    house = vaults(site_of())
    gate = house.gate("database")
    first = house.begin(Backup.run, BackupInput(site=house.vault.site, origin=BY), turn(house))
    house.until_called("database")
    with house.skipping():
        waiting = scheduled(house)
    house.until_timers(waiting, 2)
    assert house.vault.calls.count("open") == 1
    gate.set()

    one: BackupOutput = house.result(first)
    other: ScheduledOutput = house.result(waiting)
    assert other.backup
    assert other.backup.id != one.id
    assert house.vault.calls.count("open") == 2


def test_its_patience_ends(vaults: Vaults) -> None:
    """It says who has the turn; the one that has it goes on."""
    house = vaults(site_of())
    gate = house.gate("database")
    first = house.begin(Backup.run, BackupInput(site=house.vault.site, origin=BY), turn(house))
    house.until_called("database")
    with house.skipping():
        waiting = scheduled(house)
    code, message = house.home.failure(waiting)
    assert code == "busy"
    assert f"{turn(house)}: another run had the turn" in message
    assert 570.0 < sum(house.timers(waiting)) <= 600.0
    gate.set()
    assert house.result(first)


def test_cancelled_while_it_runs(vaults: Vaults) -> None:
    """The child is cancelled, and waited for."""
    house = vaults(site_of())
    house.vault.slow.add("database")
    run = scheduled(house)
    house.until_called("database")
    house.home.run(run.cancel())
    assert house.home.failure(run)[0] == "cancelled"
    assert house.home.failure(house.follow(turn(house)))[0] == "cancelled"


def test_its_failure_is_the_childs(vaults: Vaults) -> None:
    """With the code by which programs know it."""
    house = vaults(site_of())
    run = scheduled(house, "drill")
    code, message = house.home.failure(run)
    assert code == "drill_failed"
    assert "no readable backup" in message
