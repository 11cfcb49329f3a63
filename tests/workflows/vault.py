"""Backups and what they are of, as backup workflows see them through their activities.

It keeps the promises that the real activities keep (each may be repeated, a live database is never dropped) and goes
wrong on demand, so that every way a run can end is a test of seconds.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from blueprint.backup import contract
from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.contract import (
    AssetInput,
    BackupRef,
    BucketRestoreInput,
    BucketRestoreOutput,
    CatalogueInput,
    DeleteOutput,
    DropInput,
    DropOutput,
    LoadInput,
    LoadOutput,
    ManagedRestoreInput,
    ManagedRestoreOutput,
    MaskInput,
    NoteInput,
    OpenOutput,
    PinInput,
    ReportOutput,
    ScratchObjectsInput,
    SiteInput,
    SwapInput,
    SwapOutput,
    SweepOutput,
    VerifyInput,
    VerifyOutput,
)
from blueprint.backup.contract import DrillInput as RecordInput
from blueprint.backup.health import AssetHealth
from blueprint.backup.layout import backup_id
from blueprint.backup.manifest import DrillRecord, Failure
from blueprint.backup.scratch import DRILL, require_scratch
from blueprint.backup.site import (
    BackupSite,
    BucketAsset,
    DatabaseAsset,
    Managed,
    Retention,
    SecretPlace,
    Store,
)
from blueprint.contract import Target
from blueprint.release.record import Origin
from tests.workflows.stand_in import StandIn

LIVE = "what is live"
DAY = 86_400.0
BY = Origin(by="tests")


def site_of(
    databases: tuple[str, ...] = ("orders", "people"), buckets: tuple[str, ...] = ("files",), *, managed: bool = False
) -> BackupSite:
    """An environment of its own, with these databases and buckets."""
    org = f"v{uuid.uuid4().hex[:8]}"
    password = SecretPlace(path="/", name="password")
    return BackupSite(
        target=Target(org=org, env="test", region="fr-par", zone="fr-par-1"),
        nodes=("n1",),
        store=Store(bucket="backups", region="fr-par", prefix=f"{org}-test"),
        key=SecretPlace(path="/", name="backup-key"),
        databases=tuple(DatabaseAsset(name=name, instance="db", user="admin", password=password) for name in databases),
        buckets=tuple(BucketAsset(name=name) for name in buckets),
        managed=Managed(instance="db", snapshot_days=7, backup_days=7) if managed else None,
        retention=Retention(last=1, daily=0, weekly=0, monthly=0, yearly=0, least_good=1, drilled_within=10 * DAY),
        late_after=2 * DAY,
        smallest=0.5,
        file={"org": org, "env": "test"},
    )


class Vault(StandIn):
    """A store, and the servers of the environments that it is for.

    Its calls: "open", "database db/orders", "load drill_orders_...", ...

    Args:
        site: the first environment.
    """

    def __init__(self, site: BackupSite) -> None:
        super().__init__()
        self.site = site
        self.findings: tuple[str, ...] = ()
        """What is wrong with whatever is restored."""
        self.entries: list[Entry] = []
        self.failures: list[Failure] = []
        self.servers: dict[str, dict[str, str]] = {}
        """Databases and what is in them, by environment."""
        self.scratch: set[str] = set()
        """Prefixes of restored objects."""
        self.serve(site)

    def serve(self, site: BackupSite) -> None:
        """From now on there is a server for this environment, with its databases."""
        self.servers[site.target.environment] = {item.name: LIVE for item in site.databases}

    @property
    def databases(self) -> dict[str, str]:
        """Databases of the first environment."""
        return self.servers[self.site.target.environment]

    def keep(self, asset: str, days: float, *drills: bool) -> Entry:
        """There is a backup of so many days ago, drilled with these results."""
        point = time.time() - days * DAY
        made = backup_id(point, uuid.uuid4().hex)
        records = tuple(
            DrillRecord(id=made, asset=asset, at=point + 60 * number, seconds=1.0, passed=passed)
            for number, passed in enumerate(drills, 1)
        )
        entry = Entry(id=made, asset=asset, point=point, started=point, ended=point + 1, size=9, drills=records)
        self.entries = sorted((*self.entries, entry), key=lambda item: (item.asset, -item.point))
        return entry

    def named(self, *starts: str) -> list[str]:
        """The calls that begin so."""
        return [call for call in self.calls if call.startswith(starts)]

    def pinned(self) -> list[str]:
        """Backups with a pin."""
        return [entry.id for entry in self.entries if entry.pins]

    def _change(self, asset: str, id: str, **facts: Any) -> Entry:
        self.entries = [
            entry.model_copy(update=facts) if (entry.asset, entry.id) == (asset, id) else entry
            for entry in self.entries
        ]
        return self._entry(asset, id)

    def _entry(self, asset: str, id: str) -> Entry:
        return next(entry for entry in self.entries if (entry.asset, entry.id) == (asset, id))

    # -- activities --------------------------------------------------------------------------------------------

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """For a worker."""
        return [
            self.open, self.database, self.bucket, self.describe, self.managed, self.note_failure, self.catalogue,
            self.pin, self.delete, self.sweep, self.report, self.load, self.verify, self.drop, self.swap, self.mask,
            self.record_drill, self.restore_bucket, self.verify_objects, self.remove_objects, self.restore_managed,
        ]  # fmt: skip

    @activity.defn(name=contract.OPEN.name)
    async def open(self, input: SiteInput) -> OpenOutput:
        """See `blueprint.backup.contract`, as for all of these."""
        assert input.site.file, "the file tells what the application is"
        await self._do("open")
        return OpenOutput(recipients=("age1test",), commit="c" * 40)

    @activity.defn(name=contract.DATABASE.name)
    async def database(self, input: AssetInput) -> Entry:
        """Dump."""
        return await self._back_up("database", input)

    @activity.defn(name=contract.BUCKET.name)
    async def bucket(self, input: AssetInput) -> Entry:
        """Copy."""
        return await self._back_up("bucket", input)

    @activity.defn(name=contract.DESCRIBE.name)
    async def describe(self, input: AssetInput) -> Entry:
        """Describe: the one that needs the file."""
        assert input.site.file
        return await self._back_up("describe", input)

    @activity.defn(name=contract.MANAGED.name)
    async def managed(self, input: AssetInput) -> Entry:
        """Snapshot."""
        return await self._back_up("managed", input)

    async def _back_up(self, verb: str, input: AssetInput) -> Entry:
        await self._do(f"{verb} {input.asset}")
        if input.asset.startswith("db/") and input.asset[3:] not in self.servers[input.site.target.environment]:
            raise ApplicationError("there is no such database", type="gone", non_retryable=True)
        now = time.time()
        entry = Entry(
            id=input.id,
            asset=input.asset,
            point=now,
            started=now,
            ended=now,
            size=9,
            reason=input.reason,
            commit=input.opened.commit,
        )
        self.entries = [entry, *self.entries]
        await self._do(f"published {input.asset}")
        return entry

    @activity.defn(name=contract.NOTE_FAILURE.name)
    async def note_failure(self, input: NoteInput) -> Failure:
        """Note."""
        await self._do(f"note {input.failure.asset}")
        self.failures.append(input.failure)
        return input.failure

    @activity.defn(name=contract.CATALOGUE.name)
    async def catalogue(self, input: CatalogueInput) -> Catalogue:
        """Read."""
        await self._do("catalogue")
        wanted = tuple(entry for entry in self.entries if not input.assets or entry.asset in input.assets)
        return Catalogue(entries=wanted, failures=tuple(self.failures))

    @activity.defn(name=contract.PIN.name)
    async def pin(self, input: PinInput) -> Entry:
        """Pin or unpin."""
        await self._do(f"{'unpin' if input.remove else 'pin'} {input.asset}")
        if not any((entry.asset, entry.id) == (input.asset, input.id) for entry in self.entries):
            raise ApplicationError("there is no such backup", type="gone", non_retryable=True)
        others = tuple(pin for pin in self._entry(input.asset, input.id).pins if pin.name != input.pin.name)
        return self._change(input.asset, input.id, pins=others if input.remove else (*others, input.pin))

    @activity.defn(name=contract.DELETE.name)
    async def delete(self, input: BackupRef) -> DeleteOutput:
        """Delete."""
        await self._do(f"delete {input.asset} {input.id}")
        self.entries = [entry for entry in self.entries if (entry.asset, entry.id) != (input.asset, input.id)]
        return DeleteOutput(objects=2, bytes=9)

    @activity.defn(name=contract.SWEEP.name)
    async def sweep(self, input: SiteInput) -> SweepOutput:
        """Sweep."""
        await self._do("sweep")
        return SweepOutput(objects=1, bytes=5)

    @activity.defn(name=contract.REPORT.name)
    async def report(self, input: SiteInput) -> ReportOutput:
        """Report."""
        await self._do("report")
        return ReportOutput(assets=tuple(AssetHealth(asset=asset) for asset in input.site.assets))

    @activity.defn(name=contract.LOAD.name)
    async def load(self, input: LoadInput) -> LoadOutput:
        """Restore; there is a database from the first moment."""
        on = input.on or input.site
        server = self.servers[on.target.environment]
        require_scratch(input.into, [item.name for item in on.databases])
        server[input.into] = "half restored"
        await self._do(f"load {input.into}")
        server[input.into] = input.id
        return LoadOutput(bytes=90, seconds=1.0)

    @activity.defn(name=contract.VERIFY.name)
    async def verify(self, input: VerifyInput) -> VerifyOutput:
        """Check."""
        await self._do(f"verify {input.database}")
        return VerifyOutput(findings=self.findings, checked=("12 tables",))

    @activity.defn(name=contract.DROP.name)
    async def drop(self, input: DropInput) -> DropOutput:
        """Drop these, or what drills left."""
        server = self.servers[input.site.target.environment]
        await self._do(f"drop {' '.join(input.names)}".strip())
        names = input.names or tuple(name for name in server if name.startswith(DRILL))
        for name in names:
            require_scratch(name, [item.name for item in input.site.databases])
            server.pop(name, None)
        return DropOutput(names=names)

    @activity.defn(name=contract.SWAP.name)
    async def swap(self, input: SwapInput) -> SwapOutput:
        """Change names."""
        server = self.servers[(input.on or input.site).target.environment]
        await self._do(f"swap {input.database}")
        if input.restored in server:
            if input.database in server:
                server[input.kept] = server[input.database]
            server[input.database] = server.pop(input.restored)
        return SwapOutput(seconds=0.2, closed=3)

    @activity.defn(name=contract.MASK.name)
    async def mask(self, input: MaskInput) -> VerifyOutput:
        """Mask."""
        await self._do(f"mask {input.restored}")
        self.servers[input.on.target.environment][input.restored] += ", masked"
        return VerifyOutput(findings=(), checked=("2 statements",))

    @activity.defn(name=contract.RECORD_DRILL.name)
    async def record_drill(self, input: RecordInput) -> Entry:
        """Record."""
        record = input.record
        await self._do(f"record {record.asset} {'passed' if record.passed else 'failed'}")
        return self._change(record.asset, record.id, drills=(*self._entry(record.asset, record.id).drills, record))

    @activity.defn(name=contract.RESTORE_BUCKET.name)
    async def restore_bucket(self, input: BucketRestoreInput) -> BucketRestoreOutput:
        """Restore objects, or only look."""
        into = f"{input.into or input.bucket}/{input.into_prefix}"
        if input.into_prefix:
            self.scratch.add(input.into_prefix)
        await self._do(f"objects of {input.id} into {into}" if input.write else f"look at {input.bucket}")
        return BucketRestoreOutput(same=1, restored=2, bytes=20, newer=0)

    @activity.defn(name=contract.VERIFY_OBJECTS.name)
    async def verify_objects(self, input: ScratchObjectsInput) -> VerifyOutput:
        """Check objects."""
        await self._do(f"verify {input.into_prefix}")
        return VerifyOutput(findings=self.findings, checked=(f"{input.sample} objects",))

    @activity.defn(name=contract.REMOVE_OBJECTS.name)
    async def remove_objects(self, input: ScratchObjectsInput) -> DeleteOutput:
        """Remove objects."""
        await self._do(f"remove {input.into_prefix}")
        self.scratch.discard(input.into_prefix)
        return DeleteOutput(objects=2)

    @activity.defn(name=contract.RESTORE_MANAGED.name)
    async def restore_managed(self, input: ManagedRestoreInput) -> ManagedRestoreOutput:
        """Make an instance."""
        await self._do(f"instance {input.name} from {input.id}")
        return ManagedRestoreOutput(instance="i1", address="127.16.3.9", port=5432, closed_after=2.0)
