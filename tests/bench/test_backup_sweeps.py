"""Backups under kills and faults, in short, with real machines, a real PostgreSQL and a real worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import backup_drill, backup_faults, backup_kills
from emulator.real.machines.follower import Machines
from emulator.real.postgresql.client import programs
from tests.bench.measured import violations

OBSTACLE = Machines(Path("/nowhere")).obstacle() or (None if programs() else "needs postgresql")
pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")


def test_a_killed_worker_costs_no_backup_and_no_restore() -> None:
    """One kill of a backup, of a restore and of a bucket's: the same rows and objects, and nothing is left."""
    assert violations(backup_kills.measure(full=False, kills=1)) == []


def test_what_goes_wrong_is_sat_out_or_asked_about() -> None:
    """A server that restarts, addresses that expire, a store that is busy, a pg_dump that dies while zstd ends well."""
    assert violations(backup_faults.measure(full=False, ways=4)) == []


def test_a_drill_that_is_cut_off_leaves_nothing() -> None:
    """A scheduled drill undisturbed, with a killed worker, and cancelled."""
    assert violations(backup_drill.measure(full=False)) == []
