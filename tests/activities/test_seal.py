"""The seals against the local Scaleway: what they spare, and when they must not be believed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from scaleway.vpc.v2 import VpcV2API

from activities import observation
from activities.cloud import Cloud
from activities.observation import observe
from blueprint.errors import Unavailable
from blueprint.kinds import KINDS
from blueprint.resource import Observed, secret
from tests.activities.conftest import Control
from tests.activities.site import Site, with_ids

READ = ("vpc", "seal", "application", "bucket", "bucket_policy", "secret", "sqs", "sqs_credentials", "queue")
VPC = "/vpc/v2/regions/fr-par"
CORS = [{"origins": ["*"], "methods": ["GET"]}]
BUCKETS: dict[str, Any] = {
    "shop/files": {"versioning": True, "access": {"backend": "read"}},
    "shop/logs": {"lifecycle": [{"expire_days": 7}]},
    "shop/images": {},
}
QUEUES: dict[str, Any] = {"shop/jobs": {"dlq": True}, "shop/mail": {}}


def file(buckets: Mapping[str, Any] = BUCKETS, queues: Mapping[str, Any] = QUEUES) -> dict[str, Any]:
    """An environment with these."""
    return {"applications": {"backend": {}}, "buckets": dict(buckets), "sqs": {"queues": dict(queues)}}


def changed(section: Mapping[str, Any], key: str, **settings: Any) -> dict[str, Any]:
    """The section with one entry in which some settings differ."""
    return {**section, key: {**section[key], **settings}}


class SealedSite(Site):
    """An environment that is looked at as the engine's own plans do."""

    refresh = False

    def look(self, file: Mapping[str, Any]) -> dict[str, list[Observed]]:
        """What exists, by kind, trusting the seals unless `refresh` is set."""
        found: dict[str, list[Observed]] = {kind.name: [] for kind in self.kinds}
        for item in observe(self.lifecycles, self.resources(file).values(), refresh=self.refresh):
            found[item.kind].append(item)
        return found


@pytest.fixture
def site(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> SealedSite:
    """The environment of `file()`, applied."""
    monkeypatch.setattr(observation, "KINDS", {name: kind for name, kind in KINDS.items() if name in READ})
    site = SealedSite(cloud, READ)
    site.apply(file())
    return site


def seals(emulator: Control) -> dict[str, str]:
    """Digest by what it vouches for."""
    (vpc,) = (vpc for vpc in emulator.call("GET", f"{VPC}/vpcs")["vpcs"] if vpc["name"] == "vpc-lssm-prod")
    return dict(tag.removeprefix("seal-").split("=", 1) for tag in vpc["tags"] if tag.startswith("seal-"))


def requests_of(site: SealedSite, emulator: Control, file: Mapping[str, Any]) -> Counter[str]:
    """What a plan asks of S3 and SQS."""
    emulator.call("DELETE", "/_emulator/requests")
    site.plan(file)
    counts: dict[str, int] = emulator.requests()["operations"]
    return Counter({name: count for name, count in counts.items() if name.startswith(("S3 ", "SQS "))})


def test_one_apply_sets_them(site: SealedSite, emulator: Control) -> None:
    """Last, so that the next plan has nothing to do."""
    assert set(seals(emulator)) == {"buckets", "queues"}
    assert not site.plan(file()).changes


def test_a_plan_without_changes_reads_no_bucket_and_no_queue(site: SealedSite, emulator: Control) -> None:
    """Two lists, however many there are."""
    lists = {"S3 ListBuckets": 1, "SQS ListQueues": 1}
    assert requests_of(site, emulator, file()) == lists

    more = file(
        BUCKETS | {f"shop/b{number}": {"access": {"backend": "read"}} for number in range(5)},
        QUEUES | {f"shop/q{number}": {"dlq": True} for number in range(5)},
    )
    site.apply(more)
    assert requests_of(site, emulator, more) == lists


@pytest.mark.parametrize("what", ["buckets", "queues"])
def test_only_what_changed_in_the_file_is_read(site: SealedSite, emulator: Control, what: str) -> None:
    """Another digest is no seal; the other one still holds."""
    edited = file(buckets=BUCKETS | {"shop/new": {}}) if what == "buckets" else file(queues=QUEUES | {"shop/new": {}})
    counts = requests_of(site, emulator, edited)
    expected = {
        "buckets": {
            **dict.fromkeys(("S3 GetBucketVersioning", "S3 GetBucketTagging", "S3 GetBucketCors"), 3),
            "S3 GetBucketLifecycleConfiguration": 3,
            "S3 GetObjectLockConfiguration": 3,
            "S3 GetBucketPolicy": 3,
        },
        "queues": {"SQS GetQueueAttributes": 3},
    }[what]
    assert counts == {"S3 ListBuckets": 1, "SQS ListQueues": 1, **expected}


def test_refresh_reads_everything(site: SealedSite, emulator: Control) -> None:
    """Each of three buckets, five calls, and each of three queues."""
    site.refresh = True
    counts = requests_of(site, emulator, file())
    assert counts["S3 GetBucketTagging"] == counts["S3 GetBucketPolicy"] == counts["SQS GetQueueAttributes"] == 3


WRITES: dict[str, tuple[dict[str, Any], str, str]] = {
    "a bucket changes": (file(changed(BUCKETS, "shop/logs", cors=CORS)), "S3 PutBucketCors", "buckets"),
    "a bucket comes": (file(BUCKETS | {"shop/new": {}}), "S3 PutBucketTagging", "buckets"),
    "a policy changes": (
        file(changed(BUCKETS, "shop/files", access={"backend": "readwrite"})),
        "S3 PutBucketPolicy",
        "buckets",
    ),
    "a policy goes": (file(changed(BUCKETS, "shop/files", access={})), "S3 DeleteBucketPolicy", "buckets"),
    "a queue changes": (
        file(queues=changed(QUEUES, "shop/mail", visibility_timeout="60s")),
        "SQS SetQueueAttributes",
        "queues",
    ),
    "a queue comes": (file(queues=QUEUES | {"shop/new": {}}), "SQS CreateQueue", "queues"),
    "a queue goes": (file(queues={"shop/jobs": QUEUES["shop/jobs"]}), "SQS DeleteQueue", "queues"),
}


@pytest.mark.parametrize(("edited", "operation", "what"), WRITES.values(), ids=WRITES)
def test_broken_before_any_write(
    site: SealedSite, emulator: Control, edited: dict[str, Any], operation: str, what: str
) -> None:
    """A worker that is killed in the middle leaves no seal; the other one is untouched; the next apply sets it."""
    other = {"buckets": "queues", "queues": "buckets"}[what]
    before = seals(emulator)
    emulator.faults({"operation": operation, "kind": "response_lost", "count": None})
    change = next(change for change in site.plan(edited).changes if change.kind != "seal")

    with pytest.raises(Unavailable):
        _begin(site, edited, change)
    assert seals(emulator) == {other: before[other]}

    # The file of before would match the seal of before, but what exists no longer matches the file.
    emulator.faults()
    counts = requests_of(site, emulator, file())
    assert counts["S3 GetBucketTagging" if what == "buckets" else "SQS GetQueueAttributes"]
    site.apply(edited)
    assert set(seals(emulator)) == {"buckets", "queues"}
    assert not site.plan(edited).changes


def _begin(site: SealedSite, edited: Mapping[str, Any], change: Any) -> None:
    """One attempt at a change."""
    lifecycle = site.lifecycles[change.kind]
    if change.action == "delete":
        lifecycle.delete(change.observed)
        return
    outputs = {
        resource.key: {"id": item.id, **item.outputs}
        for resource in site.resources(edited).values()
        for item in site.look(edited)[resource.kind]
        if item.name == resource.name
    }
    resource = with_ids(change.resource, outputs)
    if change.action == "create":
        lifecycle.create(resource)
    else:
        lifecycle.update(resource, change.observed, change.differences)


def test_drift_is_seen_by_refresh_only(site: SealedSite, cloud: Cloud, emulator: Control) -> None:
    """What is done by hand breaks no seal; mending it breaks it and makes it again, in the same apply."""
    cloud.s3.put_bucket_versioning(Bucket="shop-prod-files", VersioningConfiguration={"Status": "Suspended"})
    assert not site.plan(file()).changes

    site.refresh = True
    plan = site.apply(file())
    assert {change.key: change.action for change in plan.changes} == {
        "bucket.shop-prod-files": "update",
        "seal.buckets": "update",
    }
    site.refresh = False
    assert not site.plan(file()).changes
    assert set(seals(emulator)) == {"buckets", "queues"}


def test_objects_that_went_or_came_by_hand_are_noticed(site: SealedSite, cloud: Cloud, emulator: Control) -> None:
    """A list is always taken."""
    keys = json.loads(cloud.secrets.reveal(secret("/lssm/prod", "sqs-engine")))
    sqs = cloud.sqs(str(cloud.settings.sqs_url), keys["access_key"], keys["secret_key"])
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="shop-prod-mail")["QueueUrl"])
    sqs.create_queue(QueueName="shop-prod-stray")
    cloud.s3.delete_bucket(Bucket="shop-prod-images")

    plan = site.apply(file())
    assert {change.key: change.action for change in plan.changes} == {
        "bucket.shop-prod-images": "create",
        "queue.shop-prod-mail": "create",
        "queue.lssm-prod-sqs/shop-prod-stray": "delete",
        "seal.buckets": "update",
        "seal.queues": "update",
    }
    assert not site.plan(file()).changes
    site.refresh = True
    assert not site.plan(file()).changes


def test_a_new_application_gets_its_policy_under_a_seal(site: SealedSite, emulator: Control) -> None:
    """The digest is of the file, which does not know ids."""
    application = site.one(file(), "application.backend")
    emulator.call("DELETE", f"/iam/v1alpha1/applications/{application.id}")

    plan = site.apply(file())
    assert {change.key: change.action for change in plan.changes} == {
        "application.backend": "create",
        "bucket_policy.shop-prod-files": "update",
        "seal.buckets": "update",
    }
    site.refresh = True
    assert not site.plan(file()).changes


def test_survives_an_update_of_the_vpc(site: SealedSite, emulator: Control) -> None:
    """Tags are written as a whole."""
    vpc = site.one(file(), "vpc.main")
    before = seals(emulator)
    resource = site.resources(file())["vpc.main"]
    site.lifecycles["vpc"].update(resource, vpc, ())
    assert seals(emulator) == before


def test_vpc_and_both_seals_at_once(site: SealedSite, cloud: Cloud, emulator: Control) -> None:
    """No writer loses what another one wrote, and none brings back a seal that was broken meanwhile."""
    resources, vpc = site.resources(file()), site.one(file(), "vpc.main")
    outputs = {"vpc.main": {"id": vpc.id}}
    queue = site.one(file(), "queue.shop-prod-mail")
    makes = [
        lambda: site.lifecycles["seal"].create(with_ids(resources["seal.buckets"], outputs)),
        lambda: site.lifecycles["seal"].create(with_ids(resources["seal.queues"], outputs)),
        lambda: site.lifecycles["vpc"].update(resources["vpc.main"], vpc, ()),
    ]
    for _ in range(5):
        cloud.api(VpcV2API).update_vpc(vpc_id=vpc.id, tags=cloud.names.tags)
        with ThreadPoolExecutor(len(makes)) as pool:
            for task in [pool.submit(make) for make in makes]:
                task.result()
        assert set(seals(emulator)) == {"buckets", "queues"}

    # The first write is slow: the other one would come between, and be undone by it.
    emulator.faults({"operation": f"PATCH {VPC}/vpcs/*", "kind": "slow", "seconds": 0.3})
    with ThreadPoolExecutor(2) as pool:
        update = pool.submit(makes[2])
        breaking = pool.submit(lambda: site.lifecycles["queue"].delete(queue))
        update.result()
        breaking.result()
    assert set(seals(emulator)) == {"buckets"}


def test_without_a_vpc_there_is_nothing_to_break(cloud: Cloud) -> None:
    """Buckets may come before the network."""
    site = Site(cloud, ("bucket",))
    site.apply({"buckets": {"shop/files": {}}})
    assert len(site.look({"buckets": {"shop/files": {}}})["bucket"]) == 1
