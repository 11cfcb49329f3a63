"""Buckets and the environment's description from their backup to their restore, by the worker that everybody has."""

from __future__ import annotations

from typing import Any

from activities.backup.store import BackupStore
from activities.registry import Clouds
from blueprint.backup.contract import BucketRestoreInput
from blueprint.backup.site_of import backup_site
from blueprint.environment import parse
from blueprint.release.record import Origin
from starters import backups
from tests.activities.conftest import NO_TEMPORAL
from tests.workflows.house import House, request, settings_for, small
from workflows.backup.messages import BackupInput, DrillInput, RestoreBucketInput, RetentionInput

BY = Origin(by="tests")


def test_from_backup_to_restore(home: House) -> None:
    """Backed up, drilled, swept around, and brought back; nothing of the drill is left in the store."""
    data: dict[str, Any] = small(
        buckets={"shop/files": {}, "shop/backups": {}},
        backup={"bucket": "shop/backups", "retention": {"last": 1, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0}},
    )
    home.apply(data)
    target = request(data).target
    site = backup_site(parse(data), target)
    assert site
    [bucket] = site.buckets
    store = BackupStore(Clouds(settings_for(home.api), NO_TEMPORAL), site)
    for number in range(3):
        store.source.put_object(Bucket=bucket.name, Key=f"{number}.txt", Body=b"right")

    engine = home.engine
    made = home.run(home.run(backups.backup(engine, BackupInput(site=site, origin=BY))).result())
    assert {entry.asset for entry in made.entries} == {bucket.asset, "environment"}

    drilled = home.run(home.run(backups.drill(engine, DrillInput(site=site, origin=BY))).result())
    assert [(record.asset, record.passed) for record in drilled.records] == [(bucket.asset, True)]
    assert not list(store.list(f"{site.store.prefix}/scratch/"))

    seen = home.run(backups.backups(engine, site))
    [entry] = seen.catalogue.of(bucket.asset)
    assert (entry.state, entry.pins) == ("good", ())

    kept = home.run(home.run(backups.retention(engine, RetentionInput(site=site, origin=BY))).result())
    assert (kept.deleted, kept.troubles) == (0, ())

    store.source.put_object(Bucket=bucket.name, Key="0.txt", Body=b"wrong")
    store.source.delete_object(Bucket=bucket.name, Key="1.txt")
    store.source.put_object(Bucket=bucket.name, Key="new.txt", Body=b"new")
    wish = RestoreBucketInput(request=BucketRestoreInput(site=site, bucket=bucket.name, id=""), origin=BY)
    restored = home.run(home.run(backups.restore_bucket(engine, wish)).result())
    assert (restored.same, restored.restored, restored.newer) == (1, 2, 1)
    found = {
        item["Key"]: store.source.get_object(Bucket=bucket.name, Key=item["Key"])["Body"].read()
        for item in store.source.list_objects_v2(Bucket=bucket.name)["Contents"]
    }
    assert found == {"0.txt": b"right", "1.txt": b"right", "2.txt": b"right", "new.txt": b"new"}
