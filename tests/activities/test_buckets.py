"""Buckets and their policies against the local Scaleway."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from activities.cloud import Cloud
from activities.lifecycle import NO_PARENT, Scope
from blueprint.contract import Target
from blueprint.errors import NotOurs, PermissionDenied, QuotaExceeded, Refused
from tests.activities.conftest import Control, make_cloud
from tests.activities.site import Site, ignoring_gone, persistently

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

NAME = "shop-prod-files"
OTHER_PROJECT = "44444444-4444-4444-8444-444444444444"
TAGS = ["environment=lssm-prod", "managed-by=scaleway-infra", "protected"]
LIFECYCLE: list[dict[str, Any]] = [
    {"prefix": "tmp/", "expire_days": 7, "abort_multipart_days": 1},
    {"prefix": "logs/", "transition": {"after_days": 30, "storage_class": "GLACIER"}, "expire_days": 365},
    {"expire_noncurrent_days": 90},
]
CORS: list[dict[str, Any]] = [
    {"origins": ["https://b.example.org", "https://a.example.org"], "methods": ["PUT", "GET"], "headers": ["*"]},
    {"origins": ["*"], "methods": ["HEAD"], "expose_headers": ["ETag", "Content-Length"], "max_age": 60},
]
FULL = {"versioning": True, "lifecycle": LIFECYCLE, "cors": CORS, "access": {"backend": "readwrite"}}


def file(**bucket: Any) -> dict[str, Any]:
    """An environment with one bucket and the applications that may be let in."""
    return {"buckets": {"shop/files": bucket}, "applications": {"backend": {}, "reports": {}, "engine": {}}}


@pytest.fixture
def site(cloud: Cloud) -> Site:
    """Nothing yet."""
    return Site(cloud, ("vpc", "seal", "application", "bucket", "bucket_policy"))


def s3_of(cloud: Cloud, project: str) -> S3Client:
    """Object storage as another project sees it."""
    return boto3.client(
        "s3",
        region_name=cloud.region,
        endpoint_url=cloud.settings.s3_url,
        aws_access_key_id=f"{cloud.settings.access_key}@{project}",
        aws_secret_access_key=cloud.settings.secret_key.get_secret_value(),
    )


def actions(plan: Any) -> dict[str, str]:
    """What a plan does to buckets and policies."""
    return {change.key: change.action for change in plan.changes if change.kind in ("bucket", "bucket_policy")}


CHANGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = [
    ({}, {"versioning": True}, {"bucket": "update"}),
    ({"versioning": True}, {}, {"bucket": "update"}),
    ({}, {"lifecycle": LIFECYCLE[:2]}, {"bucket": "update"}),
    ({"lifecycle": LIFECYCLE[:2]}, {"lifecycle": LIFECYCLE[1::-1]}, {"bucket": "update"}),
    ({"lifecycle": LIFECYCLE[:2]}, {"lifecycle": LIFECYCLE[1:2]}, {"bucket": "update"}),
    ({"lifecycle": LIFECYCLE[:2]}, {}, {"bucket": "update"}),
    ({}, {"cors": CORS}, {"bucket": "update"}),
    ({"cors": CORS}, {"cors": CORS[::-1]}, {"bucket": "update"}),
    ({"cors": CORS}, {"cors": [{**CORS[0], "max_age": 0}]}, {"bucket": "update"}),
    ({"cors": CORS}, {}, {"bucket": "update"}),
    ({"object_lock": {"days": 1}}, {"object_lock": {"days": 2}}, {"bucket": "update"}),
    ({}, {"access": {"backend": "read"}}, {"bucket_policy": "create"}),
    ({"access": {"backend": "read"}}, {"access": {"backend": "readwrite"}}, {"bucket_policy": "update"}),
    ({"access": {"backend": "read"}}, {"access": {"reports": "read", "engine": "read"}}, {"bucket_policy": "update"}),
    ({"access": {"backend": "read"}}, {}, {"bucket_policy": "delete"}),
    ({}, FULL, {"bucket": "update", "bucket_policy": "create"}),
    (FULL, {}, {"bucket": "update", "bucket_policy": "delete"}),
]


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_change(site: Site, before: dict[str, Any], after: dict[str, Any], expected: dict[str, str]) -> None:
    """Each change of the file is one of the plan, and then there is none, there and back."""
    site.apply(file(**before))
    assert not site.plan(file(**before)).changes

    plan = site.apply(file(**after))

    assert {key.partition(".")[0]: action for key, action in actions(plan).items()} == expected
    assert not site.plan(file(**after)).changes


def test_object_lock(site: Site, cloud: Cloud) -> None:
    """What is written cannot be deleted for as long as the file says, and the bucket is as declared."""
    site.apply(file(object_lock={"mode": "compliance", "days": 3}))

    version = cloud.s3.put_object(Bucket=NAME, Key="a", Body=b"1")["VersionId"]
    with pytest.raises(cloud.s3.exceptions.ClientError, match="object lock"):
        cloud.s3.delete_object(Bucket=NAME, Key="a", VersionId=version)
    longer = site.plan(file(object_lock={"mode": "compliance", "days": 4})).changes
    assert [item.path for change in longer if change.kind == "bucket" for item in change.differences] == [
        "retention.days"
    ]
    assert actions(site.plan(file(versioning=True))) == {f"bucket.{NAME}": "conflict"}


def test_backups_are_the_engines_alone(site: Site, cloud: Cloud) -> None:
    """Its bucket has a policy that names nobody but the engine, and the engine can use it."""
    wanted = file() | {"backup": {"bucket": "shop/files"}}
    site.apply(wanted)

    (engine,) = policy_of(cloud)["Statement"]
    assert engine["Sid"] == "engine"
    cloud.s3.put_object(Bucket=NAME, Key="a", Body=b"1")
    assert not site.plan(wanted).changes


def test_all_at_once(site: Site, cloud: Cloud) -> None:
    """What S3 holds in the end, in its own words."""
    site.apply(file(**FULL))

    assert sorted(tag["Key"] for tag in cloud.s3.get_bucket_tagging(Bucket=NAME)["TagSet"]) == TAGS
    assert cloud.s3.get_bucket_versioning(Bucket=NAME)["Status"] == "Enabled"
    rules = cloud.s3.get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"]
    assert [rule["ID"] for rule in rules] == ["rule-001", "rule-002", "rule-003"]
    assert rules[1]["Filter"] == {"Prefix": "logs/"}
    assert rules[1]["Transitions"] == [{"Days": 30, "StorageClass": "GLACIER"}]
    assert [rule["MaxAgeSeconds"] for rule in cloud.s3.get_bucket_cors(Bucket=NAME)["CORSRules"]] == [3600, 60]


@pytest.mark.parametrize("kind", ["unavailable", "response_lost", "throttled"])
@pytest.mark.parametrize(
    "operation",
    [
        "CreateBucket",
        "PutBucketTagging",
        "GetBucketVersioning",
        "PutBucketVersioning",
        "PutBucketLifecycleConfiguration",
        "PutBucketCors",
        "PutBucketPolicy",
    ],
)
def test_one_bucket_after_a_fault(site: Site, emulator: Control, operation: str, kind: str) -> None:
    """Whichever call fails, before or after it took effect: a retry completes the bucket."""
    emulator.faults({"operation": f"S3 {operation}", "kind": kind})
    site.apply(file(**FULL))

    assert emulator.call("GET", "/_emulator/faults")["faults"][0]["fired"] == 1
    assert not site.plan(file(**FULL)).changes
    assert {kind: len(items) for kind, items in site.look(file(**FULL)).items()}["bucket"] == 1


@pytest.mark.parametrize("kind", ["unavailable", "response_lost", "throttled"])
def test_deleted_once_after_a_fault(site: Site, emulator: Control, kind: str) -> None:
    """A delete whose answer was lost counts as done."""
    site.apply(file())
    emulator.faults({"operation": "S3 DeleteBucket", "kind": kind})
    bucket = site.one(file(), f"bucket.{NAME}")
    persistently(lambda: ignoring_gone(lambda: site.lifecycles["bucket"].delete(bucket)))

    assert not site.look(file())["bucket"]


def test_settings_changed_by_hand(site: Site, cloud: Cloud) -> None:
    """Each shows, and is put back."""
    site.apply(file(**FULL))
    s3 = cloud.s3
    rules = s3.get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"]
    rules[0]["Status"] = "Disabled"
    s3.put_bucket_lifecycle_configuration(Bucket=NAME, LifecycleConfiguration={"Rules": rules})
    s3.delete_bucket_cors(Bucket=NAME)
    s3.put_bucket_versioning(Bucket=NAME, VersioningConfiguration={"Status": "Suspended"})

    plan = site.apply(file(**FULL))

    (change,) = [change for change in plan.changes if change.kind == "bucket"]
    assert sorted(difference.path for difference in change.differences) == ["cors", "lifecycle", "versioning"]
    assert not site.plan(file(**FULL)).changes


# -- whose bucket it is ----------------------------------------------------------------------------------------


def test_foreign_bucket_is_a_conflict(site: Site, cloud: Cloud) -> None:
    """It is neither changed nor taken, unless somebody says so."""
    cloud.s3.create_bucket(Bucket=NAME)
    (change,) = site.plan(file()).blocked
    assert (change.key, "--adopt" in change.why) == (f"bucket.{NAME}", True)

    site.apply(file(cors=CORS), adopt=(f"bucket.{NAME}",))
    assert not site.plan(file(cors=CORS)).changes


@pytest.mark.parametrize("tags", [[], ["environment=lssm-staging", "managed-by=scaleway-infra"]])
def test_bucket_made_by_others_after_the_plan(site: Site, cloud: Cloud, tags: list[str]) -> None:
    """It is not taken for one of an earlier attempt: not at the first, and never with somebody's tags."""
    resource = site.resources(file())[f"bucket.{NAME}"]
    cloud.s3.create_bucket(Bucket=NAME)
    if tags:
        cloud.s3.put_bucket_tagging(Bucket=NAME, Tagging={"TagSet": [{"Key": tag, "Value": ""} for tag in tags]})

    with pytest.raises(NotOurs, match="--adopt"):
        persistently(lambda: site.lifecycles["bucket"].create(resource))
    assert [item.ownership for item in site.look(file())["bucket"]] == ["foreign"]


def test_name_taken_elsewhere_on_the_platform(site: Site, cloud: Cloud) -> None:
    """Not ours to see, so only making it tells; no retry helps, and the text says what does."""
    s3_of(cloud, OTHER_PROJECT).create_bucket(Bucket=NAME)
    assert actions(site.plan(file())) == {f"bucket.{NAME}": "create"}

    with pytest.raises(Refused, match="choose another"):
        site.apply(file())


def test_buckets_of_others_are_left_alone(site: Site, cloud: Cloud, emulator: Control) -> None:
    """Of another environment, of nobody's, and of a name like ours without our tags."""
    staging = Site(
        make_cloud(emulator, target=Target(org="lssm", env="stg", region="fr-par", zone="fr-par-1")), ("bucket",)
    )
    resource = site.resources(file())[f"bucket.{NAME}"]
    staging.lifecycles["bucket"].create(resource.model_copy(update={"name": "shop-stg-prod-files"}))
    for name in ("other", "shop-prod-old"):
        cloud.s3.create_bucket(Bucket=name)

    site.apply(file())
    assert not site.plan(file()).changes
    assert [item.name for item in site.look(file())["bucket"]] == [NAME]


def test_bucket_that_left_the_file(site: Site) -> None:
    """It holds data: it stays until somebody allows it to go."""
    site.apply(file())
    assert actions(site.plan({})) == {f"bucket.{NAME}": "held"}


def test_full_bucket_is_not_deleted(site: Site, cloud: Cloud) -> None:
    """No object goes that the engine did not make, and the text says what to do."""
    site.apply(file())
    cloud.s3.put_object(Bucket=NAME, Key="a", Body=b"1")
    bucket, lifecycle = site.one(file(), f"bucket.{NAME}"), site.lifecycles["bucket"]

    with pytest.raises(Refused, match="empty the bucket first"):
        lifecycle.delete(bucket)

    cloud.s3.delete_object(Bucket=NAME, Key="a")
    lifecycle.delete(bucket)
    assert not site.look(file())["bucket"]


def test_no_more_buckets(site: Site, emulator: Control) -> None:
    """A quota is not waited for."""
    emulator.faults({"operation": "S3 CreateBucket", "kind": "quota_exceeded"})
    with pytest.raises(QuotaExceeded):
        site.apply(file())


# -- policies --------------------------------------------------------------------------------------------------


def policy_of(cloud: Cloud) -> dict[str, Any]:
    """The bucket's policy as S3 shows it."""
    found: dict[str, Any] = json.loads(cloud.s3.get_bucket_policy(Bucket=NAME)["Policy"])
    return found


def test_policy_keeps_the_engine_in(site: Site, cloud: Cloud, emulator: Control) -> None:
    """A policy shuts out everybody whom it does not name, the owner too."""
    site.apply(file(access={"backend": "read"}))

    engine, backend = policy_of(cloud)["Statement"]
    assert (engine["Sid"], engine["Action"]) == ("engine", ["s3:*"])
    (principal,) = engine["Principal"]["SCW"]
    key = emulator.call("GET", f"/iam/v1alpha1/api-keys/{cloud.settings.access_key}")
    assert principal == f"user_id:{key['user_id']}"
    application = site.one(file(), "application.backend").id
    assert backend["Principal"] == {"SCW": [f"application_id:{application}"]}
    assert backend["Resource"] == [NAME, f"{NAME}/*"]
    cloud.s3.put_object(Bucket=NAME, Key="a", Body=b"1")


HANDMADE: list[tuple[str, Any]] = [
    ("an application more", lambda s: s.append({**s[1], "Sid": "x"})),
    ("everybody", lambda s: s.append({**s[1], "Sid": "x", "Principal": "*"})),
    ("everybody, as the engine", lambda s: s.append({**s[0], "Principal": {"SCW": "*"}, "Action": "s3:GetObject"})),
    ("a second principal", lambda s: s[1]["Principal"]["SCW"].append("user_id:33333333-3333-4333-8333-333333333333")),
    ("a principal beside the engine", lambda s: s[0]["Principal"]["SCW"].append("*")),
    ("another action", lambda s: s[1]["Action"].append("s3:DeleteObject")),
    ("one object only", lambda s: s[1].update(Resource=[f"{NAME}/a"])),
    ("denied", lambda s: s[1].update(Effect="Deny")),
    ("a condition", lambda s: s[1].update(Condition={"IpAddress": {"aws:SourceIp": "203.0.113.1"}})),
    ("a statement less", lambda s: s.pop(1)),
    ("no engine, but everybody", lambda s: s[0].update(Principal={"SCW": "*"})),
]


@pytest.mark.parametrize("change", [change for _, change in HANDMADE], ids=[name for name, _ in HANDMADE])
def test_policy_changed_by_hand(site: Site, cloud: Cloud, change: Any) -> None:
    """Whatever was done to it shows, and is put back."""
    wanted = file(access={"backend": "read"})
    site.apply(wanted)
    made = policy_of(cloud)
    changed = copy.deepcopy(made)
    change(changed["Statement"])
    cloud.s3.put_bucket_policy(Bucket=NAME, Policy=json.dumps(changed))

    plan = site.apply(wanted)

    assert actions(plan) == {f"bucket_policy.{NAME}": "update"}
    assert not site.plan(wanted).changes
    assert policy_of(cloud) == made


def test_policy_in_another_form(site: Site, cloud: Cloud) -> None:
    """A single value instead of a list, and another order, say the same."""
    wanted = file(access={"backend": "readwrite"})
    site.apply(wanted)
    policy = policy_of(cloud)
    for statement in policy["Statement"]:
        statement["Principal"]["SCW"] = statement["Principal"]["SCW"][0]
        statement["Action"] = statement["Action"][::-1] if len(statement["Action"]) > 1 else statement["Action"][0]
        statement["Resource"].reverse()
    policy["Statement"].reverse()
    cloud.s3.put_bucket_policy(Bucket=NAME, Policy=json.dumps(policy))

    assert not site.plan(wanted).changes


def test_policy_by_hand_on_a_bucket_without_access(site: Site, cloud: Cloud) -> None:
    """The file lets the project in and nobody else; so it goes."""
    site.apply(file(access={"backend": "read"}))
    policy = cloud.s3.get_bucket_policy(Bucket=NAME)["Policy"]
    site.apply(file())
    cloud.s3.put_bucket_policy(Bucket=NAME, Policy=policy)

    assert actions(site.apply(file())) == {f"bucket_policy.{NAME}/policy": "delete"}
    assert not site.plan(file()).changes


def test_nobody_knows_whose_key(emulator: Control, cloud: Cloud, site: Site) -> None:
    """Better no policy than one that shuts the engine out."""
    wanted = file(access={"backend": "read"})
    site.apply(file())
    cloud.settings = cloud.settings.model_copy(update={"access_key": "SCWUNKNOWN0000000000"})

    with pytest.raises(Refused, match="nobody knows whose key"):
        site.apply(wanted)
    assert "bucket_policy" not in {item.kind for items in site.look(file()).values() for item in items}


def test_shut_out_by_hand(site: Site, cloud: Cloud) -> None:
    """A policy that leaves the engine out is not mistaken for a bucket that is gone."""
    site.apply(file(access={"backend": "read"}))
    policy = policy_of(cloud)
    del policy["Statement"][0]
    cloud.s3.put_bucket_policy(Bucket=NAME, Policy=json.dumps(policy))

    with pytest.raises(PermissionDenied, match=NAME):
        list(site.lifecycles["bucket"].list(NO_PARENT, Scope(names=frozenset({NAME}))))
