"""Operations of SQS: how a request names them, what they may be, and which credentials they take."""

from __future__ import annotations

import json
import re
from typing import Any

from emulator.dataplane.plane import Answer, Message
from emulator.world import Document

MANAGE, PUBLISH, RECEIVE = "can_manage", "can_publish", "can_receive"

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "ChangeMessageVisibility": (RECEIVE,),
    "ChangeMessageVisibilityBatch": (RECEIVE,),
    "CreateQueue": (MANAGE,),
    "DeleteMessage": (RECEIVE,),
    "DeleteMessageBatch": (RECEIVE,),
    "DeleteQueue": (MANAGE,),
    "GetQueueAttributes": (MANAGE, PUBLISH, RECEIVE),
    "GetQueueUrl": (MANAGE, PUBLISH, RECEIVE),
    "ListDeadLetterSourceQueues": (MANAGE,),
    "ListQueues": (MANAGE, PUBLISH, RECEIVE),
    "PurgeQueue": (MANAGE,),
    "ReceiveMessage": (RECEIVE,),
    "SendMessage": (PUBLISH,),
    "SendMessageBatch": (PUBLISH,),
    "SetQueueAttributes": (MANAGE,),
}
"""What is served, and the permissions of which one is enough."""

READS = frozenset({"GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues", "ListQueues"})

MOST_QUEUES = 500
"""Queues of a project. Scaleway starts at 50 and raises it on request (Scaleway API 7.2)."""
LARGEST_MESSAGE = 262_144
MOST_BYTES = 100 * 1000 * 1000
"""Bytes of all messages of a project (Scaleway API 7.2)."""
ATTRIBUTES: dict[str, tuple[int, int]] = {
    "MaximumMessageSize": (1024, LARGEST_MESSAGE),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
"""Settable attributes that are numbers, with their bounds."""
_OTHER_ATTRIBUTES = frozenset({"ContentBasedDeduplication", "FifoQueue", "RedrivePolicy"})


class SqsError(Exception):
    """A refusal.

    Args:
        code: as in AWS's API, without its prefix: "QueueDoesNotExist".
        message: for people.
        status: HTTP status code.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status

    def answer(self) -> Answer:
        """The error in the JSON protocol."""
        body = {"__type": f"com.amazonaws.sqs#{self.code}", "message": self.message}
        return Answer(self.status, json.dumps(body).encode(), {"Content-Type": "application/x-amz-json-1.0"})


def access_denied() -> SqsError:
    """Wrong credentials, or credentials without the permission."""
    return SqsError("AccessDeniedException", "You do not have sufficient access to perform this action.")


def no_queue(name: str) -> SqsError:
    """There is no queue of that name in the project (recorded form)."""
    return SqsError("QueueDoesNotExist", f'Queue "{name}" does not exist.', 404)


def unsupported(what: str) -> SqsError:
    """Something that AWS has and Scaleway has not."""
    return SqsError("UnsupportedOperation", f"{what} is not supported.")


def operation_of(message: Message) -> str:
    """The operation's name, from the target header of the JSON protocol; "Unknown" without one."""
    return message.headers.get("X-Amz-Target", "").rpartition(".")[2] or "Unknown"


def parameters_of(message: Message) -> Document:
    """The request's parameters.

    Raises:
        SqsError: the body is not a JSON object, as that of the older query protocol, which is not served.
    """
    try:
        parameters = json.loads(message.body or b"{}")
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        raise SqsError("SerializationException", "The request is not valid JSON")
    return parameters


def check(operation: str, parameters: Document) -> None:
    """Refuse what Scaleway does not have.

    Raises:
        SqsError: UnsupportedOperation, or InvalidAttributeName and InvalidAttributeValue for attributes.
    """
    if operation not in PERMISSIONS:
        raise unsupported(operation)
    for name in ("DelaySeconds", "NextToken", "MaxResults", "ReceiveRequestAttemptId", "Tags", "tags"):
        if parameters.get(name):
            raise unsupported(name)
    if operation == "ReceiveMessage" and parameters.get("VisibilityTimeout") is not None:
        raise unsupported("VisibilityTimeout of a single call")
    if any(entry.get("DelaySeconds") for entry in parameters.get("Entries") or []):
        raise unsupported("DelaySeconds")
    if operation in ("CreateQueue", "SetQueueAttributes"):
        _check_attributes(parameters.get("Attributes") or {})
    if operation == "CreateQueue":
        name = str(parameters.get("QueueName") or "")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,75}(\.fifo)?|[A-Za-z0-9_-]{76,80}", name):
            raise SqsError("InvalidParameterValue", "The queue name can only include alphanumeric characters, - and _")


def _check_attributes(attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        if name == "DelaySeconds" and str(value) == "0":
            continue
        if name not in ATTRIBUTES and name not in _OTHER_ATTRIBUTES:
            raise SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")
        if name in ATTRIBUTES:
            least, most = ATTRIBUTES[name]
            if not str(value).isdigit() or not least <= int(value) <= most:
                raise SqsError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
    if policy := attributes.get("RedrivePolicy"):
        _check_redrive(policy)


def _check_redrive(policy: Any) -> None:
    try:
        parsed = json.loads(policy)
        count, target = int(parsed["maxReceiveCount"]), str(parsed["deadLetterTargetArn"])
    except (ValueError, KeyError, TypeError):
        raise SqsError("InvalidParameterValue", f"Value {policy} for parameter RedrivePolicy is invalid.") from None
    if not 1 <= count <= 1000 or not target.startswith("arn:scw:sqs:"):
        raise SqsError("InvalidParameterValue", f"Value {policy} for parameter RedrivePolicy is invalid.")
