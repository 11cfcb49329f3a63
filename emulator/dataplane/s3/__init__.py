"""Object Storage: a store for objects, moto for the configurations of buckets, Scaleway's restrictions before both."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import ClassVar

from aiohttp import web

from emulator.dataplane.moto_backend import Moto
from emulator.dataplane.plane import Answer, Message, Plane
from emulator.dataplane.s3 import listing
from emulator.dataplane.s3.access import Caller, authorize, caller_of
from emulator.dataplane.s3.buckets import Buckets, location
from emulator.dataplane.s3.database import Database
from emulator.dataplane.s3.locks import settings_of
from emulator.dataplane.s3.objects import Call, Objects, source_of
from emulator.dataplane.s3.operations import Target
from emulator.dataplane.s3.received import receive
from emulator.dataplane.s3.refusals import S3Error, check, error_answer, not_implemented
from emulator.dataplane.s3.request import FileAnswer, S3Message
from emulator.dataplane.s3.uploads import Uploads
from emulator.dataplane.s3.versions import Version
from emulator.faults import Faults
from emulator.requests import RequestLog
from emulator.world import World

MOST_BUCKETS = 500
"""Buckets of a project. Scaleway starts an organization at 100 and raises it on request (Scaleway API 7.1)."""

_MOTO_OWNERS = re.compile(
    rb"75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a|bcaf1ffd86f41161ca5fb16fd081034f|webfile"
)
_LISTS = {
    "ListObjects": listing.list_objects,
    "ListObjectsV2": listing.list_objects_v2,
    "ListObjectVersions": listing.list_versions,
}
_STREAMED = frozenset({"PutObject", "UploadPart"})
"""Operations whose body is the content of something."""
_COPIES = frozenset({"CopyObject", "UploadPartCopy"})


class S3(Plane):
    """The S3 endpoint of one region.

    Args:
        store: where objects are.
    """

    label: ClassVar[str] = "S3"
    read_ms: ClassVar[float] = 120.0
    change_ms: ClassVar[float] = 350.0

    def __init__(
        self,
        world: World,
        log: RequestLog,
        faults: Faults,
        changed: Callable[[], None],
        moto: Moto,
        store: Database,
    ) -> None:
        super().__init__(world, log, faults, changed)
        self.moto = moto
        self.buckets = Buckets(world, moto)
        self._store = store
        self._objects = Objects(world, store)
        self._uploads = Uploads(world, store, self._objects)
        self._operations: dict[str, Callable[[Call], Answer | Awaitable[Answer]]] = {
            **dict.fromkeys(_LISTS, self._list),
            **self._objects.operations,
            **self._uploads.operations,
        }

    # -- the way of a request ----------------------------------------------------------------------------------

    async def receive(self, request: web.Request) -> Message:
        """Read the request; what is to be stored goes to the store at once."""
        url = request.rel_url
        message = S3Message(request.method, url.raw_path, url.raw_query_string, request.headers, b"")
        if message.target.operation in _STREAMED:
            message.received = await receive(request, self._store)
        else:
            message.body = await request.read()
        return message

    def name(self, message: Message) -> tuple[str, bool]:
        """As in AWS's API: "CreateBucket"."""
        target = _as_s3(message).target
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
        elif kind == "denied":
            error = S3Error("AccessDenied", "Access Denied.")
        return error_answer(error, "/")

    async def answer(self, message: Message, operation: str) -> Answer:
        """Check the request as Scaleway does, then carry it out."""
        asked = _as_s3(message)
        target = asked.target
        if operation not in self._operations:
            await self.moto.ready()
        try:
            caller = caller_of(self.world, asked, target.region)
            check(target, asked)
            found = self._carry_out(caller, target, asked)
            return found if isinstance(found, Answer) else await found
        except S3Error as error:
            return error_answer(error, target.path, head=message.method == "HEAD")

    async def respond(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        """Send an answer; what is in files goes from there to the socket."""
        if not isinstance(answer, FileAnswer):
            return await super().respond(request, answer)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        for content, offset, size in answer.pieces:
            data = self._store.data(content)
            if data is not None:
                await response.write(data[offset : offset + size])
                continue
            if request.transport is None:
                raise ConnectionResetError
            with self._store.open(content) as file:
                await loop.sendfile(request.transport, file, offset, size)
        await response.write_eof()
        return response

    def done(self, message: Message) -> None:
        """Let go of what was read, and of a body that did not come to be kept."""
        asked = _as_s3(message)
        for content in asked.pinned:
            self._store.unpin(content)
        received = asked.received
        if received and not received.kept and received.data is None:
            self._store.discard(received.content)

    # -- operations --------------------------------------------------------------------------------------------

    def _carry_out(self, caller: Caller, target: Target, message: S3Message) -> Answer | Awaitable[Answer]:
        if target.operation in ("ListBuckets", "CreateBucket") and not caller.permitted(self.world, target):
            raise S3Error("AccessDenied", "Access Denied.")
        if not target.bucket:
            return self._configuration(caller, target, message, caller.project_id)
        if target.operation == "CreateBucket":
            return self._create(caller, target, message)
        bucket = self.buckets.find(target.bucket)
        if bucket is None:
            raise S3Error("NoSuchBucket", "The specified bucket does not exist", BucketName=target.bucket)
        authorize(self.world, caller, target, bucket)
        if carry_out := self._operations.get(target.operation):
            source = self._source(caller, message) if target.operation in _COPIES else None
            return carry_out(Call(message, bucket, settings_of(bucket), source))
        if target.key or target.operation == "PostObject":
            raise not_implemented()
        if target.part == "policy":
            return self._policy(target, message)
        if target.operation == "DeleteBucket" and self._objects.versions.any_of(target.bucket):
            raise S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty", BucketName=target.bucket)
        self._check_lock(target, settings_of(bucket).locked)
        found = self._configuration(caller, target, message, bucket["project_id"])
        if found.status < 300 and target.operation == "DeleteBucket":
            self.buckets.deleted(target.bucket)
            self._uploads.forget_bucket(target.bucket)
        elif found.status < 300 and target.mutating:
            self.buckets.configured(target, message)
        return found

    def _list(self, call: Call) -> Answer:
        query = listing.Query.of(call.name, str(call.bucket["project_id"]), call.message.arguments)
        return _LISTS[call.message.target.operation](self._objects.versions, query)

    def _source(self, caller: Caller, message: S3Message) -> Version:
        """What is copied; its bucket must be open to the caller too."""
        name, key, version_id = source_of(message)
        bucket = self.buckets.find(name)
        if bucket is None:
            raise S3Error("NoSuchBucket", "The specified bucket does not exist", BucketName=name)
        source = Target("GetObject", "", name, key, "", mutating=False, implemented=True)
        authorize(self.world, caller, source, bucket)
        return self._objects.source(name, key, version_id)

    @staticmethod
    def _check_lock(target: Target, locked: bool) -> None:
        if target.operation == "PutObjectLockConfiguration" and not locked:
            raise S3Error("InvalidBucketState", "Object Lock configuration cannot be enabled on existing buckets")
        if target.operation == "PutBucketVersioning" and locked:
            raise S3Error(
                "InvalidBucketState", "An Object Lock configuration is present on this bucket: versioning stays enabled"
            )

    def _create(self, caller: Caller, target: Target, message: S3Message) -> Answer:
        there = self.buckets.find(target.bucket)
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
        found = self.moto.s3("PUT", target.path, caller.project_id, message.headers, location(target.region))
        if found.status < 300:
            self.buckets.created(target, message, caller.project_id)
            return Answer(200, b"", {"Location": f"/{target.bucket}"})
        return _as_scaleway(found, caller, target)

    def _configuration(self, caller: Caller, target: Target, message: S3Message, project_id: str) -> Answer:
        """Have moto answer for a bucket as a whole, or for the list of them."""
        path = target.path + (f"?{message.query}" if message.query else "")
        found = self.moto.s3(message.method, path, project_id, message.headers, message.body)
        return _as_scaleway(found, caller, target)

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


def _as_s3(message: Message) -> S3Message:
    assert isinstance(message, S3Message)
    return message


def _as_scaleway(found: Answer, caller: Caller, target: Target) -> Answer:
    """Moto's answer with Scaleway's owners and errors."""
    if found.status >= 400 and found.body.lstrip().startswith(b"<"):
        code, text = (_element(found.body, name) for name in ("Code", "Message"))
        return error_answer(S3Error(code, text, BucketName=target.bucket), target.path, status=found.status)
    owner = f"{caller.project_id}:{caller.project_id}".encode()
    headers = {name: value for name, value in found.headers.items() if name.lower() not in ("server", "date")}
    if "xml" in headers.get("content-type", headers.get("Content-Type", "")):
        found = Answer(found.status, _MOTO_OWNERS.sub(owner, found.body))
        headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    return Answer(found.status, found.body, headers)


def _element(body: bytes, name: str) -> str:
    match = re.search(rf"<{name}>(.*?)</{name}>", body.decode(), re.DOTALL)
    return match[1] if match else ""
