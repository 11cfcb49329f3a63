"""SQS: moto's queues under Scaleway's names, for the credentials that Messaging and Queuing gave out."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from emulator.dataplane.moto_backend import INNER_REGION, REGION, Moto, account_of
from emulator.dataplane.plane import Answer, Message, Plane
from emulator.dataplane.sigv4 import Signature
from emulator.dataplane.sqs.operations import (
    LARGEST_MESSAGE,
    MOST_BYTES,
    MOST_QUEUES,
    PERMISSIONS,
    READS,
    SqsError,
    access_denied,
    check,
    no_queue,
    operation_of,
    parameters_of,
    unsupported,
)
from emulator.faults import Faults
from emulator.requests import RequestLog
from emulator.world import Document, World

QUEUES = "sqs.queues"
CREDENTIALS = "mnq.sqs_credentials"

_HIDDEN = frozenset(
    {"Policy", "SqsManagedSseEnabled", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "DelaySeconds"}
)
_FIFO_ONLY = frozenset({"ContentBasedDeduplication", "DeduplicationScope", "FifoQueue", "FifoThroughputLimit"})
_WITH_ARNS = frozenset({"CreateQueue", "SetQueueAttributes", "GetQueueAttributes", "ListDeadLetterSourceQueues"})
_ARN, _INNER_ARN = f"arn:scw:sqs:{REGION}:", f"arn:aws:sqs:{INNER_REGION}:"
_POLL = 0.05
"""Seconds between looks into an empty queue."""


def arn_of(project_id: str, name: str) -> str:
    """A queue's ARN as Scaleway writes it."""
    return f"{_ARN}{account_of(project_id)}:{name}"


class Sqs(Plane):
    """The SQS endpoint. Queues and their attributes last; messages live as long as the process."""

    label: ClassVar[str] = "SQS"
    read_ms: ClassVar[float] = 30.0
    change_ms: ClassVar[float] = 33.0

    def __init__(self, world: World, log: RequestLog, faults: Faults, changed: Callable[[], None], moto: Moto) -> None:
        super().__init__(world, log, faults, changed)
        self.moto = moto
        self._sent: defaultdict[str, int] = defaultdict(int)
        """Bytes sent to each project's queues since they were last counted; never less than what is there."""
        moto.filled_by(self._fill)

    def name(self, message: Message) -> tuple[str, bool]:
        """As in AWS's API: "CreateQueue"."""
        operation = operation_of(message)
        return operation, operation not in READS

    def refusal(self, kind: str) -> Answer:
        """Too many requests are an empty 429, as from Scaleway's edge; all else 503 or 500."""
        if kind == "throttled":
            return Answer(429, b"", {"X-Envoy-Ratelimited": "true"})
        if kind == "quota_exceeded":
            return SqsError("OverLimit", "The quota has been exceeded.", 403).answer()
        if kind == "internal_error":
            return SqsError("InternalError", "Internal service error", 500).answer()
        return SqsError("ServiceUnavailable", "The service is unavailable.", 503).answer()

    async def answer(self, message: Message, operation: str) -> Answer:
        """Check the request as Scaleway does, then have moto carry it out."""
        await self.moto.ready()
        try:
            parameters = parameters_of(message)
            credentials = self._credentials(message)
            check(operation, parameters)
            if not any(credentials["permissions"][name] for name in PERMISSIONS[operation]):
                raise access_denied()
            return await self._carry_out(message, operation, parameters, credentials["project_id"])
        except SqsError as error:
            return error.answer()

    def _credentials(self, message: Message) -> Document:
        signature = Signature.of(message)
        if signature is None:
            raise access_denied()
        found = next(self.world.where(CREDENTIALS, access_key=signature.access_key), None)
        if found is None or signature.region != REGION or not signature.made_with(found["_secret_key"], message):
            raise access_denied()
        return found

    # -- operations --------------------------------------------------------------------------------------------

    async def _carry_out(self, message: Message, operation: str, parameters: Document, project_id: str) -> Answer:
        if operation == "ListQueues":
            return self._list(message, parameters, project_id)
        name = self._queue_name(parameters, project_id)
        queue = self.world.find(QUEUES, f"{project_id}/{name}")
        if operation == "CreateQueue":
            return self._create(message, parameters, project_id, queue)
        if queue is None:
            raise no_queue(name)
        if operation == "SetQueueAttributes":
            self._check_target(parameters.get("Attributes") or {}, project_id, name)
        elif operation.startswith("SendMessage"):
            self._check_space(parameters, project_id)
        elif operation.startswith("ChangeMessageVisibility"):
            _check_visibility(parameters, self.moto.queue(project_id, name))
        elif operation == "ReceiveMessage":
            return await self._receive(message, parameters, project_id, name)
        answer = self._moto(message, operation, project_id)
        if answer.status < 300:
            self._write_through(operation, parameters, queue)
        return answer

    def _list(self, message: Message, parameters: Document, project_id: str) -> Answer:
        prefix = str(parameters.get("QueueNamePrefix") or "")
        names = sorted(row["name"] for row in self.world.where(QUEUES, project_id=project_id))
        urls = [_url(message, project_id, name) for name in names if name.startswith(prefix)]
        return _json({"QueueUrls": urls} if urls else {})

    def _create(self, message: Message, parameters: Document, project_id: str, queue: Document | None) -> Answer:
        name = str(parameters["QueueName"])
        attributes = dict(parameters.get("Attributes") or {})
        self._check_target(attributes, project_id, name)
        if queue is None:
            if sum(1 for _ in self.world.where(QUEUES, project_id=project_id)) >= MOST_QUEUES:
                raise SqsError("OverLimit", f"The limit of {MOST_QUEUES} queues has been reached.", 403)
            self._forget(project_id, name)
            attributes = {"MaximumMessageSize": str(LARGEST_MESSAGE)} | attributes
        body = json.dumps({"QueueName": name, "Attributes": attributes}).encode()
        answer = self._moto(replace(message, body=body), "CreateQueue", project_id)
        if queue is None and answer.status < 300:
            document = {
                "id": f"{project_id}/{name}",
                "name": name,
                "project_id": project_id,
                "region": REGION,
                "arn": arn_of(project_id, name),
                "created_at": self.world.timestamp(),
                "_attributes": attributes,
            }
            self.world.put(QUEUES, document)
        return answer

    async def _receive(self, message: Message, parameters: Document, project_id: str, name: str) -> Answer:
        """Look at once, then again until something is there or the wait is over, without holding up anybody."""
        queue = self.moto.queue(project_id, name)
        wait = parameters.get("WaitTimeSeconds")
        until = time.monotonic() + min(float(queue.receive_message_wait_time_seconds if wait is None else wait), 20.0)
        look = parameters | {"WaitTimeSeconds": 0}
        if queue.fifo_queue:
            look["MaxNumberOfMessages"] = 1
        message = replace(message, body=json.dumps(look).encode())
        while True:
            if not queue.fifo_queue or not queue.pending_messages:
                answer = self._moto(message, "ReceiveMessage", project_id)
                if answer.status >= 300 or json.loads(answer.body or b"{}").get("Messages"):
                    return answer
            if time.monotonic() >= until:
                return _json({})
            await asyncio.sleep(_POLL)
            await self.moto.ready()
            if self.world.find(QUEUES, f"{project_id}/{name}") is None:
                raise no_queue(name)
            queue = self.moto.queue(project_id, name)

    def _write_through(self, operation: str, parameters: Document, queue: Document) -> None:
        if operation == "DeleteQueue":
            self.world.remove(QUEUES, queue["id"])
        elif operation == "SetQueueAttributes":
            queue["_attributes"] |= parameters.get("Attributes") or {}
            self.world.put(QUEUES, queue)

    # -- checks ------------------------------------------------------------------------------------------------

    def _queue_name(self, parameters: Document, project_id: str) -> str:
        if name := parameters.get("QueueName"):
            return str(name)
        *_, account, name = ["", *str(parameters.get("QueueUrl") or "").split("/")]
        if account not in ("", account_of(project_id)):
            raise access_denied()
        return name

    def _check_target(self, attributes: Mapping[str, Any], project_id: str, name: str) -> None:
        """A dead-letter queue must be there, in the same project, and of the same type."""
        policy = attributes.get("RedrivePolicy")
        if not policy:
            return
        arn = json.loads(policy)["deadLetterTargetArn"]
        target = next(self.world.where(QUEUES, project_id=project_id, arn=arn), None)
        if target is None or target["name"].endswith(".fifo") != name.endswith(".fifo"):
            raise SqsError("InvalidParameterValue", f"Value {policy} for parameter RedrivePolicy is invalid.")

    def _check_space(self, parameters: Document, project_id: str) -> None:
        bodies = [str(entry.get("MessageBody", "")) for entry in parameters.get("Entries") or [parameters]]
        size = sum(len(body.encode()) for body in bodies)
        if size > LARGEST_MESSAGE:
            raise SqsError(
                "InvalidParameterValue", f"One or more parameters are invalid: over {LARGEST_MESSAGE} bytes."
            )
        if self._sent[project_id] + size > MOST_BYTES:
            queues = [
                self.moto.queue(project_id, row["name"]) for row in self.world.where(QUEUES, project_id=project_id)
            ]
            self._sent[project_id] = sum(len(message.body) for queue in queues for message in queue._messages)
        if self._sent[project_id] + size > MOST_BYTES:
            raise SqsError("OverLimit", "The storage quota of the project has been reached.", 403)
        self._sent[project_id] += size

    # -- moto --------------------------------------------------------------------------------------------------

    def _moto(self, message: Message, operation: str, project_id: str) -> Answer:
        """Have moto do it, with its partition in ARNs in place of Scaleway's."""
        body = message.body
        if operation in _WITH_ARNS:
            body = body.replace(_ARN.encode(), _INNER_ARN.encode())
        found = self.moto.sqs(message.headers.get("Host", "127.0.0.1"), project_id, _headers(operation), body)
        if operation in _WITH_ARNS:
            found.body = found.body.replace(_INNER_ARN.encode(), _ARN.encode())
        if operation == "GetQueueAttributes" and found.status < 300 and found.body:
            return _json({"Attributes": _shown(json.loads(found.body).get("Attributes") or {})})
        return Answer(found.status, found.body, {"Content-Type": "application/x-amz-json-1.0"})

    def _forget(self, project_id: str, name: str) -> None:
        """Drop what moto still has of a queue that went with its project's deactivation."""
        body = json.dumps({"QueueUrl": f"http://127.0.0.1/{account_of(project_id)}/{name}"}).encode()
        self.moto.sqs("127.0.0.1", project_id, _headers("DeleteQueue"), body)

    def _fill(self) -> None:
        self._sent.clear()
        rows = self.world.all(QUEUES)
        for row in sorted(rows, key=lambda row: "RedrivePolicy" in row["_attributes"]):
            attributes = {name: value for name, value in row["_attributes"].items() if name != "RedrivePolicy"}
            body = json.dumps({"QueueName": row["name"], "Attributes": attributes}).encode()
            self.moto.sqs("127.0.0.1", row["project_id"], _headers("CreateQueue"), body)
        for row in rows:
            if policy := row["_attributes"].get("RedrivePolicy"):
                url = f"http://127.0.0.1/{account_of(row['project_id'])}/{row['name']}"
                attributes = {"RedrivePolicy": policy.replace(_ARN, _INNER_ARN)}
                body = json.dumps({"QueueUrl": url, "Attributes": attributes}).encode()
                self.moto.sqs("127.0.0.1", row["project_id"], _headers("SetQueueAttributes"), body)


def _check_visibility(parameters: Document, queue: Any) -> None:
    """Only 0 and the queue's own timeout: a message cannot be held longer (Scaleway API 7.2)."""
    for entry in parameters.get("Entries") or [parameters]:
        if int(entry.get("VisibilityTimeout") or 0) not in (0, int(queue.visibility_timeout)):
            raise unsupported("A visibility timeout other than 0 or the queue's")


def _shown(attributes: dict[str, str]) -> dict[str, str]:
    hidden = _HIDDEN if attributes.get("FifoQueue") == "true" else _HIDDEN | _FIFO_ONLY
    shown = {name: value for name, value in attributes.items() if name not in hidden}
    for name in ("CreatedTimestamp", "LastModifiedTimestamp"):
        if name in shown:
            shown[name] = str(int(float(shown[name])))
    if policy := shown.get("RedrivePolicy"):
        shown["RedrivePolicy"] = json.dumps(json.loads(policy), separators=(",", ":"))
    return shown


def _headers(operation: str) -> dict[str, str]:
    return {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0"}


def _url(message: Message, project_id: str, name: str) -> str:
    return f"http://{message.headers.get('Host', '127.0.0.1')}/{account_of(project_id)}/{name}"


def _json(body: Document) -> Answer:
    return Answer(200, json.dumps(body).encode(), {"Content-Type": "application/x-amz-json-1.0"})
