"""S3 for many small requests: botocore signs, aiohttp carries, and nothing between them costs a millisecond each.

What boto3 does about a request besides takes four times the processor time that Object Storage needs to answer it.
Listings are read here, too: boto3 tells versions and delete markers apart, and loses in which order they were written.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from io import SEEK_END, BytesIO
from typing import IO, Any, Literal, TypeVar
from urllib.parse import quote, unquote_plus, urlencode
from xml.etree import ElementTree

import aiohttp
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, HTTPClientError
from yarl import URL

from activities.backup.objects.loop import loop
from activities.cloud import Cloud
from activities.transport import READ_SECONDS
from blueprint.backup.objects import ObjectVersion
from blueprint.errors import Unavailable
from telemetry import calls

CONNECTIONS = 32
"""Most requests at a time: a copy takes Object Storage tens of milliseconds, whoever waits for it."""
_FEWEST = 8
_PER_SECOND = 5000
"""Requests that Python can make; more on their way would only wait for it."""
_LOOKS = 3
"""Requests that tell how far away Object Storage is: the shortest one counts."""
_PAUSES = (0.1, 0.2, 0.4, 0.8)
"""Seconds before each repetition of a request. All can be repeated, and one of a hundred thousand must not begin all
anew."""
_LONGEST_PAUSE = 20.0
"""Seconds that Object Storage may ask for before a repetition."""
_UNSAID = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")
"""Characters that do not come through XML as they are."""
_NO_WAY = (429, 500, 502, 503, 504)
_Method = Literal["GET", "HEAD", "PUT", "POST", "DELETE"]
_Page = list[ObjectVersion]
_CHUNK = 1 << 20
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What Object Storage said.

    Attributes:
        status: of HTTP.
        headers: by name, whatever its case.
        body: all of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """Requests to the Object Storage of one region, as one project.

    Attributes:
        region: where.

    Args:
        cloud: of the region and the project.
    """

    def __init__(self, cloud: Cloud) -> None:
        settings = cloud.settings
        self.region = cloud.region
        self._closed = False
        self._endpoint = cloud.s3.meta.endpoint_url.rstrip("/")
        key = Credentials(f"{settings.access_key}@{cloud.project_id}", settings.secret_key.get_secret_value())
        self._signer = S3SigV4Auth(key, "s3", cloud.region)
        self._pace = settings.pace
        self._session = loop().session
        self._connections = asyncio.Semaphore(CONNECTIONS)

    def close(self) -> None:
        """Carry nothing more."""
        self._closed = True

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin something that sends requests; what comes of it."""
        return loop().start(work)

    def result(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes of something that sends requests. Only for those who are not on the loop themselves."""
        return loop().result(work)

    async def send(
        self,
        method: _Method,
        bucket: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | IO[bytes] = b"",
        take: Callable[[aiohttp.ClientResponse], Awaitable[bytes]] = aiohttp.ClientResponse.read,
    ) -> Answer:
        """The good answer to a request; several times, if it has to be.

        Args:
            take: reads the body of a good answer; a broken one is followed by another, from the start.

        Raises:
            ClientError: Object Storage says no, as boto3 would tell it.
            HTTPClientError: there is no answer.
            Unavailable: it was closed.
        """
        path = quote(f"/{bucket}/{key}" if key else f"/{bucket}", safe="/~")
        if query:
            path += "?" + urlencode(query, quote_via=quote)
        with calls.http(f"S3/{method}", method, self._endpoint + path, system="aws-api") as call:
            for attempt, pause in enumerate((*_PAUSES, None)):
                told = 0.0
                try:
                    answer = await self._once(method, path, headers or {}, body, take)
                    if answer.status not in _NO_WAY or pause is None:
                        call.answered(answer.status, resent=attempt)
                        break
                    told = _told_to_wait(answer)
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    if pause is None:
                        raise HTTPClientError(error=type(error).__name__) from None
                await asyncio.sleep(max(pause * self._pace, told))
        # A copy that failed after it began is answered with 200 and an error in the body.
        if answer.status >= 300 or (method in ("PUT", "POST") and b"<Error>" in answer.body[:200]):
            raise _refusal(method, path, answer)
        return answer

    async def _once(
        self,
        method: _Method,
        path: str,
        headers: Mapping[str, str],
        body: bytes | IO[bytes],
        take: Callable[[aiohttp.ClientResponse], Awaitable[bytes]],
    ) -> Answer:
        async with self._connections:
            if self._closed:
                raise Unavailable("given up with everything else", subject=path)
            url = self._endpoint + path
            content = BytesIO(body) if isinstance(body, bytes) else body
            length = {"Content-Length": str(_rewound(content))} if body else {}
            request = AWSRequest(method=method, url=url, headers=dict(headers), data=body)
            request.context["has_streaming_input"] = True
            self._signer.add_auth(request)
            sent = dict(request.headers.items()) | length
            asking = self._answered(method, URL(url, encoded=True), sent, content if body else None, take)
            return await (asking if method in ("GET", "HEAD") else _to_its_end(asking))

    async def _answered(
        self,
        method: _Method,
        url: URL,
        headers: Mapping[str, str],
        body: IO[bytes] | None,
        take: Callable[[aiohttp.ClientResponse], Awaitable[bytes]],
    ) -> Answer:
        # aiohttp limits how long an answer may take, but not how long one may take nothing of a body.
        async with (
            asyncio.timeout(READ_SECONDS if body else None) as limit,
            self._session.request(
                method, url, headers=headers, data=_read(body, limit) if body else None, allow_redirects=False
            ) as response,
        ):
            read = take if response.status < 300 else aiohttp.ClientResponse.read
            return Answer(response.status, response.headers, await read(response))

    async def tell(self, method: _Method, bucket: str, key: str = "", **arguments: Any) -> ElementTree.Element:
        """The answer to a request as XML, without name spaces."""
        return _xml((await self.send(method, bucket, key, **arguments)).body)

    async def pages(self, bucket: str, prefix: str = "", *, versions: bool = False) -> AsyncIterator[_Page]:
        """The objects whose key starts so, by key, a page at a time.

        Args:
            versions: all versions and delete markers instead, of a key the newest first.
        """
        query = {"prefix": prefix, "encoding-type": "url"} | ({"versions": ""} if versions else {"list-type": "2"})
        kinds = ("Version", "DeleteMarker") if versions else ("Contents",)
        while True:
            page = await self.tell("GET", bucket, query=query)
            yield [_object(item) for item in page if item.tag in kinds]
            if page.findtext("IsTruncated") != "true":
                return
            if versions:
                query["key-marker"] = unquote_plus(page.findtext("NextKeyMarker", ""))
                query["version-id-marker"] = page.findtext("NextVersionIdMarker", "")
            else:
                query["continuation-token"] = page.findtext("NextContinuationToken", "")

    def list(self, bucket: str, prefix: str = "", *, versions: bool = False) -> Iterator[ObjectVersion]:
        """See `pages`, one at a time. The next page is asked for while one is read."""
        pages = self.pages(bucket, prefix, versions=versions)

        async def following() -> _Page | None:
            return await anext(pages, None)

        coming = self.start(following())
        while (page := coming.result()) is not None:
            coming = self.start(following())
            yield from page

    async def delete(self, bucket: str, objects: Iterable[ObjectVersion]) -> Sequence[str]:
        """Delete up to 1000 objects, each in that version if it has one; the keys that a lock keeps.

        Raises:
            ClientError: something else than a lock keeps one.
        """
        plain, kept = list[ObjectVersion](), list[str]()
        for found in objects:
            if _UNSAID.search(found.key):
                kept += await self._delete_one(bucket, found)
            else:
                plain.append(found)
        if not plain:
            return kept
        wanted = [
            ("Object", {"Key": found.key} | ({"VersionId": found.version} if found.version else {})) for found in plain
        ]
        body = xml("Delete", [*wanted, ("Quiet", "true")])
        checksum = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        answer = await self.tell("POST", bucket, query={"delete": ""}, headers={"Content-MD5": checksum}, body=body)
        for error in answer.iter("Error"):
            told = {name: error.findtext(name, "") for name in ("Code", "Message", "Key")}
            if told["Code"] == "AccessDenied":
                kept.append(told["Key"])
            elif told["Code"] not in ("NoSuchKey", "NoSuchVersion"):
                response: Any = {"Error": told, "ResponseMetadata": {"HTTPStatusCode": 500}}
                raise ClientError(response, f"delete {told['Key']}")
        return kept

    async def _delete_one(self, bucket: str, found: ObjectVersion) -> Sequence[str]:
        """Delete an object whose key XML would change, or not carry at all: another one could be meant."""
        try:
            await self.send("DELETE", bucket, found.key, {"versionId": found.version} if found.version else None)
        except ClientError as error:
            if code_of(error) == "AccessDenied":
                return [found.key]
            if code_of(error) not in ("NoSuchKey", "NoSuchVersion"):
                raise
        return []

    async def width(self, bucket: str) -> int:
        """How many requests should be on their way at a time: as many as the distance needs."""
        took = []
        for _ in range(_LOOKS):
            began = time.perf_counter()
            await self.send("HEAD", bucket)
            took.append(time.perf_counter() - began)
        return min(CONNECTIONS, max(_FEWEST, round(min(took) * _PER_SECOND)))

    async def now(self, bucket: str) -> float:
        """Object Storage's time, seconds since the epoch."""
        return parsedate_to_datetime((await self.send("HEAD", bucket)).headers["Date"]).timestamp()

    async def is_versioned(self, bucket: str) -> bool:
        """Whether the bucket keeps versions, or once did."""
        return (await self.tell("GET", bucket, query={"versioning": ""})).find("Status") is not None


async def _to_its_end(asking: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer to something that changes what is there: called off, it would still happen, and later than now."""
    task = asyncio.create_task(asking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _told_to_wait(answer: Answer) -> float:
    """Seconds that Object Storage wants to pass before the next request."""
    told = answer.headers.get("Retry-After", "")
    return min(float(told), _LONGEST_PAUSE) if told.isdecimal() else 0.0


def _rewound(content: IO[bytes]) -> int:
    """How long it is; it will be read from its start: by the signer, which goes back there, and then by HTTP."""
    size = content.seek(0, SEEK_END)
    content.seek(0)
    return size


async def _read(content: IO[bytes], limit: asyncio.Timeout) -> AsyncIterator[bytes]:
    """Piece by piece, each of which has to be taken in time."""
    while chunk := content.read(_CHUNK):
        limit.reschedule(asyncio.get_running_loop().time() + READ_SECONDS)
        yield chunk
    limit.reschedule(None)


def code_of(error: ClientError) -> str:
    """How S3 calls what went wrong; the status if it does not say."""
    return str(error.response.get("Error", {}).get("Code", ""))


def xml(root: str, items: Iterable[tuple[str, Mapping[str, str] | str]]) -> bytes:
    """A body with a flat list of things."""
    top = ElementTree.Element(root)
    for name, fields in items:
        item = ElementTree.SubElement(top, name)
        if isinstance(fields, str):
            item.text = fields
            continue
        for field, value in fields.items():
            ElementTree.SubElement(item, field).text = value
    return bytes(ElementTree.tostring(top, "utf-8"))


def _object(item: ElementTree.Element) -> ObjectVersion:
    told = {field.tag: field.text or "" for field in item}
    version = told.get("VersionId", "")
    return ObjectVersion(
        key=unquote_plus(told["Key"]),
        version="" if version == "null" else version,
        etag=told.get("ETag", "").strip('"'),
        size=int(told.get("Size", 0)),
        modified=datetime.fromisoformat(told["LastModified"]).timestamp(),
        latest=told.get("IsLatest", "true") == "true",
        marker=item.tag == "DeleteMarker",
    )


def _xml(body: bytes) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise HTTPClientError(error="an answer that is not XML") from None
    for item in root.iter():
        item.tag = item.tag.rpartition("}")[2]
    return root


def _refusal(method: str, path: str, answer: Answer) -> ClientError:
    told = {"Code": str(answer.status), "Message": ""}
    body = answer.body
    if body.lstrip().startswith(b"<"):
        error = _xml(body)
        told = {name: error.findtext(name) or told[name] for name in told}
    told["Message"] += f" ({method} {path})"
    status = answer.status if answer.status >= 300 else 500
    response: Any = {"Error": told, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, _operation(method, path))


def _operation(method: str, path: str) -> str:
    """As boto3 would call it, as far as permissions go."""
    place, _, query = path.partition("?")
    if query.startswith("delete"):
        return "DeleteObjects"
    if method == "HEAD" and "/" not in place.strip("/"):
        return "HeadBucket"
    return f"{method.title()}Object"
