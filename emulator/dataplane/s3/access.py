"""Who may do what with a bucket: its project, its policy, and the key that signed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from emulator.auth import flaps, granted
from emulator.dataplane.plane import Message
from emulator.dataplane.s3.operations import Target
from emulator.dataplane.s3.refusals import S3Error
from emulator.dataplane.sigv4 import Signature
from emulator.permissions import opening_s3
from emulator.products.iam.users import OWNER
from emulator.world import DEFAULT_PROJECT, Document, World

API_KEYS, SECRETS = "iam.api_keys", "_iam.secret_keys"
MOST_SKEW_S = 900
"""How far the clock of a client may be off."""
LONGEST_PRESIGNED_S = 604_800
"""A week."""
_ACCESS_KEY = re.compile(r"SCW[A-Z0-9]{17}")

ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
"""Actions of a policy that are not named like the operation."""

POLICY_OPERATIONS = frozenset({"GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"})
"""What the owner may do even when his own policy leaves him out, so that he is never locked out for good."""


@dataclass(frozen=True)
class Caller:
    """Whoever signed a request.

    Attributes:
        project_id: where buckets that he creates go.
        principal: as in a policy: "application_id:..."; the organization's owner for a key that IAM does not know.
        key: the key in IAM, if it was made there.
    """

    project_id: str
    principal: str
    key: Document | None

    def permitted(self, world: World, target: Target) -> bool:
        """Whether IAM lets him use Object Storage for this."""
        if self.key is None:
            return True
        sets = opening_s3(target.operation, target.mutating)
        return not flaps(world, self.key) and granted(world, self.key, sets)


def caller_of(world: World, message: Message, region: str) -> Caller:
    """Who signed the request.

    A key that IAM has issued counts with its secret and its default project; any other key of the right form
    belongs to the default project, as the emulator's API takes any such secret. `SCW...@project` names a project.

    Raises:
        S3Error: nobody, an unknown key, a wrong signature, or one for another region or another time.
    """
    signature = Signature.of(message)
    if signature is None:
        raise S3Error("AccessDenied", "Access Denied.")
    key, _, project = signature.access_key.partition("@")
    if not _ACCESS_KEY.fullmatch(key):
        raise S3Error("InvalidAccessKeyId", "The AWS access key ID you provided does not exist in our records.")
    if signature.region != region:
        raise S3Error(
            "AuthorizationHeaderMalformed",
            f"The authorization header is malformed; the region '{signature.region}' is wrong; expecting '{region}'",
            Region=region,
        )
    check_moment(signature, message.arguments.get("X-Amz-Expires", ""), world.now())
    known = world.find(API_KEYS, key)
    secret = next((s for s, row in world.tables.get(SECRETS, {}).items() if row["access_key"] == key), None)
    if secret is None:
        return Caller(project or DEFAULT_PROJECT, f"user_id:{OWNER}", None)
    if known is None:
        raise S3Error("InvalidAccessKeyId", "The AWS access key ID you provided does not exist in our records.")
    if not signature.made_with(secret, message):
        raise S3Error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        )
    holder = "application_id" if known.get("application_id") else "user_id"
    principal = f"{holder}:{known[holder]}"
    return Caller(project or str(known.get("default_project_id") or DEFAULT_PROJECT), principal, known)


def check_moment(signature: Signature, expires: str, now: float) -> None:
    """Refuse a signature that is too old, or from another time.

    Args:
        expires: seconds that a presigned URL is good for.

    Raises:
        S3Error: RequestTimeTooSkewed; AccessDenied for a presigned URL.
    """
    made = _seconds(signature.moment)
    if made is None:
        raise S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
    if not signature.presigned:
        if abs(now - made) > MOST_SKEW_S:
            text = "The difference between the request time and the current time is too large."
            raise S3Error("RequestTimeTooSkewed", text, RequestTime=signature.moment, ServerTime=_iso(now))
        return
    if not expires.isdigit() or int(expires) > LONGEST_PRESIGNED_S:
        text = f"X-Amz-Expires must be a number of seconds up to {LONGEST_PRESIGNED_S}"
        raise S3Error("AuthorizationQueryParametersError", text)
    if made - now > MOST_SKEW_S:
        raise S3Error("AccessDenied", "Request is not yet valid", ServerTime=_iso(now))
    if now > made + int(expires):
        ended = _iso(made + int(expires))
        raise S3Error("AccessDenied", "Request has expired", Expires=ended, ServerTime=_iso(now))


@lru_cache(maxsize=64)
def _seconds(moment: str) -> float | None:
    try:
        return datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def authorize(world: World, caller: Caller, target: Target, bucket: Document) -> None:
    """Let a caller at a bucket, or not.

    Without a policy the bucket is its project's, and IAM decides. With one, only what it allows, to its owner too.

    Raises:
        S3Error: AccessDenied.
    """
    owner = bucket["project_id"] == caller.project_id
    policy = bucket.get("_policy")
    if policy is None:
        allowed = owner and caller.permitted(world, target)
    elif target.operation in POLICY_OPERATIONS and owner:
        allowed = True
    else:
        allowed = _allows(policy, caller, target)
    if not allowed:
        raise S3Error("AccessDenied", "Access Denied.")


def _allows(policy: Document, caller: Caller, target: Target) -> bool:
    action = "s3:" + ACTIONS.get(target.operation, target.operation)
    resource = f"{target.bucket}/{unquote(target.key)}" if target.key else target.bucket
    effects = {
        statement["Effect"]
        for statement in policy["Statement"]
        if _meant(statement, caller.principal)
        and any(fnmatchcase(action, pattern) for pattern in _listed(statement["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in _listed(statement["Resource"]))
    }
    return "Allow" in effects and "Deny" not in effects


def _meant(statement: Document, principal: str) -> bool:
    names = statement["Principal"]
    listed = _listed(names["SCW"] if isinstance(names, dict) else names)
    return "*" in listed or principal in listed


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
