"""Conditions and ranges of requests, decided from the object's tag and moment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from emulator.dataplane.s3.refusals import S3Error, not_implemented
from emulator.dataplane.s3.versions import Version

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def holds_for_reading(headers: Mapping[str, str], version: Version) -> bool:
    """Whether the object is to be sent; if not, the client has it already (304).

    Raises:
        S3Error: PreconditionFailed.
    """
    match, none_match = headers.get("If-Match"), headers.get("If-None-Match")
    since, unmodified = headers.get("If-Modified-Since"), headers.get("If-Unmodified-Since")
    if match is not None:
        if not _among(match, version.etag):
            raise failed("If-Match")
    elif unmodified is not None and _later(version, unmodified):
        raise failed("If-Unmodified-Since")
    if none_match is not None:
        return not _among(none_match, version.etag)
    return since is None or _later(version, since)


def check_copied(headers: Mapping[str, str], source: Version) -> None:
    """Refuse to copy an object that is not as the client thinks.

    Raises:
        S3Error: PreconditionFailed; a copy knows no 304.
    """
    names = {"If-Match": "if-match", "If-None-Match": "if-none-match"} | {
        "If-Modified-Since": "if-modified-since",
        "If-Unmodified-Since": "if-unmodified-since",
    }
    sent = {name: headers.get(f"x-amz-copy-source-{suffix}") for name, suffix in names.items()}
    if not holds_for_reading({name: value for name, value in sent.items() if value is not None}, source):
        raise failed("x-amz-copy-source-If-None-Match")


def check_written(headers: Mapping[str, str], there: Version | None) -> None:
    """Refuse to write where the client does not expect what is there.

    Raises:
        S3Error: PreconditionFailed; NoSuchKey where something must be and nothing is.
    """
    match, none_match = headers.get("If-Match"), headers.get("If-None-Match")
    absent = there is None or bool(there.marker)
    if none_match is not None:
        if none_match != "*":
            raise not_implemented()
        if not absent:
            raise failed("If-None-Match")
    if match is not None:
        if there is None or absent:
            raise S3Error("NoSuchKey", "The specified key does not exist.")
        if not _among(match, there.etag):
            raise failed("If-Match")


def range_of(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and number of bytes that are asked for; None for the whole, and for ranges that are none.

    Raises:
        S3Error: InvalidRange, nothing of it is in the object.
    """
    found = _RANGE.fullmatch((header or "").replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        wanted = min(int(found[2]), size)
        first, last = size - wanted, size - 1
    else:
        first, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
        if found[2] and int(found[2]) < first:
            return None
    if first >= size or last < first:
        raise S3Error("InvalidRange", "The requested range is not satisfiable", ActualObjectSize=str(size))
    return first, last - first + 1


def failed(condition: str) -> S3Error:
    """A condition does not hold."""
    return S3Error(
        "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", Condition=condition
    )


def _among(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag in (part.strip().removeprefix("W/").strip('"') for part in header.split(","))


def _later(version: Version, moment: str) -> bool:
    try:
        parsed = parsedate_to_datetime(moment)
    except ValueError:
        return True
    return int(version.modified) > (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
