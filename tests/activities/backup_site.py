"""The store of `lssm-prod` with backups that a test makes up: small, and of any age."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from activities.backup.catalogue import Catalogues
from activities.backup.objects.lists import ListWriter
from activities.backup.reading import Reader
from activities.backup.store import BackupStore, manifest_key
from activities.registry import Clouds
from activities.temporal_client import TemporalBridge
from blueprint.backup import layout
from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.contract import CatalogueInput
from blueprint.backup.manifest import BucketContents, DatabaseContents, DrillRecord, Manifest, Part
from blueprint.backup.objects import ObjectVersion
from blueprint.backup.site import BackupSite, BucketAsset, DatabaseAsset, Retention, SecretPlace, Store
from tests.activities.conftest import NO_TEMPORAL, TARGET, Control, make_cloud

STORE = "lssm-prod-backups"
PLACE = SecretPlace(path="/lssm/prod", name="backup-key")
DATABASE, BUCKET = "db/shop", "bucket/lssm-prod-files"
HOUR, DAY = 3600.0, 86_400.0


class BackupHouse:
    """A store, and what reads and writes its catalogue.

    Args:
        emulator: a local Scaleway.
        temporal: a way to Temporal, or none.
        locked: whether the bucket has an object lock of a day.
    """

    def __init__(self, emulator: Control, temporal: TemporalBridge = NO_TEMPORAL, *, locked: bool = False) -> None:
        self.clouds = Clouds(make_cloud(emulator).settings.model_copy(update={"pace": 0.01}), temporal)
        self.site = BackupSite(
            target=TARGET,
            nodes=(),
            store=Store(bucket=STORE, region=TARGET.region, prefix="lssm-prod"),
            key=PLACE,
            databases=(DatabaseAsset(name="shop", instance="db-lssm-prod", user="lssm_prod_admin", password=PLACE),),
            buckets=(BucketAsset(name="lssm-prod-files"),),
            retention=Retention(last=1, daily=0, weekly=0, monthly=0, yearly=0, least_good=1, drilled_within=8 * DAY),
            late_after=26 * HOUR,
            smallest=0.5,
        )
        self.store = BackupStore(self.clouds, self.site)
        self.reader = Reader()
        self.catalogues = Catalogues(self.clouds)
        self.store.s3.create_bucket(Bucket=STORE, ObjectLockEnabledForBucket=locked)
        if locked:
            rule: Any = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
            configuration: Any = {"ObjectLockEnabled": "Enabled", "Rule": rule}
            self.store.s3.put_object_lock_configuration(Bucket=STORE, ObjectLockConfiguration=configuration)

    def begin(self, days: float, asset: str = DATABASE, content: bytes = b"part") -> Manifest:
        """What a run of some days ago has written of a backup before its manifest."""
        point = time.time() - days * DAY
        run = layout.backup_id(point, f"{int(days * 1000):04x}")
        manifest = Manifest(
            id=run,
            asset=asset,
            environment="lssm-prod",
            point=point,
            started=point,
            ended=point + 60,
            size=len(content),
        )
        if asset.startswith("bucket/"):
            return manifest.model_copy(update={"bucket": self._bucket(manifest, content.decode().split())})
        if not asset.startswith("db/"):
            return manifest
        self.store.put(layout.part(self.store.store, asset, run, "data-001", 0), content)
        part = Part(archive="data-001", index=0, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        database = DatabaseContents(
            parts=(part,),
            archives={},
            tables=(),
            raw_bytes=1,
            database_bytes=1,
            server_version="16.4",
            client_version="16.4",
        )
        return manifest.model_copy(update={"database": database})

    def backup(
        self, days: float, asset: str = DATABASE, *, passed: bool | None = None, content: bytes = b"part"
    ) -> Entry:
        """A backup of some days ago; of a bucket, the content is the names of its blobs."""
        entry = self.store.publish(self.begin(days, asset, content))
        if passed is not None:
            self.drill(entry, passed)
        return entry

    def drill(self, entry: Entry, passed: bool) -> None:
        """A drill right after the backup."""
        record = DrillRecord(id=entry.id, asset=entry.asset, at=entry.ended + 60, seconds=3.0, passed=passed)
        self.store.put(
            layout.drill(self.store.store, entry.asset, entry.id, record.at), record.model_dump_json().encode()
        )

    def damage(self, entry: Entry) -> None:
        """Cut a backup's manifest off."""
        key = manifest_key(self.store, entry.asset, entry.id)
        self.store.put(key, self.store.get(key)[:-20])

    def catalogue(self, *assets: str) -> Catalogue:
        """What the activity gives."""
        return self.catalogues.catalogue(CatalogueInput(site=self.site, assets=assets))

    def stored(self, prefix: str = "") -> list[str]:
        """Everything that is there, without the environment."""
        return [item.key.removeprefix("lssm-prod/") for item in self.store.list(f"lssm-prod/{prefix}")]

    def _bucket(self, manifest: Manifest, digests: list[str]) -> BucketContents:
        writer = ListWriter(self.store, manifest.asset, manifest.id, 1)
        for digest in digests:
            self.store.put(layout.blob(self.store.store, manifest.asset.partition("/")[2], digest), b"content")
            writer.add(ObjectVersion(key=f"of {digest}", etag="e", size=7, modified=1.0, blob=digest, blob_etag="e"))
        count = len(digests)
        return BucketContents(
            entries=writer.end(),
            objects=count,
            versions=count,
            bytes=7 * count,
            copied=count,
            copied_bytes=7 * count,
            versioned=False,
        )
