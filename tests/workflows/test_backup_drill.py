"""Every way that a drill can end: its scratch places are gone at the end of each."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.backup.scratch import DRILL
from starters.engine import Run
from tests.workflows.vault import BY, LIVE, site_of
from tests.workflows.vault_house import VaultHouse, Vaults
from workflows.backup.drill import Drill
from workflows.backup.messages import DrillInput, DrillOutput
from workflows.messages import AbortInput, SkipInput


def begin(house: VaultHouse, **wishes: Any) -> Run[DrillOutput]:
    """Begin a drill."""
    return house.begin(Drill.run, DrillInput(site=house.vault.site, origin=BY, **wishes))


def is_clean(house: VaultHouse) -> bool:
    """Whether nothing of a drill is left, and the live databases are as they were."""
    vault = house.vault
    return not vault.scratch and not vault.pinned() and vault.databases == dict.fromkeys(("orders", "people"), LIVE)


def test_the_newest_of_each_asset(vaults: Vaults) -> None:
    """Restored beside the live one, checked, dropped, noted; its pin outlives nothing."""
    house = vaults(site_of())
    vault = house.vault
    for asset in ("db/orders", "db/people", "bucket/files", "environment"):
        vault.keep(asset, 2)
    newest = vault.keep("db/orders", 1)
    vault.databases["drill_orders_old"] = "left over"
    output: DrillOutput = house.result(begin(house))

    first = vault.calls[: vault.calls.index("record db/orders passed")]
    scratch = next(call.split()[1] for call in first if call.startswith("load"))
    assert scratch.startswith("drill_orders_20")
    assert first == [
        "catalogue",
        "drop",
        "pin db/orders",
        f"load {scratch}",
        f"verify {scratch}",
        f"drop {scratch}",
        "unpin db/orders",
    ]
    assert [(record.asset, record.passed) for record in output.records] == [
        ("db/orders", True),
        ("db/people", True),
        ("bucket/files", True),
    ]
    assert (output.records[0].id, output.records[0].checked, output.records[0].bytes) == (newest.id, ("12 tables",), 90)
    assert {entry.asset for entry in vault.entries if entry.state == "good"} == {
        "db/orders",
        "db/people",
        "bucket/files",
    }
    assert is_clean(house)
    assert vault.calls[-1] == "report"


def test_objects_go_to_the_bucket_of_the_backups(vaults: Vaults) -> None:
    """A sample, under a prefix of the run's own: the live bucket is never written."""
    house = vaults(site_of())
    entry = house.vault.keep("bucket/files", 1)
    house.result(begin(house, only=("bucket/files",)))

    prefix = f"{house.vault.site.store.prefix}/scratch/"
    [restored] = house.vault.named("objects")
    assert restored.startswith(f"objects of {entry.id} into backups/{prefix}")
    assert len(house.vault.named(f"verify {prefix}")) == len(house.vault.named(f"remove {prefix}")) == 1
    assert not house.vault.named("drop")


def test_findings(vaults: Vaults) -> None:
    """The drill has not passed; that is kept beside the backup, and the run fails with it."""
    house = vaults(site_of())
    house.vault.keep("db/orders", 1)
    house.vault.findings = ("table lines has 3 rows, and 5 are in the manifest",)
    code, message, output = house.ends(begin(house, only=("db/orders",)), DrillOutput)

    assert code == "drill_failed"
    assert "db/orders: table lines has 3 rows" in message
    assert output.records[0].findings == house.vault.findings
    assert house.vault.entries[0].state == "bad"
    assert is_clean(house)


@pytest.mark.parametrize("step", ["load", "verify drill"])
@pytest.mark.parametrize("code", ["damaged", "command_failed", "secret_missing"])
def test_a_backup_that_cannot_be_restored(vaults: Vaults, step: str, code: str) -> None:
    """That is a verdict: nobody is asked, and the next asset has its turn."""
    house = vaults(site_of())
    house.vault.keep("db/orders", 1)
    house.vault.keep("bucket/files", 1)
    house.vault.wrong[step] = code
    ended, _, output = house.ends(begin(house, only=("db/orders", "bucket/files")), DrillOutput)

    assert ended == "drill_failed"
    assert [(record.asset, record.passed) for record in output.records] == [
        ("db/orders", False),
        ("bucket/files", True),
    ]
    assert "made to fail" in output.records[0].findings[0]
    assert is_clean(house)


def test_a_node_that_is_away_says_nothing_of_the_backup(vaults: Vaults) -> None:
    """No verdict is noted. Nobody answers, so the second asset does not wait for anybody either."""
    house = vaults(site_of())
    house.vault.keep("db/orders", 1)
    house.vault.keep("db/people", 1)
    house.vault.wrong["load"] = "ssh_unreachable"
    with house.skipping():
        run = begin(house, only=("db/orders", "db/people"))
    code, message, output = house.ends(run, DrillOutput)

    assert code == "drill_failed"
    assert message.count("no verdict") == 2
    assert (output.records, len(output.troubles)) == ((), 2)
    assert {entry.state for entry in house.vault.entries} == {"unproven"}
    assert len(house.timers(run)) == 1
    assert is_clean(house)


def test_retried(vaults: Vaults) -> None:
    """Once the node is back the drill goes on, and its time is that of the last try."""
    house = vaults(site_of())
    house.vault.keep("db/orders", 1)
    house.vault.wrong["load"] = "ssh_unreachable"
    run = begin(house, only=("db/orders",))
    house.home.until_parked(run, "restore db/orders")
    house.vault.wrong.clear()
    house.home.run(house.engine.retry(run))
    assert house.result(run).records[0].passed
    assert is_clean(house)


def test_what_cannot_be_dropped_is_told(vaults: Vaults) -> None:
    """The backup is good all the same; the run fails, since somebody has to know."""
    house = vaults(site_of())
    house.vault.keep("db/orders", 1)
    house.vault.wrong["drop drill"] = "refused"
    code, message, output = house.ends(begin(house, only=("db/orders",)), DrillOutput)
    assert code == "drill_failed"
    assert "could not drop drill_orders_" in message
    assert output.records[0].passed
    assert [name for name in house.vault.databases if name.startswith(DRILL)]


def test_which_backup(vaults: Vaults) -> None:
    """A damaged one is passed over; one that is asked for is taken; where there is none, the run says so."""
    house = vaults(site_of())
    older = house.vault.keep("db/orders", 2)
    middle = house.vault.keep("db/orders", 1)
    newest = house.vault.keep("db/orders", 0.5)
    house.vault.entries[0] = newest.model_copy(update={"damaged": "not what was written"})
    assert house.result(begin(house, only=("db/orders",))).records[0].id == middle.id
    assert house.result(begin(house, only=("db/orders",), id=older.id)).records[0].id == older.id

    code, message, _ = house.ends(begin(house, only=("db/people",)), DrillOutput)
    assert (code, "db/people: there is no readable backup" in message) == ("drill_failed", True)
    assert house.ends(begin(house, only=("environment",)), DrillOutput)[0] == "backup_failed"


@pytest.mark.parametrize("step", ["catalogue", "pin", "load", "verify", "drop drill", "unpin", "record", "report"])
def test_cancelled(vaults: Vaults, step: str) -> None:
    """Wherever it is: nothing of it stays, and what has begun to be removed is removed."""
    house = vaults(site_of())
    house.vault.keep("db/orders", 1)

    cancel_at(house, step, "db/orders")

    assert is_clean(house)
    assert bool(house.vault.entries[0].drills) == (step == "report")


@pytest.mark.parametrize("step", ["objects", "verify", "remove"])
def test_cancelled_at_objects(vaults: Vaults, step: str) -> None:
    """The sample goes, too."""
    house = vaults(site_of())
    house.vault.keep("bucket/files", 1)

    cancel_at(house, step, "bucket/files")

    assert is_clean(house)


def cancel_at(house: VaultHouse, step: str, asset: str) -> None:
    """Cancel an asset's drill while it is at a step, and wait for its end."""
    # What tidies up is not cancelled: it only takes its time.
    gate = house.gate(step) if step in ("drop drill", "unpin", "remove") else None
    if not gate:
        house.vault.slow.add(step)
    run = begin(house, only=(asset,))
    house.until_called(step)
    house.cancel(run)
    if gate:
        gate.set()
    assert house.home.failure(run)[0] == "cancelled"


@pytest.mark.parametrize("decision", ["skip", "abort"])
def test_decisions(vaults: Vaults, decision: str) -> None:
    """A skipped asset has no verdict and the next one is drilled; after an abort none is."""
    house = vaults(site_of())
    house.vault.keep("db/orders", 1)
    house.vault.keep("db/people", 1)
    house.vault.wrong["load drill_orders"] = "unavailable"
    run = begin(house, only=("db/orders", "db/people"))
    house.home.until_parked(run, "restore db/orders")
    if decision == "skip":
        house.home.run(house.engine.skip(run, SkipInput(step="restore db/orders", reason="later")))
    else:
        house.home.run(house.engine.abort(run, AbortInput(reason="enough")))

    code, _, output = house.ends(run, DrillOutput)
    assert code == ("drill_failed" if decision == "skip" else "aborted")
    assert [record.asset for record in output.records] == (["db/people"] if decision == "skip" else [])
    assert is_clean(house)
