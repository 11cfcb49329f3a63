"""Whether queues are there, and a message goes through one.

Through a queue of our own: a message among those of the application would come to its workers, which know nothing of
it; and to receive there would take a message away from them for as long as it is hidden, and count as a delivery of it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from activities.boto_errors import boto_errors
from activities.cloud import Cloud
from activities.kinds.sqs import QueueLifecycle
from activities.ssh.nodes import is_to_end
from blueprint.errors import EngineError
from blueprint.health.contract import Check, HealthSite
from blueprint.health.verdicts import check

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

_WAIT = 1
"""Seconds that one call waits for messages: it cannot be given up."""
_MOST = 10
"""Messages that one call takes: another run's may be among them."""


def look_at_queues(site: HealthSite, cloud: Cloud) -> list[Check]:
    """A check for each queue.

    Raises:
        SecretMissing: the engine has no credentials yet, so that it cannot look.
    """
    assert site.queues
    sqs = QueueLifecycle(cloud).client()
    checks = [_checked(queue, partial(_look, sqs, queue)) for queue in site.queues.names]
    if own := site.queues.own:
        checks.append(_checked(own, partial(_round_trip, sqs, own, site.timeout)))
    return checks


def _checked(queue: str, look: Callable[[], str]) -> Check:
    began, trouble = time.monotonic(), ""
    try:
        with boto_errors(f"ask {queue}"):
            trouble = look()
    except EngineError as error:
        trouble = error.message
    return check(f"queue/{queue}", time.monotonic() - began, trouble)


def _look(sqs: SQSClient, queue: str) -> str:
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return ""


def _round_trip(sqs: SQSClient, queue: str, timeout: float) -> str:
    """Send, receive and delete a message; what went wrong, if anything did.

    Messages of another run that is under way are left to it, and come back after a second.
    """
    url, sent = sqs.get_queue_url(QueueName=queue)["QueueUrl"], secrets.token_hex(8)
    sqs.send_message(QueueUrl=url, MessageBody=sent)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and not is_to_end():
        told = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=_MOST, WaitTimeSeconds=_WAIT)
        for message in told.get("Messages", []):
            if message["Body"] == sent:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                return ""
    return f"what was sent did not arrive within {timeout:g} s"
