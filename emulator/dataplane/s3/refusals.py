"""S3's errors, and what Scaleway refuses where AWS would not."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from emulator.dataplane.plane import Answer, Message
from emulator.dataplane.s3.operations import Target

MOST_PARTS = 1000
"""Parts of a multipart upload, where AWS has 10,000 (Scaleway API 7.1)."""
MOST_RULES = 1000
STORAGE_CLASSES = ("STANDARD", "ONEZONE_IA", "GLACIER")
"""From dear to cheap; a life cycle goes only this way (Scaleway API 7.1)."""
POLICY_VERSION = "2023-04-17"
LARGEST_POLICY = 20_480
_CUSTOMERS_KEY = "x-amz-server-side-encryption-customer-algorithm"
"""Scaleway has it, and it is not emulated: to take the key and not to encrypt would be a lie."""
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

STATUS = {
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "BucketAlreadyExists": 409,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "InvalidBucketName": 400,
    "InvalidBucketState": 409,
    "InvalidLocationConstraint": 400,
    "InvalidObjectState": 403,
    "InvalidRange": 416,
    "InvalidStorageClass": 400,
    "NoSuchBucket": 404,
    "MethodNotAllowed": 405,
    "NoSuchBucketPolicy": 404,
    "NoSuchKey": 404,
    "NoSuchObjectLockConfiguration": 404,
    "NoSuchUpload": 404,
    "NoSuchVersion": 404,
    "NotImplemented": 405,
    "PreconditionFailed": 412,
    "QuotaExceeded": 403,
    "RequestTimeTooSkewed": 403,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
    "TooManyBuckets": 400,
}


class S3Error(Exception):
    """A refusal.

    Args:
        code: as S3 names it; its status is in `STATUS`, 400 if not.
        message: for people.
        headers: further headers of the answer.
        extra: further elements of the body.
    """

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None, **extra: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.extra = extra


def not_implemented() -> S3Error:
    """Something that Scaleway has not, or that is not emulated."""
    return S3Error("NotImplemented", "A header or query you provided implies functionality that is not implemented.")


def error_answer(error: S3Error, resource: str, *, head: bool = False, status: int | None = None) -> Answer:
    """The error as Scaleway writes it (recorded: without an XML declaration, with a request id of its own form)."""
    request_id = f"txg{uuid.uuid4().hex[:21]}-{uuid.uuid4().hex[:10]}"
    fields = {"Code": error.code, "Message": error.message, "RequestId": request_id, "HostId": request_id}
    fields |= {"Resource": resource, **error.extra}
    body = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    headers = {"Content-Type": "application/xml", "x-amz-request-id": request_id, **error.headers}
    text = b"" if head else f"<Error>{body}</Error>".encode()
    return Answer(status or STATUS.get(error.code, 400), text, headers)


def check(target: Target, message: Message) -> None:
    """Refuse what Scaleway does not have or does not allow.

    Raises:
        S3Error: with the code that the API gives.
    """
    if not target.implemented or _CUSTOMERS_KEY in message.headers:
        raise not_implemented()
    storage_class = message.headers.get("x-amz-storage-class", "STANDARD")
    if storage_class not in STORAGE_CLASSES:
        raise S3Error("InvalidStorageClass", "The storage class you specified is not valid")
    if target.operation == "CreateBucket":
        _check_new_bucket(target, message)
    elif target.part == "uploadId":
        _check_parts(target, message)
    elif target.operation == "PutBucketLifecycleConfiguration":
        _check_lifecycle(message)
    elif target.operation == "PutBucketPolicy":
        _check_policy(target, message)


def _check_new_bucket(target: Target, message: Message) -> None:
    if not _NAME.fullmatch(target.bucket) or ".." in target.bucket:
        raise S3Error("InvalidBucketName", "The specified bucket is not valid.", BucketName=target.bucket)
    if message.body:
        wanted = next(iter(_texts(_parse(message.body), "LocationConstraint")), target.region)
        if wanted != target.region:
            raise S3Error("InvalidLocationConstraint", "The specified location-constraint is not valid")


def _check_parts(target: Target, message: Message) -> None:
    numbers = [message.arguments["partNumber"]] if "partNumber" in message.arguments else []
    if target.operation == "CompleteMultipartUpload":
        numbers = _texts(_parse(message.body), "PartNumber")
    if len(numbers) > MOST_PARTS or any(
        not number.isdigit() or not 1 <= int(number) <= MOST_PARTS for number in numbers
    ):
        raise S3Error("InvalidArgument", f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive")


def _check_lifecycle(message: Message) -> None:
    rules = [element for element in _parse(message.body) if _local(element) == "Rule"]
    if not rules or len(rules) > MOST_RULES:
        raise S3Error("MalformedXML", "The XML you provided was not well-formed or did not validate")
    for rule in rules:
        classes = _texts(rule, "StorageClass")
        if any(name not in STORAGE_CLASSES[1:] for name in classes):
            raise S3Error("InvalidStorageClass", "The storage class you specified is not valid")
        dated = sorted((int(days), name) for days, name in _transitions(rule))
        if [STORAGE_CLASSES.index(name) for _, name in dated] != sorted(STORAGE_CLASSES.index(n) for _, n in dated):
            raise S3Error("InvalidRequest", "Objects can move only from STANDARD to ONEZONE_IA to GLACIER")


def _transitions(rule: ElementTree.Element) -> list[tuple[str, str]]:
    found = []
    for element in rule:
        days, names = _texts(element, "Days"), _texts(element, "StorageClass")
        if _local(element) == "Transition" and days and names:
            found.append((days[0], names[0]))
    return found


def _check_policy(target: Target, message: Message) -> None:
    try:
        policy = json.loads(message.body)
    except ValueError:
        raise S3Error("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'") from None
    if len(message.body) > LARGEST_POLICY or not isinstance(policy, dict):
        raise S3Error("MalformedPolicy", "Policies must be valid JSON and at most 20 KB")
    if policy.get("Version") != POLICY_VERSION:
        raise S3Error("MalformedPolicy", f"The policy must contain the version {POLICY_VERSION}")
    statements = policy.get("Statement")
    if not isinstance(statements, list) or not statements:
        raise S3Error("MalformedPolicy", "Missing required field Statement")
    for statement in statements:
        _check_statement(target, statement)


def _check_statement(target: Target, statement: Any) -> None:
    if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
        raise S3Error("MalformedPolicy", "Missing required field Effect")
    principal = statement.get("Principal")
    names = principal.get("SCW") if isinstance(principal, dict) else principal
    listed = [names] if isinstance(names, str) else names or []
    if not listed or any(
        name != "*" and not re.fullmatch(r"(user|application)_id:[0-9a-f-]{36}", name) for name in listed
    ):
        raise S3Error("MalformedPolicy", "Invalid principal in policy")
    resources = statement.get("Resource")
    for resource in [resources] if isinstance(resources, str) else resources or [""]:
        if resource.partition("/")[0] != target.bucket:
            raise S3Error("MalformedPolicy", "Policy has invalid resource")
    if not statement.get("Action"):
        raise S3Error("MalformedPolicy", "Missing required field Action")


def _parse(body: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise S3Error("MalformedXML", "The XML you provided was not well-formed or did not validate") from None


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _texts(element: ElementTree.Element, name: str) -> list[str]:
    return [child.text or "" for child in element.iter() if _local(child) == name]
