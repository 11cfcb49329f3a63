"""Lists of a bucket: objects and versions, a page at a time, folded where there is a delimiter."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from emulator.dataplane.plane import Answer
from emulator.dataplane.s3.refusals import S3Error
from emulator.dataplane.s3.versions import Version, Versions, written
from emulator.dataplane.s3.xml import document, element, optional

MOST = 1000
"""Entries on a page."""
FOLDING = 32
"""Keys that are read at a time where there is a delimiter, as most of them may be behind one prefix."""
_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")

Batch = Callable[[str, str, int, str, int], list[Version]]
"""`Versions.current` or `Versions.history`."""
_ANY = 1 << 62
"""Above the number of every version."""


@dataclass
class Page:
    """What one page holds.

    Attributes:
        versions: those that are shown one by one.
        prefixes: those that stand for everything that begins with them.
        after: the last key or prefix that was shown.
        last: the version that was shown last, if an entry of its own came last.
        truncated: there is more.
    """

    versions: list[Version] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    after: str = ""
    last: Version | None = None
    truncated: bool = False


@dataclass(frozen=True)
class Query:
    """What every list is asked for."""

    bucket: str
    owner: str
    prefix: str
    delimiter: str
    most: int
    encoded: bool
    arguments: Mapping[str, str]

    @classmethod
    def of(cls, bucket: str, owner: str, arguments: Mapping[str, str]) -> Query:
        """Read it.

        Raises:
            S3Error: a number or an encoding that there is not.
        """
        encoding = arguments.get("encoding-type", "")
        if encoding not in ("", "url"):
            raise S3Error("InvalidArgument", "Invalid Encoding Method specified in Request")
        most = limit_of(arguments, "max-keys")
        prefix, delimiter = arguments.get("prefix", ""), arguments.get("delimiter", "")
        return cls(bucket, owner, prefix, delimiter, most, encoding == "url", arguments)

    def name(self, text: str) -> str:
        """A key as the client wants it."""
        if not self.encoded or _PLAIN.fullmatch(text):
            return text
        return quote(text, safe="/")

    def key(self, text: str) -> str:
        """The element with a key."""
        # Most keys need neither an encoding nor an escape, and a page has a thousand.
        return f"<Key>{text}</Key>" if _PLAIN.fullmatch(text) else element("Key", self.name(text))

    def head(self) -> str:
        """What stands in front of every list."""
        return (
            element("Name", self.bucket)
            + element("Prefix", self.name(self.prefix))
            + optional("Delimiter", self.name(self.delimiter))
            + element("MaxKeys", self.most)
            + ("<EncodingType>url</EncodingType>" if self.encoded else "")
        )

    def prefixes(self, prefixes: Iterable[str]) -> str:
        """The entries that stand for more."""
        return "".join(f"<CommonPrefixes>{element('Prefix', self.name(one))}</CommonPrefixes>" for one in prefixes)

    def folded(self, key: str) -> str:
        """The prefix up to the delimiter that stands for this key; "" for a key that is shown itself."""
        at = key.find(self.delimiter, len(self.prefix)) if self.delimiter else -1
        return key[: at + len(self.delimiter)] if at >= 0 else ""

    def behind(self, marker: str) -> str:
        """Where to go on behind a marker: behind all that it stands for, if it is a folded prefix."""
        folds = marker.startswith(self.prefix) and self.folded(marker) == marker != ""
        return behind(marker) if folds else marker

    def holder(self) -> str:
        """The owner of everything in the bucket."""
        owner = f"{self.owner}:{self.owner}"
        return f"<Owner><ID>{owner}</ID><DisplayName>{owner}</DisplayName></Owner>"


def page_of(batch: Batch, query: Query, first: str, number: int) -> Page:
    """Collect a page.

    What a prefix stands for is read to the end of the batch at hand at most; then reading goes on behind it.

    Args:
        batch: reads on from a key.
        query: what is asked for.
        first: the least key that may be shown.
        number: of this key only versions that are older than this one.
    """
    page = Page()
    most, end = query.most, behind(query.prefix)
    first, number = (first, number) if first >= query.prefix else (query.prefix, _ANY)
    while most > 0:
        wanted = most + 1 - len(page.versions) - len(page.prefixes)
        if query.delimiter:
            wanted = min(wanted, FOLDING)
        found = batch(query.bucket, first, number, end, wanted)
        for version in found:
            folded = query.folded(version.key)
            if folded and page.prefixes and page.prefixes[-1] == folded:
                continue
            if len(page.versions) + len(page.prefixes) == most:
                page.truncated = True
                return page
            page.after, page.last = (folded, None) if folded else (version.key, version)
            if folded:
                page.prefixes.append(folded)
            else:
                page.versions.append(version)
        if len(found) < wanted:
            break
        first, number = found[-1].key, found[-1].number
        if folded := query.folded(first):
            first, number = behind(folded), _ANY
            if not first:
                break
    return page


def behind(prefix: str) -> str:
    """The least string that is greater than all that begin with this one; "" if there is none."""
    while prefix:
        code = ord(prefix[-1]) + 1
        if code <= 0x10FFFF:
            # Surrogates are no characters of their own.
            return prefix[:-1] + chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)
        prefix = prefix[:-1]
    return ""


def limit_of(arguments: Mapping[str, str], name: str) -> int:
    """How many entries a page may have.

    Raises:
        S3Error: it is no number.
    """
    text = arguments.get(name) or str(MOST)
    if not text.isdigit():
        raise S3Error("InvalidArgument", f"Provided {name} not an integer or within integer range")
    return min(int(text), MOST)


def list_objects(versions: Versions, query: Query) -> Answer:
    """ListObjects."""
    marker = query.arguments.get("marker", "")
    page = _objects(versions, query, marker)
    body = query.head() + element("Marker", query.name(marker)) + element("IsTruncated", page.truncated)
    if page.truncated and query.delimiter:
        body += element("NextMarker", query.name(page.after))
    body += "".join(_object(version, query, owned=True) for version in page.versions)
    return document("ListBucketResult", body + query.prefixes(page.prefixes))


def list_objects_v2(versions: Versions, query: Query) -> Answer:
    """ListObjectsV2."""
    token, start = query.arguments.get("continuation-token"), query.arguments.get("start-after", "")
    page = _objects(versions, query, _after(token) if token is not None else start)
    body = query.head() + element("KeyCount", len(page.versions) + len(page.prefixes))
    body += element("IsTruncated", page.truncated) + optional("StartAfter", query.name(start))
    body += optional("ContinuationToken", token or "")
    if page.truncated:
        body += element("NextContinuationToken", base64.urlsafe_b64encode(page.after.encode()).decode())
    owned = query.arguments.get("fetch-owner") == "true"
    body += "".join(_object(version, query, owned=owned) for version in page.versions)
    return document("ListBucketResult", body + query.prefixes(page.prefixes))


def list_versions(versions: Versions, query: Query) -> Answer:
    """ListObjectVersions."""
    key, version_id = (query.arguments.get(name, "") for name in ("key-marker", "version-id-marker"))
    number = 0
    if version_id:
        marker = versions.find(query.bucket, key, version_id)
        if not key or marker is None:
            raise S3Error("InvalidArgument", "Invalid version id specified")
        number = marker.number
    first = key if version_id else query.behind(key)
    page = page_of(versions.history, query, first, number if first == key else _ANY)
    body = query.head() + element("KeyMarker", query.name(key)) + element("VersionIdMarker", version_id)
    body += element("IsTruncated", page.truncated)
    if page.truncated:
        body += element("NextKeyMarker", query.name(page.after))
        body += element("NextVersionIdMarker", page.last.id) if page.last else ""
    body += "".join(_version(version, query) for version in page.versions)
    return document("ListVersionsResult", body + query.prefixes(page.prefixes))


def _objects(versions: Versions, query: Query, after: str) -> Page:
    first = query.behind(after)
    # No version has a number below 1: the key itself has been shown.
    return page_of(versions.current, query, first, 0 if first == after else _ANY)


def _after(token: str) -> str:
    try:
        return base64.b64decode(token, b"-_", validate=True).decode()
    except ValueError:
        raise S3Error("InvalidArgument", "The continuation token provided is incorrect") from None


def _object(version: Version, query: Query, *, owned: bool) -> str:
    return (
        f"<Contents>{query.key(version.key)}<LastModified>{written(version.modified)}</LastModified>"
        f"<ETag>&quot;{version.etag}&quot;</ETag><Size>{version.size}</Size>"
        f"{query.holder() if owned else ''}<StorageClass>{version.storage_class}</StorageClass></Contents>"
    )


def _version(version: Version, query: Query) -> str:
    kind = "DeleteMarker" if version.marker else "Version"
    content = "" if version.marker else f"<ETag>&quot;{version.etag}&quot;</ETag><Size>{version.size}</Size>"
    content += "" if version.marker else f"<StorageClass>{version.storage_class}</StorageClass>"
    return (
        f"<{kind}>{query.key(version.key)}<VersionId>{version.id}</VersionId>"
        f"{element('IsLatest', bool(version.latest))}<LastModified>{written(version.modified)}</LastModified>"
        f"{content}{query.holder()}</{kind}>"
    )
