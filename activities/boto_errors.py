"""What boto3 raises, in the engine's own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from activities.classify import classify
from blueprint.errors import EngineError, Gone, QuotaExceeded, Refused, Throttled, Unavailable
from blueprint.permissions import taken_by_s3

_ABSENT = (
    "NoSuchTagSet",
    "NoSuchCORSConfiguration",
    "NoSuchLifecycleConfiguration",
    "NoSuchBucketPolicy",
    "ObjectLockConfigurationNotFoundError",
)
"""How S3 says that a bucket has none of it."""
_THROTTLED = ("SlowDown", "RequestLimitExceeded", "ThrottlingException", "TooManyRequests")
_QUOTA = ("QuotaExceeded", "TooManyBuckets", "OverLimit")
_DENIED = ("AccessDenied", "AccessDeniedException")
"""SQS answers 400 with it; fresh credentials take their time to be known there too."""
_GONE = (
    "NoSuchBucket",
    "NoSuchKey",
    "NoSuchVersion",
    "NoSuchUpload",
    "NotFound",
    "404",
    "QueueDoesNotExist",
    "NonExistentQueue",
)
_SKEWED = ("RequestTimeTooSkewed",)


@contextmanager
def boto_errors(call: str) -> Iterator[None]:
    """Raise what happens inside as an `EngineError`.

    Args:
        call: what is being done, for the reader.
    """
    try:
        yield
    except ClientError as error:
        raise _translated(error, call) from None
    except BotoCoreError as error:
        raise Unavailable(f"{call}: no answer ({type(error).__name__})", remedy="check the endpoint") from None


def absent_as_none(call: Callable[..., Any], **arguments: Any) -> Any:
    """The answer of a call, or None if the bucket has nothing of what it asks for."""
    try:
        return call(**arguments)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _ABSENT:
            return None
        raise


def _translated(error: ClientError, call: str) -> EngineError:
    details = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    code, message = str(details.get("Code", "")), str(details.get("Message", ""))
    text = f"{call}: {status} {code} {message}".rstrip()
    # SQS writes "com.amazonaws.sqs#QueueDoesNotExist", and in its older form "AWS.SimpleQueueService.NonExistentQueue".
    short = code.rsplit("#", 1)[-1].rsplit(".", 1)[-1]
    if short in _THROTTLED:
        return Throttled(text)
    if short in _GONE:
        return Gone(text)
    if short in _SKEWED:
        return Refused(text, remedy="set the clock of the worker's machine; a time service keeps it right")
    if short in _DENIED:
        return classify(403, {"message": message or code}, call, _taken_by(error.operation_name))
    if short in _QUOTA:
        return QuotaExceeded(text, remedy="free some, or ask Scaleway for a higher quota, then retry")
    if code == "BucketNotEmpty":
        return Refused(text, remedy="empty the bucket first: the engine deletes no object that it did not make")
    if code == "BucketAlreadyExists":
        return Refused(text, remedy="somebody else on the platform has a bucket of this name; choose another")
    return classify(status, {"message": f"{code} {message}"}, call, _taken_by(error.operation_name))


def _taken_by(operation: str) -> str:
    """The permission set that an operation takes. Queues have credentials of their own, which IAM knows nothing of."""
    return "" if "Queue" in operation or "Message" in operation else taken_by_s3(operation)
