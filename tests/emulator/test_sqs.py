"""SQS under Scaleway's names, for credentials of Messaging and Queuing, without what Scaleway has not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import Api, running
from tests.emulator.planes import MNQ, refusal, sqs

ARN = f"arn:scw:sqs:fr-par:project-{DEFAULT_PROJECT}"


def redrive(name: str, count: int = 3) -> dict[str, str]:
    """Attributes that send failed messages to another queue."""
    return {"RedrivePolicy": json.dumps({"deadLetterTargetArn": f"{ARN}:{name}", "maxReceiveCount": count})}


def test_names_and_recorded_attributes(api: Api) -> None:
    """URLs, ARNs and attributes as recorded, and 404 once a queue is gone."""
    client = sqs(api, "can_manage")
    client.create_queue(QueueName="jobs-dlq")
    url = client.create_queue(QueueName="jobs", Attributes=redrive("jobs-dlq"))["QueueUrl"]  # type: ignore[arg-type]
    assert url == f"{api.emulator.planes['sqs'].url}/project-{DEFAULT_PROJECT}/jobs"
    assert client.create_queue(QueueName="jobs")["QueueUrl"] == url
    asked = ["MessageRetentionPeriod", "FifoQueue", "ContentBasedDeduplication", "ReceiveMessageWaitTimeSeconds"]
    asked += ["VisibilityTimeout", "RedrivePolicy", "QueueArn", "MaximumMessageSize"]
    attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=asked)["Attributes"]  # type: ignore[arg-type]
    assert attributes == {
        "MaximumMessageSize": "262144",
        "MessageRetentionPeriod": "345600",
        "QueueArn": f"{ARN}:jobs",
        "ReceiveMessageWaitTimeSeconds": "0",
        "RedrivePolicy": f'{{"deadLetterTargetArn":"{ARN}:jobs-dlq","maxReceiveCount":3}}',
        "VisibilityTimeout": "30",
    }
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})
    assert len(client.list_queues(QueueNamePrefix="jobs")["QueueUrls"]) == 2
    client.delete_queue(QueueUrl=url)
    assert refusal(client.get_queue_url, QueueName="jobs") == (404, "QueueDoesNotExist")
    _, resources = api.request("GET", "/_emulator/resources")
    assert [item["name"] for item in resources["sqs.queues"]["items"]] == ["jobs-dlq"]


@pytest.mark.parametrize(
    ("operation", "arguments", "expected"),
    [
        ("create_queue", {"QueueName": "x", "Attributes": {"DelaySeconds": "5"}}, "InvalidAttributeName"),
        ("create_queue", {"QueueName": "x", "Attributes": {"Policy": "{}"}}, "InvalidAttributeName"),
        ("create_queue", {"QueueName": "x", "Attributes": {"VisibilityTimeout": "43201"}}, "InvalidAttributeValue"),
        ("create_queue", {"QueueName": "x", "tags": {"a": "b"}}, "UnsupportedOperation"),
        ("create_queue", {"QueueName": "x y"}, "InvalidParameterValue"),
        ("create_queue", {"QueueName": "x", "Attributes": redrive("absent")}, "InvalidParameterValue"),
        ("create_queue", {"QueueName": "x", "Attributes": redrive("jobs", 1001)}, "InvalidParameterValue"),
        (
            "create_queue",
            {"QueueName": "x.fifo", "Attributes": {"FifoQueue": "true", **redrive("jobs")}},
            "InvalidParameterValue",
        ),
        ("list_queues", {"MaxResults": 5}, "UnsupportedOperation"),
        ("tag_queue", {"QueueUrl": "jobs", "Tags": {"a": "b"}}, "UnsupportedOperation"),
        ("start_message_move_task", {"SourceArn": f"{ARN}:jobs"}, "UnsupportedOperation"),
        ("send_message", {"QueueUrl": "jobs", "MessageBody": "x", "DelaySeconds": 1}, "UnsupportedOperation"),
        ("send_message", {"QueueUrl": "jobs", "MessageBody": "x" * 262_145}, "InvalidParameterValue"),
        ("receive_message", {"QueueUrl": "jobs", "VisibilityTimeout": 9}, "UnsupportedOperation"),
        (
            "change_message_visibility",
            {"QueueUrl": "jobs", "ReceiptHandle": "h", "VisibilityTimeout": 120},
            "UnsupportedOperation",
        ),
    ],
)
def test_refusals(api: Api, operation: str, arguments: dict[str, Any], expected: str) -> None:
    """What AWS has and Scaleway has not."""
    client = sqs(api, "can_manage", "can_publish", "can_receive")
    client.create_queue(QueueName="jobs")
    assert refusal(getattr(client, operation), **arguments) == (400, expected)


def test_permissions(api: Api) -> None:
    """Each permission opens its own operations; a wrong secret opens none, nor does deactivation."""
    manager, sender, receiver = (sqs(api, name) for name in ("can_manage", "can_publish", "can_receive"))
    url = manager.create_queue(QueueName="jobs")["QueueUrl"]
    denied = (400, "AccessDeniedException")
    assert refusal(sender.create_queue, QueueName="x") == denied
    assert refusal(manager.send_message, QueueUrl=url, MessageBody="x") == denied
    assert refusal(sender.receive_message, QueueUrl=url) == denied
    assert refusal(sqs(api, "can_manage", secret_key="wrong").list_queues) == denied
    sender.send_message(QueueUrl=url, MessageBody="x")
    assert len(receiver.receive_message(QueueUrl=url)["Messages"]) == 1
    api.request("POST", f"{MNQ}/deactivate-sqs", {"project_id": DEFAULT_PROJECT})
    assert refusal(manager.list_queues) == denied
    assert api.world.all("sqs.queues") == []
    assert "QueueUrls" not in sqs(api, "can_manage").list_queues()


def test_a_message_that_fails_goes_to_the_dead_letter_queue(api: Api) -> None:
    """With its body untouched."""
    client = sqs(api, "can_manage", "can_publish", "can_receive")
    dead = client.create_queue(QueueName="jobs-dlq")["QueueUrl"]
    url = client.create_queue(QueueName="jobs", Attributes=redrive("jobs-dlq", 2))["QueueUrl"]  # type: ignore[arg-type]
    client.send_message(QueueUrl=url, MessageBody=f"about {ARN}:jobs")
    for _ in range(2):
        (message,) = client.receive_message(QueueUrl=url)["Messages"]
        client.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert client.receive_message(QueueUrl=url, WaitTimeSeconds=0).get("Messages") is None
    (message,) = client.receive_message(QueueUrl=dead, WaitTimeSeconds=1)["Messages"]
    assert message["Body"] == f"about {ARN}:jobs"


def test_a_fifo_queue_has_one_message_in_flight(api: Api) -> None:
    """The second comes when the first is deleted."""
    client = sqs(api, "can_manage", "can_publish", "can_receive")
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = client.create_queue(QueueName="jobs.fifo", Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]
    for body in "ab":
        client.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=body)
    (first,) = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages") is None
    client.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert [m["Body"] for m in client.receive_message(QueueUrl=url)["Messages"]] == ["b"]


def test_queues_survive_a_restart(tmp_path: Path) -> None:
    """With their attributes, whatever the order of their names."""
    with running(state=tmp_path / "state") as first:
        client = sqs(first, "can_manage")
        client.create_queue(QueueName="a-jobs-dlq")
        client.create_queue(QueueName="a-jobs", Attributes=redrive("a-jobs-dlq"))  # type: ignore[arg-type]
    with running(state=tmp_path / "state") as second:
        client = sqs(second, "can_manage")
        url = client.get_queue_url(QueueName="a-jobs")["QueueUrl"]
        attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"] == f"{ARN}:a-jobs-dlq"
