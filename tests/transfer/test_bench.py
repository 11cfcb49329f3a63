"""The measurements run, in a short form that says nothing about times."""

from __future__ import annotations

import asyncio
import math
from types import ModuleType

import pytest

from bench import database_dump, database_restore
from bench.transfers import missing


@pytest.mark.parametrize("bench", [database_dump, database_restore])
def test_a_measurement_finds_the_same_rows(bench: ModuleType) -> None:
    """Of one pair of runs, against this system's own clients; memory has its limit here, too."""
    if trouble := missing():
        pytest.skip(trouble)
    report = asyncio.run(bench.measure(full=False, size=1, pairs=1, limit=math.inf, newest=False))

    assert report.violations == []
    assert [row[0] for row in report.rows] == ["pair 1", "median"]
