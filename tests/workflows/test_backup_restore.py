"""Every way that a restore of a database can end: until the swap, what was live is live."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from blueprint.backup.scratch import RESTORE
from starters.engine import Run
from tests.workflows.test_parking import refusal
from tests.workflows.vault import BY, LIVE, site_of
from tests.workflows.vault_house import VaultHouse, Vaults
from workflows.backup.messages import RestoreDatabaseInput, RestoreDatabaseOutput
from workflows.backup.restore import RestoreDatabase
from workflows.identity import backup_turn
from workflows.messages import AbortInput, SkipInput

UNTOUCHED = {"orders": LIVE, "people": LIVE}


def begin(house: VaultHouse, **wishes: Any) -> Run[RestoreDatabaseOutput]:
    """Begin a restore."""
    request = RestoreDatabaseInput(site=house.vault.site, database="orders", origin=BY, **wishes)
    return house.begin(RestoreDatabase.run, request)


def vault_with_backups(vaults: Vaults) -> tuple[VaultHouse, str]:
    """A house of an environment with a good backup and a newer one that nobody has tried; the good one's id."""
    house = vaults(site_of())
    good = house.vault.keep("db/orders", 2, True)
    house.vault.keep("db/orders", 1)
    return house, good.id


def test_beside(vaults: Vaults) -> None:
    """The newest good one, under a name of its own, checked; the live one is untouched."""
    house, good = vault_with_backups(vaults)
    output: RestoreDatabaseOutput = house.result(begin(house))

    assert output.database.startswith("restore_orders_20")
    assert house.vault.databases == UNTOUCHED | {output.database: good}
    assert (output.id, output.bytes, output.kept, output.safety) == (good, 90, "", "")
    assert output.checked == ("12 tables",)
    name = output.database
    assert house.vault.calls == [
        "catalogue", "pin db/orders", f"load {name}", f"verify {name}", "unpin db/orders"
    ]  # fmt: skip


def test_beside_with_findings(vaults: Vaults) -> None:
    """They are told, and the database stays: somebody wants to look at it."""
    house, _ = vault_with_backups(vaults)
    house.vault.findings = ("table lines is empty",)
    output: RestoreDatabaseOutput = house.result(begin(house, to="restore_look"))
    assert output.findings == ("table lines is empty",)
    assert "restore_look" in house.vault.databases


def test_in_place(vaults: Vaults) -> None:
    """First a backup of what is live, then the restore beside, the checks, and the swap; the old one is kept."""
    house, good = vault_with_backups(vaults)
    output: RestoreDatabaseOutput = house.result(begin(house, in_place=True))

    vault = house.vault
    assert vault.databases == {"orders": good, "people": LIVE, output.kept: LIVE}
    assert output.kept.startswith("before_orders_20")
    assert (output.database, output.away, output.findings) == ("orders", 0.2, ())
    safety = next(entry for entry in vault.entries if entry.id == output.safety)
    assert (safety.asset, safety.reason) == ("db/orders", "before restore")
    order = [call.split()[0] for call in vault.named("database", "load", "verify", "swap", "unpin")]
    assert order == ["database", "load", "verify", "swap", "unpin"]
    assert not vault.pinned()


def test_and_back_again(vaults: Vaults) -> None:
    """What a restore kept takes its place again, and what was restored is kept: no backup is read."""
    house, good = vault_with_backups(vaults)
    first: RestoreDatabaseOutput = house.result(begin(house, in_place=True))
    house.vault.calls.clear()
    output: RestoreDatabaseOutput = house.result(begin(house, back_to=first.kept))
    assert house.vault.databases == {"orders": LIVE, "people": LIVE, output.kept: good}
    assert house.vault.calls == ["swap orders"]


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"id": "20200101T000000Z-abcd"}, "there is no backup 20200101T000000Z-abcd"),
        ({"to": "people"}, "could be a live database"),
        ({"back_to": "people"}, "could be a live database"),
        ({"back_to": "before_orders_1", "id": "x"}, "a database that was kept"),
    ],
)
def test_refused(vaults: Vaults, wishes: dict[str, str], words: str) -> None:
    """Nothing is done, and it says why."""
    house, _ = vault_with_backups(vaults)
    code, message = house.home.failure(begin(house, **wishes))
    assert code == "restore_refused"
    assert words in message
    assert not house.vault.named("load", "swap", "drop", "pin")


@pytest.mark.parametrize("step", ["load", "verify", "swap"])
def test_it_fails_before_the_swap(vaults: Vaults, step: str) -> None:
    """No step of it can be skipped; what was restored is dropped, the live one untouched."""
    house, _ = vault_with_backups(vaults)
    house.vault.wrong[step] = "command_failed"
    run = begin(house, in_place=True)
    house.until_called(step)
    house.home.until(run, lambda states: "parked" in states.values())
    parked = house.home.progress(run).parked[0].id
    refused = refusal(house.home, run, "skip")
    assert refused == f"{parked!r} cannot be decided by `skip`: send `retry` or `abort`"
    assert "`skip`" not in house.home.details(run)
    house.home.run(house.engine.abort(run, AbortInput(reason="enough")))

    assert house.home.failure(run) == ("aborted", "ended by an operator: enough")
    assert house.vault.databases == UNTOUCHED
    assert not house.vault.pinned()


def test_it_goes_on_after_a_retry(vaults: Vaults) -> None:
    """Once the cause is mended."""
    house, good = vault_with_backups(vaults)
    house.vault.wrong["load"] = "ssh_unreachable"
    run = begin(house, in_place=True)
    house.until_called("load")
    house.home.until(run, lambda states: "parked" in states.values())
    house.vault.wrong.clear()
    house.home.run(house.engine.retry(run))
    house.result(run)
    assert house.vault.databases["orders"] == good


@pytest.mark.parametrize("decision", ["retry", "skip", "abort", None])
def test_findings_before_a_swap(vaults: Vaults, decision: str | None) -> None:
    """A person says whether it takes the place of the live one all the same; without an answer it does not."""
    house, good = vault_with_backups(vaults)
    house.vault.findings = ("table lines is empty",)
    if decision is None:
        with house.skipping():
            run = begin(house, in_place=True)
        code, message = house.home.failure(run)
        assert code == "restore_refused"
        assert "table lines is empty" in message
    else:
        run = begin(house, in_place=True)
        house.until_called("verify")
        house.home.until(run, lambda states: "parked" in states.values())
        step = house.home.progress(run).parked[0].id
        assert "it takes the place of the live one all the same" in house.home.details(run)
        if decision == "retry":
            house.vault.findings = ()
            house.home.run(house.engine.retry(run))
        elif decision == "skip":
            house.home.run(house.engine.skip(run, SkipInput(step=step, reason="it was always empty")))
        else:
            house.home.run(house.engine.abort(run, AbortInput(reason="no")))
            assert house.home.failure(run)[0] == "aborted"
    if decision in ("retry", "skip"):
        assert bool(house.result(run).findings) == (decision == "skip")
        assert house.vault.databases["orders"] == good
    else:
        assert house.vault.databases == UNTOUCHED


def test_what_cannot_be_removed_is_told(vaults: Vaults) -> None:
    """It may hold everything that the backup does, and nobody else looks for it."""
    house, _ = vault_with_backups(vaults)
    house.vault.wrong |= {"verify": "refused", "drop": "refused"}
    with house.skipping():
        run = begin(house, in_place=True)
    code, message = house.home.failure(run)
    assert code == "restore_failed"
    assert "restore_orders_" in message
    assert "is still there, `scaleway-infra drop` removes it" in message


# -- the backup before -----------------------------------------------------------------------------------------------


def test_without_a_safety_backup_nothing_is_replaced(vaults: Vaults) -> None:
    """Nobody answers, neither about the backup nor about the restore."""
    house, _ = vault_with_backups(vaults)
    house.vault.wrong["database"] = "unavailable"
    with house.skipping():
        run = begin(house, in_place=True)
    code, message = house.home.failure(run)
    assert code == "restore_failed"
    assert "no new backup of db/orders" in message
    assert house.vault.databases == UNTOUCHED
    assert not house.vault.named("load")


def test_an_operator_goes_on_without_it(vaults: Vaults) -> None:
    """What was live is kept in any case."""
    house, good = vault_with_backups(vaults)
    house.vault.wrong["database"] = "refused"
    run = begin(house, in_place=True)
    house.home.until(run, lambda states: states.get("back up db/orders") == "running")
    house.until_called("database")
    child = house.follow(backup_turn(house.vault.site.target.environment))
    house.home.until_parked(child, "db/orders")
    house.home.run(house.engine.skip(child, SkipInput(step="db/orders", reason="hurry")))
    house.home.until_parked(run, "back up db/orders")
    house.home.run(house.engine.skip(run, SkipInput(step="back up db/orders", reason="hurry")))
    output: RestoreDatabaseOutput = house.result(run)
    assert (house.vault.databases["orders"], house.vault.databases[output.kept]) == (good, LIVE)
    assert output.safety == ""


def test_there_is_nothing_live(vaults: Vaults) -> None:
    """A database that is gone needs no backup first."""
    house, good = vault_with_backups(vaults)
    del house.vault.databases["orders"]
    assert house.result(begin(house, in_place=True)).safety == ""
    assert house.vault.databases["orders"] == good


# -- cancelled -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["catalogue", "pin", "database", "load", "verify"])
def test_cancelled(vaults: Vaults, step: str) -> None:
    """Nothing of it stays, and what was live is."""
    house, _ = vault_with_backups(vaults)
    house.vault.slow.add(step)
    run = begin(house, in_place=True)
    house.until_called(step)
    house.cancel(run)
    assert house.home.failure(run)[0] == "cancelled"
    assert house.vault.databases == UNTOUCHED
    assert not house.vault.pinned()


def test_cancelled_during_the_swap(vaults: Vaults) -> None:
    """It comes to its end, and so does the run: the data is there."""
    house, good = vault_with_backups(vaults)
    gate = house.gate("swap")
    run = begin(house, in_place=True)
    house.until_called("swap")
    house.cancel(run)
    assert EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED not in house.events(run)
    gate.set()
    output: RestoreDatabaseOutput = house.result(run)
    assert (output.database, house.vault.databases["orders"]) == ("orders", good)
    assert not house.vault.pinned()


# -- another environment ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_place", [False, True])
def test_into_another_environment(vaults: Vaults, in_place: bool) -> None:
    """It is masked before it is anything there; its live database is backed up if it is replaced."""
    house, good = vault_with_backups(vaults)
    other = site_of()
    house.vault.serve(other)
    output: RestoreDatabaseOutput = house.result(begin(house, into=other, in_place=in_place))

    there = house.vault.servers[other.target.environment]
    assert there[output.database] == f"{good}, masked"
    assert there.get(output.kept) == (LIVE if in_place else None)
    assert house.vault.databases == UNTOUCHED
    assert "2 statements" in output.checked
    assert bool(output.safety) == in_place


def test_not_masked(vaults: Vaults) -> None:
    """Nothing of it stays there."""
    house, _ = vault_with_backups(vaults)
    other = site_of()
    house.vault.serve(other)
    house.vault.wrong["mask"] = "command_failed"
    with house.skipping():
        run = begin(house, into=other)
    assert house.home.failure(run)[0] == "restore_failed"
    assert not [name for name in house.vault.servers[other.target.environment] if name.startswith(RESTORE)]
