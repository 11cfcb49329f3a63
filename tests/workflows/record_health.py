"""Histories of health checks, for `record.py`."""

from __future__ import annotations

from typing import Any

from starters.engine import Run
from tests.workflows.house import House
from tests.workflows.test_health import DATA, begun, resolver


def record_health(home: House) -> dict[str, Run[Any]]:
    """With a group that could not be checked, and with all that an environment without machines has."""
    runs: dict[str, Run[Any]] = {}
    with home.working_instead(**resolver(home)):
        # There are no credentials yet that could look at queues.
        runs["health_unknown"] = begun(home, DATA)
        home.failure(runs["health_unknown"])
        home.apply(DATA)
        runs["health"] = begun(home, DATA)
        home.run(runs["health"].result())
    return runs
