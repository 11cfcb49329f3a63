"""One object to another place: inside Object Storage where it can do that itself, through the worker elsewhere."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp
from botocore.exceptions import ClientError

from activities.backup.objects.wire import Wire, code_of, xml
from blueprint.backup.objects import AT_ONCE, etag_of_parts, part_size
from blueprint.errors import Damaged, Refused, Unavailable

_CARRIED = ("Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires")
_META = "x-amz-meta-"
_OTHER = ("PreconditionFailed", "NoSuchKey", "NoSuchVersion", "404", "412")
"""How S3 says that the object is not the one that was meant, or is no longer there."""
_NO_UPLOAD = "NoSuchUpload"
_UNSAYABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
"""Characters that can come in a header and that aiohttp sends in none: surrogates are bytes that are not UTF-8."""
_IN_MEMORY = 4 << 20
"""Bytes of an object on its way that are held in memory; the rest of it waits in a temporary file."""
_CHUNK = 1 << 20
_LANES = 4
"""Parts of one object at a time."""


class OtherObject(Exception):
    """The object to copy is not the one that was meant: it was written again, or is gone."""


@dataclass(frozen=True)
class Place:
    """An object, or where one shall be.

    Attributes:
        wire: the way there.
        bucket: its name.
        key: its key.
        version: its id; the current one if empty, the one without an id if "null".
    """

    wire: Wire
    bucket: str
    key: str
    version: str = ""

    @property
    def query(self) -> dict[str, str]:
        """What a request says to mean this version."""
        return {"versionId": self.version} if self.version else {}


@dataclass(frozen=True)
class Shown:
    """What belongs to an object besides its content.

    Attributes:
        headers: content type and the like, and its own metadata.
        tags: by name.
    """

    headers: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def sent(self) -> dict[str, str]:
        """The headers that make another object so."""
        return self.headers | ({"x-amz-tagging": urlencode(self.tags, quote_via=quote)} if self.tags else {})


async def look_at(place: Place) -> tuple[str, Shown]:
    """An object's ETag and what belongs to it.

    Raises:
        OtherObject: it is gone.
    """
    with _other_object():
        answer = await place.wire.send("HEAD", place.bucket, place.key, place.query)
        return answer.headers["ETag"].strip('"'), await _shown(place, answer.headers)


async def copy(
    source: Place, etag: str, size: int, target: Place, *, inside: bool, upload: str = "", proof: str = ""
) -> str:
    """Copy an object with all that belongs to it.

    Args:
        source: what is copied.
        etag: the source's: no other content is copied.
        size: the source's, in bytes.
        target: where to.
        inside: whether Object Storage can copy it by itself.
        upload: of an earlier attempt, to go on with.
        proof: ETag that the copy must have, if that is known.

    Returns:
        ETag of the copy.

    Raises:
        OtherObject: the source was written again, or is gone.
        Damaged: the copy would not be what the source was.
    """
    if size > AT_ONCE:
        return await _Upload(source, etag, size, target, inside).run(upload, proof)
    with _other_object():
        if inside:
            answer = await target.wire.tell("PUT", target.bucket, target.key, headers=_condition(source, etag))
            return answer.findtext("ETag", "").strip('"')
        async with _fetched(source, etag, 0, size) as (content, digest, headers):
            sent = _said_again(source, await _shown(source, headers)) | {"Content-MD5": digest}
            answered = await target.wire.send("PUT", target.bucket, target.key, headers=sent, body=content)
            return answered.headers["ETag"].strip('"')


class Begun(NamedTuple):
    """An upload in parts that was not ended."""

    key: str
    id: str
    at: float
    """Seconds since the epoch, by the clock of Object Storage."""


async def uploads_in(wire: Wire, bucket: str, prefix: str) -> list[Begun]:
    """Uploads that were begun and not ended."""
    query, found = {"uploads": "", "prefix": prefix}, list[Begun]()
    while True:
        page = await wire.tell("GET", bucket, query=query)
        for item in page.iter("Upload"):
            key, upload, at = (item.findtext(name, "") for name in ("Key", "UploadId", "Initiated"))
            found.append(Begun(key, upload, datetime.fromisoformat(at).timestamp()))
        if page.findtext("IsTruncated") != "true":
            return found
        query["key-marker"] = page.findtext("NextKeyMarker", "")
        query["upload-id-marker"] = page.findtext("NextUploadIdMarker", "")


async def abort(wire: Wire, bucket: str, upload: Begun) -> None:
    """Give an upload up, and what it has so far."""
    try:
        await wire.send("DELETE", bucket, upload.key, {"uploadId": upload.id})
    except ClientError as error:
        if code_of(error) != _NO_UPLOAD:
            raise


class _Upload:
    """A copy in parts."""

    def __init__(self, source: Place, etag: str, size: int, target: Place, inside: bool) -> None:
        self._source, self._etag, self._size, self._target, self._inside = source, etag, size, target, inside

    async def run(self, upload: str, proof: str) -> str:
        known = await self._parts(upload) if upload else None
        if known is None:
            upload, known = await self._begin(), {}
        step = part_size(self._size)
        missing = [n for n in range(-(-self._size // step)) if known.get(n + 1, ("", 0))[1] != self._length(n, step)]
        try:
            made = dict(zip(missing, await self._made(upload, step, missing), strict=True))
        except OtherObject:
            await self._abort(upload)
            raise
        etags = [made.get(n) or known[n + 1][0] for n in range(-(-self._size // step))]
        found = etag_of_parts(etags)
        if proof and found != proof:
            await self._abort(upload)
            raise Damaged(f"its parts make {found}, and it was {proof}", subject=self._source.key)
        return await self._complete(upload, etags, found)

    async def _made(self, upload: str, step: int, missing: list[int]) -> list[str]:
        """Make these parts; their ETags. If one fails, the others end before that is told."""
        lanes = asyncio.Semaphore(_LANES)

        async def made(number: int) -> str:
            async with lanes:
                return await self._carry(upload, step, number)

        parts = [asyncio.create_task(made(number)) for number in missing]
        try:
            return await asyncio.gather(*parts)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _begin(self) -> str:
        headers = _said_again(self._source, (await look_at(self._source))[1])
        target = self._target
        answer = await target.wire.tell("POST", target.bucket, target.key, query={"uploads": ""}, headers=headers)
        return answer.findtext("UploadId", "")

    def _length(self, number: int, step: int) -> int:
        return min(step, self._size - number * step)

    async def _carry(self, upload: str, step: int, number: int) -> str:
        """Make one part; its ETag."""
        target, first, length = self._target, number * step, self._length(number, step)
        query = {"partNumber": str(number + 1), "uploadId": upload}
        with _other_object():
            if self._inside:
                headers = _condition(self._source, self._etag) | {
                    "x-amz-copy-source-range": f"bytes={first}-{first + length - 1}"
                }
                answer = await target.wire.tell("PUT", target.bucket, target.key, query=query, headers=headers)
                return answer.findtext("ETag", "").strip('"')
            async with _fetched(self._source, self._etag, first, length) as (content, digest, _):
                headers = {"Content-MD5": digest}
                answered = await target.wire.send("PUT", target.bucket, target.key, query, headers, content)
                return answered.headers["ETag"].strip('"')

    async def _parts(self, upload: str) -> dict[int, tuple[str, int]] | None:
        """ETag and size of the parts that are there, by number; None if the upload is not."""
        query, found = {"uploadId": upload}, {}
        while True:
            try:
                page = await self._target.wire.tell("GET", self._target.bucket, self._target.key, query=query)
            except ClientError as error:
                if code_of(error) == _NO_UPLOAD:
                    return None
                raise
            for part in page.iter("Part"):
                number, size = (int(part.findtext(name, "0")) for name in ("PartNumber", "Size"))
                found[number] = (part.findtext("ETag", "").strip('"'), size)
            if page.findtext("IsTruncated") != "true":
                return found
            query["part-number-marker"] = page.findtext("NextPartNumberMarker", "")

    async def _complete(self, upload: str, etags: list[str], expected: str) -> str:
        target = self._target
        parts = [("Part", {"PartNumber": str(n), "ETag": f'"{etag}"'}) for n, etag in enumerate(etags, 1)]
        body = xml("CompleteMultipartUpload", parts)
        try:
            answer = await target.wire.tell("POST", target.bucket, target.key, query={"uploadId": upload}, body=body)
            return answer.findtext("ETag", "").strip('"')
        except ClientError as error:
            # The answer to an earlier completion may have been lost.
            if code_of(error) == _NO_UPLOAD and (await look_at(target))[0] == expected:
                return expected
            raise

    async def _abort(self, upload: str) -> None:
        await abort(self._target.wire, self._target.bucket, Begun(self._target.key, upload, 0.0))


def _condition(source: Place, etag: str) -> dict[str, str]:
    version = f"?versionId={quote(source.version)}" if source.version else ""
    return {
        "x-amz-copy-source": quote(f"/{source.bucket}/{source.key}", safe="/~") + version,
        "x-amz-copy-source-if-match": f'"{etag}"',
    }


@asynccontextmanager
async def _fetched(
    source: Place, etag: str, first: int, length: int
) -> AsyncIterator[tuple[IO[bytes], str, Mapping[str, str]]]:
    """A piece of an object, its MD5 in base64, and the headers that came with it."""
    headers = {"If-Match": f'"{etag}"'}
    if length:
        headers["Range"] = f"bytes={first}-{first + length - 1}"
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as content:
        digest = hashlib.md5(usedforsecurity=False)

        async def take(response: aiohttp.ClientResponse) -> bytes:
            nonlocal digest
            digest = hashlib.md5(usedforsecurity=False)
            content.seek(0)
            content.truncate()
            async for chunk in response.content.iter_chunked(_CHUNK):
                digest.update(chunk)
                _keep(content, chunk, source.key)
            return b""

        answer = await source.wire.send("GET", source.bucket, source.key, source.query, headers, take=take)
        if content.tell() != length:
            raise Unavailable(f"an answer ended after {content.tell()} of {length} bytes", subject=source.key)
        yield content, base64.b64encode(digest.digest()).decode(), answer.headers


def _keep(content: IO[bytes], chunk: bytes, key: str) -> None:
    try:
        content.write(chunk)
    except OSError as error:
        raise Unavailable(
            f"the worker cannot keep it on its way: {error.strerror}",
            subject=key,
            remedy="free some space where the worker's temporary files are",
        ) from None


async def _shown(place: Place, headers: Mapping[str, str]) -> Shown:
    kept = {name: headers[name] for name in _CARRIED if name in headers}
    kept |= {name.lower(): value for name, value in headers.items() if name.lower().startswith(_META)}
    if not int(headers.get("x-amz-tagging-count", "0")):
        return Shown(kept)
    answer = await place.wire.tell("GET", place.bucket, place.key, query={"tagging": ""} | place.query)
    return Shown(kept, {tag.findtext("Key", ""): tag.findtext("Value", "") for tag in answer.iter("Tag")})


def _said_again(source: Place, shown: Shown) -> dict[str, str]:
    """The headers that make a copy be as its source."""
    for name, value in shown.sent.items():
        if _UNSAYABLE.search(value):
            raise Refused(
                f"its header {name} is neither UTF-8 nor free of control characters: {value!a}",
                subject=f"{source.bucket}/{source.key}",
                remedy="write it with other metadata, then retry",
            )
    return shown.sent


@contextmanager
def _other_object() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        match code_of(error):
            case code if code in _OTHER:
                raise OtherObject from None
            case code if code == _NO_UPLOAD:
                raise Unavailable("another attempt gave the upload up", remedy="retry") from None
            case "InvalidObjectState":
                raise Refused(
                    f"Object Storage keeps it in an archive: {error}",
                    remedy="bring it back to the class STANDARD, then retry",
                ) from None
        raise
