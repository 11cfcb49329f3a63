"""The measurements in short: small samples, and no verdict on time, which belongs to whoever has the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from rich.console import Console

from bench import crash_sweep, fault_sweep, noop, scale, secrets_search
from bench.report import Report

Show = Callable[[Report], None]


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    """Print what was tried, whether or not somebody asks for it."""

    def print_it(report: Report) -> None:
        with capsys.disabled():
            console = Console(highlight=False, soft_wrap=True)
            console.print()
            report.show(console)

    return print_it


def run(measurement: Coroutine[Any, Any, Report], show: Show) -> Report:
    """Carry out a measurement and show it."""
    report = asyncio.run(measurement)
    show(report)
    return report


def test_a_failing_call_changes_nothing_about_the_end(show: Show) -> None:
    """All operations of an apply and of a destroy fail once, and a few calls alone: the same world in the end."""
    assert run(fault_sweep.measure(full=False, sample=1), show).violations == []


def test_a_killed_worker_is_replaced_without_a_trace(show: Show) -> None:
    """An apply whose worker is killed early and late ends like any other."""
    assert run(crash_sweep.measure(full=False, moments=2), show).violations == []


def test_no_secret_leaves_secret_manager(show: Show) -> None:
    """Temporal's database, logs, spans and outputs hold none of the secrets, and the search would find one."""
    assert run(secrets_search.measure(full=False), show).violations == []


def test_a_plan_does_not_cost_more_for_more_objects(show: Show) -> None:
    """Ten times the records, queues and buckets cost no more than pages."""
    assert run(noop.measure(full=False, limit=None), show).violations == []


def test_a_large_environment_stays_small_in_history_and_memory(show: Show) -> None:
    """A few hundred objects go through apply, apply and destroy within the limits of thousands."""
    assert run(scale.measure(full=False, records=400, queues=40, buckets=20), show).violations == []
