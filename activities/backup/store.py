"""The bucket that holds the backups of an environment: the only place that knows about them."""

from __future__ import annotations

import base64
import builtins
import hashlib
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from activities.backup.objects.wire import Wire
from activities.boto_errors import absent_as_none, boto_errors
from activities.registry import Clouds
from activities.ssh.nodes import is_to_end
from blueprint.backup import layout
from blueprint.backup.catalogue import Entry
from blueprint.backup.manifest import DrillRecord, Manifest, Pin, opened, sealed
from blueprint.backup.site import BackupSite
from blueprint.errors import Damaged, Gone, PermissionDenied, Unavailable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef

T = TypeVar("T")
PRESIGNED_SECONDS = 3600
"""How long a signed address is good: longer than a lane needs for what it asks ahead, and short enough to be lost."""
BATCH = 1000
"""Objects that one request deletes: S3's limit."""
_DAY = 86_400.0
_TAKEN = "PreconditionFailed"
_UNVERSIONED = "null"
"""How a version is called that was written before the bucket kept any."""


@dataclass(frozen=True)
class Stored:
    """One object, or one version of it.

    Attributes:
        key: its name.
        size: bytes.
        etag: changes with its content.
        modified: when it was written, seconds since the epoch, by the store's clock.
        version: which version; empty in a bucket that never had any.
        marker: it only says that the object was deleted.
        current: it is what a reader gets, and no earlier version.
    """

    key: str
    size: int
    etag: str
    modified: float
    version: str = ""
    marker: bool = False
    current: bool = True


@dataclass(frozen=True)
class Erased:
    """What a deletion freed.

    Attributes:
        objects: how many, versions and delete markers included.
        bytes: that they had.
        locked: versions that the bucket's object lock still keeps.
    """

    objects: int = 0
    bytes: int = 0
    locked: int = 0

    def __add__(self, other: Erased) -> Erased:
        return Erased(self.objects + other.objects, self.bytes + other.bytes, self.locked + other.locked)


class BackupStore:
    """The backup bucket of an environment, and the way to the environment's own buckets.

    Attributes:
        store: which bucket.
        s3: client for the store's region and project.
        source: client for the environment's own.
        clouds: the ways to both: the store's region and project, and the environment's own.
        same_place: whether the store can copy from the environment's buckets by itself.

    Args:
        clouds: gives an environment's way to Scaleway.
        site: the environment.
    """

    def __init__(self, clouds: Clouds, site: BackupSite) -> None:
        target, store = site.target, site.store
        there = target.model_copy(update={"region": store.region, "project_id": store.project_id or target.project_id})
        own, its = clouds.cloud(target), clouds.cloud(there)
        self.store = store
        self.clouds = its, own
        self.s3: S3Client = its.s3
        self.source: S3Client = own.s3
        self.same_place = (its.region, its.project_id) == (own.region, own.project_id)

    # -- objects -----------------------------------------------------------------------------------------------

    def get(self, key: str) -> bytes:
        """The content of an object.

        Raises:
            Gone: there is none.
        """
        with boto_errors(f"read {key}"):
            return self.s3.get_object(Bucket=self.store.bucket, Key=key)["Body"].read()

    def put(self, key: str, content: bytes, *, once: bool = False) -> bool:
        """Write an object. A checksum goes along: object lock asks for one.

        Args:
            once: leave it as it is, if it is there.

        Returns:
            Whether it was written.
        """
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if once else {}
        with boto_errors(f"write {key}"):
            try:
                self.s3.put_object(Bucket=self.store.bucket, Key=key, Body=content, ContentMD5=digest, **condition)
            except ClientError as error:
                if once and error.response.get("Error", {}).get("Code") == _TAKEN:
                    return False
                raise
        return True

    def list(self, prefix: str) -> Iterator[Stored]:
        """Every object whose key starts so, in order of the keys."""
        with boto_errors(f"list {prefix}"):
            for item in self._wire.list(self.store.bucket, prefix):
                yield Stored(item.key, item.size, item.etag, item.modified)

    def versions(self, prefix: str) -> Iterator[Stored]:
        """Every version and delete marker of these objects; the objects themselves in a bucket that has no versions."""
        if not self.versioned:
            yield from self.list(prefix)
            return
        with boto_errors(f"list the versions of {prefix}"):
            for item in self._wire.list(self.store.bucket, prefix, versions=True):
                current = item.latest and not item.marker
                version = item.version or _UNVERSIONED
                yield Stored(item.key, item.size, item.etag, item.modified, version, item.marker, current)

    def delete(self, keys: Iterable[str]) -> None:
        """Make these objects disappear. Where the bucket keeps versions, those stay: see `erase`."""
        for chunk in _batches(keys):
            self._delete([{"Key": key} for key in chunk])

    def erase(self, versions: Iterable[Stored]) -> Erased:
        """Remove these versions for good, as far as the object lock lets them go.

        Raises:
            PermissionDenied: something else than a lock keeps them.
            Unavailable: the activity is to end: its run may be over, and what it knows may be no longer so.
        """
        markers: builtins.list[Stored] = []
        kept: set[str] = set()

        def contents() -> Iterator[Stored]:
            for item in versions:
                if item.marker:
                    markers.append(item)
                else:
                    yield item

        erased = self._erase(contents(), kept)
        # Without its marker an object that was deleted, and whose lock keeps it, would be there again.
        return erased + self._erase((marker for marker in markers if marker.key not in kept), kept)

    def _erase(self, versions: Iterable[Stored], kept: set[str]) -> Erased:
        erased = Erased()
        for chunk in _batches(versions):
            if is_to_end():
                raise Unavailable("stopped: some of what can go is still there", subject=self.store.bucket)
            wanted: builtins.list[ObjectIdentifierTypeDef] = [
                {"Key": item.key, "VersionId": item.version} if item.version else {"Key": item.key} for item in chunk
            ]
            locked = self._delete(wanted)
            kept |= {key for key, _ in locked}
            gone = [item for item in chunk if (item.key, item.version) not in locked]
            erased += Erased(len(gone), sum(item.size for item in gone), len(locked))
        return erased

    def abort_uploads(self, prefix: str, before: float) -> int:
        """Give up uploads of parts that began before a moment. Returns how many."""
        bucket, count = self.store.bucket, 0
        with boto_errors(f"give up uploads of {prefix}"):
            for page in self.s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"].timestamp() < before:
                        self.s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                        count += 1
        return count

    def presign_put(self, key: str, seconds: int = PRESIGNED_SECONDS) -> str:
        """An address to which one object can be written, by whoever has it."""
        place = {"Bucket": self.store.bucket, "Key": key}
        return self.s3.generate_presigned_url("put_object", Params=place, ExpiresIn=seconds)

    def presign_get(self, key: str, seconds: int = PRESIGNED_SECONDS) -> str:
        """An address from which one object can be read, by whoever has it."""
        place = {"Bucket": self.store.bucket, "Key": key}
        return self.s3.generate_presigned_url("get_object", Params=place, ExpiresIn=seconds)

    @cached_property
    def _wire(self) -> Wire:
        return Wire(self.clouds[0])

    # -- the bucket --------------------------------------------------------------------------------------------

    @cached_property
    def versioned(self) -> bool:
        """Whether the bucket has, or once had, versions."""
        with boto_errors(f"look at bucket {self.store.bucket}"):
            return "Status" in self.s3.get_bucket_versioning(Bucket=self.store.bucket)

    @cached_property
    def lock(self) -> float | None:
        """Seconds for which the object lock keeps what is written, by default; None without object lock."""
        with boto_errors(f"look at bucket {self.store.bucket}"):
            told = absent_as_none(self.s3.get_object_lock_configuration, Bucket=self.store.bucket)
        if told is None or told["ObjectLockConfiguration"].get("ObjectLockEnabled") != "Enabled":
            return None
        default = told["ObjectLockConfiguration"].get("Rule", {}).get("DefaultRetention", {})
        return float(default.get("Days", 0) * _DAY + default.get("Years", 0) * 365 * _DAY)

    def clocks(self) -> tuple[float, float]:
        """The store's time and the worker's, of one moment; seconds since the epoch."""
        with boto_errors(f"look at bucket {self.store.bucket}"):
            answer = self.s3.head_bucket(Bucket=self.store.bucket)
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp(), time.time()

    # -- backups -----------------------------------------------------------------------------------------------

    def publish(self, manifest: Manifest) -> Entry:
        """Make a backup exist: write its manifest, unless an earlier attempt has. Then that one counts."""
        key = manifest_key(self, manifest.asset, manifest.id)
        if self.put(key, sealed(manifest), once=True):
            return entry_of(manifest)
        return entry_of(self.manifest(manifest.asset, manifest.id))

    def manifest(self, asset: str, id: str) -> Manifest:
        """What a backup consists of.

        Raises:
            Gone: there is no such backup.
            Damaged: its manifest is not what was written.
        """
        try:
            stored = self.get(manifest_key(self, asset, id))
        except Gone:
            raise Gone(
                "there is no such backup",
                subject=f"{asset} {id}",
                remedy="`scaleway-infra backups` lists those there are",
            ) from None
        return read_manifest(stored, asset, id)

    def _delete(self, wanted: builtins.list[ObjectIdentifierTypeDef]) -> Collection[tuple[str, str]]:
        """Delete; what a lock keeps is returned, by key and version."""
        with boto_errors("delete objects"):
            answer = self.s3.delete_objects(Bucket=self.store.bucket, Delete={"Objects": wanted, "Quiet": True})
        errors = [
            error for error in answer.get("Errors", ()) if error.get("Code") not in ("NoSuchKey", "NoSuchVersion")
        ]
        denied = [error for error in errors if error.get("Code") == "AccessDenied"]
        if others := [error for error in errors if error not in denied]:
            first = others[0]
            raise Unavailable(f"delete: {first.get('Code')} {first.get('Message')}", subject=first.get("Key", ""))
        if denied and self.lock is None:
            raise PermissionDenied(
                f"delete: {denied[0].get('Message')}",
                subject=denied[0].get("Key", ""),
                remedy="check the policies of the key and of the backup bucket",
            )
        return {(error.get("Key", ""), error.get("VersionId", "")) for error in denied}


def manifest_key(store: BackupStore, asset: str, id: str) -> str:
    """Where the manifest of a backup is."""
    return layout.entry(store.store, asset, id) + layout.MANIFEST


def read_manifest(stored: bytes, asset: str, id: str) -> Manifest:
    """The manifest of that backup.

    Raises:
        Damaged: it is not what was written, or another's.
    """
    manifest = opened(stored, f"{asset} {id}")
    if (manifest.asset, manifest.id) != (asset, id):
        raise Damaged(f"the manifest is that of {manifest.asset} {manifest.id}", subject=f"{asset} {id}")
    return manifest


def entry_of(manifest: Manifest, drills: Iterable[DrillRecord] = (), pins: Iterable[Pin] = ()) -> Entry:
    """A backup in short."""
    return Entry(
        id=manifest.id,
        asset=manifest.asset,
        point=manifest.point,
        started=manifest.started,
        ended=manifest.ended,
        size=manifest.size,
        reason=manifest.reason,
        commit=manifest.commit,
        locked_until=manifest.locked_until,
        versioned=manifest.bucket is not None and manifest.bucket.versioned,
        drills=tuple(sorted(drills, key=lambda drill: drill.at)),
        pins=tuple(sorted(pins, key=lambda pin: pin.name)),
    )


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
