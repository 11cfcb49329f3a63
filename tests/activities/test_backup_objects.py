"""Backups and restores of buckets against the local Scaleway."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import pytest
from temporalio.testing import ActivityEnvironment

from activities.backup.objects.lists import read_list
from activities.backup.objects.objects import Objects
from activities.backup.objects.wire import Wire
from activities.backup.store import BackupStore
from activities.registry import Clouds
from activities.settings import ScalewaySettings
from blueprint.backup import layout
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import (
    AssetInput,
    BucketRestoreInput,
    BucketRestoreOutput,
    OpenOutput,
    ScratchObjectsInput,
)
from blueprint.backup.objects import AT_ONCE, YOUNG
from blueprint.backup.site import BackupSite, BucketAsset, Retention, SecretPlace, Store
from blueprint.errors import Damaged, Gone, RestoreRefused, Unavailable
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


@pytest.fixture
def bucket(emulator: Control) -> Bucket:
    """A bucket whose store is in the same project."""
    return Bucket(emulator)


@pytest.fixture(params=["inside", "through the worker"])
def either(request: pytest.FixtureRequest, emulator: Control) -> Bucket:
    """A bucket whose store is in the same project, or in another one."""
    return Bucket(emulator, elsewhere=request.param != "inside")


def test_objects_come_back_with_all_that_belongs_to_them(either: Bucket) -> None:
    """Content, metadata, headers and tags are what they were; what is as it was is left alone."""
    either.put("a", b"first", Metadata={"owner": "ana"}, ContentType="text/plain", Tagging="kind=letter&to=all")
    either.put("b/ä +ü", b"second", CacheControl="max-age=60", ContentEncoding="gzip")
    either.put("empty", b"")
    either.put("same")
    entry = either.back_up()
    either.s3.delete_object(Bucket=LIVE, Key="a")
    either.put("b/ä +ü", b"other")
    either.s3.delete_object(Bucket=LIVE, Key="empty")
    either.put("late")

    told = either.restore(entry)

    assert (told.same, told.restored, told.newer, told.newer_keys, told.removed) == (1, 3, 1, ("late",), 0)
    assert either.contents() == {
        "a": b"first",
        "b/ä +ü": b"second",
        "empty": b"",
        "same": b"content",
        "late": b"content",
    }
    found = either.s3.get_object(Bucket=LIVE, Key="a")
    tags = either.s3.get_object_tagging(Bucket=LIVE, Key="a")["TagSet"]
    assert (found["Metadata"], found["ContentType"]) == ({"owner": "ana"}, "text/plain")
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"kind": "letter", "to": "all"}
    second = either.s3.head_object(Bucket=LIVE, Key="b/ä +ü")
    assert (second["CacheControl"], second["ContentEncoding"]) == ("max-age=60", "gzip")
    again = either.restore(entry, remove_newer=True)
    assert (again.same, again.restored, again.removed) == (4, 0, 1)
    assert "late" not in either.contents()


@pytest.mark.parametrize("key", ["..", "/lead//ing", "dir/", "a+b%20c", "car\rriage", "\x01", "k" * 1024])
def test_odd_keys_come_back_and_go(bucket: Bucket, key: str) -> None:
    """Also those that XML cannot carry."""
    bucket.put(key)
    bucket.put("usual")
    entry = bucket.back_up()
    bucket.s3.delete_object(Bucket=LIVE, Key=key)
    empty = bucket.back_up()

    assert bucket.restore(entry).restored == 1
    assert key in bucket.contents()
    assert bucket.restore(empty, remove_newer=True).removed == 1
    assert list(bucket.contents()) == ["usual"]


def test_metadata_alone_is_a_difference(bucket: Bucket) -> None:
    """The same content with other metadata or tags is brought back."""
    bucket.put("a", Metadata={"v": "1"})
    bucket.put("b", Tagging="v=1")
    entry = bucket.back_up()
    bucket.put("a", Metadata={"v": "2"})
    bucket.put("b", Tagging="v=2")

    told = bucket.restore(entry)

    assert told.restored == 2
    assert bucket.s3.head_object(Bucket=LIVE, Key="a")["Metadata"] == {"v": "1"}
    assert bucket.s3.get_object_tagging(Bucket=LIVE, Key="b")["TagSet"] == [{"Key": "v", "Value": "1"}]


def test_a_second_backup_copies_what_changed_only(either: Bucket) -> None:
    """What is there already costs a line of a listing."""
    for number in range(40):
        either.put(f"{number:03}", os.urandom(100))
    settled(either, "039")
    assert either.copied(either.back_up()) == 40
    either.put("007", b"changed")
    asked = either.asked(either.back_up)

    assert sum(asked[name] for name in asked if name.endswith((" CopyObject", " PutObject"))) == 3, asked
    assert asked.get("s3 GetObject", 0) <= 4, asked


def test_versions_show_every_moment(bucket: Bucket) -> None:
    """A backup of a versioned bucket brings back any moment before it."""
    bucket.s3.put_bucket_versioning(Bucket=LIVE, VersioningConfiguration={"Status": "Enabled"})
    bucket.put("b", b"1")
    bucket.put("a", b"1")
    first = modified(bucket, "a")
    while modified(bucket, "a") == first:
        bucket.put("a", b"2")
    bucket.s3.delete_object(Bucket=LIVE, Key="b")
    entry = bucket.back_up()
    assert entry.versioned
    bucket.put("a", b"3")

    told = bucket.restore(entry, at=first, write=False)
    assert (told.restored, told.same) == (2, 0)
    assert bucket.contents() == {"a": b"3"}
    bucket.restore(entry)
    assert bucket.contents() == {"a": b"2"}
    bucket.restore(entry, at=first)
    assert bucket.contents() == {"a": b"1", "b": b"1"}


def test_a_moment_before_a_backup_without_versions_is_refused(bucket: Bucket) -> None:
    """It shows one moment only."""
    bucket.put("a")
    entry = bucket.back_up()

    with pytest.raises(RestoreRefused, match="keeps no versions"):
        bucket.restore(entry, at=entry.point - 60)
    assert bucket.restore(entry, at=entry.point + 60).same == 1


@pytest.mark.parametrize("harm", ["removed", "other bytes"])
def test_a_damaged_copy_is_refused_by_name(either: Bucket, harm: str) -> None:
    """Everything else is brought back; what is damaged stays as it is, and nothing is deleted."""
    either.put("a", b"first")
    either.put("b", b"second")
    entry = either.back_up()
    either.put("a", b"live")
    either.put("newer", b"third")
    either.s3.delete_object(Bucket=LIVE, Key="b")
    blob = either.blob_of(entry, "a")
    if harm == "removed":
        either.store.s3.delete_object(Bucket=STORE, Key=blob)
    else:
        either.store.s3.put_object(Bucket=STORE, Key=blob, Body=b"FIRST")

    with pytest.raises(Damaged) as refused:
        either.restore(entry, remove_newer=True)

    assert f"a ({blob})" in refused.value.message
    assert either.contents() == {"a": b"live", "b": b"second", "newer": b"third"}


def test_a_damaged_copy_is_made_anew_while_its_source_is_there(bucket: Bucket) -> None:
    """The next backup sees that the store has not what it must have; the older one is whole again as well."""
    bucket.put("a", b"first")
    settled(bucket, "a")
    entry = bucket.back_up()
    bucket.store.s3.put_object(Bucket=STORE, Key=bucket.blob_of(entry, "a"), Body=b"FIRST")

    assert bucket.copied(bucket.back_up()) == 1
    bucket.s3.delete_object(Bucket=LIVE, Key="a")
    bucket.restore(entry)
    assert bucket.contents() == {"a": b"first"}


@pytest.mark.parametrize("harm", ["removed", "other bytes"])
def test_a_damaged_list_is_refused_by_name(bucket: Bucket, harm: str) -> None:
    """Nothing is restored from it."""
    bucket.put("a", b"first")
    entry = bucket.back_up()
    bucket.put("a", b"live")
    part = layout.part(bucket.site.store, entry.asset, entry.id, "entries", 0)
    if harm == "removed":
        bucket.store.s3.delete_object(Bucket=STORE, Key=part)
    else:
        bucket.store.s3.put_object(Bucket=STORE, Key=part, Body=b"nothing")

    with pytest.raises(Damaged) as refused:
        bucket.restore(entry)

    assert refused.value.subject == part
    assert bucket.contents() == {"a": b"live"}


def test_large_objects_go_in_parts_and_go_on_where_an_attempt_was_lost(either: Bucket) -> None:
    """No upload is left; an object that was itself written in parts comes back with the same bytes."""
    content = os.urandom(1 << 20) * 70
    upload = either.s3.create_multipart_upload(Bucket=LIVE, Key="large", Metadata={"v": "1"})["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(content), 40 << 20), 1):
        part = either.s3.upload_part(
            Bucket=LIVE, Key="large", UploadId=upload, PartNumber=number, Body=content[start : start + (40 << 20)]
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    either.s3.complete_multipart_upload(
        Bucket=LIVE, Key="large", UploadId=upload, MultipartUpload={"Parts": cast("Any", parts)}
    )
    settled(either, "large")
    entry = either.back_up()
    blob = either.blob_of(entry, "large")
    either.store.s3.delete_object(Bucket=STORE, Key=blob)
    # As an attempt leaves it that was killed after its first part.
    begun = either.store.s3.create_multipart_upload(Bucket=STORE, Key=blob, Metadata={"v": "1"})["UploadId"]
    either.store.s3.upload_part(
        Bucket=STORE, Key=blob, UploadId=begun, PartNumber=1, Body=content[:AT_ONCE], ContentMD5=md5(content[:AT_ONCE])
    )
    asked = either.asked(lambda: either.back_up(attempt=2))

    assert sum(asked[name] for name in asked if "UploadPart" in name) == 1, asked
    assert "Uploads" not in either.store.s3.list_multipart_uploads(Bucket=STORE)
    either.put("large", b"small")
    assert either.restore(entry).restored == 1
    assert either.contents() == {"large": content}
    assert either.s3.head_object(Bucket=LIVE, Key="large")["Metadata"] == {"v": "1"}
    assert "Uploads" not in either.s3.list_multipart_uploads(Bucket=LIVE)
    assert either.restore(entry).same == 1


def test_a_backup_that_was_made_is_not_made_again(bucket: Bucket) -> None:
    """An attempt whose answer was lost has a successor that finds its manifest."""
    bucket.put("a")
    first = bucket.back_up(id="20261126T143005Z-3f2a")
    bucket.put("b")

    assert bucket.back_up(id="20261126T143005Z-3f2a", attempt=2) == first
    assert bucket.restore(first, write=False).newer_keys == ("b",)


def test_a_prefix_is_restored_and_the_rest_stays(bucket: Bucket) -> None:
    """Also where objects of the rest differ."""
    for key in ("a/1", "b/1", "b/2", "c/1"):
        bucket.put(key, b"then")
    entry = bucket.back_up()
    for key in ("a/1", "b/1", "b/3"):
        bucket.put(key, b"now")

    told = bucket.restore(entry, prefix="b/")

    assert (told.same, told.restored, told.newer_keys) == (1, 1, ("b/3",))
    assert bucket.contents()["a/1"] == b"now"
    assert bucket.contents()["b/1"] == b"then"


@pytest.mark.parametrize("versioning", [False, True])
def test_a_drill_restores_a_sample_checks_it_and_leaves_nothing(either: Bucket, versioning: bool) -> None:
    """The bucket itself is not touched; what is wrong with what was restored is found."""
    bucket = either
    if versioning:
        bucket.store.s3.put_bucket_versioning(Bucket=STORE, VersioningConfiguration={"Status": "Enabled"})
    for number in range(50):
        bucket.put(f"{number:03}", os.urandom(20))
    entry = bucket.back_up()
    scratch = ScratchObjectsInput(site=bucket.site, bucket=LIVE, id=entry.id, into_prefix=DRILL, sample=10)

    s3 = bucket.store.s3
    assert bucket.restore(entry, into=STORE, into_prefix=DRILL, sample=10).restored == 10
    assert run(bucket.objects.verify, scratch).findings == ()
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=STORE, Prefix=DRILL)["Contents"]]
    s3.put_object(Bucket=STORE, Key=keys[3], Body=os.urandom(20))
    s3.delete_object(Bucket=STORE, Key=keys[4])
    assert len(run(bucket.objects.verify, scratch).findings) == 2
    run(bucket.objects.remove, scratch)
    assert len(bucket.contents()) == 50
    left = s3.list_object_versions(Bucket=STORE, Prefix=DRILL)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


@pytest.mark.parametrize("harm", ["removed", "other bytes"])
def test_a_drill_finds_a_copy_that_is_not_in_its_sample(bucket: Bucket, harm: str) -> None:
    """Of every copy it is known that it is there, and what it has."""
    for number in range(20):
        bucket.put(f"{number:03}", os.urandom(20))
    entry = bucket.back_up()
    wanted = {"into_prefix": DRILL, "sample": 2}
    bucket.restore(entry, into=STORE, **wanted)
    scratch = ScratchObjectsInput(site=bucket.site, bucket=LIVE, id=entry.id, into_prefix=DRILL, sample=2)
    assert run(bucket.objects.verify, scratch).findings == ()
    blob = bucket.blob_of(entry, "000")
    if harm == "removed":
        bucket.store.s3.delete_object(Bucket=STORE, Key=blob)
    else:
        bucket.store.s3.put_object(Bucket=STORE, Key=blob, Body=os.urandom(20))

    (finding,) = run(bucket.objects.verify, scratch).findings

    assert blob in finding


def test_copies_that_go_while_a_backup_is_made_are_made_anew(bucket: Bucket) -> None:
    """What a run left that failed is used, and is what a sweep removes that began before."""
    bucket.put("a")
    settled(bucket, "a")
    failed = bucket.back_up()
    blob = bucket.blob_of(failed, "a")
    bucket.store.delete([f"{layout.entry(bucket.site.store, failed.asset, failed.id)}{layout.MANIFEST}"])
    bucket.put("b")
    settled(bucket, "b")
    bucket.emulator.faults({"operation": "S3 CopyObject", "kind": "slow", "seconds": 1.0})

    with ThreadPoolExecutor(1) as pool:
        backup = pool.submit(bucket.back_up, id="20261126T143005Z-3f2a")
        while not backup.done() and not bucket.emulator.call("GET", "/_emulator/faults")["faults"][0]["fired"]:
            time.sleep(0.01)
        bucket.store.delete([blob])
        with pytest.raises(Unavailable):
            backup.result()

    bucket.emulator.faults()
    entry = bucket.back_up(id="20261126T143005Z-3f2a", attempt=2)
    bucket.s3.delete_object(Bucket=LIVE, Key="a")
    bucket.restore(entry)
    assert bucket.contents() == {"a": b"content", "b": b"content"}


@pytest.mark.parametrize(
    "prefix", ["", "a/", "lssm-prod/scratch/", "lssm-prod/data/db/equitya/", "lssm-prod/scratchx/1"]
)
def test_what_could_be_live_is_not_removed(bucket: Bucket, prefix: str) -> None:
    """A drill's prefix is recognisable."""
    bucket.put("a/1")
    scratch = ScratchObjectsInput(site=bucket.site, bucket=LIVE, id="20261126T143005Z-3f2a", into_prefix=prefix)

    for call in (bucket.objects.remove, bucket.objects.verify):
        with pytest.raises(RestoreRefused):
            run(call, scratch)
    entry = bucket.back_up()
    with pytest.raises(RestoreRefused):
        bucket.restore(entry, into=STORE, into_prefix=prefix)
    assert bucket.contents() == {"a/1": b"content"}


def test_what_is_not_there_is_said(bucket: Bucket) -> None:
    """A backup and a bucket that do not exist."""
    entry = bucket.back_up()

    with pytest.raises(Gone):
        bucket.restore(entry.model_copy(update={"id": "20200101T000000Z-0000"}))
    with pytest.raises(Gone):
        bucket.restore(entry, into="lssm-prod-nothing")


@pytest.mark.parametrize("kind", ["unavailable", "throttled", "reset", "response_lost"])
def test_a_burst_of_refusals_is_lived_through(either: Bucket, kind: str) -> None:
    """A request is repeated before its attempt is given up."""
    for number in range(20):
        either.put(f"{number:03}")
    operations = ("CopyObject", "ListObjectsV2", "ListMultipartUploads")
    either.emulator.faults(*({"operation": f"S3 {name}", "kind": kind, "count": 3} for name in operations))

    entry = either.back_up()

    either.emulator.faults()
    for number in range(20):
        either.put(f"{number:03}", b"other")
    assert either.restore(entry).restored == 20


def test_a_cancelled_backup_ends_soon_and_its_copies_are_used(bucket: Bucket) -> None:
    """It says how far it is, and is none until it is whole."""
    for number in range(200):
        bucket.put(f"{number:03}")
    settled(bucket, "199")
    bucket.emulator.faults({"operation": "S3 CopyObject", "kind": "slow", "seconds": 0.5, "count": None})
    said: list[Any] = []
    environment = ActivityEnvironment()

    def cancel(*details: Any) -> None:
        said.extend(details)
        environment.cancel()

    environment.on_heartbeat = cancel
    wanted = AssetInput(
        site=bucket.site, asset=f"bucket/{LIVE}", id="20261126T143005Z-3f2a", opened=OpenOutput(recipients=())
    )

    with pytest.raises(Unavailable, match="stopped"):
        environment.run(bucket.objects.back_up, wanted)

    bucket.emulator.faults()
    assert "objects seen" in said[0]["what"]
    with pytest.raises(Gone):
        bucket.store.manifest(wanted.asset, wanted.id)
    assert 0 < bucket.copied(bucket.back_up(id=wanted.id, attempt=2)) < 200


def modified(bucket: Bucket, key: str) -> float:
    """When an object was written, by the bucket's clock."""
    (found,) = bucket.s3.list_objects_v2(Bucket=LIVE, Prefix=key)["Contents"]
    return found["LastModified"].timestamp()


def settled(bucket: Bucket, key: str) -> None:
    """Wait until an object is so old that a change of it cannot look like none."""
    written, wire = modified(bucket, key), Wire(bucket.clouds.cloud(TARGET))
    while wire.now(LIVE) < written + YOUNG:
        time.sleep(0.05)
    wire.close()


def md5(content: bytes) -> str:
    """As a header says it."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
