"""A rehearsal with something to lose, a database and a bucket; and what backups of them leave behind."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from subprocess import run
from typing import Any

from temporalio.client import Client

from activities.backup.objects.lists import read_list
from activities.backup.reading import Reader
from activities.backup.removal import sweep
from activities.backup.store import BackupStore, Stored
from activities.registry import Clouds
from activities.settings import ScalewaySettings
from activities.temporal_client import TemporalBridge
from bench.environments import prod
from bench.mishaps import in_machine
from bench.rehearsed import ENVIRONMENT, Rehearsed, say
from bench.transfers import until
from blueprint.backup import layout
from blueprint.backup.catalogue import Catalogue
from blueprint.backup.contract import SweepOutput
from blueprint.backup.manifest import Manifest
from blueprint.backup.scratch import RESERVED
from blueprint.backup.site import BackupSite
from blueprint.backup.site_of import backup_site
from blueprint.environment import parse
from blueprint.errors import Damaged
from blueprint.release.record import Origin
from blueprint.resource import secret
from starters.demo_data import BUCKET, DATABASE, DemoData
from starters.engine import Engine, target_of
from starters.rehearsal import Rehearsal
from workflows.plugin import EnginePlugin

ASSETS = f"db/{DATABASE}", f"bucket/{BUCKET}"
BY = Origin(by="a measurement")
TABLES = ("orders", "events", "documents", "accounts")
_ROW = 230
"""Bytes of a row, with its part of the index."""
_FILL = """
CREATE TABLE {table} AS
    SELECT n AS id, now() - n * interval '1 second' AS at, md5(n::text || '{table}') AS code,
        md5('{table}' || n) || md5((n / 7)::text) || repeat(md5((n % 1000)::text), 2) AS body
    FROM generate_series(1, {rows}) AS n;
ALTER TABLE {table} ADD PRIMARY KEY (id);
"""
_HARM = "DROP TABLE documents; DELETE FROM orders WHERE id % 3 = 0; UPDATE events SET body = 'gone' WHERE id % 5 = 0"
_LATER = 2 * 86_400.0
"""Seconds after which a sweep takes whatever nobody names."""
_AT_ONCE = 8


class BackedUp(Rehearsed):
    """An environment whose database and bucket are worth something.

    Attributes:
        engine: connected to its Temporal.
        site: what is backed up.
        data: its rows and objects.
        nodes: names of the nodes.

    Args:
        rehearsal: entered and applied.
        client: connected to its Temporal.
    """

    def __init__(self, rehearsal: Rehearsal, client: Client) -> None:
        super().__init__(rehearsal)
        self.engine = Engine(client, rehearsal.endpoints.temporal_ui_url)
        environment = parse(rehearsal.read())
        site = backup_site(environment, target_of(environment))
        assert site
        self.site: BackupSite = site
        self.schedules = {what: environment.names.schedule(what) for what in ("backup", "drill", "retention")}
        self.nodes = site.nodes
        self.data = DemoData(rehearsal.endpoints, environment.names.secret_path)
        known = {field.alias for field in ScalewaySettings.model_fields.values()}
        settings = ScalewaySettings.model_validate(
            {name: value for name, value in rehearsal.endpoints.environment().items() if name in known}
        )
        self._clouds = Clouds(settings, TemporalBridge(client, asyncio.get_running_loop()))
        self._key = ""
        self._known: set[tuple[str, str]] = set()
        self._lists: dict[tuple[str, str], tuple[tuple[str, int, str], ...]] = {}

    @cached_property
    def store(self) -> BackupStore:
        """The backup bucket, looked into past the engine's workflows."""
        return BackupStore(self._clouds, self.site)

    def lets_in(self) -> bool:
        """Whether the database knows its user by now: what the API was told becomes real a moment later."""
        try:
            return self.data.sql("SELECT 1") == "1"
        except RuntimeError:
            return False

    def replace_key(self, key: str = "") -> None:
        """Put a new version of the key that opens backups into Secret Manager.

        Args:
            key: as `age-keygen` writes it; the one that was there at the beginning if empty.
        """
        place, secrets = self.site.key, self._clouds.cloud(self.site.target).secrets
        self._key = self._key or secrets.reveal(secret(place.path, place.name))
        secrets.store(place.path, place.name, key or self._key)

    # -- what there is to lose ---------------------------------------------------------------------------------

    def fill(self, size: int, objects: int) -> None:
        """A database of about `size` bytes, and so many objects."""
        rows = size // (_ROW * len(TABLES))
        for table in TABLES:
            self.data.sql(_FILL.format(table=table, rows=rows))
        self.write(range(objects), "first")

    def write(self, numbers: range, edition: str) -> None:
        """Write these objects, of 100 bytes to 10 kB."""

        def put(number: int) -> None:
            body = f"{edition} {number}\n".encode() * (10 + number * 37 % 700)
            self.data.s3.put_object(Bucket=BUCKET, Key=_key(number), Body=body, Metadata={"edition": edition})

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(put, numbers))

    def fingerprint(self, database: str = DATABASE) -> str:
        """Counts and sums over every table, which differ if rows do. The administrator may look into any database."""
        sums = "SELECT '{0}', count(*), sum(hashtextextended(t::text, 0)) FROM {0} AS t"
        query = " UNION ALL ".join(map(sums.format, sorted(TABLES))) + " ORDER BY 1"
        return self.data.sql(query, database, DATABASE if database == DATABASE else self.site.databases[0].user)

    def objects(self) -> dict[str, str]:
        """The ETag of each object, which tells its content."""
        pages = self.data.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", ())}

    def harm_rows(self) -> None:
        """A table goes, rows go, others are overwritten."""
        self.data.sql(_HARM)

    def harm_objects(self, count: int) -> None:
        """So many objects go, and as many are overwritten."""

        def delete(number: int) -> None:
            self.data.s3.delete_object(Bucket=BUCKET, Key=_key(number))

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(delete, range(count)))
        self.write(range(count, 2 * count), "scrambled")

    # -- what backups leave ------------------------------------------------------------------------------------

    def catalogue(self) -> Catalogue:
        """The catalogue as the bucket has it."""
        return Reader().read(self.store)

    def untidy(self, kept: frozenset[str] = frozenset()) -> list[str]:
        """What is not as it has to be between two runs; empty if all is well.

        Args:
            kept: databases that a restore has kept, and may be there.
        """
        return [*self._half_backups(), *self._in_the_store(), *self._databases(kept), *self._on_nodes()]

    def unnamed(self) -> list[Stored]:
        """Data that no manifest names: what was sent and is of no use."""
        copies = self._copies()
        named = {key for manifest in self._manifests() for key, _ in self._parts(manifest, copies)}
        prefixes = layout.data(self.site.store), layout.blobs(self.site.store)
        found = (item for prefix in prefixes for item in self.store.versions(prefix))
        return [item for item in found if not (item.current and item.key in named) and not item.marker]

    def sweep(self) -> SweepOutput:
        """What retention sweeps once everything is old."""
        return sweep(self.store, Reader(), self.store.clocks()[0] + _LATER)

    def _manifests(self) -> Iterator[Manifest]:
        for entry in self.catalogue().entries:
            yield self.store.manifest(entry.asset, entry.id)

    def _copies(self) -> dict[str, Stored]:
        """The copies of objects that are there now, by key: all backups of a bucket share them."""
        return {item.key: item for item in self.store.list(layout.blobs(self.store.store))}

    def _listed(self, manifest: Manifest) -> tuple[tuple[str, int, str], ...]:
        """What a bucket's backup lists: the key of each copy, its bytes, and whose it is. Nobody writes that again."""
        place = (manifest.asset, manifest.id)
        known = self._lists.get(place)
        if known is None:
            bucket = manifest.asset.partition("/")[2]
            known = self._lists[place] = tuple(
                (layout.blob(self.store.store, bucket, found.blob), found.size, found.key)
                for found in read_list(self.store, manifest)
                if found.blob
            )
        return known

    def _parts(self, manifest: Manifest, copies: Mapping[str, Stored]) -> Iterator[tuple[str, str]]:
        """Keys of everything that a restore reads, with what is wrong with each; empty if nothing is."""
        named = (manifest.database.parts if manifest.database else ()) + (
            manifest.bucket.entries if manifest.bucket else ()
        )
        for part in named:
            key = layout.part(self.store.store, manifest.asset, manifest.id, part.archive, part.index)
            if (key, part.sha256) in self._known:
                yield key, ""
                continue
            content = self.store.get(key)
            wrong = len(content) != part.size or hashlib.sha256(content).hexdigest() != part.sha256
            if not wrong:
                self._known.add((key, part.sha256))
            yield key, "is not what was written" if wrong else ""
        if not manifest.bucket:
            return
        for key, size, name in self._listed(manifest):
            copy = copies.get(key)
            yield key, "" if copy and copy.size == size else f"is no copy of {name}"

    def _half_backups(self) -> Iterator[str]:
        copies = self._copies()
        for entry in self.catalogue().entries:
            if entry.damaged:
                yield f"{entry.asset} {entry.id} is listed, and damaged: {entry.damaged}"
                continue
            manifest = self.store.manifest(entry.asset, entry.id)
            try:
                yield from (
                    f"{entry.asset} {entry.id}: {key} {wrong}" for key, wrong in self._parts(manifest, copies) if wrong
                )
            except Damaged as error:
                yield str(error)

    def _in_the_store(self) -> Iterator[str]:
        for bucket in (self.site.store.bucket, BUCKET):
            for upload in self.data.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
                yield f"an upload of {upload['Key']} never ended"
        for item in self.store.list(layout.scratch(self.site.store)):
            yield f"{item.key} is left of a drill"
        for entry in self.catalogue().entries:
            yield from (f"{entry.asset} {entry.id} is pinned by {pin.by}: {pin.reason}" for pin in entry.pins)

    def _databases(self, kept: frozenset[str]) -> Iterator[str]:
        for name in self.data.sql("SELECT datname FROM pg_database").split():
            if name.startswith(RESERVED) and name not in kept:
                yield f"the database {name} is left"

    def _on_nodes(self) -> Iterator[str]:
        for node in self.nodes:
            left = in_machine(self, node, _LEFT).split()
            yield from (f"{name} is left on {node}" for name in left)


_LEFT = """
systemctl list-units --all --plain --no-legend 'scaleway-infra-*' | cut -d' ' -f1
find /run/scaleway-infra -mindepth 1 -maxdepth 1 -type d 2>/dev/null || true
pgrep -x pg_dump || true
pgrep -x pg_restore || true
"""
"""Units, folders and processes of transfers."""


def environment(nodes: int) -> dict[str, Any]:
    """An environment file with no more than what backups are about."""
    whole = prod()
    kept = ("org", "env", "production", "network", "ssh_keys", "security_groups", "schedules")
    packages = whole["nodes"]["core"]["cloud_init"]["packages"]
    return {
        **{name: whole[name] for name in kept},
        "nodes": {"core": {"count": nodes, "type": "DEV1-M", "cloud_init": {"packages": packages}}},
        "postgresql": {**whole["postgresql"], "databases": [DATABASE]},
        "buckets": {"equitya/files": {"versioning": True}, "lssm/backups": {"versioning": True}},
        "backup": {
            "bucket": "lssm/backups",
            "managed": None,
            "databases": {DATABASE: {"tables": list(TABLES)}},
            "late_after": "26h",
        },
    }


@asynccontextmanager
async def backed_up(nodes: int = 1, *, latency: float = 0.02) -> AsyncIterator[BackedUp]:
    """Such an environment, applied.

    Args:
        nodes: how many.
        latency: factor on Scaleway's delays, and on the engine's own pauses.
    """
    with tempfile.TemporaryDirectory(prefix="scaleway-infra-bench-") as folder:
        repository = Path(folder) / "backend"
        run(["git", "init", "--quiet", "--bare", str(repository)], check=True)
        rehearsal = Rehearsal(Path(folder), environment(nodes), str(repository), latency=latency, say=say)
        with rehearsal:
            rehearsal.run("apply", ENVIRONMENT, "--yes", capture=True)
            client = await Client.connect(rehearsal.endpoints.temporal_address, plugins=[EnginePlugin()])
            site = BackedUp(rehearsal, client)
            until(site.lets_in, "the database does not let its user in")
            yield site


def _key(number: int) -> str:
    return f"reports/{number:05d}.txt"
