"""A bucket that is backed up, and what its tests ask of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from temporalio.testing import ActivityEnvironment

from activities.backup.objects.lists import read_list
from activities.backup.objects.objects import Objects
from activities.backup.objects.wire import Wire
from activities.backup.store import BackupStore
from activities.registry import Clouds
from activities.settings import ScalewaySettings
from blueprint.backup import layout
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import AssetInput, BucketRestoreInput, BucketRestoreOutput, OpenOutput
from blueprint.backup.objects import YOUNG
from blueprint.backup.site import BackupSite, BucketAsset, Retention, SecretPlace, Store
from tests.activities.conftest import NO_TEMPORAL, TARGET, Control

R = TypeVar("R")
LIVE, STORE = "lssm-prod-files", "lssm-prod-backup"
DRILL = "lssm-prod/scratch/20261126T143005Z-3f2a/"


class Bucket:
    """A bucket, the store of its backups, and the activities between them.

    Args:
        emulator: a local Scaleway.
        elsewhere: whether the store is another project's: then everything goes through the worker.
    """

    def __init__(self, emulator: Control, elsewhere: bool = False) -> None:
        known = {field.alias for field in ScalewaySettings.model_fields.values()}
        settings = {name: value for name, value in emulator.endpoints["environment"].items() if name in known}
        self.clouds = Clouds(ScalewaySettings.model_validate(settings), NO_TEMPORAL)
        self.emulator = emulator
        project = ""
        if elsewhere:
            project = emulator.call("POST", "/account/v3/projects", json={"name": "backups", "description": ""})["id"]
        self.site = BackupSite(
            target=TARGET,
            nodes=(),
            store=Store(bucket=STORE, region=TARGET.region, project_id=project, prefix="lssm-prod"),
            key=SecretPlace(path="/lssm/prod", name="backup-key"),
            buckets=(BucketAsset(name=LIVE),),
            retention=Retention(last=3, daily=0, weekly=0, monthly=0, yearly=0, least_good=0, drilled_within=1e9),
            late_after=1e6,
            smallest=0.0,
        )
        self.objects = Objects(self.clouds)
        self.store = BackupStore(self.clouds, self.site)
        self.s3 = self.store.source
        self._number = itertools.count()
        self.s3.create_bucket(Bucket=LIVE)
        self.store.s3.create_bucket(Bucket=STORE)

    def put(self, key: str, content: bytes = b"content", **more: Any) -> None:
        """Write an object."""
        self.s3.put_object(Bucket=LIVE, Key=key, Body=content, **more)

    def contents(self, bucket: str = LIVE) -> dict[str, bytes]:
        """What is there, by key."""
        listed = self.s3.list_objects_v2(Bucket=bucket).get("Contents", ())
        return {item["Key"]: self.s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in listed}

    def back_up(self, attempt: int = 1, id: str = "") -> Entry:
        """Make a backup."""
        unique = id or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{next(self._number):04x}"
        wanted = AssetInput(site=self.site, asset=f"bucket/{LIVE}", id=unique, opened=OpenOutput(recipients=()))
        return run(self.objects.back_up, wanted, attempt=attempt)

    def restore(self, entry: Entry, **what: Any) -> BucketRestoreOutput:
        """Bring the bucket back."""
        return run(self.objects.restore, BucketRestoreInput(site=self.site, bucket=LIVE, id=entry.id, **what))

    def copied(self, entry: Entry) -> int:
        """How many objects a backup copied."""
        contents = self.store.manifest(entry.asset, entry.id).bucket
        assert contents
        return contents.copied

    def blob_of(self, entry: Entry, key: str) -> str:
        """Where the copy of an object is."""
        listed = read_list(self.store, self.store.manifest(entry.asset, entry.id))
        digest = next(found.blob for found in listed if found.key == key)
        return layout.blob(self.site.store, LIVE, digest)

    def asked(self, call: Callable[[], object]) -> dict[str, int]:
        """The requests to Object Storage that something costs, by operation."""
        self.emulator.call("DELETE", "/_emulator/requests")
        call()
        return {name: count for name, count in self.emulator.requests()["operations"].items() if "s3" in name.lower()}


def run(call: Callable[[Any], R], input: Any, attempt: int = 1) -> R:
    """What an activity answers."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt, scheduled_time=datetime.now(UTC))
    return environment.run(call, input)


def modified(bucket: Bucket, key: str) -> float:
    """When an object was written, by the bucket's clock."""
    (found,) = bucket.s3.list_objects_v2(Bucket=LIVE, Prefix=key)["Contents"]
    return found["LastModified"].timestamp()


def settled(bucket: Bucket, key: str) -> None:
    """Wait until an object is so old that a change of it cannot look like none."""
    written, wire = modified(bucket, key), Wire(bucket.clouds.cloud(TARGET))
    while wire.result(wire.now(LIVE)) < written + YOUNG:
        time.sleep(0.05)
    wire.close()
