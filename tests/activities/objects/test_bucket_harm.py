"""Copies that are damaged, attempts that are lost, requests that fail: no backup of a bucket is silently less."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from temporalio.testing import ActivityEnvironment

from blueprint.backup import layout
from blueprint.backup.contract import AssetInput, BucketRestoreInput, OpenOutput, ScratchObjectsInput
from blueprint.backup.objects import AT_ONCE
from blueprint.errors import Damaged, Gone, Unavailable
from tests.activities.objects.bucket import DRILL, LIVE, STORE, Bucket, run, settled


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


def test_a_cancelled_restore_writes_nothing_once_it_has_ended(bucket: Bucket) -> None:
    """What Object Storage was asked to copy it copies, also if nobody waits: over what was written since."""
    for number in range(50):
        bucket.put(f"{number:03}")
    entry = bucket.back_up()
    for number in range(50):
        bucket.s3.delete_object(Bucket=LIVE, Key=f"{number:03}")
    bucket.emulator.faults({"operation": "S3 CopyObject", "kind": "slow", "seconds": 1.5, "count": None})
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, scheduled_time=datetime.now(UTC))
    environment.on_heartbeat = lambda *_: environment.cancel()

    with pytest.raises(Unavailable, match="stopped"):
        environment.run(bucket.objects.restore, BucketRestoreInput(site=bucket.site, bucket=LIVE, id=entry.id))

    there = bucket.contents()
    time.sleep(2)
    assert bucket.contents() == there


def md5(content: bytes) -> str:
    """As a header says it."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
