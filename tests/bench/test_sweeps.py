"""The measurements in short: small samples, and no verdict on time, which belongs to whoever has the machine."""

from __future__ import annotations

from bench import crash_sweep, fault_sweep, noop, scale, secrets_search
from tests.bench.measured import violations


def test_a_failing_call_changes_nothing_about_the_end() -> None:
    """All operations of an apply and of a destroy fail once, and a few calls alone: the same world in the end."""
    assert violations(fault_sweep.measure(full=False, sample=1)) == []


def test_a_killed_worker_is_replaced_without_a_trace() -> None:
    """An apply whose worker is killed early and late ends like any other."""
    assert violations(crash_sweep.measure(full=False, moments=2)) == []


def test_no_secret_leaves_secret_manager() -> None:
    """Temporal's database, logs, spans and outputs hold none of the secrets, and the search would find one."""
    assert violations(secrets_search.measure(full=False)) == []


def test_a_plan_does_not_cost_more_for_more_objects() -> None:
    """Ten times the records, queues and buckets cost no more than pages."""
    assert violations(noop.measure(full=False, limit=None)) == []


def test_a_large_environment_stays_small_in_history_and_memory() -> None:
    """A few hundred objects go through apply, apply and destroy within the limits of thousands."""
    assert violations(scale.measure(full=False, records=400, queues=40, buckets=20)) == []
