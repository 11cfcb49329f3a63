"""Multipart uploads: parts wait in the index until they are put together, which moves none of their bytes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple
from xml.etree import ElementTree

from emulator.dataplane.plane import Answer
from emulator.dataplane.s3 import locks
from emulator.dataplane.s3.conditions import check_copied, check_written, range_of
from emulator.dataplane.s3.database import Database, Piece
from emulator.dataplane.s3.listing import Query, limit_of
from emulator.dataplane.s3.objects import Call, Objects, copied_too_large, identity
from emulator.dataplane.s3.received import CHECKSUMS, LARGEST
from emulator.dataplane.s3.refusals import STORAGE_CLASSES, S3Error, not_implemented
from emulator.dataplane.s3.request import facts_from
from emulator.dataplane.s3.versions import Content, Facts, Version, packed, slice_of, unpacked, written
from emulator.dataplane.s3.xml import document, element, optional, parse
from emulator.world import World

SMALLEST_PART = 5 << 20
"""Bytes of every part but the last (Scaleway API 7.1)."""
_READ = 1 << 20
_LAST = "~"
"""Behind every id of an upload."""
_CHECKSUM = "x-amz-checksum-"


class Upload(NamedTuple):
    """As in the index; see `Facts`."""

    id: str
    bucket: str
    key: str
    begun: float
    storage_class: str
    headers: str
    tags: str
    lock_mode: str
    lock_until: float
    legal_hold: int


class Part(NamedTuple):
    """As in the index.

    Attributes:
        pieces: as JSON, see `Piece`.
        headers: as JSON: its checksums.
    """

    upload: str
    number: int
    modified: float
    size: int
    etag: str
    pieces: str
    headers: str


class Uploads:
    """The multipart uploads of all buckets.

    Args:
        objects: where they end.
    """

    def __init__(self, world: World, store: Database, objects: Objects) -> None:
        self._world = world
        self._store = store
        self._objects = objects
        self.operations: dict[str, Callable[[Call], Answer | Awaitable[Answer]]] = {
            "CreateMultipartUpload": self._create,
            "UploadPart": self._put_part,
            "UploadPartCopy": self._copy_part,
            "CompleteMultipartUpload": self._complete,
            "AbortMultipartUpload": self._abort,
            "ListParts": self._list_parts,
            "ListMultipartUploads": self._list_uploads,
        }

    def forget_bucket(self, bucket: str) -> None:
        """Drop the uploads of a bucket that goes."""
        with self._store.transaction():
            for (upload_id,) in self._store.execute("SELECT id FROM uploads WHERE bucket = ?", (bucket,)).fetchall():
                self._forget(upload_id, self._parts(upload_id))

    def _create(self, call: Call) -> Answer:
        headers = call.message.headers
        if headers.get("x-amz-checksum-type", "COMPOSITE") != "COMPOSITE":
            raise not_implemented()
        facts = facts_from(headers, {})
        upload_id = uuid.uuid4().hex
        # A default retention counts from the completion on.
        lock = locks.lock_of(headers, replace(call.settings, mode=""), self._world.now())
        row = {"id": upload_id, "bucket": call.name, "key": call.message.key, "begun": self._world.now()}
        self._store.insert("uploads", {**row, **vars(facts), **vars(lock)})
        shown = {name: headers[name] for name in (f"{_CHECKSUM}algorithm", f"{_CHECKSUM}type") if name in headers}
        named = element("Bucket", call.name) + element("Key", call.message.key)
        return document("InitiateMultipartUploadResult", named + element("UploadId", upload_id), shown)

    # -- parts -------------------------------------------------------------------------------------------------

    def _put_part(self, call: Call) -> Answer:
        upload, received = self._upload(call), call.message.received
        assert received is not None
        received.check(call.message.headers)
        checksums = received.checksums(call.message.headers)
        with self._store.transaction():
            content = self._objects.keep(received)
            self._put(call, upload, content, checksums)
        return Answer(200, b"", {"ETag": f'"{content.etag}"', **checksums})

    async def _copy_part(self, call: Call) -> Answer:
        upload, source = self._upload(call), call.source
        assert source is not None
        check_copied(call.message.headers, source)
        wanted = range_of(call.message.headers.get("x-amz-copy-source-range"), source.size)
        first, size = wanted or (0, source.size)
        if size > LARGEST:
            raise copied_too_large()
        pieces = tuple(slice_of(source.content.pieces, first, size))
        with self._store.transaction():
            self._store.use(pieces)
        try:
            content = Content(pieces, size, await self._etag(source, pieces, whole=size == source.size))
            with self._store.transaction():
                self._put(call, upload, content, {})
        except BaseException:
            with self._store.transaction():
                self._store.release(pieces)
            raise
        body = element("LastModified", written(self._world.now())) + f"<ETag>&quot;{content.etag}&quot;</ETag>"
        return document("CopyPartResult", body)

    async def _etag(self, source: Version, pieces: tuple[Piece, ...], *, whole: bool) -> str:
        if whole and "-" not in source.etag:
            return source.etag
        digest = hashlib.md5()
        for content, offset, size in pieces:
            data = self._store.data(content)
            if data is not None:
                digest.update(data[offset : offset + size])
                continue
            await asyncio.to_thread(_hash_file, digest, self._store, Piece(content, offset, size))
        return digest.hexdigest()

    def _put(self, call: Call, upload: Upload, content: Content, checksums: dict[str, str]) -> None:
        number = int(call.message.arguments["partNumber"])
        found = self._store.execute("SELECT * FROM uploads WHERE id = ?", (upload.id,)).fetchone()
        if found is None:
            # Completed or aborted while the content was read.
            raise _no_upload()
        for row in self._store.execute(
            "SELECT * FROM parts WHERE upload = ? AND number = ?", (upload.id, number)
        ).fetchall():
            self._forget_part(Part._make(row))
        row = Part(
            upload.id,
            number,
            self._world.now(),
            content.size,
            content.etag,
            packed(content.pieces),
            json.dumps(checksums),
        )
        self._store.insert("parts", row._asdict())

    # -- the end -----------------------------------------------------------------------------------------------

    def _complete(self, call: Call) -> Answer:
        upload = self._upload(call)
        parts = self._parts(upload.id)
        chosen = _chosen(parse(call.message.body), {part.number: part for part in parts})
        check_written(call.message.headers, self._objects.versions.latest(call.name, call.message.key))
        pieces = tuple(piece for part in chosen for piece in unpacked(part.pieces))
        digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in chosen)).hexdigest()
        content = Content(pieces, sum(part.size for part in chosen), f"{digest}-{len(chosen)}")
        checksums = _composite(chosen)
        headers = json.dumps({**json.loads(upload.headers), **checksums})
        facts = Facts(
            upload.storage_class, headers, upload.tags, upload.lock_mode, upload.lock_until, upload.legal_hold
        )
        with self._store.transaction():
            self._store.use(pieces)
            version = self._objects.write(call, content, facts)
            self._forget(upload.id, parts)
        place = f"http://{call.message.headers.get('Host', '')}/{call.name}/{call.message.target.key}"
        body = element("Location", place) + element("Bucket", call.name) + element("Key", call.message.key)
        body += f"<ETag>&quot;{content.etag}&quot;</ETag>"
        body += "".join(element(_element(name), value) for name, value in checksums.items())
        return document("CompleteMultipartUploadResult", body, identity(version))

    def _abort(self, call: Call) -> Answer:
        upload = self._upload(call)
        with self._store.transaction():
            self._forget(upload.id, self._parts(upload.id))
        return Answer(204)

    # -- lists -------------------------------------------------------------------------------------------------

    def _list_parts(self, call: Call) -> Answer:
        upload, arguments = self._upload(call), call.message.arguments
        most = limit_of(arguments, "max-parts")
        after = int(arguments.get("part-number-marker") or 0)
        parts = [part for part in self._parts(upload.id) if part.number > after]
        page = parts[:most]
        body = element("Bucket", call.name) + element("Key", upload.key) + element("UploadId", upload.id)
        body += element("StorageClass", upload.storage_class) + element("PartNumberMarker", after)
        body += element("NextPartNumberMarker", page[-1].number if page else 0) + element("MaxParts", most)
        body += element("IsTruncated", len(parts) > most > 0) + "".join(_part(part) for part in page)
        return document("ListPartsResult", body)

    def _list_uploads(self, call: Call) -> Answer:
        arguments = call.message.arguments
        query = Query.of(call.name, str(call.bucket["project_id"]), arguments)
        most = limit_of(arguments, "max-uploads")
        key, upload_id = arguments.get("key-marker", ""), arguments.get("upload-id-marker", "")
        first = key if upload_id else query.behind(key)
        rows = self._store.execute(
            "SELECT * FROM uploads WHERE bucket = ? AND (key > ? OR (key = ? AND id > ?)) ORDER BY key, id",
            (call.name, first, first, upload_id if first == key and upload_id else _LAST if first == key else ""),
        )
        uploads = [upload for upload in map(Upload._make, rows) if upload.key.startswith(query.prefix)]
        folded: dict[str, None] = {}
        single: list[Upload] = []
        truncated, last, last_id = False, "", ""
        for upload in uploads:
            prefix = query.folded(upload.key)
            if prefix not in folded and len(folded) + len(single) == most:
                truncated = True
                break
            last, last_id = (prefix, "") if prefix else (upload.key, upload.id)
            if prefix:
                folded[prefix] = None
            else:
                single.append(upload)
        body = element("Bucket", call.name) + element("KeyMarker", query.name(key))
        body += element("UploadIdMarker", upload_id) + element("Prefix", query.name(query.prefix))
        body += optional("Delimiter", query.name(query.delimiter)) + element("MaxUploads", most)
        body += "<EncodingType>url</EncodingType>" if query.encoded else ""
        if truncated:
            body += element("NextKeyMarker", query.name(last)) + element("NextUploadIdMarker", last_id)
        body += element("IsTruncated", truncated) + "".join(_upload(upload, query) for upload in single)
        body += query.prefixes(folded)
        return document("ListMultipartUploadsResult", body)

    # -- rows --------------------------------------------------------------------------------------------------

    def _upload(self, call: Call) -> Upload:
        upload_id = call.message.arguments.get("uploadId", "")
        row = self._store.execute(
            "SELECT * FROM uploads WHERE id = ? AND bucket = ? AND key = ?", (upload_id, call.name, call.message.key)
        ).fetchone()
        if row is None:
            raise _no_upload()
        return Upload._make(row)

    def _parts(self, upload_id: str) -> list[Part]:
        rows = self._store.execute("SELECT * FROM parts WHERE upload = ? ORDER BY number", (upload_id,))
        return [Part._make(row) for row in rows.fetchall()]

    def _forget(self, upload_id: str, parts: list[Part]) -> None:
        for part in parts:
            self._forget_part(part)
        self._store.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))

    def _forget_part(self, part: Part) -> None:
        self._store.execute("DELETE FROM parts WHERE upload = ? AND number = ?", (part.upload, part.number))
        self._store.release(unpacked(part.pieces))


def _chosen(root: ElementTree.Element, there: dict[int, Part]) -> list[Part]:
    """The parts that a completion names.

    Raises:
        S3Error: it names them in another order, or one that is not there or is another one.
    """
    chosen: list[Part] = []
    for item in root.iter("Part"):
        part = there.get(int(item.findtext("PartNumber") or 0))
        named = {_element(name): value for name, value in (json.loads(part.headers) if part else {}).items()}
        same = all(item.findtext(name, value) == value for name, value in named.items())
        if part is None or (item.findtext("ETag") or "").strip('"') != part.etag or not same:
            raise S3Error(
                "InvalidPart",
                "One or more of the specified parts could not be found. The part may not have been uploaded, or the "
                "specified entity tag may not match the part's entity tag.",
            )
        if chosen and part.number <= chosen[-1].number:
            raise S3Error("InvalidPartOrder", "The list of parts was not in ascending order.")
        chosen.append(part)
    if not chosen:
        raise S3Error("MalformedXML", "The XML you provided was not well-formed or did not validate")
    if any(part.size < SMALLEST_PART for part in chosen[:-1]):
        raise S3Error("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
    return chosen


def _composite(parts: list[Part]) -> dict[str, str]:
    """The checksums that all parts have, as one of the whole: the checksum of their checksums."""
    listed: list[dict[str, str]] = [json.loads(part.headers) for part in parts]
    found = {}
    for name in set.intersection(*(set(checksums) for checksums in listed)):
        digest = CHECKSUMS[name.removeprefix(_CHECKSUM)]()
        for checksums in listed:
            digest.update(base64.b64decode(checksums[name]))
        found[name] = f"{base64.b64encode(digest.digest()).decode()}-{len(parts)}"
    return found


def _element(header: str) -> str:
    return f"Checksum{header.removeprefix(_CHECKSUM).upper()}"


def _part(part: Part) -> str:
    checksums = "".join(element(_element(name), value) for name, value in json.loads(part.headers).items())
    return (
        f"<Part>{element('PartNumber', part.number)}{element('LastModified', written(part.modified))}"
        f"<ETag>&quot;{part.etag}&quot;</ETag>{element('Size', part.size)}{checksums}</Part>"
    )


def _upload(upload: Upload, query: Query) -> str:
    return (
        f"<Upload>{element('Key', query.name(upload.key))}{element('UploadId', upload.id)}{query.holder()}"
        f"{element('StorageClass', upload.storage_class or STORAGE_CLASSES[0])}"
        f"{element('Initiated', written(upload.begun))}</Upload>"
    )


def _no_upload() -> S3Error:
    return S3Error(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.",
    )


def _hash_file(digest: hashlib._Hash, store: Database, piece: Piece) -> None:
    with store.open(piece.content) as file:
        file.seek(piece.offset)
        left = piece.size
        while left and (data := file.read(min(left, _READ))):
            digest.update(data)
            left -= len(data)
