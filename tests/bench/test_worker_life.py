"""Workers that are replaced and killed, in short; the long forms are in `bench/`."""

from __future__ import annotations

import asyncio

from bench import two_workers, worker_versions


def test_a_run_ends_on_the_version_that_it_began_on() -> None:
    """An apply ends although its worker is replaced by code that does not replay it; the old worker then stops."""
    assert asyncio.run(worker_versions.measure(full=False)).violations == []


def test_one_of_two_workers_is_killed_again_and_again() -> None:
    """Runs end as if nothing had been, and nothing is created twice."""
    assert asyncio.run(two_workers.measure(full=False)).violations == []
