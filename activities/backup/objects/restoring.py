"""A restore of a bucket: only what differs is written, from copies that are proved to be what was backed up."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from activities.backup.objects.copying import Begun, OtherObject, Place, abort, copy, look_at, uploads_in
from activities.backup.objects.lists import read_list
from activities.backup.objects.loop import Lanes
from activities.backup.objects.wire import Wire
from activities.backup.progress import Progress
from activities.backup.store import BackupStore
from blueprint.backup import layout
from blueprint.backup.contract import BucketRestoreInput, BucketRestoreOutput
from blueprint.backup.manifest import Manifest
from blueprint.backup.objects import (
    AT_ONCE,
    ObjectVersion,
    at_point,
    difference,
    require_scratch,
    sampled,
    side_by_side,
)
from blueprint.errors import Damaged, RestoreRefused

_AHEAD = 4096
"""Objects that may be on their way at a time."""
_TOLD = 100
"""Keys of newer objects that are told."""
_NAMED = 10
"""Damaged objects that are named."""
_BATCH = 1000
"""Objects that one request deletes: S3's limit."""


def objects_of(store: BackupStore, manifest: Manifest, input: BucketRestoreInput) -> Iterator[ObjectVersion]:
    """The objects that a restore brings back, by key, with their keys in the backup.

    Raises:
        RestoreRefused: the backup does not know that moment.
        Damaged: the list of objects is not what was written.
    """
    at = input.at
    if manifest.bucket and not manifest.bucket.versioned and at is not None:
        if at < manifest.point:
            raise RestoreRefused(
                "the bucket keeps no versions, so this backup shows one moment only, and a later one than asked for",
                subject=f"{manifest.asset} {manifest.id}",
                remedy="choose an older backup",
            )
        at = None

    def found() -> Iterator[ObjectVersion]:
        return (one for one in at_point(read_list(store, manifest), at) if one.key.startswith(input.prefix))

    return sampled(found(), sum(1 for _ in found()), input.sample) if input.sample else found()


@dataclass
class _Told:
    same: int = 0
    restored: int = 0
    bytes: int = 0
    newer: int = 0
    newer_keys: list[str] = field(default_factory=list)
    removed: int = 0
    damaged: list[str] = field(default_factory=list)


class BucketRestore:
    """One restore of one bucket.

    Args:
        store: where the backup is.
        source: the way to it.
        target: the way to the bucket that gets it.
        input: what is asked for.
        since: when the restore began, seconds since the epoch: uploads of then and later may be an earlier attempt's.
    """

    def __init__(self, store: BackupStore, source: Wire, target: Wire, input: BucketRestoreInput, since: float) -> None:
        self._store, self._source, self._target = store, source, target
        self._input, self._since = input, since
        self._bucket = input.into or input.bucket
        self._in_store = self._bucket == store.store.bucket
        self._told = _Told()

    def run(self) -> BucketRestoreOutput:
        """Bring it back. What is damaged stays as it is, and all else is brought back; but nothing is removed then.

        Raises:
            Damaged: a copy, the list or the manifest is missing or not what was written.
            RestoreRefused: the backup does not know that moment, or other backups could be written over.
            Gone: there is no such backup or bucket.
        """
        if self._in_store:
            require_scratch(self._store.store, self._input.into_prefix)
        manifest = self._store.manifest(f"bucket/{self._input.bucket}", self._input.id)
        told, removed = self._told, list[ObjectVersion]()
        self._progress = Progress(manifest.size)
        with Lanes(self._target.result(self._target.width(self._bucket))) as lanes:
            for size, newer in self._done(lanes, manifest):
                if newer:
                    removed.append(newer)
                self._progress.moved(
                    size, f"{self._bucket}: {told.same} objects are as they were, {told.restored} others"
                )
        # Of what does not come back, something newer may be all that there is.
        self._remove([] if told.damaged else removed)
        if told.damaged:
            more = f" and {len(told.damaged) - _NAMED} more" if len(told.damaged) > _NAMED else ""
            raise Damaged(
                f"the copies of {', '.join(sorted(told.damaged)[:_NAMED])}{more} are missing or not what was written",
                subject=f"{manifest.asset} {manifest.id}",
                remedy=f"{told.restored} others were restored; take these from another backup, with --prefix",
            )
        return BucketRestoreOutput(
            same=told.same,
            restored=told.restored,
            bytes=told.bytes,
            newer=told.newer,
            newer_keys=tuple(told.newer_keys),
            removed=told.removed,
        )

    def _done(self, lanes: Lanes, manifest: Manifest) -> Iterator[tuple[int, ObjectVersion | None]]:
        """The size of each object that was looked at, in order, and the object itself if it is to be removed."""
        waiting: deque[Future[str]] = deque()
        sizes: deque[int] = deque()

        def count(*, at_most: int) -> Iterator[tuple[int, None]]:
            while waiting and (len(waiting) > at_most or waiting[0].done()):
                size = sizes.popleft()
                match self._progress.result(waiting.popleft()):
                    case "same":
                        self._told.same += 1
                    case "restored":
                        self._told.restored += 1
                        self._told.bytes += size
                    case damaged:
                        self._told.damaged.append(damaged)
                yield size, None

        for wanted, live in side_by_side(self._wanted(manifest), self._live()):
            match difference(wanted, live):
                case "newer" if live:
                    yield 0, self._newer(live)
                case "same" if wanted:
                    self._told.same += 1
                    yield wanted.size, None
                case kind if wanted:
                    sizes.append(wanted.size)
                    waiting.append(lanes.start(self._bring_back(wanted, look=kind == "look")))
            yield from count(at_most=_AHEAD)
        yield from count(at_most=0)

    def _wanted(self, manifest: Manifest) -> Iterator[ObjectVersion]:
        start = self._input.into_prefix
        objects = objects_of(self._store, manifest, self._input)
        return (found._replace(key=start + found.key) for found in objects)

    def _live(self) -> Iterator[ObjectVersion]:
        return self._target.list(self._bucket, self._input.into_prefix + self._input.prefix)

    def _newer(self, live: ObjectVersion) -> ObjectVersion | None:
        if self._input.sample:
            return None
        self._told.newer += 1
        if len(self._told.newer_keys) < _TOLD:
            self._told.newer_keys.append(live.key)
        return live if self._input.remove_newer else None

    async def _bring_back(self, wanted: ObjectVersion, *, look: bool) -> str:
        """Write an object: "same" if it turns out to be as it was, "restored", or which object's copy is damaged.

        Args:
            look: its content is the same: it is only written if what belongs to it is not.
        """
        blob = Place(
            self._source, self._store.store.bucket, layout.blob(self._store.store, self._input.bucket, wanted.blob)
        )
        target = Place(self._target, self._bucket, wanted.key)
        try:
            if look and await _are_alike(blob, target):
                return "same"
            if self._input.write:
                await self._copy(blob, target, wanted)
        except (OtherObject, Damaged):
            return f"{wanted.key.removeprefix(self._input.into_prefix)} ({blob.key})"
        return "restored"

    async def _copy(self, blob: Place, target: Place, wanted: ObjectVersion) -> None:
        inside, etag = self._in_store or self._store.same_place, wanted.blob_etag
        if wanted.size <= AT_ONCE:
            await copy(blob, etag, wanted.size, target, inside=inside)
            return
        uploads = await self._uploads_of(target)
        try:
            await copy(
                blob, etag, wanted.size, target, inside=inside, upload=uploads[0].id if uploads else "", proof=etag
            )
        finally:
            for begun in await self._uploads_of(target):
                await abort(target.wire, target.bucket, begun)

    async def _uploads_of(self, target: Place) -> list[Begun]:
        """Uploads of an object that this restore has begun, in this attempt or an earlier one."""
        found = await uploads_in(target.wire, target.bucket, target.key)
        return [upload for upload in found if upload.key == target.key and upload.at >= self._since]

    def _remove(self, newer: list[ObjectVersion]) -> None:
        for first in range(0, len(newer) if self._input.write else 0, _BATCH):
            batch = newer[first : first + _BATCH]
            self._target.result(self._target.delete(self._bucket, batch))
            self._told.removed += len(batch)


async def _are_alike(blob: Place, target: Place) -> bool:
    """Whether the same metadata and tags belong to both."""
    wanted = (await look_at(blob))[1]
    try:
        return (await look_at(target))[1] == wanted
    except OtherObject:
        # Deleted since the listing.
        return False
