"""A request for Object Storage, and the answer that may have its body in files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl, unquote

from emulator.dataplane.plane import Answer, Message
from emulator.dataplane.s3.database import Piece
from emulator.dataplane.s3.operations import Target, target_of
from emulator.dataplane.s3.received import Received
from emulator.dataplane.s3.refusals import STORAGE_CLASSES, S3Error
from emulator.dataplane.s3.versions import Facts, facts_of
from emulator.dataplane.s3.xml import parse

SYSTEM_HEADERS = frozenset({"cache-control", "content-disposition", "content-language", "content-type", "expires"}) | {
    "x-amz-website-redirect-location",
    "x-amz-acl",
}
MOST_TAGS = 10


@dataclass
class S3Message(Message):
    """One request.

    Attributes:
        received: the body, if it is the content of an object or of a part.
        pinned: contents that its answer reads.
    """

    received: Received | None = None
    pinned: list[int] = field(default_factory=list)

    @cached_property
    def target(self) -> Target:
        """What it is about."""
        return target_of(self)

    @cached_property
    def key(self) -> str:
        """The object's key, decoded."""
        return unquote(self.target.key)

    @property
    def version_id(self) -> str:
        """The version it names; "" for the latest."""
        return self.arguments.get("versionId", "")


@dataclass
class FileAnswer(Answer):
    """An answer whose body follows from the store.

    Attributes:
        pieces: in order.
    """

    pieces: tuple[Piece, ...] = ()


def facts_from(headers: Mapping[str, str], checksums: Mapping[str, str]) -> Facts:
    """What the headers of a write say of the object.

    Raises:
        S3Error: tags that are none.
    """
    kept = {
        name.lower(): value
        for name, value in headers.items()
        if name.lower() in SYSTEM_HEADERS or name.lower().startswith("x-amz-meta-")
    }
    codings = [coding.strip() for coding in headers.get("Content-Encoding", "").split(",")]
    if encoding := ",".join(coding for coding in codings if coding and coding != "aws-chunked"):
        kept["content-encoding"] = encoding
    kept.setdefault("content-type", "binary/octet-stream")
    pairs = parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)
    return facts_of(headers.get("x-amz-storage-class", STORAGE_CLASSES[0]), {**kept, **checksums}, checked_tags(pairs))


def tags_in(body: bytes) -> list[tuple[str, str]]:
    """The tags in a request's body.

    Raises:
        S3Error: they are none, or too many.
    """
    tags = parse(body).iter("Tag")
    return checked_tags([(tag.findtext("Key") or "", tag.findtext("Value") or "") for tag in tags])


def checked_tags(tags: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The tags, if an object may have them.

    Raises:
        S3Error: too many, too long, or one twice.
    """
    if len(tags) > MOST_TAGS:
        raise S3Error("BadRequest", f"Object tags cannot be greater than {MOST_TAGS}")
    if len(dict(tags)) < len(tags):
        raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key")
    if any(not 1 <= len(name) <= 128 or len(value) > 256 for name, value in tags):
        raise S3Error("InvalidTag", "The TagKey or TagValue you have provided is invalid")
    return sorted(tags)
