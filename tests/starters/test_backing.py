"""Commands for backups and restores: what is refused before anything begins, and how things are told."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console, RenderableType

from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.contract import BucketRestoreOutput, SweepOutput, TransferProgress
from blueprint.backup.health import AssetHealth, Finding
from blueprint.backup.manifest import DrillRecord, Failure, Pin
from blueprint.backup.retention import RetentionPlan, Verdict
from starters.cli.exits import UsageRefused
from starters.cli.restoring import Wish, moment_of
from starters.render.backup_text import (
    assets_text,
    backup_text,
    catalogue_text,
    drills_text,
    restored_bucket_text,
    restored_database_text,
    retention_plan_text,
    retention_text,
)
from starters.render.transfer_text import duration, size, transfer_text
from workflows.backup.messages import BackupOutput, RestoreDatabaseOutput, RetentionOutput

NOTHING = Wish(
    database=None,
    bucket=None,
    instance=None,
    backup="",
    to="",
    in_place=False,
    into=None,
    back_to="",
    prefix="",
    at=None,
    remove_newer=False,
    dry_run=False,
)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
ID = "20261126T110000Z-3f2a"
DRILL = DrillRecord(
    id=ID, asset="db/equitya", at=NOW - 1800, seconds=90, passed=True, checked=("7 tables",), bytes=10**9
)
ENTRY = Entry(
    id=ID,
    asset="db/equitya",
    point=NOW - 3600,
    started=NOW - 3600,
    ended=NOW - 3540,
    size=3_200_000_000,
    reason="schedule",
    drills=(DRILL,),
)


def told(shown: RenderableType) -> str:
    """What a person reads, in a wide terminal."""
    console = Console(width=300, no_color=True)
    with console.capture() as capture:
        console.print(shown)
    return capture.get()


@pytest.mark.parametrize(
    "wish",
    [
        {"database": "equitya"},
        {"database": "equitya", "backup": ID, "in_place": True},
        {"database": "equitya", "into": "stg", "in_place": True},
        {"database": "equitya", "into": "stg", "to": "restore_x"},
        {"database": "equitya", "back_to": "before_equitya_1"},
        {"bucket": "files", "prefix": "a/", "at": "2h ago", "remove_newer": True, "dry_run": True},
        {"bucket": "files", "backup": ID},
        {"instance": "db-restored", "backup": ID},
    ],
)
def test_wishes_that_make_sense(wish: dict[str, object]) -> None:
    """Every form that the help shows."""
    replace(NOTHING, **wish).require_sense()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({}, "has to be said once"),
        ({"database": "a", "bucket": "b"}, "database and bucket at once"),
        ({"database": "a", "at": "2h ago"}, "--at is for --bucket"),
        ({"database": "a", "dry_run": True}, "--dry-run is for --bucket"),
        ({"bucket": "a", "in_place": True}, "--in-place is for --database"),
        ({"bucket": "a", "backup": ID, "at": "2h ago"}, "--backup and --at at once"),
        ({"instance": "a", "into": "stg"}, "--into is for --database"),
        ({"database": "a", "to": "b", "in_place": True}, "--to and --in-place at once"),
        ({"database": "a", "back_to": "b", "backup": ID}, "--backup and --back-to at once"),
    ],
)
def test_wishes_that_make_none(wish: dict[str, object], said: str) -> None:
    """Refused before anything begins, with what would do."""
    with pytest.raises(UsageRefused, match=said) as refused:
        replace(NOTHING, **wish).require_sense()  # type: ignore[arg-type]
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-26 09:00", datetime(2026, 11, 26, 9, tzinfo=UTC)),
        ("2026-11-26T09:00:30", datetime(2026, 11, 26, 9, 0, 30, tzinfo=UTC)),
        ("2026-11-26T09:00+01:00", datetime(2026, 11, 26, 8, tzinfo=UTC)),
        ("2026-07-01 09:00 Europe/Paris", datetime(2026, 7, 1, 7, tzinfo=UTC)),
        ("2026-11-26", datetime(2026, 11, 26, tzinfo=UTC)),
    ],
)
def test_moments(text: str, expected: datetime) -> None:
    """With and without a zone."""
    assert moment_of(text) == expected.timestamp()


def test_moments_ago() -> None:
    """Counted back from now."""
    before = time.time()
    assert before - 7200 <= moment_of("2h ago") <= time.time() - 7200
    assert moment_of("30 m ago") > moment_of("2h ago")


@pytest.mark.parametrize(
    "text", ["yesterday", "", "2h", "x ago", "2026-13-01", "2026-11-26 09:00 Mars/Base", "2999-01-01"]
)
def test_no_moments(text: str) -> None:
    """What is no time, or lies ahead."""
    with pytest.raises(UsageRefused) as refused:
        moment_of(text)
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3.2e9, "3.2 GB"), (5e15, "5000.0 TB")]
)
def test_sizes(count: float, expected: str) -> None:
    """In the unit that one reads."""
    assert size(count) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.04, "0.0 s"), (59, "59.0 s"), (90, "1.5 min"), (86400 * 2, "2.0 d")]
)
def test_durations(seconds: float, expected: str) -> None:
    """In the unit that one reads."""
    assert duration(seconds) == expected


def test_a_transfer_is_told_with_rate_and_estimate() -> None:
    """As far as they are known."""
    moving = TransferProgress(what="dump equitya", done=10**9, total=5 * 10**9, rate=2e8, left=20)
    assert told(transfer_text(moving)).strip() == "dump equitya: 1.0 GB of 5.0 GB, 200.0 MB/s, 20.0 s left"
    assert told(transfer_text(TransferProgress(what="list files"))).strip() == "list files: 0 B"


def test_the_catalogue() -> None:
    """Ages, states, pins; of failures those that no backup has come after."""
    pinned = ENTRY.model_copy(update={"id": "20261125T110000Z-1111", "drills": ()})
    pinned = pinned.model_copy(update={"pins": (Pin(name="operator", reason="audit", by="ada", at=NOW),)})
    bad = ENTRY.model_copy(update={"id": "20261124T110000Z-2222", "damaged": "the manifest cannot be read"})
    failures = (
        Failure(id="x", asset="db/equitya", at=NOW - 60, code="unavailable", message="no node"),
        Failure(id="y", asset="db/equitya", at=NOW - 9999, code="unavailable", message="an old story"),
    )
    text = told(catalogue_text(Catalogue(entries=(ENTRY, pinned, bad), failures=failures), NOW))
    first, second, third = text.splitlines()[1:4]
    assert ("db/equitya" in first, "good" in first, "1.0 h" in first, "3.2 GB" in first, "30.0 min ago" in first) == (
        (True,) * 5
    )
    assert "db/equitya" not in second
    assert "unproven" in second
    assert "pinned by ada: audit" in second
    assert "bad" in third
    assert "cannot be read" in third
    assert "no node" in text
    assert "an old story" not in text
    assert "no backup yet" in told(catalogue_text(Catalogue(), NOW))


def test_the_assets() -> None:
    """With every finding, and what to type next."""
    late = Finding(trouble="late", text="no backup for 2 d: `scaleway-infra backup ENV --only db/equitya`")
    health = AssetHealth(
        asset="db/equitya", good=ID, good_age=172_800, good_size=10**9, drill_passed=True, findings=(late,)
    )
    text = told(assets_text([health, AssetHealth(asset="environment")]))
    assert ID in text
    assert "2.0 d" in text
    assert "passed" in text
    assert "! db/equitya: no backup for 2 d" in text


def test_runs() -> None:
    """Backups, drills, retention."""
    failed = Failure(id=ID, asset="bucket/files", at=NOW, code="gone", message="no such bucket")
    text = told(backup_text(BackupOutput(id=ID, entries=(ENTRY,), failures=(failed,))))
    assert "db/equitya: 3.2 GB in 1.0 min, good" in text
    assert "bucket/files: no new backup: no such bucket" in text
    broken = DRILL.model_copy(update={"passed": False, "findings": ("orders has 5 rows, not 7",)})
    text = told(drills_text([DRILL, broken]))
    assert "passed, 1.0 GB restored and usable after 1.5 min" in text
    assert "✗ orders has 5 rows, not 7" in text
    plan = RetentionPlan(
        verdicts=(
            Verdict(asset="db/equitya", id=ID, keep=True, reasons=("newest",), size=10),
            Verdict(asset="db/equitya", id="old", keep=False, reasons=("no rule wants it",), size=2000),
        ),
        held={"bucket/files": "never drilled"},
    )
    text = told(retention_plan_text(plan))
    assert "1 of 2 go, 2.0 kB" in text
    assert "nothing of bucket/files goes: never drilled" in text


def test_retention() -> None:
    """What went, and whatever did not."""
    swept = SweepOutput(objects=2, bytes=10, skipped=("bucket/equitya-prod-files",))
    output = RetentionOutput(plan=RetentionPlan(), deleted=1, swept=swept, troubles=("db/equitya 1 is still there",))

    text = told(retention_text(output))

    assert "Deleted 1 backups" in text
    assert "not swept, because a backup of it cannot be read: bucket/equitya-prod-files" in text
    assert "db/equitya 1 is still there" in text


def test_restores() -> None:
    """What is where now, and what was kept."""
    output = RestoreDatabaseOutput(
        database="equitya", id=ID, point=NOW, kept="before_equitya_1", safety="s", bytes=10**9, seconds=60, away=0.8
    )
    text = told(restored_database_text(output))
    assert "equitya is back, as of 2026-11-26 12:00:00 UTC" in text
    assert "nobody could connect for 0.8 s" in text
    assert "kept as before_equitya_1" in text
    looked = BucketRestoreOutput(same=5, restored=2, bytes=2048, newer=30, newer_keys=tuple(f"k{n}" for n in range(30)))
    text = told(restored_bucket_text(looked, written=False))
    assert "5 objects are as they were, 2 would be restored (2.0 kB)" in text
    assert "left alone: --remove-newer" in text
    assert "… and 10 more" in text
