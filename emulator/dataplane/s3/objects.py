"""Operations on objects: put, get, copy, delete, and what can be said of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from emulator.dataplane.plane import Answer
from emulator.dataplane.s3 import locks
from emulator.dataplane.s3.conditions import check_copied, check_written, holds_for_reading, range_of
from emulator.dataplane.s3.database import Database, Piece
from emulator.dataplane.s3.received import LARGEST, Received
from emulator.dataplane.s3.refusals import S3Error, not_implemented
from emulator.dataplane.s3.request import FileAnswer, S3Message, facts_from, tags_in
from emulator.dataplane.s3.versions import (
    NULL,
    Content,
    Facts,
    Version,
    Versions,
    http_date,
    slice_of,
    written,
)
from emulator.dataplane.s3.xml import document, element, optional, parse

if TYPE_CHECKING:
    from emulator.world import Document, World

MOST_DELETED = 1000
"""Objects in one DeleteObjects."""
RESTORED = 'ongoing-request="false"'


@dataclass(frozen=True)
class Call:
    """A request that has been let in.

    Attributes:
        message: as it came.
        bucket: the bucket's document.
        settings: what that means for its objects.
        source: of a copy: the version to copy from.
    """

    message: S3Message
    bucket: Document
    settings: locks.Settings
    source: Version | None = None

    @property
    def name(self) -> str:
        """The bucket's name."""
        return str(self.bucket["name"])


class Objects:
    """The objects of all buckets.

    Args:
        world: for its clock.
    """

    def __init__(self, world: World, store: Database) -> None:
        self._world = world
        self._store = store
        self.versions = Versions(store)
        self.operations: dict[str, Callable[[Call], Answer]] = {
            "PutObject": self._put,
            "CopyObject": self._copy,
            "GetObject": self._get,
            "HeadObject": self._get,
            "DeleteObject": self._delete,
            "DeleteObjects": self._delete_many,
            "GetObjectTagging": self._tags,
            "PutObjectTagging": self._set_tags,
            "DeleteObjectTagging": self._set_tags,
            "GetObjectRetention": self._retention,
            "PutObjectRetention": self._set_retention,
            "GetObjectLegalHold": self._legal_hold,
            "PutObjectLegalHold": self._set_legal_hold,
            "GetObjectAcl": self._acl,
            "GetObjectAttributes": self._attributes,
            "RestoreObject": self._restore,
        }

    # -- writing -----------------------------------------------------------------------------------------------

    def _put(self, call: Call) -> Answer:
        received = call.message.received
        assert received is not None
        received.check(call.message.headers)
        check_written(call.message.headers, self.versions.latest(call.name, call.message.key))
        checksums = received.checksums(call.message.headers)
        facts = facts_from(call.message.headers, checksums)
        with self._store.transaction():
            version = self.write(call, self.keep(received), facts)
        return Answer(200, b"", {"ETag": f'"{version.etag}"', **checksums, **identity(version)})

    def keep(self, received: Received) -> Content:
        """A body as content, with its first user. Within a transaction."""
        self._store.keep(received.content, received.data)
        received.kept = True
        return Content((Piece(received.content, 0, received.size),), received.size, received.digests["md5"].hex())

    def write(self, call: Call, content: Content, facts: Facts) -> Version:
        """Put a version of the object that is called, locked as it is asked or as the bucket's default says."""
        now = self._world.now()
        if not facts.lock_mode and not facts.legal_hold:
            facts = replace(facts, **vars(locks.lock_of(call.message.headers, call.settings, now)))
        return self.versions.write(call.name, call.message.key, content, facts, now, versioned=call.settings.versioned)

    def _copy(self, call: Call) -> Answer:
        source, headers = call.source, call.message.headers
        assert source is not None
        check_copied(headers, source)
        if source.size > LARGEST:
            raise copied_too_large()
        if "If-Match" in headers or "If-None-Match" in headers:
            raise not_implemented()
        replaced = headers.get("x-amz-metadata-directive", "COPY") == "REPLACE"
        same = (source.bucket, source.key) == (call.name, call.message.key) and source.latest
        if same and not replaced and "x-amz-storage-class" not in headers:
            raise S3Error(
                "InvalidRequest",
                "This copy request is illegal because it is trying to copy an object to itself without changing the "
                "object's metadata, storage class, website redirect location or encryption attributes.",
            )
        facts = self._copied_facts(call, source, replaced=replaced)
        content = source.content
        with self._store.transaction():
            self._store.use(content.pieces)
            version = self.write(call, content, facts)
        body = element("LastModified", written(version.modified)) + f"<ETag>&quot;{version.etag}&quot;</ETag>"
        shown = identity(version)
        if source.id != NULL:
            shown["x-amz-copy-source-version-id"] = source.id
        return document("CopyObjectResult", body, shown)

    @staticmethod
    def _copied_facts(call: Call, source: Version, *, replaced: bool) -> Facts:
        """The source's facts, or the request's in their place; locks are never copied."""
        headers = call.message.headers
        there: dict[str, str] = json.loads(source.headers)
        there.pop("x-amz-restore", None)
        checksums = {name: value for name, value in there.items() if name.startswith("x-amz-checksum-")}
        wanted = facts_from(headers, checksums)
        tagged = headers.get("x-amz-tagging-directive", "COPY") == "REPLACE"
        return Facts(
            wanted.storage_class,
            wanted.headers if replaced else json.dumps(there),
            wanted.tags if tagged else source.tags,
        )

    # -- reading -----------------------------------------------------------------------------------------------

    def found(self, bucket: str, key: str, version_id: str) -> Version:
        """The version that is meant.

        Raises:
            S3Error: it is not there, or is a delete marker.
        """
        version = self.versions.find(bucket, key, version_id) if version_id else self.versions.latest(bucket, key)
        if version is None and version_id:
            raise S3Error("NoSuchVersion", "The specified version does not exist.", Key=key, VersionId=version_id)
        if version is None or (version.marker and not version_id):
            headers = {"x-amz-delete-marker": "true", "x-amz-version-id": version.id} if version else {}
            raise S3Error("NoSuchKey", "The specified key does not exist.", headers, Key=key)
        if version.marker:
            headers = {"x-amz-delete-marker": "true", "x-amz-version-id": version.id}
            raise S3Error("MethodNotAllowed", "The specified method is not allowed against this resource.", headers)
        return version

    def _meant(self, call: Call) -> Version:
        return self.found(call.name, call.message.key, call.message.version_id)

    def _get(self, call: Call) -> Answer:
        version, message = self._meant(call), call.message
        headers = self._described(version, message)
        if not holds_for_reading(message.headers, version):
            return Answer(304, b"", headers)
        if "partNumber" in message.arguments:
            raise not_implemented()
        if message.method == "GET" and version.storage_class == "GLACIER" and "x-amz-restore" not in version.headers:
            raise S3Error("InvalidObjectState", "The operation is not valid for the object's storage class")
        wanted = range_of(message.headers.get("Range"), version.size)
        first, size = wanted or (0, version.size)
        headers["Content-Length"] = str(size)
        if wanted:
            headers["Content-Range"] = f"bytes {first}-{first + size - 1}/{version.size}"
        elif message.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers |= {n: v for n, v in json.loads(version.headers).items() if n.startswith("x-amz-checksum-")}
        status = 206 if wanted else 200
        if message.method == "HEAD":
            return Answer(status, b"", headers)
        pieces = tuple(slice_of(version.content.pieces, first, size))
        if len(pieces) == 1 and (data := self._store.data(pieces[0].content)) is not None:
            _, offset, length = pieces[0]
            return Answer(status, data if length == len(data) else data[offset : offset + length], headers)
        for piece in pieces:
            self._store.pin(piece.content)
            message.pinned.append(piece.content)
        return FileAnswer(status, b"", headers, pieces)

    @staticmethod
    def _described(version: Version, message: S3Message) -> dict[str, str]:
        kept: dict[str, str] = json.loads(version.headers)
        headers = {name: value for name, value in kept.items() if not name.startswith(("x-amz-checksum-", "x-amz-acl"))}
        headers |= {
            "ETag": f'"{version.etag}"',
            "Last-Modified": http_date(int(version.modified)),
            "Accept-Ranges": "bytes",
            **identity(version),
            **locks.shown(version),
        }
        if version.storage_class != "STANDARD":
            headers["x-amz-storage-class"] = version.storage_class
        if version.tags != "[]":
            headers["x-amz-tagging-count"] = str(len(json.loads(version.tags)))
        for name, value in message.arguments.items():
            if name.startswith("response-"):
                headers[name.removeprefix("response-")] = value
        return headers

    # -- deleting ----------------------------------------------------------------------------------------------

    def _delete(self, call: Call) -> Answer:
        with self._store.transaction():
            return Answer(204, b"", self._deleted(call, call.message.key, call.message.version_id))

    def _deleted(self, call: Call, key: str, version_id: str) -> dict[str, str]:
        """Delete an object or one version of it; what the answer says in its headers. Nothing to delete is well."""
        if version_id:
            version = self.versions.find(call.name, key, version_id)
            if version is None:
                return {"x-amz-version-id": version_id}
            if locks.protected(version, call.message.headers, self._world.now()):
                raise locks.locked_error()
            self.versions.remove(version)
            marked = {"x-amz-delete-marker": "true"} if version.marker else {}
            return {"x-amz-version-id": version_id, **marked}
        if call.settings.versioning:
            marker = self.versions.mark_deleted(call.name, key, self._world.now(), versioned=call.settings.versioned)
            return {"x-amz-version-id": marker.id, "x-amz-delete-marker": "true"}
        if version := self.versions.latest(call.name, key):
            self.versions.remove(version)
        return {}

    def _delete_many(self, call: Call) -> Answer:
        root = parse(call.message.body)
        wanted = [(item.findtext("Key") or "", item.findtext("VersionId") or "") for item in root.iter("Object")]
        if not 1 <= len(wanted) <= MOST_DELETED:
            raise S3Error("MalformedXML", "The XML you provided was not well-formed or did not validate")
        quiet = (root.findtext("Quiet") or "").lower() == "true"
        lines = []
        with self._store.transaction():
            for key, version_id in wanted:
                named = element("Key", key) + optional("VersionId", version_id)
                try:
                    done = self._deleted(call, key, version_id)
                except S3Error as error:
                    told = element("Code", error.code) + element("Message", error.message)
                    lines.append(f"<Error>{named}{told}</Error>")
                    continue
                if "x-amz-delete-marker" in done:
                    named += "<DeleteMarker>true</DeleteMarker>"
                    named += element("DeleteMarkerVersionId", done["x-amz-version-id"])
                if not quiet:
                    lines.append(f"<Deleted>{named}</Deleted>")
        return document("DeleteResult", "".join(lines))

    # -- tags, locks and the rest ------------------------------------------------------------------------------

    def _tags(self, call: Call) -> Answer:
        version = self._meant(call)
        tags = "".join(
            f"<Tag>{element('Key', name)}{element('Value', value)}</Tag>" for name, value in json.loads(version.tags)
        )
        return document("Tagging", f"<TagSet>{tags}</TagSet>", identity(version))

    def _set_tags(self, call: Call) -> Answer:
        version = self._meant(call)
        tags = tags_in(call.message.body) if call.message.method == "PUT" else []
        self.versions.change(version, tags=json.dumps(tags))
        return Answer(200 if call.message.method == "PUT" else 204, b"", identity(version))

    def _retention(self, call: Call) -> Answer:
        version = self._locked(call)
        if not version.lock_mode:
            text = "The specified object does not have a ObjectLock configuration"
            raise S3Error("NoSuchObjectLockConfiguration", text)
        until = element("RetainUntilDate", locks.iso(version.lock_until))
        return document("Retention", element("Mode", version.lock_mode) + until)

    def _set_retention(self, call: Call) -> Answer:
        version, message = self._meant(call), call.message
        mode, until = locks.retention_wanted(message.body, version, message.headers, call.settings, self._world.now())
        self.versions.change(version, lock_mode=mode, lock_until=until)
        return Answer()

    def _legal_hold(self, call: Call) -> Answer:
        return document("LegalHold", element("Status", "ON" if self._locked(call).legal_hold else "OFF"))

    def _set_legal_hold(self, call: Call) -> Answer:
        version = self._meant(call)
        self.versions.change(version, legal_hold=locks.hold_wanted(call.message.body, call.settings))
        return Answer()

    def _locked(self, call: Call) -> Version:
        if not call.settings.locked:
            raise S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration")
        return self._meant(call)

    def _acl(self, call: Call) -> Answer:
        self._meant(call)
        owner = f"{call.bucket['project_id']}:{call.bucket['project_id']}"
        holder = element("ID", owner) + element("DisplayName", owner)
        grantee = (
            '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
            f"{holder}</Grantee><Permission>FULL_CONTROL</Permission>"
        )
        grants = f"<AccessControlList><Grant>{grantee}</Grant></AccessControlList>"
        return document("AccessControlPolicy", f"<Owner>{holder}</Owner>{grants}")

    def _attributes(self, call: Call) -> Answer:
        version = self._meant(call)
        wanted = call.message.headers.get("x-amz-object-attributes", "")
        shown = {"ETag": version.etag, "ObjectSize": version.size, "StorageClass": version.storage_class}
        body = "".join(element(name, value) for name, value in shown.items() if name in wanted)
        headers = {"Last-Modified": http_date(int(version.modified)), **identity(version)}
        return document("GetObjectAttributesResponse", body, headers)

    def _restore(self, call: Call) -> Answer:
        """A restoration takes no time here."""
        version = self._meant(call)
        if version.storage_class != "GLACIER":
            raise S3Error("InvalidObjectState", "Restore is not allowed for the object's current storage class")
        headers = {**json.loads(version.headers), "x-amz-restore": RESTORED}
        self.versions.change(version, headers=json.dumps(headers))
        return Answer(202)

    # -- sources of copies -------------------------------------------------------------------------------------

    def source(self, bucket: str, key: str, version_id: str) -> Version:
        """The version that is copied from."""
        version = self.found(bucket, key, version_id)
        if version.storage_class == "GLACIER" and "x-amz-restore" not in version.headers:
            raise S3Error("InvalidObjectState", "The operation is not valid for the object's storage class")
        return version


def source_of(message: S3Message) -> tuple[str, str, str]:
    """Bucket, key and version that a copy is from."""
    text, _, version_id = message.headers["x-amz-copy-source"].partition("?versionId=")
    bucket, _, key = unquote(text).lstrip("/").partition("/")
    return bucket, key, version_id


def identity(version: Version) -> dict[str, str]:
    """The version's id, as headers; none for one that was written without versioning."""
    return {} if version.id == NULL else {"x-amz-version-id": version.id}


def copied_too_large() -> S3Error:
    """More than one request may copy."""
    return S3Error(
        "InvalidRequest",
        f"The specified copy source is larger than the maximum allowable size for a copy source: {LARGEST}",
    )
