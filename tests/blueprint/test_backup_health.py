"""How assets are follows from the catalogue: a table of what can be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.health import AssetHealth, health_of
from blueprint.backup.manifest import DrillRecord, Failure
from blueprint.backup.site import BackupSite, BucketAsset, DatabaseAsset, Managed, Retention, SecretPlace, Store
from blueprint.contract import Target

NOW = 1_795_701_600.0
HOUR, DAY = 3600.0, 86_400.0
PLACE = SecretPlace(path="/lssm-prod", name="backup-key")
SITE = BackupSite(
    target=Target(org="lssm", env="prod", region="fr-par", zone="fr-par-1"),
    nodes=("lssm-prod-core-01",),
    store=Store(bucket="lssm-prod-backups", region="fr-par", prefix="lssm-prod"),
    key=PLACE,
    databases=(DatabaseAsset(name="shop", instance="db-lssm-prod", user="lssm_admin", password=PLACE),),
    buckets=(BucketAsset(name="shop-prod-files"),),
    managed=Managed(instance="db-lssm-prod", snapshot_days=7, backup_days=0),
    retention=Retention(last=7, daily=0, weekly=0, monthly=0, yearly=0, least_good=1, drilled_within=8 * DAY),
    late_after=26 * HOUR,
    smallest=0.5,
)


def entry(hours: float, *passed: bool, asset: str = "db/shop", **more: Any) -> Entry:
    """A backup of some hours ago, with drills of an hour later each."""
    point = NOW - hours * HOUR
    drills = tuple(
        DrillRecord(
            id="ID",
            asset=asset,
            at=point + HOUR * n,
            seconds=10 * n,
            passed=ok,
            findings=() if ok else ("a row lacks",),
        )
        for n, ok in enumerate(passed, 1)
    )
    usual: dict[str, Any] = {"point": point, "started": point, "ended": point + 60, "size": 1000, "drills": drills}
    return Entry(id=f"{hours:g}h", asset=asset, **(usual | more))


def failure(hours: float, asset: str = "db/shop") -> Failure:
    """A run of some hours ago that failed."""
    return Failure(id="RUN", asset=asset, at=NOW - hours * HOUR, code="ssh_unreachable", message="no way to core-01")


def of(asset: str, *found: Entry | Failure) -> AssetHealth:
    """How an asset is, with this catalogue."""
    entries = tuple(item for item in found if isinstance(item, Entry))
    failures = tuple(item for item in found if isinstance(item, Failure))
    health = health_of(SITE, Catalogue(entries=entries, failures=failures), NOW)
    assert tuple(item.asset for item in health) == SITE.assets
    return next(item for item in health if item.asset == asset)


GOOD = entry(5, True)
SIZES = [entry(5 + hours, size=size) for hours, size in enumerate((900, 1000, 1100, 1000, 1000, 10, 10, 10), 1)]
TABLE: list[tuple[str, tuple[Entry | Failure, ...], list[str]]] = [
    ("well", (GOOD,), []),
    ("nothing yet", (), ["missing"]),
    ("nothing, and a run failed", (failure(1),), ["missing", "failed"]),
    ("only a damaged one", (entry(1, damaged="is not what was written"),), ["missing", "damaged"]),
    ("just in time", (entry(26, True),), []),
    ("late", (entry(26.1, True),), ["late"]),
    ("a run failed since", (GOOD, failure(1)), ["failed"]),
    ("a run failed before", (GOOD, failure(6)), []),
    ("another asset's run failed", (GOOD, failure(1, "environment")), []),
    ("half as big as usual", (entry(5, True, size=500), *SIZES), []),
    ("smaller than half", (entry(5, True, size=499), *SIZES), ["small"]),
    ("bad forebears are no measure", (entry(5, True, size=10), entry(6, False, size=1000)), []),
    ("never drilled", (entry(1),), ["undrilled"]),
    ("drilled a week ago", (entry(1), entry(7 * 24, True)), []),
    ("drilled too long ago", (entry(1), entry(9 * 24, True)), ["undrilled"]),
    ("the drill failed", (entry(1), entry(5, False), entry(50, True)), ["drill_failed"]),
    ("no good one is left", (entry(1), entry(5, True, False)), ["undrilled", "drill_failed"]),
    ("an older one is damaged", (GOOD, entry(30, damaged="cannot be read")), ["damaged"]),
]


@pytest.mark.parametrize(("found", "troubles"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_findings(found: tuple[Entry | Failure, ...], troubles: list[str]) -> None:
    """Each trouble is found, and no other; each text ends with what to type."""
    health = of("db/shop", *found)

    assert [finding.trouble for finding in health.findings] == troubles
    for finding in health.findings:
        assert " -> " in finding.text
        assert "` prod --only" not in finding.text
        assert "prod --only db/shop`" in finding.text


@pytest.mark.parametrize("asset", ["environment", "instance/db-lssm-prod"])
def test_what_is_not_drilled(asset: str) -> None:
    """A description and Scaleway's own copies are late or missing, but never undrilled or small."""
    assert of(asset, entry(1, asset=asset, size=1), entry(2, asset=asset)).findings == ()
    assert [finding.trouble for finding in of(asset, entry(27, asset=asset)).findings] == ["late"]
    assert [finding.trouble for finding in of(asset).findings] == ["missing"]


def test_what_is_told() -> None:
    """The newest, the newest good one, and how the last drills went."""
    health = of("db/shop", entry(1, size=1200), entry(5, True), entry(6, True, False), entry(30, damaged="gone"))

    assert (health.newest, health.newest_age, health.newest_size, health.newest_seconds) == ("1h", HOUR, 1200, 60)
    assert (health.good, health.good_age, health.good_size) == ("5h", 5 * HOUR, 1000)
    assert health.drilled_age == 4 * HOUR
    assert health.restore_seconds == 10
    assert health.backups == 4


def test_a_source_whose_clock_is_ahead() -> None:
    """Its backups are late when no more are made, all the same."""
    health = of("db/shop", entry(30, True, point=NOW + 365 * DAY, ended=NOW - 30 * HOUR))

    assert "late" in [finding.trouble for finding in health.findings]
    assert health.newest_age == 30 * HOUR


def test_the_text_tells_what_the_drill_found() -> None:
    """A person need not look elsewhere."""
    (finding,) = of("db/shop", entry(1, False), entry(5, True)).findings
    assert "a row lacks" in finding.text
    assert finding.text.endswith(
        "`scaleway-infra backup prod --only db/shop`, then `scaleway-infra drill prod --only db/shop`"
    )
