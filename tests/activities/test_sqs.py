"""SQS, its credentials and queues against the local Scaleway."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from scaleway.mnq.v1beta1 import MnqV1Beta1SqsAPI
from scaleway.secret.v1beta1 import SecretV1Beta1API

from activities.cloud import Cloud
from activities.lifecycle import NO_PARENT, Scope
from blueprint.contract import Target
from blueprint.errors import PermissionDenied, QuotaExceeded
from blueprint.resource import secret
from tests.activities.conftest import Control, make_cloud
from tests.activities.site import Site

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

MNQ = "/mnq/v1beta1/regions/fr-par"
KINDS = ("secret", "sqs", "sqs_credentials", "queue")
JOBS = "queue.shop-prod-jobs"


def file(credentials: Any = None, **jobs: Any) -> dict[str, Any]:
    """An environment with one queue with these settings."""
    return {"sqs": {"queues": {"shop/jobs": jobs}, "credentials": credentials or {}}}


@pytest.fixture
def site(cloud: Cloud) -> Site:
    """Nothing yet."""
    return Site(cloud, KINDS)


def keys_of(cloud: Cloud, name: str = "engine") -> dict[str, str]:
    """What Secret Manager keeps of credentials."""
    found: dict[str, str] = json.loads(cloud.secrets.reveal(secret("/lssm/prod", f"sqs-{name}")))
    return found


def client(cloud: Cloud, name: str = "engine") -> SQSClient:
    """SQS with some credentials."""
    keys = keys_of(cloud, name)
    return cloud.sqs(str(cloud.settings.sqs_url), keys["access_key"], keys["secret_key"])


def attributes(cloud: Cloud, name: str) -> dict[str, str]:
    """A queue in SQS's own words."""
    sqs = client(cloud)
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]  # type: ignore[assignment]
    return found


CHANGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = [
    (file(), file(visibility_timeout="10m"), {JOBS: "update"}),
    (file(), file(retention="1h"), {JOBS: "update"}),
    (file(visibility_timeout="0s", retention="14d"), file(), {JOBS: "update"}),
    (file(), file(dlq=True), {JOBS: "update", f"{JOBS}-dlq": "create"}),
    (file(dlq=True), file(dlq={"max_receive_count": 7}), {JOBS: "update"}),
    (file(dlq=True), file(dlq={"retention": "5d"}), {f"{JOBS}-dlq": "update"}),
    (file(dlq=True), file(dlq=True, visibility_timeout="60s"), {JOBS: "update", f"{JOBS}-dlq": "update"}),
    (file(dlq=True), file(), {JOBS: "update", "queue.lssm-prod-sqs/shop-prod-jobs-dlq": "delete"}),
    (file(fifo=True), file(fifo=True, content_based_deduplication=True), {f"{JOBS}.fifo": "update"}),
    (file(fifo=True, content_based_deduplication=True), file(fifo=True), {f"{JOBS}.fifo": "update"}),
    (file(fifo=True), file(fifo=True, dlq=True), {f"{JOBS}.fifo": "update", f"{JOBS}-dlq.fifo": "create"}),
    (file(), file(fifo=True), {f"{JOBS}.fifo": "create", "queue.lssm-prod-sqs/shop-prod-jobs": "delete"}),
]


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_change(site: Site, before: dict[str, Any], after: dict[str, Any], expected: dict[str, str]) -> None:
    """Each change of the file is one of the plan, and then there is none."""
    site.apply(before)
    assert not site.plan(before).changes

    plan = site.apply(after)

    assert {change.key: change.action for change in plan.changes} == expected
    assert not site.plan(after).changes


def test_dead_letters_by_arn(site: Site, cloud: Cloud) -> None:
    """A FIFO queue's are in a FIFO queue."""
    wanted = {
        "sqs": {"queues": {"shop/jobs": {"dlq": {"max_receive_count": 3}}, "shop/mail": {"fifo": True, "dlq": True}}}
    }
    site.apply(wanted)

    for name, target, count in (
        ("shop-prod-jobs", "shop-prod-jobs-dlq", 3),
        ("shop-prod-mail.fifo", "shop-prod-mail-dlq.fifo", 5),
    ):
        arn = attributes(cloud, target)["QueueArn"]
        assert site.one(wanted, f"queue.{target}").outputs["arn"] == arn
        redrive = json.loads(attributes(cloud, name)["RedrivePolicy"])
        assert redrive == {"deadLetterTargetArn": arn, "maxReceiveCount": count}
    assert attributes(cloud, "shop-prod-mail.fifo")["FifoQueue"] == "true"


def test_no_redrive_into_a_queue_that_is_gone(site: Site, cloud: Cloud) -> None:
    """The queue lets go first; then its dead-letter queue goes."""
    site.apply(file(dlq=True))
    plan = site.apply(file())

    (removal,) = [step for step in plan.steps if step.action == "delete"]
    assert removal.after == (f"update {JOBS}",)
    assert not attributes(cloud, "shop-prod-jobs").get("RedrivePolicy")


OPERATIONS = [
    f"POST {MNQ}/activate-sqs",
    f"POST {MNQ}/sqs-credentials",
    "POST */secrets/*/versions",
    "SQS CreateQueue",
    "SQS GetQueueUrl",
]


@pytest.mark.parametrize("kind", ["unavailable", "response_lost", "throttled"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_of_each_after_a_fault(site: Site, cloud: Cloud, emulator: Control, operation: str, kind: str) -> None:
    """Whichever call fails, before or after it took effect; the secret half is always that of the key there is."""
    wanted = file({"backend": ["publish"]}, dlq=True)
    emulator.faults({"operation": operation, "kind": kind})
    site.apply(wanted)

    assert emulator.call("GET", "/_emulator/faults")["faults"][0]["fired"] == 1
    assert not site.plan(wanted).changes
    credentials = emulator.call("GET", f"{MNQ}/sqs-credentials")["sqs_credentials"]
    assert {item["name"]: item["access_key"] for item in credentials} == {
        f"lssm-prod-{name}": keys_of(cloud, name)["access_key"] for name in ("engine", "backend")
    }
    assert len(client(cloud, "backend").list_queues()["QueueUrls"]) == 2


@pytest.mark.parametrize("kind", ["unavailable", "response_lost", "throttled"])
@pytest.mark.parametrize("operation", ["SQS SetQueueAttributes", "SQS DeleteQueue"])
def test_changed_once_after_a_fault(site: Site, emulator: Control, operation: str, kind: str) -> None:
    """An update is repeated; a delete whose answer was lost counts as done."""
    site.apply(file(dlq=True))
    emulator.faults({"operation": operation, "kind": kind})

    site.apply(file(retention="1h"))

    assert emulator.call("GET", "/_emulator/faults")["faults"][0]["fired"] == 1
    assert not site.plan(file(retention="1h")).changes


@pytest.mark.parametrize(
    ("attribute", "value", "path"),
    [
        ("VisibilityTimeout", "31", "visibility_timeout"),
        ("MessageRetentionPeriod", "61", "retention"),
        ("RedrivePolicy", "", "redrive"),
    ],
)
def test_attribute_changed_by_hand(site: Site, cloud: Cloud, attribute: Any, value: str, path: str) -> None:
    """It shows, and is put back."""
    site.apply(file(dlq=True))
    sqs = client(cloud)
    url = sqs.get_queue_url(QueueName="shop-prod-jobs")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={attribute: value})

    plan = site.apply(file(dlq=True))

    (change,) = plan.changes
    assert [difference.path.partition(".")[0] for difference in change.differences] == [path]
    assert not site.plan(file(dlq=True)).changes


def test_dead_letters_that_were_sent_on_by_hand(site: Site, cloud: Cloud) -> None:
    """A dead-letter queue has none of its own."""
    wanted = {"sqs": {"queues": {"shop/jobs": {"dlq": True}, "shop/mail": {}}}}
    site.apply(wanted)
    sqs = client(cloud)
    redrive = {"deadLetterTargetArn": attributes(cloud, "shop-prod-mail")["QueueArn"], "maxReceiveCount": 1}
    url = sqs.get_queue_url(QueueName="shop-prod-jobs-dlq")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(redrive)})

    assert [change.key for change in site.apply(wanted).changes] == [f"{JOBS}-dlq"]
    assert not site.plan(wanted).changes


def test_queue_that_left_the_file(site: Site, cloud: Cloud) -> None:
    """It goes, with its dead-letter queue; others' stay."""
    site.apply(file(dlq=True))
    for name in ("shop-stg-jobs", "other"):
        client(cloud).create_queue(QueueName=name)

    site.apply({"sqs": {}})

    assert not site.plan({"sqs": {}}).changes
    urls = client(cloud).list_queues()["QueueUrls"]
    assert [url.rsplit("/", 1)[1] for url in urls] == ["other", "shop-stg-jobs"]


def test_queues_of_others_that_sound_like_ours(site: Site, cloud: Cloud) -> None:
    """A queue that left the file is known by the rule of names; one that only contains our name is not."""
    site.apply(file())
    for name in ("lssm-stg-prod-import", "mail-prod-old"):
        client(cloud).create_queue(QueueName=name)

    changes = {change.key: change.action for change in site.plan(file()).changes}
    assert changes == {"queue.lssm-prod-sqs/mail-prod-old": "delete"}


def test_first_queues_of_a_worker(site: Site, emulator: Control) -> None:
    """Made at once: boto3 makes the errors that it raises when they are first needed, if need be twice."""
    site.apply({"sqs": {}})
    at_once = 8
    before = sys.getswitchinterval()
    for worker in range(5):
        # Or it would have them from earlier tests.
        boto3.setup_default_session()
        fresh = Site(make_cloud(emulator), KINDS)
        wanted: dict[str, Any] = {"sqs": {"queues": {f"shop/{worker}-{number}": {} for number in range(at_once)}}}
        queues = [resource for resource in fresh.resources(wanted).values() if resource.kind == "queue"]
        answered = Barrier(at_once, timeout=30)
        events = client(fresh.lifecycles["queue"].cloud).meta.events
        events.register_last("after-call.sqs.GetQueueUrl", lambda answered=answered, **_: answered.wait())
        sys.setswitchinterval(1e-5)
        try:
            with ThreadPoolExecutor(at_once) as threads:
                assert len(set(threads.map(fresh.lifecycles["queue"].create, queues))) == at_once
        finally:
            sys.setswitchinterval(before)


def test_quota_of_queues(site: Site, emulator: Control) -> None:
    """Not waited for: a person has to have it raised."""
    emulator.faults({"operation": "SQS CreateQueue", "kind": "quota_exceeded"})
    with pytest.raises(QuotaExceeded):
        site.apply(file())


# -- credentials -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [(["publish"], ["receive"]), (["publish"], ["publish", "receive", "manage"]), (["manage", "publish"], ["publish"])],
)
def test_permissions(site: Site, emulator: Control, before: list[str], after: list[str]) -> None:
    """Changed in place: the key stays."""
    site.apply(file({"backend": before}))
    made = site.one(file({"backend": before}), "sqs_credentials.backend")

    plan = site.apply(file({"backend": after}))

    assert {change.key: change.action for change in plan.changes} == {"sqs_credentials.backend": "update"}
    assert not site.plan(file({"backend": after})).changes
    assert site.one(file({"backend": after}), "sqs_credentials.backend").id == made.id


def test_credentials_that_left_the_file(site: Site, emulator: Control) -> None:
    """The key goes at once; its secret is protected."""
    site.apply(file({"backend": ["publish"]}))
    plan = site.apply(file())

    assert {change.key: change.action for change in plan.changes} == {
        "sqs_credentials.lssm-prod-backend": "delete",
        "secret.sqs-backend": "held",
    }
    found = emulator.call("GET", f"{MNQ}/sqs-credentials")["sqs_credentials"]
    assert [item["name"] for item in found] == ["lssm-prod-engine"]


def remove_secret(cloud: Cloud) -> None:
    """Somebody empties Secret Manager."""
    found = cloud.secrets.find("/lssm/prod", "sqs-engine")
    assert found
    api = cloud.api(SecretV1Beta1API)
    api.unprotect_secret(secret_id=found.id)
    api.delete_secret(secret_id=found.id)


def remove_credentials(cloud: Cloud) -> None:
    """Somebody deletes the engine's key."""
    api = cloud.api(MnqV1Beta1SqsAPI)
    (engine,) = [item for item in api.list_sqs_credentials_all() if item.name == "lssm-prod-engine"]
    api.delete_sqs_credentials(sqs_credentials_id=engine.id)


@pytest.mark.parametrize("remove", [remove_secret, remove_credentials])
def test_engine_that_lost_its_key(site: Site, cloud: Cloud, emulator: Control, remove: Any) -> None:
    """It gets another one, and finds its queues again."""
    site.apply(file(dlq=True))
    queue, before = attributes(cloud, "shop-prod-jobs"), keys_of(cloud)
    remove(cloud)

    plan = site.apply(file(dlq=True))

    assert "sqs_credentials.engine" in {change.key for change in plan.changes}
    assert not site.plan(file(dlq=True)).changes
    assert keys_of(cloud)["access_key"] != before["access_key"]
    assert attributes(cloud, "shop-prod-jobs")["CreatedTimestamp"] == queue["CreatedTimestamp"]
    credentials = emulator.call("GET", f"{MNQ}/sqs-credentials")["sqs_credentials"]
    assert [item["access_key"] for item in credentials] == [keys_of(cloud)["access_key"]]


def test_no_secret_in_what_is_seen(site: Site, cloud: Cloud) -> None:
    """Neither in a plan nor in what was observed."""
    site.apply(file({"backend": ["publish"]}))
    seen = [item.model_dump_json() for items in site.look(file()).values() for item in items]
    seen.append(site.plan(file()).model_dump_json())

    for name in ("engine", "backend"):
        assert not any(keys_of(cloud, name)["secret_key"] in text for text in seen)


def test_credentials_by_hand_may_not_do_it(site: Site, cloud: Cloud, emulator: Control) -> None:
    """Fresh ones may hear the same for a while, so it is a refusal that is retried; the plan mends it."""
    site.apply({"sqs": {}})
    engine = site.one({"sqs": {}}, "sqs_credentials.engine")
    emulator.call("PATCH", f"{MNQ}/sqs-credentials/{engine.id}", {"permissions": {"can_manage": False}})
    resource = site.resources(file())[JOBS]

    with pytest.raises(PermissionDenied):
        site.lifecycles["queue"].create(resource)
    site.apply(file())
    assert not site.plan(file()).changes


# -- one SQS for a project -------------------------------------------------------------------------------------


def staging_of(emulator: Control) -> Site:
    """Another environment of the same project."""
    return Site(make_cloud(emulator, target=Target(org="lssm", env="stg", region="fr-par", zone="fr-par-1")), KINDS)


def test_shared_by_two_environments(site: Site, cloud: Cloud, emulator: Control) -> None:
    """Deactivated, it would take the other's queues along: it stays as long as somebody else has credentials."""
    theirs = emulator.call(
        "POST",
        f"{MNQ}/activate-sqs",
        {"project_id": cloud.project_id},
    )
    assert theirs["status"] == "enabled"
    made = emulator.call("POST", f"{MNQ}/sqs-credentials", {"project_id": cloud.project_id, "name": "lssm-stg-engine"})
    site.apply(file(dlq=True))

    plan = site.apply(file(dlq=True), destroy=True)

    assert "sqs.main" not in {change.key for change in plan.changes}
    assert emulator.call("GET", f"{MNQ}/sqs-info", query={"project_id": cloud.project_id})["status"] == "enabled"
    found = emulator.call("GET", f"{MNQ}/sqs-credentials")["sqs_credentials"]
    assert [item["name"] for item in found] == ["lssm-stg-engine"]
    assert not staging_of(emulator).look({})["queue"]

    emulator.call("DELETE", f"{MNQ}/sqs-credentials/{made['id']}")
    assert {change.key for change in site.apply({}, destroy=True).changes} >= {"sqs.lssm-prod-sqs"}
    assert emulator.call("GET", f"{MNQ}/sqs-info", query={"project_id": cloud.project_id})["status"] == "disabled"


def test_destroy(site: Site, emulator: Control) -> None:
    """Queues while there are credentials to remove them with, then these, then SQS."""
    site.apply(file(dlq=True))
    plan = site.apply(file(dlq=True), destroy=True)

    order = [step.changes[0].partition(".")[0] for step in plan.steps]
    assert sorted(order) == sorted(["queue", "queue", "sqs_credentials", "sqs"]), order
    left = site.look(file())
    assert {kind: len(items) for kind, items in left.items() if items} == {"secret": 1}


def test_not_activated(site: Site) -> None:
    """Nothing is there, and nobody asks SQS for queues."""
    assert not any(site.lifecycles["sqs"].list(NO_PARENT, Scope()))
    assert not any(site.look({}).values())
