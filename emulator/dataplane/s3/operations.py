"""Which operation of S3 a request is, and on which bucket and key."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from emulator.dataplane.moto_backend import REGION
from emulator.dataplane.plane import Message

_SCALEWAY_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3\.(?P<region>[a-z]{2}-[a-z]{3})\.scw\.cloud")

BUCKET_PARTS = {
    "acl": "BucketAcl",
    "cors": "BucketCors",
    "encryption": "BucketEncryption",
    "lifecycle": "BucketLifecycleConfiguration",
    "location": "BucketLocation",
    "object-lock": "ObjectLockConfiguration",
    "policy": "BucketPolicy",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
"""Configurations of a bucket by the parameter that names them."""

NOT_IMPLEMENTED = {
    "accelerate": "BucketAccelerateConfiguration",
    "analytics": "BucketAnalyticsConfiguration",
    "intelligent-tiering": "BucketIntelligentTieringConfiguration",
    "inventory": "BucketInventoryConfiguration",
    "logging": "BucketLogging",
    "metadataConfiguration": "BucketMetadataConfiguration",
    "metrics": "BucketMetricsConfiguration",
    "notification": "BucketNotificationConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "PublicAccessBlock",
    "replication": "BucketReplication",
    "requestPayment": "BucketRequestPayment",
    "select": "ObjectContent",
    "torrent": "ObjectTorrent",
}
"""What AWS has and Scaleway has not (Scaleway API, Object Storage: no events, replication or inventory)."""

OBJECT_PARTS = {"acl": "ObjectAcl", "legal-hold": "ObjectLegalHold", "retention": "ObjectRetention"} | {
    "tagging": "ObjectTagging",
    "attributes": "ObjectAttributes",
}
_VERBS = {"GET": "Get", "HEAD": "Head", "PUT": "Put", "POST": "Post", "DELETE": "Delete"}
_WITHOUT_CONFIGURATION = {"BucketLifecycleConfiguration": "BucketLifecycle"}
"""Deletions that are named after less than what they delete."""


@dataclass(frozen=True)
class Target:
    """What a request is about.

    Attributes:
        operation: as in AWS's API: "PutBucketVersioning".
        part: the parameter that names the configuration ("versioning"), "" for the bucket or object itself.
        bucket: "" for the service itself.
        key: percent-encoded, "" for the bucket.
        region: that of the host that was called.
        mutating: it changes something.
        implemented: Scaleway has it.
    """

    operation: str
    part: str
    bucket: str
    key: str
    region: str
    mutating: bool
    implemented: bool

    @property
    def path(self) -> str:
        """The path in path style, percent-encoded, without the query."""
        return f"/{self.bucket}/{self.key}" if self.key else f"/{self.bucket}"


def target_of(message: Message) -> Target:
    """Read a request, in path style or in virtual-host style."""
    bucket, key, region = _place(message)
    arguments = message.arguments
    mutating = message.method in ("PUT", "POST", "DELETE")
    part = next((name for name in NOT_IMPLEMENTED if name in arguments), "")
    if part:
        name = f"{_VERBS.get(message.method, message.method)}{NOT_IMPLEMENTED[part]}"
        return Target(name, part, bucket, key, region, mutating, implemented=False)
    if not bucket:
        return Target("ListBuckets", "", "", "", region, mutating=False, implemented=message.method == "GET")
    read = _object_operation if key else _bucket_operation
    operation, part = read(message, arguments)
    return Target(operation, part, bucket, key, region, mutating, implemented=True)


def _place(message: Message) -> tuple[str, str, str]:
    host = message.headers.get("Host", "").rsplit(":", 1)[0].lower()
    path = message.path.lstrip("/")
    region = REGION
    bucket: str | None = None
    if match := _SCALEWAY_HOST.fullmatch(host):
        bucket, region = match["bucket"], match["region"]
    elif host.endswith(".localhost"):
        bucket = host.removesuffix(".localhost")
    elif not _is_address(host) and host.count("."):
        bucket = host.split(".s3.")[0] if ".s3." in host else None
    if bucket:
        return bucket, path, region
    name, _, key = path.partition("/")
    return unquote(name), key, region


@lru_cache(maxsize=1024)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _bucket_operation(message: Message, arguments: dict[str, str]) -> tuple[str, str]:
    method = message.method
    if method == "POST":
        return ("DeleteObjects", "delete") if "delete" in arguments else ("PostObject", "")
    if method == "GET" and "uploads" in arguments:
        return "ListMultipartUploads", "uploads"
    if method == "GET" and "versions" in arguments:
        return "ListObjectVersions", "versions"
    for part, name in BUCKET_PARTS.items():
        if part in arguments:
            shown = _WITHOUT_CONFIGURATION.get(name, name) if method == "DELETE" else name
            return f"{_VERBS[method]}{shown}", part
    if method == "GET":
        return ("ListObjectsV2" if arguments.get("list-type") == "2" else "ListObjects"), ""
    return {"PUT": "CreateBucket", "HEAD": "HeadBucket", "DELETE": "DeleteBucket"}.get(method, method), ""


def _object_operation(message: Message, arguments: dict[str, str]) -> tuple[str, str]:
    method = message.method
    copied = "x-amz-copy-source" in message.headers
    if "uploadId" in arguments:
        names = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
        return ("UploadPartCopy" if copied else names.get(method, "ListParts")), "uploadId"
    if "uploads" in arguments:
        return "CreateMultipartUpload", "uploads"
    if "restore" in arguments:
        return "RestoreObject", "restore"
    for part, name in OBJECT_PARTS.items():
        if part in arguments:
            return f"{_VERBS[method]}{name}", part
    return ("CopyObject" if copied else f"{_VERBS.get(method, method)}Object"), ""
