"""Backups that go: one by the rules of retention, and what no manifest knows."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby

from activities.backup.objects.lists import read_list
from activities.backup.reading import READERS, Reader
from activities.backup.store import BackupStore, Erased, Stored, manifest_key
from blueprint.backup import layout
from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.contract import DeleteOutput, SweepOutput
from blueprint.backup.manifest import Manifest
from blueprint.backup.retention import plan_retention
from blueprint.backup.site import Retention
from blueprint.errors import Damaged, Gone, Protected
from telemetry.threads import Threads

DAY = 86_400.0
YOUNG = DAY
"""Seconds within which nothing is swept, by the store's clock: its manifest may be yet to come."""
REMEMBERED = 30 * DAY
"""Seconds for which the note of a failure stays."""

log = logging.getLogger(__name__)


def delete(store: BackupStore, reader: Reader, asset: str, id: str, retention: Retention, now: float) -> DeleteOutput:
    """Remove one backup, as far as the object lock lets it go: its manifest first.

    Args:
        store: where it is.
        reader: reads the catalogue.
        asset: whose backup it is.
        id: which one.
        retention: the rules.
        now: the store's time.

    Raises:
        Protected: retention would keep it, by the catalogue as it is now; or somebody has just begun to read it.
    """
    entries = reader.read(store, [asset]).of(asset)
    plan = plan_retention(entries, retention, now)
    for verdict in plan.verdicts:
        if verdict.id == id and verdict.keep:
            reasons = plan.held.get(asset) or "; ".join(verdict.reasons)
            raise Protected(f"stays: {reasons}", subject=f"{asset} {id}", remedy="look at `retention --dry-run`")
    erased = Erased()
    if any(entry.id == id for entry in entries):
        erased += _hide(store, reader, asset, id, now)
    erased += store.erase(store.versions(layout.entry(store.store, asset, id)))
    erased += store.erase(store.versions(layout.data(store.store, asset, id)))
    return DeleteOutput(objects=erased.objects, bytes=erased.bytes, locked=erased.locked)


def _hide(store: BackupStore, reader: Reader, asset: str, id: str, now: float) -> Erased:
    """Remove the manifest, unless somebody pins the backup meanwhile.

    Who pins writes first and then looks for the manifest; here it is the other way round. So one of the two sees.
    """
    key = manifest_key(store, asset, id)
    content = store.get(key)
    store.delete([key])
    if reader.pinned(store, asset, id, now):
        store.put(key, content)
        raise Protected("was pinned just now: somebody reads it", subject=f"{asset} {id}", remedy="try again later")
    # Where versions are kept, it still is one.
    return Erased() if store.versioned else Erased(1, len(content))


def sweep(store: BackupStore, reader: Reader, now: float) -> SweepOutput:
    """Remove what is left over: data without a manifest, objects that no list names, uploads that never ended.

    A bucket of whose backups a manifest or a list cannot be read keeps all its objects.

    Args:
        store: what is swept.
        reader: reads the catalogue.
        now: the store's time.
    """
    leftovers = _Leftovers(store, reader.read(store), now)
    erased = store.erase(leftovers.find())
    uploads = store.abort_uploads(f"{store.store.prefix}/", now - YOUNG)
    if erased.locked:
        log.info("%d objects of %s stay: the bucket's object lock keeps them", erased.locked, store.store.prefix)
    return SweepOutput(
        objects=erased.objects, bytes=erased.bytes, uploads=uploads, skipped=tuple(sorted(leftovers.skipped))
    )


class _Leftovers:
    """What no manifest knows."""

    def __init__(self, store: BackupStore, catalogue: Catalogue, now: float) -> None:
        self._store, self._now = store, now
        self._entries = {(entry.asset, entry.id): entry for entry in catalogue.entries}
        self.skipped: set[str] = set()
        """Assets of which something cannot be read: their data stays."""

    def find(self) -> Iterator[Stored]:
        """Every version that can go."""
        manifests = self._manifests()
        yield from self._in_catalogue()
        yield from self._in_data(manifests)
        yield from self._in_blobs(manifests)
        for prefix in (layout.probe(self._store.store), layout.scratch(self._store.store)):
            yield from (item for item in self._store.versions(prefix) if self._old(item))

    def _old(self, item: Stored, age: float = YOUNG) -> bool:
        return item.modified < self._now - age

    def _manifests(self) -> dict[tuple[str, str], Manifest | None]:
        """Every manifest; None for one that cannot be read."""

        def read(entry: Entry) -> Manifest | None:
            try:
                return self._store.manifest(entry.asset, entry.id)
            except (Damaged, Gone):
                self.skipped.add(entry.asset)
                return None

        with Threads(READERS, thread_name_prefix="manifest") as pool:
            return dict(zip(self._entries, pool.map(read, self._entries.values()), strict=True))

    def _in_catalogue(self) -> Iterator[Stored]:
        for item in self._store.versions(layout.catalogue(self._store.store)):
            place = layout.place_of(self._store.store, item.key)
            if not item.current:
                stays = not self._old(item)
            elif place is None or (place.asset, place.id) in self._entries:
                stays = True
            else:
                stays = not self._old(item, REMEMBERED if place.name == layout.FAILURE else YOUNG)
            if not stays:
                yield item

    def _in_data(self, manifests: dict[tuple[str, str], Manifest | None]) -> Iterator[Stored]:
        """Earlier versions, parts of runs that never ended, and those of attempts that others followed."""
        top = layout.data(self._store.store)
        groups: dict[tuple[str, str], list[Stored]] = defaultdict(list)
        for item in self._store.versions(top):
            asset, _, rest = item.key.removeprefix(top).rpartition("/")[0].rpartition("/")
            groups[asset, rest].append(item)
        for group, items in groups.items():
            if group in manifests and manifests[group] is None:
                continue
            manifest = manifests.get(group)
            # A run that still writes has something young.
            if manifest is None and not all(map(self._old, items)):
                continue
            named = _part_keys(self._store, manifest) if manifest else set()
            for key, those in groupby(items, key=lambda item: item.key):
                yield from self._removable(list(those), named=key in named)

    def _in_blobs(self, manifests: dict[tuple[str, str], Manifest | None]) -> Iterator[Stored]:
        top = layout.blobs(self._store.store)
        bucket, named = "", None
        for key, those in groupby(self._store.versions(top), key=lambda item: item.key):
            if (whose := key.removeprefix(top).partition("/")[0]) != bucket:
                bucket, named = whose, self._named(whose, manifests)
            if named is not None:
                yield from self._removable(list(those), named=key.rpartition("/")[2] in named)

    def _removable(self, items: list[Stored], *, named: bool) -> Iterator[Stored]:
        """Those of all versions of an object that can go.

        Args:
            items: its versions and delete markers.
            named: whether a backup has it.
        """
        # Of one that somebody deleted, the earlier versions are all that is left: they bring it back.
        if named and not any(item.current for item in items):
            return
        yield from (item for item in items if self._old(item) and not (named and item.current))

    def _named(self, bucket: str, manifests: dict[tuple[str, str], Manifest | None]) -> set[str] | None:
        """Digests of all objects that any backup of the bucket names; None if one of the backups does not tell."""
        asset = f"bucket/{bucket}"
        named: set[str] = set()
        for manifest in (found for (whose, _), found in manifests.items() if whose == asset):
            if manifest is None:
                return None
            try:
                named.update(found.blob for found in read_list(self._store, manifest))
            except Damaged as error:
                log.warning("nothing of %s is swept: %s", asset, error)
                self.skipped.add(asset)
                return None
        return named


def _part_keys(store: BackupStore, manifest: Manifest) -> set[str]:
    parts = (manifest.database.parts if manifest.database else ()) + (
        manifest.bucket.entries if manifest.bucket else ()
    )
    return {layout.part(store.store, manifest.asset, manifest.id, part.archive, part.index) for part in parts}
