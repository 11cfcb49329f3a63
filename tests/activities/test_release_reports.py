"""What scripts say of nodes, and who may leave a pool: as tables."""

from __future__ import annotations

import pytest

from activities.release.pool import members_after, names_of
from activities.release.reports import commit_facts, migration_plan, node_facts
from blueprint.errors import PoolTooSmall
from blueprint.release.facts import ReleaseOnNode, UnitFacts

A, B, C = "a" * 40, "b" * 40, "c" * 40
NODES = {"one": "10.0.0.1", "two": "10.0.0.2", "three": "10.0.0.3"}
ONE, TWO, THREE = NODES.values()


def test_a_node_that_runs() -> None:
    """Releases the newest first, with their marks; units by what their processes work in."""
    lines = [
        "clock 1700000000.5",
        "free 5000000000",
        f"current {A}",
        "connections 7",
        f"release {A} 1700000000 1 1700000100.250000 ",
        f"release {B} 1700000500 1 - fails its health check: 500 ",
        f"release {C} 0 0 - ",
        f"unit api loaded active 2 1700000200.000001 {A}",
        "unit worker not-found inactive 0 0 ",
        "setting 1700000200.000000 /etc/lssm/backend.env",
    ]
    facts = node_facts("one", ONE, lines, 0.0004)

    assert (facts.current, facts.free_disk, facts.connections, facts.clock_offset) == (A, 5_000_000_000, 7, 0.0)
    assert facts.releases == (
        ReleaseOnNode(commit=B, prepared=True, bad="fails its health check: 500"),
        ReleaseOnNode(commit=A, prepared=True, released_at=1700000100.25),
        ReleaseOnNode(commit=C),
    )
    assert facts.units == (
        UnitFacts(name="api", loaded=True, active=True, restarts=2, commit=A),
        UnitFacts(name="worker", loaded=False, active=False),
    )
    assert not facts.restart_needed


@pytest.mark.parametrize(
    ("changed", "active", "needed"),
    [("199.9", "active", False), ("200.1", "active", True), ("200.1", "inactive", False), ("200.1", "failed", False)],
)
def test_settings_that_are_younger_than_a_unit(changed: str, active: str, needed: bool) -> None:
    """Only what runs has to be restarted for them."""
    lines = ["free 1", "current ", "connections 0", f"unit api loaded {active} 0 200.0 {A}", f"setting {changed} /x"]
    assert node_facts("one", ONE, lines, 0).restart_needed is needed


def test_an_empty_node() -> None:
    """Nothing is there, and nothing is wrong with that."""
    facts = node_facts("one", ONE, ["free 1", "current ", "connections 0"], 0)
    assert (facts.current, facts.releases, facts.units, facts.restart_needed) == ("", (), (), False)


def test_a_commit() -> None:
    """A subject may hold whatever it likes."""
    facts = commit_facts([f"commit {A}", "relation older", "subject  commit the unit: 3 fixes"])
    assert (facts.commit, facts.relation, facts.subject) == (A, "older", " commit the unit: 3 fixes")


@pytest.mark.parametrize(
    ("lines", "pending", "irreversible"),
    [
        ([], (), ()),
        (["bun run v1", "pending 001_a", "pending 002_b irreversible", ""], ("001_a", "002_b"), ("002_b",)),
        (["pending 003 reversible", "depending x"], ("003",), ()),
    ],
)
def test_pending_migrations(lines: list[str], pending: tuple[str, ...], irreversible: tuple[str, ...]) -> None:
    """What the application prints besides counts for nothing."""
    plan = migration_plan(lines)
    assert (plan.known, plan.pending, plan.irreversible) == (True, pending, irreversible)


@pytest.mark.parametrize(
    ("pool", "leave", "join", "minimum", "after"),
    [
        ([ONE, TWO], ["one"], [], 1, [TWO]),
        ([ONE, TWO], [], ["three"], 1, [ONE, TWO, THREE]),
        ([ONE, TWO], [], ["one"], 1, [ONE, TWO]),
        ([TWO], [], ["one"], 1, [ONE, TWO]),
        (["10.9.9.9", TWO], [], ["one"], 1, ["10.9.9.9", ONE, TWO]),
        ([ONE, TWO], ["three"], [], 2, [ONE, TWO]),
        ([ONE, TWO], ["one"], ["three"], 2, [TWO, THREE]),
        ([ONE, TWO], ["gone"], [], 2, [ONE, TWO]),
        ([ONE, "10.9.9.9", TWO], ["one"], [], 1, ["10.9.9.9", TWO]),
        ([], [], ["one"], 1, [ONE]),
        ([ONE, TWO, THREE], ["one", "two"], [], 9, [THREE]),
        ([ONE, TWO], ["one"], [], 2, None),
        ([ONE], ["one"], [], 1, None),
        ([ONE, "10.9.9.9"], ["one"], [], 1, None),
        ([ONE, TWO, THREE], ["one", "two"], [], 2, None),
        ([ONE], ["one"], [], 9, None),
    ],
)
def test_the_pool_after_a_change(
    pool: list[str], leave: list[str], join: list[str], minimum: int, after: list[str] | None
) -> None:
    """Never below the minimum, nor empty; strangers are left alone, and do not count."""
    if after is None:
        with pytest.raises(PoolTooSmall, match="must stay"):
            members_after(pool, NODES, leave, join, minimum)
    else:
        assert members_after(pool, NODES, leave, join, minimum) == after


def test_names_of_members() -> None:
    """A stranger has none."""
    assert names_of([TWO, "10.9.9.9"], NODES) == ["two", "10.9.9.9"]
