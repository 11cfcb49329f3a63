"""Backups and restores of buckets against the local Scaleway: what comes back, what it costs, what is refused."""

from __future__ import annotations

import os

import pytest

from blueprint.backup.contract import ScratchObjectsInput
from blueprint.errors import Gone, RestoreRefused
from tests.activities.objects.bucket import DRILL, LIVE, STORE, Bucket, modified, run, settled


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
