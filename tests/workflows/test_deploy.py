"""Every way that a deploy or a rollback can end, on a fleet that goes wrong on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from blueprint.release.contract import MigrationPlan
from blueprint.release.facts import FreezeFacts
from blueprint.release.record import ReleaseRecord
from starters.engine import AnotherChangeRuns, Run
from starters.releases import record_of
from tests.workflows.fleet import NEW, OLD, Fleet, FleetHouse, fleet_house
from tests.workflows.house import House
from workflows.messages import AbortInput, SkipInput

Build = Callable[[Fleet], FleetHouse]
TWO = ("n1", "n2")


@pytest.fixture
def built(home: House) -> Iterator[Build]:
    """Gives a house of a fleet."""
    opened = []

    def build(fleet: Fleet) -> FleetHouse:
        opened.append(fleet_house(home, fleet))
        return opened[-1].__enter__()

    yield build
    for context in opened:
        context.__exit__(None, None, None)


def ends(home: House, house: FleetHouse, run: Run[ReleaseRecord]) -> tuple[str, ReleaseRecord]:
    """The code with which a run fails, and its record."""
    code, _ = home.failure(run)
    record = house.run(record_of(run))
    assert record is not None
    return code, record


def rolled(fleet: Fleet) -> list[str]:
    """What was done to nodes and pool, in order, without what only looks."""
    quiet = ("facts", "queues", "prune", "mark", "prepare", "pending", "probe")
    return [call for call in fleet.calls if not call.startswith(quiet)]


def test_two_nodes_change_one_after_the_other(home: House, built: Build) -> None:
    """Everything is prepared before any traffic moves, and the pool always has one."""
    fleet = Fleet(TWO)
    record = home.run(built(fleet).begin().result())

    assert rolled(fleet) == [
        step.format(node)
        for node in TWO
        for step in (
            "leave {}",
            "drain {}",
            f"switch {{}} {NEW[:9]}",
            f"check {{}} {NEW[:9]}",
            "join {}",
            "balance {}",
            "watch {}",
        )
    ]
    assert max(fleet.calls.index(f"prepare {node}") for node in TWO) < fleet.calls.index("leave n1")
    assert fleet.smallest_pool == 1
    assert fleet.pool() == list(TWO)
    assert [node.released[NEW] == record.ended or node.released[NEW] > 1000 for node in fleet.nodes.values()] == [
        True
    ] * 2
    assert (record.result, record.previous, record.closed) == ("released", OLD, 6)
    assert [(node.node, node.result) for node in record.nodes] == [("n1", "released"), ("n2", "released")]
    assert set(record.nodes[0].seconds) == {"leave", "drain", "switch", "check", "join", "balance", "soak"}
    assert (record.queues_before, record.queues_after) == ({"jobs": 2}, {"jobs": 2})
    assert record.origin.link == "http://ci.test/1"


def test_a_single_node_stays_in_the_pool(home: House, built: Build) -> None:
    """There is nobody to spare: it changes in place."""
    fleet = Fleet(("n1",))
    record = home.run(built(fleet).begin().result())

    assert rolled(fleet) == [f"switch n1 {NEW[:9]}", f"check n1 {NEW[:9]}", "balance n1", "watch n1"]
    assert record.in_place


def test_batches_are_as_large_as_the_minimum_allows(home: House, built: Build) -> None:
    """Five nodes, three of which have to stay: two at a time, though the file says four."""
    fleet = Fleet(("n1", "n2", "n3", "n4", "n5"), batch=4, min_healthy=3)
    home.run(built(fleet).begin().result())

    assert [call for call in fleet.calls if call.startswith("leave")] == ["leave n1, n2", "leave n3, n4", "leave n5"]
    assert fleet.smallest_pool == 3


def test_what_runs_already_is_left_alone(home: House, built: Build) -> None:
    """The same commit twice does nothing."""
    fleet = Fleet(TWO)
    record = home.run(built(fleet).begin(OLD).result())

    assert rolled(fleet) == []
    assert (record.result, record.reason) == ("released", "all nodes run it already")


def test_the_probe_asks_while_nodes_change(home: House, built: Build) -> None:
    """Its answers are in the record."""
    fleet = Fleet(("n1",), url="https://api.test/")
    record = home.run(built(fleet).begin().result())

    assert record.probe
    assert record.probe.requests == 5


# -- refused ---------------------------------------------------------------------------------------------------------


def test_refused(home: House, built: Build) -> None:
    """Each reason is told, and no node is touched."""
    fleet = Fleet(TWO)
    fleet.relation = "older"
    fleet.freeze = FreezeFacts(by="ana", reason="Black Friday", since=0.0)
    fleet.nodes["n2"].reachable = False
    code, record = ends(home, house := built(fleet), house.begin())

    assert code == "release_refused"
    assert rolled(fleet) == []
    assert all(
        text in record.reason for text in ("is older than", "frozen by ana", "Black Friday", "n2 cannot be reached")
    )


def test_force_overrules_what_it_may(home: House, built: Build) -> None:
    """An older commit that is marked as bad, by force."""
    fleet = Fleet(TWO)
    fleet.relation = "older"
    fleet.nodes["n1"].bad[NEW] = "slow"
    record = home.run(built(fleet).begin(force=True).result())

    assert record.result == "released"
    assert not fleet.nodes["n1"].bad


def test_a_bad_release_is_not_chosen_again(home: House, built: Build) -> None:
    """One node's mark is enough."""
    fleet = Fleet(TWO)
    fleet.nodes["n2"].bad[NEW] = "it was slow"
    code, record = ends(home, house := built(fleet), house.begin())

    assert code == "release_refused"
    assert "it was slow" in record.reason


# -- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["prepare n2", "migrate n1"])
def test_before_any_node_is_touched(home: House, built: Build, step: str) -> None:
    """A release that does not build, or whose migration fails, is marked; nothing has to go back."""
    fleet = Fleet(TWO, migrate={})
    fleet.pending = MigrationPlan(pending=("002_more",))
    fleet.wrong[step] = "command_failed"
    code, record = ends(home, house := built(fleet), house.begin())

    assert code == "release_failed"
    assert [call for call in rolled(fleet) if not call.startswith("migrate")] == []
    assert all("made to fail" in node.bad[NEW] for node in fleet.nodes.values())
    assert record.nodes == ()


@pytest.mark.parametrize(
    ("step", "touched"),
    [
        ("check n1 bbb", ["n1"]),
        ("switch n1 bbb", ["n1"]),
        ("watch n1", ["n1"]),
        ("check n2 bbb", ["n2", "n1"]),
        ("watch n2", ["n2", "n1"]),
    ],
)
def test_touched_nodes_go_back_in_reverse_order(home: House, built: Build, step: str, touched: list[str]) -> None:
    """Without soak, one after the other; the release is marked, the pool is whole, and always has one."""
    fleet = Fleet(TWO)
    fleet.wrong[step] = "unhealthy"
    code, record = ends(home, house := built(fleet), house.begin())

    assert code == "rolled_back"
    assert fleet.currents() == [OLD, OLD]
    assert fleet.pool() == list(TWO)
    assert fleet.smallest_pool == 1
    assert [call.split()[1] for call in fleet.calls if call.startswith("switch") and OLD[:9] in call] == touched
    assert all(NEW in node.bad for node in fleet.nodes.values())
    assert {node.result for node in record.nodes} == {"back"}
    assert "made to fail" in record.reason


def test_what_is_not_the_releases_fault_does_not_mark_it(home: House, built: Build) -> None:
    """A load balancer that refuses says nothing about the commit."""
    fleet = Fleet(TWO)
    fleet.wrong["join n1"] = "refused"
    house = built(fleet)
    run = house.begin()
    home.until_parked(run, "back: n1")
    fleet.wrong.clear()
    house.run(house.engine.retry(run))

    assert ends(home, house, run)[0] == "rolled_back"
    assert not fleet.nodes["n1"].bad
    assert fleet.pool() == list(TWO)


def test_the_first_release_has_nothing_to_go_back_to(home: House, built: Build) -> None:
    """It fails, and says so."""
    fleet = Fleet(TWO)
    for node in fleet.nodes.values():
        node.current, node.prepared, node.released = "", set(), {}
    fleet.wrong["check n1"] = "unhealthy"
    code, record = ends(home, house := built(fleet), house.begin())

    assert code == "release_failed"
    assert "no release to go back to" in record.reason


def test_a_node_that_dies_stays_outside_and_an_operator_is_asked(home: House, built: Build) -> None:
    """The other node is not touched; skipping ends the run."""
    fleet = Fleet(TWO)
    house = built(fleet)
    fleet.wrong["switch n1"] = "ssh_unreachable"
    run = house.begin()
    home.until_parked(run, "back: n1")
    details = home.details(run)
    assert "outside the pool" in details
    assert fleet.pool() == ["n2"]

    house.run(house.engine.skip(run, SkipInput(step="back: n1", reason="it burns")))
    code, record = ends(home, house, run)

    assert code == "release_failed"
    assert fleet.pool() == ["n2"]
    assert not any(call.startswith("switch n2") for call in fleet.calls)
    assert [node.result for node in record.nodes] == ["left alone"]


def test_abort_leaves_the_nodes_as_they_are(home: House, built: Build) -> None:
    """No further node is touched."""
    fleet = Fleet(TWO)
    house = built(fleet)
    fleet.wrong |= {"check n2 bbb": "unhealthy", "switch n2 aaa": "ssh_unreachable"}
    run = house.begin()
    home.until_parked(run, "back: n2")
    house.run(house.engine.abort(run, AbortInput(reason="I do it by hand")))
    code, _ = ends(home, house, run)

    assert code == "release_failed"
    assert fleet.currents() == [NEW, NEW]


@pytest.mark.parametrize(("decision", "code", "runs"), [("retry", "rolled_back", OLD), ("skip", "release_failed", NEW)])
def test_a_migration_without_a_way_back_is_a_question(
    home: House, built: Build, decision: str, code: str, runs: str
) -> None:
    """The roll back stops short of it, names it, and tells the backup point."""
    fleet = Fleet(TWO, migrate={})
    fleet.pending = MigrationPlan(pending=("002_drop",), irreversible=("002_drop",))
    fleet.wrong["check n1 bbb"] = "unhealthy"
    house = built(fleet)
    run = house.begin()
    step = "back past 002_drop"
    home.until_parked(run, step)
    assert "backup-1" in home.details(run)
    if decision == "retry":
        house.run(house.engine.retry(run))
    else:
        house.run(house.engine.skip(run, SkipInput(step=step, reason="forward")))

    found, record = ends(home, house, run)
    assert found == code
    assert fleet.nodes["n1"].current == runs
    assert (record.irreversible, record.backup_point) == (("002_drop",), "backup-1")
    assert (NEW in fleet.nodes["n2"].released) is (decision == "skip")


def test_a_rollback_past_a_migration_without_a_way_back_is_refused(home: House, built: Build) -> None:
    """Unless somebody insists."""
    fleet = Fleet(TWO, migrate={})
    fleet.pending = MigrationPlan(pending=("002_drop",), irreversible=("002_drop",))
    house = built(fleet)
    home.run(house.begin().result())
    code, record = ends(home, house, house.begin_rollback())

    assert code == "release_refused"
    assert "002_drop" in record.reason
    assert home.run(house.begin_rollback(force=True).result()).result == "released"


def test_a_cancel_that_meets_the_end_of_a_step_goes_back_too(home: House, built: Build) -> None:
    """Both are told to the run at once, as when its worker was away: the step counts as stopped."""
    fleet = Fleet(TWO)
    gate = fleet.gates["drain n2"] = threading.Event()
    house = built(fleet)
    run = house.begin()
    home.until(run, lambda states: states.get("drain n2") == "running")
    house.deciding.end()
    home.run(run.cancel())
    gate.set()
    house.until_ended(run, "release_drain", 2)
    house.deciding.begin()

    assert home.failure(run)[0] == "cancelled"
    assert fleet.currents() == [OLD, OLD]
    assert fleet.pool() == list(TWO)


def test_a_node_outside_the_pool_is_brought_back_by_a_deploy_of_what_it_runs(home: House, built: Build) -> None:
    """It was left alone by an operator once."""
    fleet = Fleet(TWO)
    fleet.nodes["n1"].pooled = False
    record = home.run(built(fleet).begin(OLD).result())

    assert record.result == "released"
    assert fleet.pool() == list(TWO)


# -- stopping and turns ----------------------------------------------------------------------------------------------


def test_cancelled_in_the_middle_the_touched_nodes_go_back(home: House, built: Build) -> None:
    """Half a fleet is no state to stay in."""
    fleet = Fleet(TWO)
    fleet.slow.add("drain n2")
    house = built(fleet)
    run = house.begin()
    home.until(run, lambda states: states.get("drain n2") == "running")
    home.run(run.cancel())

    assert home.failure(run)[0] == "cancelled"
    assert fleet.currents() == [OLD, OLD]
    assert fleet.pool() == list(TWO)
    record = house.run(record_of(run))
    assert record
    assert record.result == "rolled back"
    assert not fleet.nodes["n1"].bad


def test_cancelled_before_any_node_is_touched(home: House, built: Build) -> None:
    """Nothing goes anywhere."""
    fleet = Fleet(TWO)
    fleet.slow.add("prepare n1")
    house = built(fleet)
    run = house.begin()
    home.until(run, lambda states: states.get("prepare n1") == "running")
    home.run(run.cancel())

    assert home.failure(run)[0] == "cancelled"
    assert rolled(fleet) == []


def test_a_second_deploy_is_told_what_runs(home: House, built: Build) -> None:
    """By its commit a deploy is known, so that the same one can be joined."""
    fleet = Fleet(TWO)
    fleet.slow.add("prepare n1")
    house = built(fleet)
    run = house.begin()
    with pytest.raises(AnotherChangeRuns) as refused:
        house.begin()

    assert refused.value.running.commit == NEW
    home.run(run.cancel())
    home.failure(run)


# -- rollback --------------------------------------------------------------------------------------------------------


def test_rollback_goes_to_the_last_good_release(home: House, built: Build) -> None:
    """The one that goes is marked; there is no soak."""
    fleet = Fleet(TWO)
    house = built(fleet)
    home.run(house.begin().result())
    fleet.calls.clear()
    record = home.run(house.begin_rollback(reason="errors in the log").result())

    assert fleet.currents() == [OLD, OLD]
    assert not any(call.startswith(("watch", "prepare")) for call in fleet.calls)
    assert all("errors in the log" in node.bad[NEW] for node in fleet.nodes.values())
    assert (record.action, record.commit, record.result) == ("rollback", OLD, "released")


def test_rollback_without_a_target_is_refused(home: House, built: Build) -> None:
    """There is only one release."""
    fleet = Fleet(TWO)
    code, record = ends(home, house := built(fleet), house.begin_rollback())

    assert code == "release_refused"
    assert "no earlier good release" in record.reason


def test_cancelled_past_a_migration_without_a_way_back_a_person_is_asked(home: House, built: Build) -> None:
    """Going back by itself could break what the database has become, and half a fleet is no state to stay in."""
    fleet = Fleet(TWO, migrate={})
    fleet.pending = MigrationPlan(pending=("002_drop",), irreversible=("002_drop",))
    fleet.slow.add("drain n2")
    house = built(fleet)
    run = house.begin()
    home.until(run, lambda states: states.get("drain n2") == "running")
    home.run(run.cancel())
    home.until_parked(run, "back past 002_drop")
    house.run(house.engine.retry(run))

    assert home.failure(run)[0] == "cancelled"
    assert fleet.currents() == [OLD, OLD]
