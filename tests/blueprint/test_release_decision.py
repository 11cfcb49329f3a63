"""What a deploy or rollback does follows from facts alone: tables of cases."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.environment.app import App
from blueprint.release.decision import ReleasePlan, plan_deploy, plan_restart, plan_rollback
from blueprint.release.facts import CommitFacts, FreezeFacts, NodeFacts, ReleaseFacts, ReleaseOnNode, UnitFacts

OLD, NOW, NEXT = "a" * 40, "b" * 40, "c" * 40
APP: dict[str, Any] = {"repository": "git://git.test/app.git", "units": ["api"]}


def app(**settings: Any) -> App:
    """An application with these settings."""
    return App.model_validate(APP | settings)


def node(name: str, runs: str = NOW, **facts: Any) -> NodeFacts:
    """A node that is well, unless told otherwise."""
    usual: dict[str, Any] = {
        "address": "10.0.0.2",
        "free_disk": 10**10,
        "current": runs,
        "units": (UnitFacts(name="api", loaded=True, active=bool(runs), commit=runs),),
        "releases": (
            ReleaseOnNode(commit=NOW, prepared=True, released_at=200.0),
            ReleaseOnNode(commit=OLD, prepared=True, released_at=100.0),
        ),
        "in_pool": True,
        "balanced": True,
    }
    return NodeFacts(name=name, **(usual | facts))


def facts(*nodes: NodeFacts, relation: Any = "newer", commit: str = NEXT, **more: Any) -> ReleaseFacts:
    """What is known before a deploy of a commit."""
    return ReleaseFacts(nodes=nodes, commit=CommitFacts(commit=commit, relation=relation), **more)


def codes(plan: ReleasePlan) -> list[str]:
    """Why it does not begin."""
    return [refusal.code for refusal in plan.refusals]


def test_two_nodes() -> None:
    """One after the other; a failure goes back to what runs."""
    plan = plan_deploy(facts(node("n1"), node("n2")), app())

    assert plan.batches == (("n1",), ("n2",))
    assert plan.prepare == ("n1", "n2")
    assert (plan.previous, plan.in_place, codes(plan)) == (NOW, False, [])


@pytest.mark.parametrize(
    ("nodes", "batch", "minimum", "sizes", "in_place"),
    [
        (1, 1, 1, [1], True),
        (2, 1, 2, [1, 1], True),
        (2, 5, 1, [1, 1], False),
        (5, 2, 2, [2, 2, 1], False),
        (5, 4, 3, [2, 2, 1], False),
        (10, 1, 9, [1] * 10, False),
    ],
)
def test_batches(nodes: int, batch: int, minimum: int, sizes: list[int], in_place: bool) -> None:
    """As many at once as the file says, and as the minimum allows; in place where it allows none."""
    fleet = [node(f"n{number}") for number in range(nodes)]
    plan = plan_deploy(facts(*fleet), app(batch=batch, min_healthy=minimum))

    assert [len(nodes) for nodes in plan.batches] == sizes
    assert plan.in_place is in_place


def test_a_node_outside_the_pool_comes_first() -> None:
    """It serves nobody."""
    plan = plan_deploy(facts(node("n1"), node("n2", in_pool=False, balanced=False)), app())

    assert plan.nodes == ("n2", "n1")


def test_what_runs_everywhere_is_done() -> None:
    """Nothing to do, even if it is frozen."""
    freeze = FreezeFacts(by="ana", reason="sale", since=0.0)
    plan = plan_deploy(facts(node("n1"), node("n2"), commit=NOW, relation="same", freeze=freeze), app())

    assert plan.batches == ()
    assert codes(plan) == []


def test_only_nodes_that_do_not_run_it_change() -> None:
    """A deploy that was cut short goes on."""
    plan = plan_deploy(facts(node("n1", runs=NEXT), node("n2")), app())

    assert plan.nodes == ("n2",)


def test_a_dead_unit_counts_as_not_running_it() -> None:
    """The link alone is no release."""
    dead = (UnitFacts(name="api", loaded=True, active=False),)
    plan = plan_deploy(facts(node("n1", units=dead), node("n2"), commit=NOW, relation="same"), app())

    assert plan.nodes == ("n1",)


@pytest.mark.parametrize(
    ("first", "more", "code", "forced"),
    [
        ({}, {"freeze": FreezeFacts(by="ana", reason="sale", since=0.0)}, "frozen", False),
        ({"reachable": False, "trouble": "no route"}, {}, "unreachable", False),
        ({}, {"relation": "older"}, "older", True),
        ({}, {"relation": "unrelated"}, "unrelated", True),
        (
            {"releases": (ReleaseOnNode(commit=NEXT, bad="slow"), ReleaseOnNode(commit=NOW, prepared=True))},
            {},
            "bad",
            True,
        ),
        ({"free_disk": 10**8}, {}, "disk_full", False),
        ({"clock_offset": -45.0}, {}, "clock", False),
        ({"units": (UnitFacts(name="api", loaded=False, active=False),)}, {}, "units_missing", False),
        ({"releases": ()}, {}, "no_target", True),
        ({}, {"balancer_ready": False}, "balancer", False),
        ({"balanced": False}, {}, "too_few_healthy", False),
    ],
)
def test_refusals(first: dict[str, Any], more: dict[str, Any], code: str, forced: bool) -> None:
    """Each with a reason and a way out; some are overruled by force."""
    found = facts(node("n1", **first), node("n2"), **more)

    refused = plan_deploy(found, app())
    assert codes(refused) == [code]
    assert refused.refusals[0].text
    assert refused.refusals[0].remedy
    assert codes(plan_deploy(found, app(), force=True)) == ([] if forced else [code])


def test_the_first_deploy_needs_no_healthy_pool() -> None:
    """Nothing runs yet, so nothing is healthy."""
    fresh: dict[str, Any] = {"runs": "", "releases": (), "balanced": False}
    plan = plan_deploy(facts(node("n1", **fresh), node("n2", **fresh), relation="first"), app())

    assert codes(plan) == []
    assert plan.previous == ""


def test_rollback_goes_to_the_newest_good_release() -> None:
    """That is on every node."""
    plan = plan_rollback(facts(node("n1"), node("n2")), app())

    assert (plan.commit, plan.previous, plan.nodes, plan.prepare) == (OLD, NOW, ("n1", "n2"), ())


def test_rollback_passes_over_a_bad_release() -> None:
    """There is no other."""
    bad = (
        ReleaseOnNode(commit=NOW, prepared=True, released_at=200.0),
        ReleaseOnNode(commit=OLD, prepared=True, bad="x", released_at=1.0),
    )
    plan = plan_rollback(facts(node("n1", releases=bad), node("n2")), app())

    assert codes(plan) == ["no_target"]


@pytest.mark.parametrize(("to", "commit"), [("aaaa", OLD), ("AAAA", OLD), ("dd", "")])
def test_rollback_to_a_named_release(to: str, commit: str) -> None:
    """By the start of its commit."""
    plan = plan_rollback(facts(node("n1"), node("n2")), app(), to)

    assert plan.commit == (commit or to)
    assert bool(plan.refusals) is not bool(commit)


def test_a_freeze_does_not_hold_a_rollback() -> None:
    """Going back is what one does in a freeze."""
    found = facts(node("n1"), node("n2"), freeze=FreezeFacts(by="ana", reason="sale", since=0.0))

    assert codes(plan_rollback(found, app())) == []


def test_restart_of_nodes_with_new_settings() -> None:
    """Only of those, and only where something is released."""
    stale = facts(node("n1"), node("n2", restart_needed=True))

    assert plan_restart(stale, app()).nodes == ("n2",)
    assert plan_restart(facts(node("n1", releases=(), restart_needed=True)), app()).batches == ()
