"""A deploy that migrates has a backup to go back to, or does not begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from temporalio import activity

from blueprint.backup import contract
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import AssetInput, NoteInput, OpenOutput, ReportOutput, SiteInput
from blueprint.backup.manifest import Failure
from blueprint.backup.site import BackupSite
from blueprint.backup.site_of import backup_site
from blueprint.contract import Target
from blueprint.environment import parse
from blueprint.release.contract import MigrationPlan
from starters.engine import Run
from tests.workflows.fleet import NEW, OLD, Fleet, FleetHouse, fleet_house
from tests.workflows.house import House
from workflows.identity import backup_turn
from workflows.messages import SkipInput

FILE: dict[str, Any] = {
    "network": {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["203.0.113.0/24"]}}},
    "ssh_keys": {"ops": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm ops"},
    "nodes": {"core": {}},
    "postgresql": {"databases": ["orders", "people"]},
    "buckets": {"acme/backups": {}},
}
PENDING = MigrationPlan(pending=("002_more",))


class BackedUp(Fleet):
    """A fleet whose environment is backed up."""

    def site_of_backups(self, **backup: Any) -> BackupSite:
        """What the file says with this in its section `backup`."""
        target: Target = self.site.target
        data = FILE | {"org": target.org, "env": target.env, "backup": {"bucket": "acme/backups", **backup}}
        found = backup_site(parse(data), target)
        assert found
        return found

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """For a worker."""
        return [*super().activities, self.open, self.dump, self.note_failure, self.report]

    @activity.defn(name=contract.OPEN.name)
    async def open(self, input: SiteInput) -> OpenOutput:
        """See `blueprint.backup.contract`."""
        return OpenOutput(recipients=("age1test",))

    @activity.defn(name=contract.DATABASE.name)
    async def dump(self, input: AssetInput) -> Entry:
        """See `blueprint.backup.contract`."""
        await self._do(f"dump {input.asset}")
        return Entry(id=input.id, asset=input.asset, point=1.0, started=1.0, ended=2.0, size=3, reason=input.reason)

    @activity.defn(name=contract.NOTE_FAILURE.name)
    async def note_failure(self, input: NoteInput) -> Failure:
        """See `blueprint.backup.contract`."""
        await self._do(f"failed {input.failure.asset}")
        return input.failure

    @activity.defn(name=contract.REPORT.name)
    async def report(self, input: SiteInput) -> ReportOutput:
        """See `blueprint.backup.contract`."""
        return ReportOutput(assets=())


@pytest.fixture
def fleet() -> BackedUp:
    """Two nodes, and a release that migrates."""
    fleet = BackedUp(("n1", "n2"), migrate={})
    fleet.pending = PENDING
    return fleet


@pytest.fixture
def house(home: House, fleet: BackedUp) -> Iterator[FleetHouse]:
    """The fleet with its worker."""
    with fleet_house(home, fleet) as built:
        yield built


def child(house: FleetHouse) -> Run[Any]:
    """The backup of the environment."""
    return Run(house.engine.client.get_workflow_handle(backup_turn(house.fleet.site.target.environment)), "")


def until_it_runs(home: House, run: Run[Any], step: str) -> None:
    """Wait until a step of a run has begun."""
    home.until(run, lambda states: states.get(step) == "running")


def test_backed_up_before_it_migrates(home: House, house: FleetHouse, fleet: BackedUp) -> None:
    """Only what the file names, before anything changes; the record tells which backup it is."""
    site = fleet.site_of_backups(before_migration=["orders"])
    record = home.run(house.begin(backup=site).result())

    output = home.run(child(house).result())
    assert record.backup_point == f"backup {output['id']} of db/orders"
    assert [entry["reason"] for entry in output["entries"]] == ["before migration"]
    made = [call for call in fleet.calls if call.startswith(("dump", "migrate", "switch"))]
    assert made[:2] == ["dump db/orders", "migrate n1"]
    assert fleet.currents() == [NEW, NEW]


@pytest.mark.parametrize(
    ("pending", "named"), [(MigrationPlan(), None), (PENDING, [])], ids=["nothing to migrate", "nothing named"]
)
def test_no_backup_without_need(
    home: House, house: FleetHouse, fleet: BackedUp, pending: MigrationPlan, named: list[str] | None
) -> None:
    """A release that does not migrate, or a file that names no database, makes none."""
    fleet.pending = pending
    record = home.run(house.begin(backup=fleet.site_of_backups(before_migration=named)).result())

    assert record.result == "released"
    assert not [call for call in fleet.calls if call.startswith("dump")]


def test_without_a_backup_nothing_is_touched(home: House, house: FleetHouse, fleet: BackedUp) -> None:
    """The release fails, and says which database has none and what to do; no node notices."""
    fleet.wrong["dump db/people"] = "gone"
    run = house.begin(backup=fleet.site_of_backups())
    until_it_runs(home, run, "back up db/orders, db/people")
    backup = child(house)
    home.until_parked(backup, "db/people")
    home.run(house.engine.skip(backup, SkipInput(step="db/people", reason="nobody can mend it")))

    code, message = home.failure(run)
    assert code == "release_failed"
    assert "nothing was touched" in message
    assert "db/people" in message
    assert "backup.before_migration" in message
    assert not [call for call in fleet.calls if call.startswith(("migrate", "leave", "switch"))]
    assert fleet.currents() == [OLD, OLD]


def test_a_cancelled_deploy_ends_its_backup(home: House, house: FleetHouse, fleet: BackedUp) -> None:
    """Nobody waits for it any more, and nothing was changed."""
    fleet.slow.add("dump")
    run = house.begin(backup=fleet.site_of_backups(before_migration=["orders"]))
    until_it_runs(home, run, "back up db/orders")
    backup = child(house)
    until_it_runs(home, backup, "db/orders")
    home.run(run.cancel())

    assert home.failure(run)[0] in ("aborted", "cancelled")
    assert home.failure(backup)[0] == "cancelled"
    assert fleet.currents() == [OLD, OLD]
