"""Object lock: what cannot be deleted, and by whom it can."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.conftest import Api
from tests.emulator.planes import refusal, s3

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

DENIED = (403, "AccessDenied")


@pytest.fixture
def client(api: Api) -> S3Client:
    """With a bucket that has object lock, and one that has not."""
    made = s3(api)
    made.create_bucket(Bucket="ours", ObjectLockEnabledForBucket=True)
    made.create_bucket(Bucket="open")
    return made


def put(client: S3Client, key: str = "k", **arguments: Any) -> dict[str, Any]:
    """A new version, as later calls name it."""
    made = client.put_object(Bucket="ours", Key=key, Body=b"1", **arguments)
    return {"Bucket": "ours", "Key": key, "VersionId": made["VersionId"]}


def in_hours(hours: float) -> datetime:
    """A moment without a fraction of a second."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)


def test_the_default_retention(client: S3Client) -> None:
    """Each new version has it; a deletion without a version only hides, and versioning stays."""
    assert client.get_bucket_versioning(Bucket="ours")["Status"] == "Enabled"
    before = put(client)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 2}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    client.put_object_lock_configuration(Bucket="ours", ObjectLockConfiguration=configuration)  # type: ignore[arg-type]
    after = put(client)
    head = client.head_object(**after)
    assert head["ObjectLockMode"] == "COMPLIANCE"
    assert in_hours(47) < head["ObjectLockRetainUntilDate"] <= in_hours(48) + timedelta(seconds=1)
    client.delete_object(Bucket="ours", Key="k")
    assert refusal(client.delete_object, **after) == DENIED
    assert refusal(client.delete_object, **after, BypassGovernanceRetention=True) == DENIED
    wanted = {"Objects": [{name: version[name] for name in ("Key", "VersionId")} for version in (before, after)]}
    found = client.delete_objects(Bucket="ours", Delete=wanted)  # type: ignore[arg-type]
    assert [item["VersionId"] for item in found["Deleted"]] == [before["VersionId"]]
    assert [(item["VersionId"], item["Code"]) for item in found["Errors"]] == [(after["VersionId"], "AccessDenied")]
    suspended = refusal(client.put_bucket_versioning, Bucket="ours", VersioningConfiguration={"Status": "Suspended"})
    assert suspended == (409, "InvalidBucketState")


def test_retention(client: S3Client) -> None:
    """Governance gives way to who may bypass it; compliance can only be made longer."""
    governed = put(client, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=in_hours(2))
    shorter = {"Mode": "GOVERNANCE", "RetainUntilDate": in_hours(1)}
    assert refusal(client.put_object_retention, **governed, Retention=shorter) == DENIED
    client.put_object_retention(**governed, Retention=shorter, BypassGovernanceRetention=True)  # type: ignore[arg-type]
    assert client.get_object_retention(**governed)["Retention"]["RetainUntilDate"] == shorter["RetainUntilDate"]
    stricter = {"Mode": "COMPLIANCE", "RetainUntilDate": in_hours(3)}
    client.put_object_retention(**governed, Retention=stricter)  # type: ignore[arg-type]
    refused = refusal(client.put_object_retention, **governed, Retention=shorter, BypassGovernanceRetention=True)
    assert refused == DENIED

    other = put(client, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=in_hours(2))
    assert refusal(client.delete_object, **other) == DENIED
    client.delete_object(**other, BypassGovernanceRetention=True)
    past = {"Mode": "GOVERNANCE", "RetainUntilDate": in_hours(-1)}
    assert refusal(client.put_object_retention, **put(client), Retention=past) == (400, "InvalidArgument")
    assert refusal(client.get_object_retention, **put(client)) == (404, "NoSuchObjectLockConfiguration")


def test_a_legal_hold(client: S3Client) -> None:
    """Holds until it is off, whoever asks."""
    held = put(client, ObjectLockLegalHoldStatus="ON")
    assert client.get_object_legal_hold(**held)["LegalHold"]["Status"] == "ON"
    assert refusal(client.delete_object, **held, BypassGovernanceRetention=True) == DENIED
    client.put_object_legal_hold(**held, LegalHold={"Status": "OFF"})
    client.delete_object(**held)


def test_a_bucket_without_object_lock(client: S3Client) -> None:
    """Knows no locks."""
    there = {"Bucket": "open", "Key": "k"}
    held = {"ObjectLockLegalHoldStatus": "ON"}
    assert refusal(client.put_object, **there, Body=b"", **held) == (400, "InvalidRequest")
    client.put_object(Bucket="open", Key="k", Body=b"")
    hold = {"Status": "ON"}
    assert refusal(client.put_object_legal_hold, **there, LegalHold=hold) == (400, "InvalidRequest")
    assert refusal(client.get_object_retention, **there) == (400, "InvalidRequest")
