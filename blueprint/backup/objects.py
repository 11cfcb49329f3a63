"""A bucket's objects: what a backup's list says of them, and what a restore does about each. Pure.

A list has a line of JSON for every version, in the order in which S3 lists them: by key, then the newest first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal, NamedTuple

from blueprint.backup import layout
from blueprint.backup.catalogue import Entry
from blueprint.backup.site import Store
from blueprint.errors import Damaged, RestoreRefused

AT_ONCE = 64 << 20
"""Bytes of the largest object that one request carries; larger ones go in parts."""
MOST_PARTS = 1000
"""Of one upload: Scaleway's limit, a tenth of that of AWS."""

BEFORE_RESTORE = "before restore"
"""Reason of a backup of what a restore is about to write over: nobody wanted it so."""

YOUNG = 2.0
"""Seconds within which an object can change again and look the same in a listing."""


class ObjectVersion(NamedTuple):
    """One version of an object, or the object itself in a bucket that keeps none."""

    key: str
    version: str = ""
    """Its id; empty for one without, which S3 calls "null"."""
    etag: str = ""
    """In its bucket, without quotes."""
    size: int = 0
    """Bytes."""
    modified: float = 0.0
    """When it was written, seconds since the epoch, by its bucket's clock."""
    latest: bool = True
    """Whether it was the current one."""
    marker: bool = False
    """Whether it only says that the object was deleted."""
    blob: str = ""
    """Digest that names its copy in the store, see `layout.blob`; empty for a marker."""
    blob_etag: str = ""
    """That of the copy: another one if the two were written in different pieces."""


Difference = Literal["same", "look", "restore", "newer"]
"""What a restore does about a key: nothing; compare what no listing shows; write it; tell that it was not there."""


def digest(object: ObjectVersion, salt: str = "") -> str:
    """Name of the copy of a version: another one whenever its content or its metadata may be others.

    Args:
        salt: of a backup that shall not share its copy with others.
    """
    told = (object.key, object.version, object.etag, str(object.size), repr(object.modified), salt)
    return hashlib.sha256("\0".join(told).encode()).hexdigest()


def is_young(object: ObjectVersion, point: float) -> bool:
    """Whether it was written so shortly before the listing that a later change may look like no change.

    Its content cannot change unseen, but its metadata can, so its copy is not shared with later backups. What has
    a version id never changes.
    """
    return not object.version and object.modified > point - YOUNG


def line(object: ObjectVersion) -> str:
    """The version as a line of a list, which leaves out what is as usual."""
    told = {
        name: value
        for name, value, usual in zip(object._fields, object, _USUAL, strict=True)
        if value != usual and (name != "blob_etag" or value != object.etag)
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False) + "\n"


def parsed(lines: Iterable[str], subject: str) -> Iterator[ObjectVersion]:
    """The versions of a list.

    Raises:
        Damaged: it is none.
    """
    try:
        for text in lines:
            found = ObjectVersion(**json.loads(text))
            yield found if found.blob_etag or found.marker else found._replace(blob_etag=found.etag)
    except (ValueError, TypeError):
        raise Damaged("the list of objects cannot be read", subject=subject) from None


def recorded(listed: Iterable[ObjectVersion], before: Iterable[ObjectVersion]) -> Iterator[tuple[ObjectVersion, str]]:
    """What is listed now, each with the ETag that its copy has according to an earlier list; empty if that is none.

    Both come in order of their keys, and neither is held in memory.
    """
    earlier = groupby(before, key=lambda found: found.key)
    key, those = next(earlier, (None, iter(())))
    for now, versions in groupby(listed, key=lambda found: found.key):
        while key is not None and key < now:
            key, those = next(earlier, (None, iter(())))
        known = {found.blob: found.blob_etag for found in those} if key == now else {}
        for found in versions:
            yield found, known.get(found.blob, "")


def at_point(versions: Iterable[ObjectVersion], at: float | None = None) -> Iterator[ObjectVersion]:
    """The objects that there were at a moment, by key.

    Args:
        versions: a list, or a part of one that has all versions of its keys.
        at: the moment; that of the list itself if None.
    """
    for _, those in groupby(versions, key=lambda found: found.key):
        if at is None:
            found = next((one for one in those if one.latest), None)
        else:
            # The current one comes first, and S3 keeps the order of writing also where moments are the same.
            found = next((one for one in those if one.modified <= at), None)
        if found and not found.marker:
            yield found


def sampled(objects: Iterable[ObjectVersion], of: int, count: int) -> Iterator[ObjectVersion]:
    """Some of the objects, evenly over all.

    Args:
        of: how many there are.
        count: how many are wanted; all if 0.
    """
    if not count or count >= of:
        yield from objects
        return
    for index, found in enumerate(objects):
        # A new one whenever the share that is passed reaches the next whole number.
        if (index + 1) * count // of > index * count // of:
            yield found


def side_by_side(
    wanted: Iterable[ObjectVersion], live: Iterable[ObjectVersion]
) -> Iterator[tuple[ObjectVersion | None, ObjectVersion | None]]:
    """What was and what is of each key. Both come in order of their keys, and neither is held in memory."""
    ours, theirs = iter(wanted), iter(live)
    left, right = next(ours, None), next(theirs, None)
    while left or right:
        if right is None or (left and left.key < right.key):
            yield left, None
            left = next(ours, None)
        elif left is None or right.key < left.key:
            yield None, right
            right = next(theirs, None)
        else:
            yield left, right
            left, right = next(ours, None), next(theirs, None)


def difference(wanted: ObjectVersion | None, live: ObjectVersion | None) -> Difference:
    """What a restore does about a key."""
    if wanted is None:
        return "newer"
    if live is None or live.size != wanted.size or live.etag not in (wanted.etag, wanted.blob_etag):
        return "restore"
    # The content is the same. If it was written since, then perhaps with other metadata, or by an earlier restore.
    return "same" if (live.etag, live.modified) == (wanted.etag, wanted.modified) else "look"


def backup_for(entries: Iterable[Entry], at: float | None) -> Entry:
    """The backup of a bucket that knows best what there was at a moment, and is not known to be bad.

    Args:
        entries: the bucket's backups.
        at: the moment; if None the newest backup, but not one of what a restore was about to write over.

    Raises:
        RestoreRefused: none does.
    """
    usable = sorted((entry for entry in entries if entry.state != "bad"), key=lambda entry: entry.point)
    if not usable:
        raise RestoreRefused(
            "there is no backup of it that is not known to be bad",
            remedy="`scaleway-infra backups` lists what there is",
        )
    if at is None:
        return next((entry for entry in reversed(usable) if entry.reason != BEFORE_RESTORE), usable[-1])
    # The first one after it has every version of then, and its lifecycle had the least time to remove one.
    if covering := next((entry for entry in usable if entry.point >= at and entry.versioned), None):
        return covering
    if before := [entry for entry in usable if entry.point <= at]:
        return before[-1]
    raise RestoreRefused(
        f"no backup is as old as that, and the oldest, {usable[0].id}, knows no earlier versions",
        subject=usable[0].asset,
        remedy="choose a later moment",
    )


def part_size(size: int) -> int:
    """Bytes of each part of an object that goes in parts.

    By rule: so a copy of a copy has the same parts, and thereby the same ETag.
    """
    return max(AT_ONCE, -(-size // MOST_PARTS))


def etag_of_parts(etags: Iterable[str]) -> str:
    """ETag of an object that was put together from parts with these."""
    found = list(etags)
    joined = b"".join(bytes.fromhex(etag) for etag in found)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(found)}"


def require_scratch(store: Store, prefix: str) -> None:
    """See that a prefix of the store's bucket can only be that of a drill.

    Raises:
        RestoreRefused: a backup could be there.
    """
    start = layout.scratch(store)
    if not prefix.startswith(start) or len(prefix) == len(start):
        raise RestoreRefused(
            f"is not a scratch prefix, such as {start}20261126T143005Z-3f2a/: nothing is done there", subject=prefix
        )


_USUAL = (*(ObjectVersion._field_defaults.get(name) for name in ObjectVersion._fields),)
