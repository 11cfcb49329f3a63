"""S3 for many small requests: botocore signs, urllib3 carries, and nothing between them costs a millisecond each.

What boto3 does about a request besides takes four times the processor time that Object Storage needs to answer it.
Listings are read here, too: boto3 tells versions and delete markers apart, and loses in which order they were written.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any, Literal
from urllib.parse import quote, unquote_plus, urlencode
from xml.etree import ElementTree

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, HTTPClientError

from activities.cloud import Cloud
from activities.transport import CONNECT_SECONDS, READ_SECONDS
from blueprint.backup.objects import ObjectVersion
from blueprint.errors import Unavailable
from telemetry import calls

CONNECTIONS = 32
"""Most requests at a time: a copy takes Object Storage tens of milliseconds, whoever waits for it."""
_FEWEST = 8
_PER_SECOND = 3000
"""Requests that Python can make; threads that are more than those on their way only wait for its one lock."""
_LOOKS = 3
"""Requests that tell how far away Object Storage is: the shortest one counts."""
_ATTEMPTS = 5
"""Of one request. Every request here can be repeated, and one of a hundred thousand must not begin all anew."""
_PAUSE = 0.1
"""Seconds before the second repetition; doubled for each further one."""
_UNSAID = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")
"""Characters that do not come through XML as they are."""
_NO_WAY = (429, 500, 502, 503, 504)
_Method = Literal["GET", "HEAD", "PUT", "POST", "DELETE"]


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
        self._endpoint = cloud.s3.meta.endpoint_url
        key = Credentials(f"{settings.access_key}@{cloud.project_id}", settings.secret_key.get_secret_value())
        self._signer = S3SigV4Auth(key, "s3", cloud.region)
        self._pool = urllib3.connection_from_url(
            self._endpoint,
            maxsize=CONNECTIONS,
            block=True,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            retries=urllib3.Retry(
                total=_ATTEMPTS - 1,
                backoff_factor=_PAUSE * settings.pace,
                status_forcelist=_NO_WAY,
                allowed_methods=None,
                raise_on_status=False,
            ),
        )

    def close(self) -> None:
        """Let its connections go, and carry nothing more."""
        self._closed = True
        self._pool.close()

    def send(
        self,
        method: _Method,
        bucket: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | IO[bytes] = b"",
        *,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """The good answer to a request; several times, if it has to be.

        Args:
            stream: leave the body of the answer on the connection, to be read and released.

        Raises:
            ClientError: Object Storage says no, as boto3 would tell it.
            HTTPClientError: there is no answer.
            Unavailable: it was closed.
        """
        if self._closed:
            raise Unavailable("given up with everything else", subject=f"{bucket}/{key}")
        path = quote(f"/{bucket}/{key}" if key else f"/{bucket}", safe="/~")
        if query:
            path += "?" + urlencode(query, quote_via=quote)
        request = AWSRequest(method=method, url=self._endpoint + path, headers=dict(headers or {}), data=body)
        request.context["has_streaming_input"] = True
        self._signer.add_auth(request)
        try:
            with calls.http(f"S3/{method}", method, self._endpoint + path, system="aws-api") as call:
                answer = self._pool.urlopen(
                    method, path, body or None, dict(request.headers.items()), preload_content=not stream
                )
                call.answered(answer.status, resent=len(answer.retries.history) if answer.retries else 0)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise HTTPClientError(error=type(error).__name__) from None
        # A copy that failed after it began is answered with 200 and an error in the body.
        if answer.status >= 300 or (method in ("PUT", "POST") and b"<Error>" in answer.data[:200]):
            raise _refusal(method, path, answer)
        return answer

    def tell(self, method: _Method, bucket: str, key: str = "", **arguments: Any) -> ElementTree.Element:
        """The answer to a request as XML, without name spaces."""
        return _xml(self.send(method, bucket, key, **arguments).data)

    def pages(self, bucket: str, prefix: str = "", *, versions: bool = False) -> Iterator[list[ObjectVersion]]:
        """The objects whose key starts so, by key, a page at a time.

        Args:
            versions: all versions and delete markers instead, of a key the newest first.
        """
        query = {"prefix": prefix, "encoding-type": "url"} | ({"versions": ""} if versions else {"list-type": "2"})
        kinds = ("Version", "DeleteMarker") if versions else ("Contents",)
        while True:
            page = self.tell("GET", bucket, query=query)
            yield [_object(item) for item in page if item.tag in kinds]
            if page.findtext("IsTruncated") != "true":
                return
            if versions:
                query["key-marker"] = unquote_plus(page.findtext("NextKeyMarker", ""))
                query["version-id-marker"] = page.findtext("NextVersionIdMarker", "")
            else:
                query["continuation-token"] = page.findtext("NextContinuationToken", "")

    def list(self, bucket: str, prefix: str = "", *, versions: bool = False) -> Iterator[ObjectVersion]:
        """See `pages`, one at a time."""
        for page in self.pages(bucket, prefix, versions=versions):
            yield from page

    def delete(self, bucket: str, objects: Iterable[ObjectVersion]) -> Sequence[str]:
        """Delete up to 1000 objects, each in that version if it has one; the keys that a lock keeps.

        Raises:
            ClientError: something else than a lock keeps one.
        """
        plain, kept = list[ObjectVersion](), list[str]()
        for found in objects:
            if _UNSAID.search(found.key):
                kept += self._delete_one(bucket, found)
            else:
                plain.append(found)
        if not plain:
            return kept
        wanted = [
            ("Object", {"Key": found.key} | ({"VersionId": found.version} if found.version else {})) for found in plain
        ]
        body = xml("Delete", [*wanted, ("Quiet", "true")])
        checksum = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        answer = self.tell("POST", bucket, query={"delete": ""}, headers={"Content-MD5": checksum}, body=body)
        for error in answer.iter("Error"):
            told = {name: error.findtext(name, "") for name in ("Code", "Message", "Key")}
            if told["Code"] == "AccessDenied":
                kept.append(told["Key"])
            elif told["Code"] not in ("NoSuchKey", "NoSuchVersion"):
                response: Any = {"Error": told, "ResponseMetadata": {"HTTPStatusCode": 500}}
                raise ClientError(response, f"delete {told['Key']}")
        return kept

    def _delete_one(self, bucket: str, found: ObjectVersion) -> Sequence[str]:
        """Delete an object whose key XML would change, or not carry at all: another one could be meant."""
        try:
            self.send("DELETE", bucket, found.key, {"versionId": found.version} if found.version else None)
        except ClientError as error:
            if code_of(error) == "AccessDenied":
                return [found.key]
            if code_of(error) not in ("NoSuchKey", "NoSuchVersion"):
                raise
        return []

    def width(self, bucket: str) -> int:
        """How many requests should be on their way at a time: as many as the distance needs."""
        took = []
        for _ in range(_LOOKS):
            began = time.perf_counter()
            self.send("HEAD", bucket)
            took.append(time.perf_counter() - began)
        return min(CONNECTIONS, max(_FEWEST, round(min(took) * _PER_SECOND)))

    def now(self, bucket: str) -> float:
        """Object Storage's time, seconds since the epoch."""
        return parsedate_to_datetime(self.send("HEAD", bucket).headers["Date"]).timestamp()

    def is_versioned(self, bucket: str) -> bool:
        """Whether the bucket keeps versions, or once did."""
        return self.tell("GET", bucket, query={"versioning": ""}).find("Status") is not None


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


def _refusal(method: str, path: str, answer: urllib3.BaseHTTPResponse) -> ClientError:
    told = {"Code": str(answer.status), "Message": ""}
    body = answer.data
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
