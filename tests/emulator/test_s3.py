"""Object Storage as Scaleway restricts it, its faults, and what survives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError, HTTPClientError

from emulator.products.iam.users import OWNER
from tests.emulator.conftest import KEY, Api, running
from tests.emulator.planes import ACCESS_KEY, refusal, s3

FOREIGN = f"{ACCESS_KEY}@44444444-4444-4444-8444-444444444444"


def policy(bucket: str, principal: str, version: str = "2023-04-17", action: Any = "s3:*") -> str:
    """A bucket policy that allows one principal something."""
    statement = {
        "Effect": "Allow",
        "Action": action,
        "Principal": {"SCW": principal},
        "Resource": [bucket, f"{bucket}/*"],
    }
    return json.dumps({"Version": version, "Statement": [statement]})


def rule(**fields: Any) -> dict[str, Any]:
    """A life cycle of one rule."""
    return {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, **fields}]}


def test_buckets_belong_to_projects(api: Api) -> None:
    """A name is taken for everybody, by us or by others."""
    client, other = s3(api), s3(api, FOREIGN)
    client.create_bucket(Bucket="ours")
    other.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": "fr-par"})  # type: ignore[typeddict-item]
    assert refusal(client.create_bucket, Bucket="ours") == (409, "BucketAlreadyOwnedByYou")
    assert refusal(client.create_bucket, Bucket="theirs") == (409, "BucketAlreadyExists")
    assert refusal(client.list_objects_v2, Bucket="theirs") == (403, "AccessDenied")
    assert refusal(client.head_bucket, Bucket="theirs") == (403, "403")
    assert refusal(client.head_bucket, Bucket="nobodys") == (404, "404")
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["ours"]
    assert client.get_bucket_acl(Bucket="ours")["Owner"]["ID"].count(":") == 1
    _, resources = api.request("GET", "/_emulator/resources")
    assert [item["name"] for item in resources["s3.buckets"]["items"]] == ["ours", "theirs"]


@pytest.mark.parametrize(
    ("operation", "arguments", "expected"),
    [
        ("get_bucket_tagging", {}, (404, "NoSuchTagSet")),
        ("get_bucket_cors", {}, (404, "NoSuchCORSConfiguration")),
        ("get_bucket_lifecycle_configuration", {}, (404, "NoSuchLifecycleConfiguration")),
        ("get_object_lock_configuration", {}, (404, "ObjectLockConfigurationNotFoundError")),
        ("get_bucket_policy", {}, (404, "NoSuchBucketPolicy")),
        ("get_bucket_replication", {}, (405, "NotImplemented")),
        ("get_bucket_notification_configuration", {}, (405, "NotImplemented")),
        (
            "put_bucket_accelerate_configuration",
            {"AccelerateConfiguration": {"Status": "Enabled"}},
            (405, "NotImplemented"),
        ),
        ("put_object", {"Key": "k", "Body": b"", "StorageClass": "STANDARD_IA"}, (400, "InvalidStorageClass")),
        ("upload_part", {"Key": "k", "UploadId": "u", "PartNumber": 1001, "Body": b""}, (400, "InvalidArgument")),
        (
            "put_object_lock_configuration",
            {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
            (409, "InvalidBucketState"),
        ),
        ("put_bucket_policy", {"Policy": policy("ours", "*", version="2012-10-17")}, (400, "MalformedPolicy")),
        ("put_bucket_policy", {"Policy": policy("ours", "arn:aws:iam::1:root")}, (400, "MalformedPolicy")),
        ("put_bucket_policy", {"Policy": policy("other", "*")}, (400, "MalformedPolicy")),
        (
            "put_bucket_lifecycle_configuration",
            {"LifecycleConfiguration": rule(Transitions=[{"Days": 1, "StorageClass": "DEEP_ARCHIVE"}])},
            (400, "InvalidStorageClass"),
        ),
        (
            "put_bucket_lifecycle_configuration",
            {
                "LifecycleConfiguration": rule(
                    Transitions=[{"Days": 1, "StorageClass": "GLACIER"}, {"Days": 9, "StorageClass": "ONEZONE_IA"}]
                )
            },
            (400, "InvalidRequest"),
        ),
    ],
)
def test_refusals(api: Api, operation: str, arguments: dict[str, Any], expected: tuple[int, str]) -> None:
    """What is absent, what Scaleway has not, and what it limits."""
    client = s3(api)
    client.create_bucket(Bucket="ours")
    assert refusal(getattr(client, operation), Bucket="ours", **arguments) == expected


def test_credentials_and_regions(api: Api) -> None:
    """Keys of another form and signatures for another region are refused."""
    assert refusal(s3(api, "AKIAIOSFODNN7EXAMPLE").list_buckets) == (403, "InvalidAccessKeyId")
    assert refusal(s3(api, region="nl-ams").list_buckets) == (400, "AuthorizationHeaderMalformed")
    assert requests.get(api.emulator.planes["s3"].url, timeout=5).status_code == 403
    wrong = {"LocationConstraint": "nl-ams"}
    assert refusal(s3(api).create_bucket, Bucket="far", CreateBucketConfiguration=wrong) == (
        400,
        "InvalidLocationConstraint",
    )


def test_a_restricted_key(api: Api) -> None:
    """IAM decides without a policy; with one, only the policy, for the owner too."""
    _, application = api.request("POST", "/iam/v1alpha1/applications", {"name": "backend"})
    _, key = api.request("POST", "/iam/v1alpha1/api-keys", {"application_id": application["id"]})
    owner, backend = s3(api), s3(api, key["access_key"], key["secret_key"])
    owner.create_bucket(Bucket="ours")
    owner.put_object(Bucket="ours", Key="k", Body=b"1")
    assert refusal(s3(api, key["access_key"], KEY).list_buckets) == (403, "SignatureDoesNotMatch")
    assert refusal(backend.list_objects_v2, Bucket="ours") == (403, "AccessDenied")

    owner.put_bucket_policy(
        Bucket="ours", Policy=policy("ours", f"application_id:{application['id']}", action=["s3:Get*"])
    )
    assert backend.get_object(Bucket="ours", Key="k")["Body"].read() == b"1"
    assert refusal(backend.put_object, Bucket="ours", Key="k", Body=b"2") == (403, "AccessDenied")
    assert refusal(owner.get_object, Bucket="ours", Key="k") == (403, "AccessDenied")
    owner.put_bucket_policy(Bucket="ours", Policy=policy("ours", f"user_id:{OWNER}"))
    assert owner.get_object(Bucket="ours", Key="k")["Body"].read() == b"1"
    owner.delete_bucket_policy(Bucket="ours")
    api.request("DELETE", f"/iam/v1alpha1/api-keys/{key['access_key']}")
    assert refusal(backend.list_buckets) == (403, "InvalidAccessKeyId")


def test_objects_keep_odd_names(api: Api) -> None:
    """Keys survive encoding, presigning and large bodies."""
    client = s3(api)
    client.create_bucket(Bucket="ours")
    key = "a b/ü+c%20?.txt"
    client.put_object(Bucket="ours", Key=key, Body=b"x" * 100_000, Metadata={"m": "1"})
    head = client.head_object(Bucket="ours", Key=key)
    assert (head["ContentLength"], head["Metadata"]) == (100_000, {"m": "1"})
    assert refusal(client.put_object, Bucket="ours", Key=key, Body=b"", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refusal(client.delete_bucket, Bucket="ours") == (409, "BucketNotEmpty")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "ours", "Key": key})
    assert len(requests.get(url, timeout=5).content) == 100_000
    client.delete_object(Bucket="ours", Key=key)
    client.delete_bucket(Bucket="ours")
    assert api.request("GET", "/_emulator/resources?all=true")[1].get("s3.buckets") is None


@pytest.mark.parametrize("kind", ["response_lost", "reset", "unavailable", "throttled"])
def test_faults(api: Api, kind: str) -> None:
    """A lost answer means a bucket, any other fault means none; each is in the log once."""
    client = s3(api)
    api.request("PUT", "/_emulator/faults", {"faults": [{"operation": "S3 CreateBucket", "kind": kind}]})
    with pytest.raises((ClientError, HTTPClientError)) as failure:
        client.create_bucket(Bucket="ours")
    made = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
    assert made == (["ours"] if kind == "response_lost" else [])
    if kind == "throttled":
        assert isinstance(failure.value, ClientError)
        assert failure.value.response["Error"]["Code"] == "SlowDown"
    _, log = api.request("GET", "/_emulator/requests")
    assert log["operations"]["S3 CreateBucket"] == 1
    assert (log["mutating"], log["requests"][-2]["fault"]) == (1, kind)


def test_buckets_survive_a_restart_and_a_snapshot(tmp_path: Path) -> None:
    """Configurations and objects come back from the state file and from a snapshot."""

    def check(client: Any) -> None:
        assert client.get_bucket_versioning(Bucket="ours")["Status"] == "Enabled"
        assert client.get_bucket_tagging(Bucket="ours")["TagSet"] == [{"Key": "env", "Value": "prod"}]
        assert client.get_bucket_lifecycle_configuration(Bucket="ours")["Rules"][0]["Expiration"]["Days"] == 3
        found = client.get_object(Bucket="ours", Key="a/b")
        assert (found["Body"].read(), found["ContentType"]) == (b"hello", "text/x")

    with running(state=tmp_path / "state") as first:
        client = s3(first)
        client.create_bucket(Bucket="ours")
        client.put_bucket_versioning(Bucket="ours", VersioningConfiguration={"Status": "Enabled"})
        client.put_bucket_tagging(Bucket="ours", Tagging={"TagSet": [{"Key": "env", "Value": "prod"}]})
        client.put_bucket_lifecycle_configuration(
            Bucket="ours",
            LifecycleConfiguration=rule(Expiration={"Days": 3}),  # type: ignore[arg-type]
        )
        client.put_object(Bucket="ours", Key="a/b", Body=b"hello", ContentType="text/x")
    with running(state=tmp_path / "state") as second:
        client = s3(second)
        check(client)
        _, snapshot = second.request("GET", "/_emulator/snapshot")
        second.request("POST", "/_emulator/reset")
        assert client.list_buckets()["Buckets"] == []
        second.request("PUT", "/_emulator/snapshot", snapshot)
        check(client)
