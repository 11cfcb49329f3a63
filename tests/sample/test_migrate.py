"""Migrations on a real PostgreSQL: each once, all or nothing, and never in each other's way."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sample.conftest import Database, Program, wait

Start = Callable[..., Program]
ALL = ["001_jobs", "002_jobs_done_at"]


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    """A release whose migrations the test may change."""
    for name in ("src", "migrations"):
        shutil.copytree(release / name, tmp_path / name)
    (tmp_path / "REVISION").write_text("copy\n")
    return tmp_path


def migrate(start: Start, database: Database, *arguments: str, **options: str | Path) -> tuple[int, list[str]]:
    """Exit code and lines of one run."""
    program = start("src/migrate.ts", *arguments, DATABASE_URL=database.url, **options)
    return program.ended(), program.said.splitlines()


def test_each_is_applied_once(start: Start, database: Database) -> None:
    """--pending tells and changes nothing; a run applies in order; the next one finds nothing to do."""
    pending = (0, [f"pending {name}" for name in ALL])
    assert migrate(start, database, "--pending") == pending
    assert migrate(start, database, "--pending") == pending
    assert migrate(start, database) == (0, [f"migrated {name}" for name in ALL])
    assert migrate(start, database, "--pending") == (0, [])
    assert migrate(start, database) == (0, [])
    assert database.query("SELECT name FROM schema_migrations ORDER BY name") == ALL


def test_two_at_once(start: Start, database: Database) -> None:
    """One applies, the others wait for it and find nothing to do."""
    programs = [start("src/migrate.ts", DATABASE_URL=database.url) for _ in range(3)]
    assert [program.ended() for program in programs] == [0, 0, 0]
    assert sorted(line for program in programs for line in program.said.splitlines()) == [
        f"migrated {name}" for name in ALL
    ]


def test_a_failure_leaves_nothing_half_applied(start: Start, database: Database, copy: Path) -> None:
    """Those before stay, the one that failed leaves no trace, those after are not begun."""
    (copy / "migrations/003_broken.sql").write_text("CREATE TABLE half (id int);\nSELECT nonsense;\n")
    (copy / "migrations/004_after.sql").write_text("-- irreversible\nCREATE TABLE after_all (id int);\n")
    (copy / "migrations/notes.txt").write_text("no migration\n")
    code, lines = migrate(start, database, folder=copy)
    assert (code, lines[:2]) == (1, [f"migrated {name}" for name in ALL])
    assert "nonsense" in "\n".join(lines[2:])
    assert database.query("SELECT to_regclass('half') IS NULL, to_regclass('after_all') IS NULL") == ["t|t"]
    assert migrate(start, database, "--pending", folder=copy) == (
        0,
        ["pending 003_broken", "pending 004_after irreversible"],
    )


def test_a_lock_that_others_hold_ends_it(start: Start, database: Database, copy: Path) -> None:
    """It gives up after lock_timeout instead of making the whole application wait behind it."""
    assert migrate(start, database)[0] == 0
    (copy / "migrations/003_note.sql").write_text("ALTER TABLE jobs ADD COLUMN note text;\n")
    holder = subprocess.Popen(
        ["psql", "--no-psqlrc", "--quiet", database.url], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert holder.stdin
    holder.stdin.write("BEGIN; LOCK TABLE jobs;\n")
    holder.stdin.flush()
    try:
        locks = "SELECT count(*) FROM pg_locks WHERE relation = 'jobs'::regclass AND mode = 'AccessExclusiveLock'"
        wait(lambda: database.query(locks) == ["1"])
        code, lines = migrate(start, database, folder=copy, MIGRATE_LOCK_TIMEOUT_MS="200")
    finally:
        holder.communicate()
    assert code == 1
    assert "lock timeout" in lines[-1]
    assert migrate(start, database, folder=copy) == (0, ["migrated 003_note"])


def test_a_statement_that_takes_too_long_ends_it(start: Start, database: Database, copy: Path) -> None:
    """statement_timeout bounds each statement."""
    (copy / "migrations/003_slow.sql").write_text("SELECT pg_sleep(60);\n")
    code, lines = migrate(start, database, folder=copy, MIGRATE_STATEMENT_TIMEOUT_MS="500")
    assert code == 1
    assert "statement timeout" in lines[-1]


def test_no_database(start: Start) -> None:
    """It says what is missing."""
    program = start("src/migrate.ts")
    assert program.ended() == 1
    assert "DATABASE_URL is not set" in program.said
