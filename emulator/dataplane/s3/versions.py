"""Versions of objects in the index: which is the latest, what a write puts in its place, what a deletion leaves."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from time import gmtime, strftime
from typing import Any, NamedTuple

from emulator.dataplane.s3.database import Database, Piece

NULL = "null"
"""The id of a version that was written without versioning."""


@dataclass(frozen=True)
class Facts:
    """What a client says of an object, besides its content.

    Attributes:
        headers: as JSON: system headers, `x-amz-meta-*` and checksums, as they go back.
        tags: as JSON: a list of pairs.
        lock_mode: "GOVERNANCE" or "COMPLIANCE"; "" for an object that no retention protects.
        lock_until: seconds since the epoch; 0 without retention.
        legal_hold: 1 while it is on.
    """

    storage_class: str
    headers: str
    tags: str
    lock_mode: str = ""
    lock_until: float = 0.0
    legal_hold: int = 0


@dataclass(frozen=True)
class Content:
    """What an object consists of.

    Attributes:
        etag: without quotes.
    """

    pieces: tuple[Piece, ...]
    size: int
    etag: str


class Version(NamedTuple):
    """One version of an object, or a delete marker. As in the index; see `Facts` and `Content` for what they share.

    Attributes:
        number: later versions have greater ones.
        modified: seconds since the epoch.
        pieces: as JSON: triples, see `Piece`.
    """

    number: int
    bucket: str
    key: str
    id: str
    latest: int
    marker: int
    modified: float
    size: int
    etag: str
    storage_class: str
    pieces: str
    headers: str
    tags: str
    lock_mode: str
    lock_until: float
    legal_hold: int

    @property
    def content(self) -> Content:
        """What it consists of."""
        return Content(unpacked(self.pieces), self.size, self.etag)

    @property
    def facts(self) -> Facts:
        """What was said of it."""
        return Facts(self.storage_class, self.headers, self.tags, self.lock_mode, self.lock_until, self.legal_hold)


COLUMNS = ", ".join(Version._fields)
_OF_KEY = f"SELECT {COLUMNS} FROM versions WHERE bucket = ? AND key = ?"


class Versions:
    """The versions in a store."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def latest(self, bucket: str, key: str) -> Version | None:
        """The latest version, which may be a delete marker; None if there is none at all."""
        row = self._store.execute(f"{_OF_KEY} AND latest", (bucket, key)).fetchone()
        return Version._make(row) if row else None

    def find(self, bucket: str, key: str, version_id: str) -> Version | None:
        """A certain version."""
        row = self._store.execute(f"{_OF_KEY} AND id = ?", (bucket, key, version_id)).fetchone()
        return Version._make(row) if row else None

    def any_of(self, bucket: str) -> bool:
        """Whether the bucket has a version or a delete marker."""
        return self._store.execute("SELECT 1 FROM versions WHERE bucket = ? LIMIT 1", (bucket,)).fetchone() is not None

    def write(
        self, bucket: str, key: str, content: Content, facts: Facts, modified: float, *, versioned: bool
    ) -> Version:
        """Put a version on top; without versioning it takes the place of the one that was written so before.

        The content's users must have been counted. Within a transaction.
        """
        return self._put(bucket, key, content, facts, modified, versioned=versioned, marker=False)

    def mark_deleted(self, bucket: str, key: str, modified: float, *, versioned: bool) -> Version:
        """Put a delete marker on top. Within a transaction."""
        nothing, facts = Content((), 0, ""), Facts("STANDARD", "{}", "[]")
        return self._put(bucket, key, nothing, facts, modified, versioned=versioned, marker=True)

    def _put(
        self, bucket: str, key: str, content: Content, facts: Facts, modified: float, *, versioned: bool, marker: bool
    ) -> Version:
        replaced = None if versioned else self.find(bucket, key, NULL)
        if replaced:
            self._forget(replaced)
        if versioned or not (replaced and replaced.latest):
            self._store.execute("UPDATE versions SET latest = 0 WHERE bucket = ? AND key = ? AND latest", (bucket, key))
        row: dict[str, Any] = {
            "bucket": bucket,
            "key": key,
            "id": uuid.uuid4().hex if versioned else NULL,
            "latest": 1,
            "marker": int(marker),
            "modified": modified,
            "size": content.size,
            "etag": content.etag,
            "pieces": packed(content.pieces),
            **vars(facts),
        }
        self._store.insert("versions", row)
        number = self._store.execute("SELECT last_insert_rowid()").fetchone()[0]
        return Version(number, **row)

    def remove(self, version: Version) -> None:
        """Forget a version; the one below it becomes the latest. Within a transaction."""
        self._forget(version)
        if version.latest:
            self._store.execute(
                "UPDATE versions SET latest = 1 WHERE number ="
                " (SELECT max(number) FROM versions WHERE bucket = ? AND key = ?)",
                (version.bucket, version.key),
            )

    def change(self, version: Version, **columns: Any) -> None:
        """Set columns of a version: its tags, its locks, its headers."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self._store.execute(f"UPDATE versions SET {names} WHERE number = ?", (*columns.values(), version.number))

    def current(self, bucket: str, first: str, number: int, end: str, count: int) -> list[Version]:
        """Objects in order of their keys, without those that are deleted. For the arguments see `history`."""
        source = "versions INDEXED BY latest_of_key"
        return self._scan(source, "AND latest AND NOT marker", bucket, first, number, end, count)

    def history(self, bucket: str, first: str, number: int, end: str, count: int) -> list[Version]:
        """Versions and delete markers in order of their keys, the newest of a key first.

        Args:
            first: the least key that may come.
            number: of this key only versions that are older than this one.
            end: keys are less than this one; "" for no end.
            count: how many at most.
        """
        return self._scan("versions INDEXED BY versions_of_key", "", bucket, first, number, end, count)

    def _scan(
        self, source: str, condition: str, bucket: str, first: str, number: int, end: str, count: int
    ) -> list[Version]:
        bound, ends = (" AND key < ?", (end,)) if end else ("", ())
        rows = self._store.execute(
            f"SELECT {COLUMNS} FROM {source} WHERE bucket = ? AND key >= ? AND (key > ? OR number < ?){bound}"
            f" {condition} ORDER BY key, number DESC LIMIT ?",
            (bucket, first, first, number, *ends, count),
        )
        return [Version._make(row) for row in rows]

    def _forget(self, version: Version) -> None:
        self._store.execute("DELETE FROM versions WHERE number = ?", (version.number,))
        self._store.release(unpacked(version.pieces))


def packed(pieces: tuple[Piece, ...]) -> str:
    """Pieces as they are kept."""
    return json.dumps(pieces, separators=(",", ":"))


def unpacked(pieces: str) -> tuple[Piece, ...]:
    """Pieces as they were kept."""
    return tuple(Piece(*piece) for piece in json.loads(pieces))


def slice_of(pieces: tuple[Piece, ...], first: int, size: int) -> Iterator[Piece]:
    """The stretch of these pieces from byte `first` on."""
    for content, offset, length in pieces:
        if size <= 0:
            return
        taken = min(length - first, size)
        if taken > 0:
            yield Piece(content, offset + first, taken)
            size -= taken
        first = max(0, first - length)


def facts_of(storage_class: str, headers: Mapping[str, str], tags: list[tuple[str, str]]) -> Facts:
    """Facts without a lock."""
    return Facts(storage_class, json.dumps(headers), json.dumps(tags))


def written(moment: float) -> str:
    """A moment as the bodies of answers have it: 2026-07-21T10:18:52.123Z."""
    return f"{_second(int(moment))}.{int(moment * 1000) % 1000:03}Z"


@lru_cache(maxsize=4096)
def _second(moment: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(moment))


@lru_cache(maxsize=4096)
def http_date(moment: int) -> str:
    """A moment as headers have it."""
    return formatdate(moment, usegmt=True)
