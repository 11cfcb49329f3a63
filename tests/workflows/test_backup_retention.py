"""Retention: the plan is shown before anything goes, and what goes goes one by one."""

from __future__ import annotations

from typing import Any

from starters.engine import Run
from tests.workflows.vault import BY, site_of
from tests.workflows.vault_house import VaultHouse, Vaults
from workflows.backup.messages import RetentionInput, RetentionOutput
from workflows.backup.retention import Retention
from workflows.messages import AbortInput, SkipInput


def begin(house: VaultHouse, **wishes: Any) -> Run[RetentionOutput]:
    """Begin a retention run."""
    return house.begin(Retention.run, RetentionInput(site=house.vault.site, origin=BY, **wishes))


def kept(house: VaultHouse) -> list[str]:
    """Ids that are left."""
    return [entry.id for entry in house.vault.entries]


def three(house: VaultHouse) -> list[str]:
    """A good backup, and two older ones that no rule wants, the newest first. Returns their ids."""
    return [house.vault.keep("db/orders", days, True).id for days in (1, 2, 3)]


def test_the_plan_comes_first(vaults: Vaults) -> None:
    """It stands in the current details with its reasons while nothing is deleted yet; last comes the sweep."""
    house = vaults(site_of())
    newest, *others = three(house)
    gate = house.gate("delete")
    run = begin(house)
    house.until_called("delete")
    details = house.home.details(run)
    assert "2 of 3 backups go" in details
    assert all(f"`db/orders` `{other}`: " in details for other in others)
    assert newest not in details
    assert len(kept(house)) == 3
    gate.set()

    output: RetentionOutput = house.result(run)
    assert kept(house) == [newest]
    assert (output.deleted, output.bytes, output.swept.objects) == (2, 18, 1)
    assert house.vault.calls == ["catalogue", *(f"delete db/orders {other}" for other in others), "sweep"]


def test_only_the_plan(vaults: Vaults) -> None:
    """A dry run says the same and deletes nothing."""
    house = vaults(site_of())
    three(house)
    output: RetentionOutput = house.result(begin(house, write=False))
    assert len(output.plan.deletions) == 2
    assert len(kept(house)) == 3
    assert house.vault.calls == ["catalogue"]


def test_nothing_goes_while_nothing_is_proven(vaults: Vaults) -> None:
    """The reason stands where a person looks."""
    house = vaults(site_of())
    for days in (1, 2, 3):
        house.vault.keep("db/orders", days)
    run = begin(house)
    output: RetentionOutput = house.result(run)
    assert list(output.plan.held) == ["db/orders"]
    assert "nothing of `db/orders`: " in house.home.details(run)
    assert not house.vault.named("delete")


def test_what_cannot_be_deleted_stays(vaults: Vaults) -> None:
    """The others go; the run fails with what it did."""
    house = vaults(site_of())
    _, stubborn, other = three(house)
    house.vault.wrong[f"delete db/orders {stubborn}"] = "permission_denied"
    run = begin(house)
    step = f"delete db/orders {stubborn}"
    house.home.until_parked(run, step)
    house.home.run(house.engine.skip(run, SkipInput(step=step, reason="locked")))

    code, message, output = house.ends(run, RetentionOutput)
    assert code == "left_over"
    assert f"db/orders {stubborn} is still there" in message
    assert (output.deleted, len(output.troubles)) == (1, 1)
    assert other not in kept(house)
    assert house.vault.calls[-1] == "sweep"


def test_what_was_pinned_since_the_plan_stays(vaults: Vaults) -> None:
    """The activity looks again. That is no failure, and nobody is asked."""
    house = vaults(site_of())
    _, wanted, other = three(house)
    house.vault.wrong[f"delete db/orders {wanted}"] = "protected"
    output: RetentionOutput = house.result(begin(house))
    assert (output.deleted, output.troubles) == (1, ())
    assert wanted in kept(house)
    assert other not in kept(house)


def test_nobody_answers(vaults: Vaults) -> None:
    """A store that refuses everything is waited for once, and not once for each backup."""
    house = vaults(site_of())
    three(house)
    house.vault.wrong["delete"] = "permission_denied"
    with house.skipping():
        run = begin(house)
    code, _, output = house.ends(run, RetentionOutput)
    assert (code, output.deleted, len(output.troubles)) == ("left_over", 0, 2)
    assert house.timers(run) == [4 * 3600.0]


def test_abort(vaults: Vaults) -> None:
    """Nothing else is deleted."""
    house = vaults(site_of())
    three(house)
    house.vault.wrong["delete"] = "permission_denied"
    run = begin(house)
    house.until_called("delete")
    house.home.until(run, lambda states: "parked" in states.values())
    house.home.run(house.engine.abort(run, AbortInput(reason="enough")))
    assert house.ends(run, RetentionOutput)[0] == "aborted"
    assert len(house.vault.named("delete")) == 1
    assert not house.vault.named("sweep")


def test_cancelled(vaults: Vaults) -> None:
    """The deletion under way ends; no other begins."""
    house = vaults(site_of())
    three(house)
    house.vault.slow.add("delete")
    run = begin(house)
    house.until_called("delete")
    house.home.run(run.cancel())
    assert house.home.failure(run)[0] == "cancelled"
    assert len(house.vault.named("delete")) == 1
