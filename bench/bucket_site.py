"""A bucket and the store of its backups at a local Scaleway of their own, with the activities between them."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import requests
from temporalio.testing import ActivityEnvironment

from activities.backup.objects.objects import Objects
from activities.backup.objects.wire import Wire
from activities.backup.store import BackupStore
from activities.registry import Clouds
from activities.settings import ScalewaySettings
from bench.emulator import Emulator
from bench.environments import ROOT
from blueprint.backup import layout
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import AssetInput, BucketRestoreInput, BucketRestoreOutput, OpenOutput
from blueprint.backup.site import BackupSite, BucketAsset, Retention, SecretPlace, Store
from blueprint.contract import Target
from starters.child import Child, free_port, listens

LIVE, STORE, PREFIX = "lssm-prod-files", "lssm-prod-backup", "lssm-prod"
ASSET = f"bucket/{LIVE}"
NO_TEMPORAL: Any = None
"""What is measured here does not go there."""
R = TypeVar("R")


class BucketSite:
    """The bucket `LIVE`, backed up into `STORE`.

    Attributes:
        environment: what leads clients there, as environment variables.
        emulator: the local Scaleway's own interface.
        site: the environment, as far as backups need it.
        store: where the backups are.
        wire: the way to both buckets.

    Args:
        url: of the emulator.
    """

    def __init__(self, url: str) -> None:
        self.emulator = Emulator(url)
        self.environment: dict[str, str] = requests.get(f"{url}/_emulator/endpoints", timeout=10).json()["environment"]
        known = {field.alias for field in ScalewaySettings.model_fields.values()}
        settings = {name: value for name, value in self.environment.items() if name in known}
        clouds = Clouds(ScalewaySettings.model_validate(settings), NO_TEMPORAL)
        target = Target(org="lssm", env="prod", region="fr-par", zone="fr-par-1")
        self.site = BackupSite(
            target=target,
            nodes=(),
            store=Store(bucket=STORE, region=target.region, prefix=PREFIX),
            key=SecretPlace(path="/lssm/prod", name="backup-key"),
            buckets=(BucketAsset(name=LIVE),),
            retention=Retention(last=1, daily=0, weekly=0, monthly=0, yearly=0, least_good=0, drilled_within=1e9),
            late_after=1e9,
            smallest=0.0,
        )
        self.store = BackupStore(clouds, self.site)
        self.wire = Wire(clouds.cloud(target))
        self.objects = Objects(clouds)
        self._backups = 0
        for name in (LIVE, STORE):
            self.wire.result(self.wire.send("PUT", name))

    def back_up(self) -> Entry:
        """Make a backup of the bucket."""
        self._backups += 1
        unique = layout.backup_id(time.time(), f"{self._backups:04x}")
        wanted = AssetInput(site=self.site, asset=ASSET, id=unique, opened=OpenOutput(recipients=()))
        return _run(self.objects.back_up, wanted)

    def restore(self, entry: Entry, **what: Any) -> BucketRestoreOutput:
        """Bring the bucket back; see `BucketRestoreInput`."""
        return _run(self.objects.restore, BucketRestoreInput(site=self.site, bucket=LIVE, id=entry.id, **what))


@contextmanager
def bucket_site() -> Iterator[BucketSite]:
    """A fresh one, with an emulator in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="bucket-site-") as folder:
        port = free_port()
        command = [sys.executable, "-m", "emulator", "--port", str(port), "--state", f"{folder}/state.db"]
        emulator = Child("the local Scaleway", command, Path(folder) / "emulator.log", cwd=ROOT)
        emulator.start()
        try:
            while not listens(port):
                time.sleep(0.05)
            yield BucketSite(f"http://127.0.0.1:{port}")
        finally:
            emulator.stop()


def _run(call: Callable[[Any], R], input: Any) -> R:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, scheduled_time=datetime.now(UTC))
    return environment.run(call, input)
