"""Object Storage: moto's S3 with Scaleway's buckets, keys, policies and limits in front of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import quote
from xml.etree import ElementTree

from emulator.dataplane.moto_backend import Moto
from emulator.dataplane.plane import Answer, Message, Plane
from emulator.dataplane.s3.access import Caller, authorize, caller_of
from emulator.dataplane.s3.operations import Target, target_of
from emulator.dataplane.s3.refusals import S3Error, check, error_answer
from emulator.dataplane.s3.store import Store, location
from emulator.faults import Faults
from emulator.requests import RequestLog
from emulator.world import World

MOST_BUCKETS = 500
"""Buckets of a project. Scaleway starts an organization at 100 and raises it on request (Scaleway API 7.1)."""

_MOTO_OWNERS = re.compile(
    rb"75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a|bcaf1ffd86f41161ca5fb16fd081034f|webfile"
)
_OBJECT_WRITES = frozenset({"PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject", "RestoreObject"})


class S3(Plane):
    """The S3 endpoint of one region."""

    label: ClassVar[str] = "S3"
    read_ms: ClassVar[float] = 120.0
    change_ms: ClassVar[float] = 350.0

    def __init__(self, world: World, log: RequestLog, faults: Faults, changed: Callable[[], None], moto: Moto) -> None:
        super().__init__(world, log, faults, changed)
        self.moto = moto
        self.store = Store(world, moto)

    def name(self, message: Message) -> tuple[str, bool]:
        """As in AWS's API: "CreateBucket"."""
        target = target_of(message)
        return target.operation, target.mutating

    def refusal(self, kind: str) -> Answer:
        """503 in S3's own form; too many requests are "SlowDown"."""
        error = S3Error("ServiceUnavailable", "Service is unable to handle request.")
        if kind == "throttled":
            error = S3Error("SlowDown", "Please reduce your request rate.")
        elif kind == "internal_error":
            error = S3Error("InternalError", "We encountered an internal error. Please try again.")
        elif kind == "quota_exceeded":
            error = S3Error("QuotaExceeded", "The quota has been exceeded.")
        return error_answer(error, "/")

    async def answer(self, message: Message, operation: str) -> Answer:
        """Check the request as Scaleway does, then have moto carry it out."""
        await self.moto.ready()
        target = target_of(message)
        try:
            caller = caller_of(self.world, message, target.region)
            check(target, message)
            found = self._carry_out(caller, target, message)
        except S3Error as error:
            return error_answer(error, target.path, head=message.method == "HEAD")
        return self._as_scaleway(found, caller, target, message)

    def _carry_out(self, caller: Caller, target: Target, message: Message) -> Answer:
        if target.operation in ("ListBuckets", "CreateBucket") and not caller.permitted(self.world, target):
            raise S3Error("AccessDenied", "Access Denied.")
        if not target.bucket:
            return self.moto.s3("GET", f"/?{message.query}", caller.project_id, message.headers)
        if target.operation == "CreateBucket":
            return self._create(caller, target, message)
        bucket = self.store.find(target.bucket)
        if bucket is None:
            raise S3Error("NoSuchBucket", "The specified bucket does not exist", BucketName=target.bucket)
        authorize(self.world, caller, target, bucket)
        if target.part == "policy":
            return self._policy(target, message)
        if target.operation == "PutObjectLockConfiguration" and not _locked(bucket["_headers"]):
            raise S3Error("InvalidBucketState", "Object Lock configuration cannot be enabled on existing buckets")
        if target.operation == "CopyObject" or target.operation == "UploadPartCopy":
            self._check_source(caller, message)
        path = f"{target.path}?{message.query}" if message.query else target.path
        found = self.moto.s3(message.method, path, bucket["project_id"], message.headers, message.body)
        if found.status < 300 and target.mutating:
            self._write_through(target, message)
        return found

    def _create(self, caller: Caller, target: Target, message: Message) -> Answer:
        there = self.store.find(target.bucket)
        if there is not None and there["project_id"] == caller.project_id:
            raise S3Error(
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.",
                BucketName=target.bucket,
            )
        if there is not None:
            raise S3Error(
                "BucketAlreadyExists", "The requested bucket name is not available.", BucketName=target.bucket
            )
        if sum(1 for _ in self.world.where("s3.buckets", project_id=caller.project_id)) >= MOST_BUCKETS:
            raise S3Error("TooManyBuckets", "You have attempted to create more buckets than allowed.")
        body = location(target.region)
        found = self.moto.s3("PUT", target.path, caller.project_id, message.headers, body)
        if found.status < 300:
            self.store.created(target, message, caller.project_id)
            return Answer(200, b"", {"Location": f"/{target.bucket}"})
        return found

    def _check_source(self, caller: Caller, message: Message) -> None:
        """The bucket that is copied from must be the caller's too."""
        name, _, key = message.headers["x-amz-copy-source"].lstrip("/").partition("/")
        bucket = self.store.find(name)
        if bucket is None:
            raise S3Error("NoSuchBucket", "The specified bucket does not exist", BucketName=name)
        source = Target("GetObject", "", name, key.partition("?")[0], "", mutating=False, implemented=True)
        authorize(self.world, caller, source, bucket)

    def _policy(self, target: Target, message: Message) -> Answer:
        """Policies never reach moto, which would not understand their principals."""
        bucket = self.world.tables["s3.buckets"][target.bucket]
        if message.method == "GET":
            if "_policy" not in bucket:
                raise S3Error("NoSuchBucketPolicy", "The bucket policy does not exist", BucketName=target.bucket)
            return Answer(200, json.dumps(bucket["_policy"]).encode(), {"Content-Type": "application/json"})
        if message.method == "PUT":
            bucket["_policy"] = json.loads(message.body)
        else:
            bucket.pop("_policy", None)
        self.world.put("s3.buckets", bucket)
        return Answer(204)

    def _write_through(self, target: Target, message: Message) -> None:
        if target.operation == "DeleteBucket":
            self.store.deleted(target.bucket)
        elif target.operation == "DeleteObjects":
            for element in ElementTree.fromstring(message.body).iter():
                if element.tag.rpartition("}")[2] == "Key":
                    self.store.wrote(target.bucket, quote(element.text or ""))
        elif target.operation in _OBJECT_WRITES:
            self.store.wrote(target.bucket, target.key)
        elif not target.key:
            self.store.configured(target, message)

    def _as_scaleway(self, found: Answer, caller: Caller, target: Target, message: Message) -> Answer:
        """The answer with Scaleway's owners and errors."""
        if found.status >= 400 and found.body.lstrip().startswith(b"<"):
            code, text = (_element(found.body, name) for name in ("Code", "Message"))
            extra = {"BucketName": target.bucket} if code != "NoSuchKey" else {"Key": _element(found.body, "Key")}
            return error_answer(S3Error(code, text, **extra), target.path, status=found.status)
        owner = f"{caller.project_id}:{caller.project_id}".encode()
        headers = {name: value for name, value in found.headers.items() if name.lower() not in ("server", "date")}
        if "xml" in headers.get("content-type", headers.get("Content-Type", "")):
            found = Answer(found.status, _MOTO_OWNERS.sub(owner, found.body))
            headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        return Answer(found.status, found.body, headers)


def _locked(headers: dict[str, str]) -> bool:
    return any(n.lower() == "x-amz-bucket-object-lock-enabled" and v.lower() == "true" for n, v in headers.items())


def _element(body: bytes, name: str) -> str:
    match = re.search(rf"<{name}>(.*?)</{name}>", body.decode(), re.DOTALL)
    return match[1] if match else ""
