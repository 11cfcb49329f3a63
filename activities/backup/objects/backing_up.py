"""A backup of a bucket: what the store does not have yet is copied, and then it is written down what was where."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future

from activities.backup.objects.copying import OtherObject, Place, abort, copy, uploads_in
from activities.backup.objects.lists import Copy, ListWriter, copies, name_of, read_list
from activities.backup.objects.loop import Lanes
from activities.backup.objects.wire import Wire
from activities.backup.progress import Progress
from activities.backup.store import BackupStore
from blueprint.backup import layout
from blueprint.backup.contract import AssetInput
from blueprint.backup.manifest import BucketContents, Manifest
from blueprint.backup.objects import ObjectVersion, digest, is_young, recorded
from blueprint.errors import Busy, Damaged, Gone, Unavailable

_AHEAD = 4096
"""Objects that may be on their way before the first of them is there: lines are written in order."""
_TRIES = 5
"""To copy an object that is written again and again meanwhile."""


class BucketBackup:
    """One run's backup of one bucket.

    Args:
        store: where to.
        source: the way to the bucket.
        target: the way to the store.
        input: what the run says.
        attempt: of the activity.
    """

    def __init__(self, store: BackupStore, source: Wire, target: Wire, input: AssetInput, attempt: int) -> None:
        self._store, self._source, self._target = store, source, target
        self._input = input
        self._attempt = attempt
        self._bucket = input.asset.partition("/")[2]
        self._began = layout.moment(input.id)
        self._copies: dict[bytes, Copy] = {}
        """What was there when the attempt began, by digest."""
        self._unnamed: set[bytes] = set()
        """Those that the backup has from there, and none before it: a sweep that began earlier may remove them."""
        self._uploads: dict[str, str] = {}
        self._progress = Progress()

    def run(self) -> Manifest:
        """Copy, and write the list; the manifest, to be published.

        Raises:
            Busy: an object changes faster than it can be copied.
            Gone: there is no such bucket.
            Unavailable: copies went meanwhile that were there.
        """
        started = time.time()
        wire, store = self._source, self._store.store.bucket
        point = wire.result(wire.now(self._bucket))
        versioned = wire.result(wire.is_versioned(self._bucket))
        prefix = layout.blobs(self._store.store, self._bucket)
        self._uploads = {item.key: item.id for item in wire.result(uploads_in(self._target, store, prefix))}
        written = ListWriter(self._store, self._input.asset, self._input.id, self._attempt)
        objects = versions = size = current = copied = copied_bytes = 0
        # Parts of large objects are called off, too: the next attempt goes on with those that are there.
        with Lanes(wire.result(wire.width(self._bucket))) as lanes:
            self._copies = self._there_now(lanes)
            for found, new in self._secured(lanes, point, versioned):
                written.add(found)
                versions += 1
                size += found.size
                if found.latest and not found.marker:
                    objects += 1
                    current += found.size
                if new:
                    copied += 1
                    copied_bytes += found.size
                self._progress.moved(found.size, f"{self._bucket}: {versions} objects seen, {copied} copied")
            self._require_unnamed(lanes)
        self._give_up_uploads(prefix)
        now = time.time()
        return Manifest(
            id=self._input.id,
            asset=self._input.asset,
            environment=self._store.store.prefix,
            point=point,
            started=started,
            ended=now,
            size=current,
            commit=self._input.opened.commit,
            reason=self._input.reason,
            by=self._input.by,
            locked_until=now + self._input.opened.locked_for if self._input.opened.locked_for else 0.0,
            bucket=BucketContents(
                entries=written.end(),
                objects=objects,
                versions=versions,
                bytes=size,
                copied=copied,
                copied_bytes=copied_bytes,
                versioned=versioned,
            ),
        )

    def _require_unnamed(self, lanes: Lanes) -> None:
        """See that what no earlier backup protects is still there."""
        if not self._unnamed:
            return
        if lost := len(self._unnamed - self._there_now(lanes).keys()):
            raise Unavailable(f"{lost} copies went while the backup was made", subject=self._bucket, remedy="retry")

    def _there_now(self, lanes: Lanes) -> dict[bytes, Copy]:
        """What the store has of the bucket."""
        return self._progress.result(lanes.start(copies(self._store, self._target, self._bucket)))

    def _secured(self, lanes: Lanes, point: float, versioned: bool) -> Iterator[tuple[ObjectVersion, bool]]:
        """What is listed and has its copy in the store, in order, and whether it was copied just now."""
        waiting: deque[ObjectVersion | Future[ObjectVersion | None]] = deque()
        for found, etag in recorded(self._listed(point, versioned), self._list_before()):
            there = found if found.marker else self._there(found, etag)
            waiting.append(there or lanes.start(self._copied(found, point, versioned)))
            while waiting and (len(waiting) > _AHEAD or isinstance(waiting[0], tuple) or waiting[0].done()):
                yield from self._result(waiting.popleft())
        while waiting:
            yield from self._result(waiting.popleft())

    def _listed(self, point: float, versioned: bool) -> Iterator[ObjectVersion]:
        """The bucket, with the name of each copy."""
        return (self._named(found, point) for found in self._source.list(self._bucket, versions=versioned))

    def _named(self, found: ObjectVersion, point: float) -> ObjectVersion:
        salt = self._input.id if is_young(found, point) else ""
        return found if found.marker else found._replace(blob=digest(found, salt))

    def _list_before(self) -> Iterator[ObjectVersion]:
        """The newest earlier list; nothing if none can be read, which only costs copies."""
        prefix = layout.entry(self._store.store, self._input.asset, "").removesuffix("/")
        manifests = (item.key for item in self._store.list(prefix) if item.key.endswith(f"/{layout.MANIFEST}"))
        for key in sorted(manifests, reverse=True):
            with contextlib.suppress(Damaged, Gone):
                manifest = self._store.manifest(self._input.asset, key.split("/")[-2])
                yield from read_list(self._store, manifest)
                return

    def _there(self, found: ObjectVersion, told: str) -> ObjectVersion | None:
        """The object with its copy, if the store has that as it must be; a damaged one is made anew."""
        name = name_of(found.blob)
        copy = self._copies.get(name)
        if copy is None:
            return None
        # Where the source was written in parts, nothing but our own word tells what ETag the copy must have. Without
        # one, what was made since the run began was made by an earlier attempt.
        if copy.etag not in (found.etag, told) and ("-" not in found.etag or told or copy.modified < self._began):
            return None
        if not told:
            self._unnamed.add(name)
        return found._replace(blob_etag=copy.etag)

    async def _copied(self, found: ObjectVersion, point: float, versioned: bool) -> ObjectVersion | None:
        """The object with its copy, made now; None if the object is gone meanwhile."""
        bucket = self._store.store.bucket
        for _ in range(_TRIES):
            key = layout.blob(self._store.store, self._bucket, found.blob)
            version = found.version or ("null" if versioned else "")
            try:
                etag = await copy(
                    Place(self._source, self._bucket, found.key, version),
                    found.etag,
                    found.size,
                    Place(self._target, bucket, key),
                    inside=self._store.same_place,
                    upload=self._uploads.get(key, ""),
                )
                return found._replace(blob_etag=etag)
            except OtherObject:
                again = await self._again(found, versioned)
                if again is None or again.marker:
                    return again
                found = self._named(again, point)
        raise Busy("is written again faster than it can be copied", subject=f"{self._bucket}/{found.key}")

    async def _again(self, found: ObjectVersion, versioned: bool) -> ObjectVersion | None:
        """What is there now under that key and version."""
        async for page in self._source.pages(self._bucket, found.key, versions=versioned):
            for other in page:
                if other.key != found.key:
                    return None
                if other.version == found.version:
                    return other
        return None

    def _give_up_uploads(self, prefix: str) -> None:
        """Leave no upload: what an earlier run began, and nobody needs any more."""
        wire, bucket = self._target, self._store.store.bucket
        for upload in wire.result(uploads_in(wire, bucket, prefix)):
            wire.result(abort(wire, bucket, upload))

    def _result(self, waiting: ObjectVersion | Future[ObjectVersion | None]) -> Iterator[tuple[ObjectVersion, bool]]:
        if isinstance(waiting, ObjectVersion):
            yield waiting, False
        elif found := self._progress.result(waiting):
            yield found, not found.marker
