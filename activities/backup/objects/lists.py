"""The list of a bucket's objects that a backup keeps: lines of JSON through gzip, in parts that each stand alone.

And which of the copies that it names are in the store.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from activities.backup.objects.wire import Wire
from activities.backup.store import BackupStore
from blueprint.backup import layout
from blueprint.backup.manifest import Manifest, Part
from blueprint.backup.objects import ObjectVersion, line, parsed
from blueprint.errors import Damaged, Gone

_LINES = 50_000
"""Of one part: a few megabytes, which are in memory as a whole."""
_FAST = 1
_GZIP = 31
"""What zlib calls a window as large as can be, with gzip's header and checksum."""
_HEX = "0123456789abcdef"


class ListWriter:
    """Writes a list, part by part.

    Args:
        store: where to.
        asset: whose it is.
        id: of the backup.
        attempt: of the activity: one that was given up for dead and lives writes over nothing of its successor's.
    """

    def __init__(self, store: BackupStore, asset: str, id: str, attempt: int) -> None:
        self._store, self._asset, self._id = store, asset, id
        self._archive = "entries" if attempt == 1 else f"entries-{attempt}"
        self._parts: list[Part] = []
        self._begin()

    def add(self, object: ObjectVersion) -> None:
        """Write a line."""
        self._content += self._zip.compress(line(object).encode())
        self._lines += 1
        if self._lines == _LINES:
            self._write()

    def end(self) -> tuple[Part, ...]:
        """Write the rest; all parts."""
        if self._lines or not self._parts:
            self._write()
        return tuple(self._parts)

    def _begin(self) -> None:
        self._zip = zlib.compressobj(_FAST, wbits=_GZIP)
        self._content = bytearray()
        self._lines = 0

    def _write(self) -> None:
        content = bytes(self._content + self._zip.flush())
        index = len(self._parts)
        self._store.put(layout.part(self._store.store, self._asset, self._id, self._archive, index), content)
        digest = hashlib.sha256(content).hexdigest()
        self._parts.append(Part(archive=self._archive, index=index, size=len(content), sha256=digest))
        self._begin()


def read_list(store: BackupStore, manifest: Manifest) -> Iterator[ObjectVersion]:
    """The list of a bucket's backup, in the order in which S3 listed it.

    Raises:
        Damaged: a part of it is missing, or is not what was written.
    """
    for part in manifest.bucket.entries if manifest.bucket else ():
        key = layout.part(store.store, manifest.asset, manifest.id, part.archive, part.index)
        try:
            content = store.get(key)
        except Gone:
            raise Damaged("a part of the list of objects is missing", subject=key) from None
        if len(content) != part.size or hashlib.sha256(content).hexdigest() != part.sha256:
            raise Damaged("a part of the list of objects is not what was written", subject=key)
        # Lines end where we end them: a key may have any other character that looks like an end.
        with gzip.open(io.BytesIO(content), "rt", encoding="utf-8", newline="\n") as lines:
            yield from parsed(lines, key)


class Copy(NamedTuple):
    """The copy of an object in the store."""

    etag: str
    size: int
    """Bytes."""
    modified: float
    """When it was written, seconds since the epoch, by the store's clock."""


async def copies(store: BackupStore, wire: Wire, bucket: str) -> dict[bytes, Copy]:
    """Every copy of a bucket's objects, by digest: the store says it, not a list of what once was there."""
    prefix = layout.blobs(store.store, bucket)
    found = dict[bytes, Copy]()

    async def look(digit: str) -> None:
        async for page in wire.pages(store.store.bucket, prefix + digit):
            for blob in page:
                found[name_of(blob.key.rpartition("/")[2])] = Copy(blob.etag, blob.size, blob.modified)

    await asyncio.gather(*map(look, _HEX))
    return found


def name_of(digest: str) -> bytes:
    """A digest in half the memory: there is one for each object of a bucket."""
    try:
        return bytes.fromhex(digest)
    except ValueError:
        return digest.encode()
