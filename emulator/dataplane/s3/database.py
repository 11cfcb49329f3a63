"""The object store on disk: an SQLite index of versions and uploads, and contents in rows or in files.

A version is a list of pieces, each a stretch of a content. The users of a content are counted, so a copy shares it, and
an upload of many parts becomes an object without a byte moved. Keys compare as their UTF-8 does, as S3 orders them.

A file is complete before a row names it, and a row is gone before its file goes. So after a kill there can be a file
too many, never one too few; those go at the next start.
"""

from __future__ import annotations

import base64
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

INLINE = 32_768
"""Bytes of a content that is kept in its row; larger ones are files."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS contents (
    id INTEGER PRIMARY KEY,
    used INTEGER NOT NULL,
    data BLOB
);
CREATE TABLE IF NOT EXISTS versions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket TEXT NOT NULL,
    key TEXT NOT NULL,
    id TEXT NOT NULL,
    latest INTEGER NOT NULL,
    marker INTEGER NOT NULL,
    modified REAL NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    storage_class TEXT NOT NULL,
    pieces TEXT NOT NULL,
    headers TEXT NOT NULL,
    tags TEXT NOT NULL,
    lock_mode TEXT NOT NULL,
    lock_until REAL NOT NULL,
    legal_hold INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS versions_of_key ON versions (bucket, key, number DESC);
CREATE UNIQUE INDEX IF NOT EXISTS latest_of_key ON versions (bucket, key) WHERE latest;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY,
    bucket TEXT NOT NULL,
    key TEXT NOT NULL,
    begun REAL NOT NULL,
    storage_class TEXT NOT NULL,
    headers TEXT NOT NULL,
    tags TEXT NOT NULL,
    lock_mode TEXT NOT NULL,
    lock_until REAL NOT NULL,
    legal_hold INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uploads_of_bucket ON uploads (bucket, key, id);
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL,
    number INTEGER NOT NULL,
    modified REAL NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    pieces TEXT NOT NULL,
    headers TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;
"""
_TABLES = ("contents", "versions", "uploads", "parts")


class Piece(NamedTuple):
    """A stretch of a content, in bytes."""

    content: int
    offset: int
    size: int


class Database:
    """One store.

    Args:
        folder: where it lives, created if absent; None takes a temporary one, which goes when the store is closed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="object-storage-")
        self._folder = folder or Path(str(self._temporary and self._temporary.name))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(self._folder / "index.db", isolation_level=None)
        # What a kill of this process may not lose is safe in the kernel's page cache; a crash of the machine is not
        # what anybody tests with a local object store.
        for pragma in ("journal_mode=WAL", "synchronous=OFF", "cache_size=-32768"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(SCHEMA)
        self.execute = self._db.execute
        self._files = self._folder / "contents"
        self._files.mkdir(exist_ok=True)
        self._doomed: list[int] = []
        self._pinned: Counter[int] = Counter()
        self._next = self._free_id()
        self._sweep()

    # -- transactions ------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; files that it released go once it is written."""
        doomed = len(self._doomed)
        self.execute("BEGIN")
        try:
            yield
        except BaseException:
            # Whatever ends it, Ctrl-C too: the connection must not stay inside of a transaction.
            self.execute("ROLLBACK")
            del self._doomed[doomed:]
            raise
        self.execute("COMMIT")
        self._remove_doomed()

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Add a row to a table."""
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))

    # -- contents ----------------------------------------------------------------------------------------------

    def reserve(self) -> int:
        """The id of a content that is about to come."""
        self._next += 1
        return self._next - 1

    def create(self, content: int) -> BinaryIO:
        """The file of a content that is too large for its row, to be written."""
        return self._path(content).open("wb")

    def discard(self, content: int) -> None:
        """Drop the file of a content that no row came to name."""
        self._path(content).unlink(missing_ok=True)

    def keep(self, content: int, data: bytes | None) -> None:
        """Note a content and its first user; no data if it is in its file."""
        self.execute("INSERT INTO contents (id, used, data) VALUES (?, 1, ?)", (content, data))

    def use(self, pieces: Iterable[Piece]) -> None:
        """Count one more user of each piece."""
        for piece in pieces:
            self.execute("UPDATE contents SET used = used + 1 WHERE id = ?", (piece.content,))

    def release(self, pieces: Iterable[Piece]) -> None:
        """Count one user less, and forget what nobody uses."""
        for piece in pieces:
            used, inline = self.execute(
                "UPDATE contents SET used = used - 1 WHERE id = ? RETURNING used, data IS NOT NULL", (piece.content,)
            ).fetchone()
            if used <= 0:
                self.execute("DELETE FROM contents WHERE id = ?", (piece.content,))
                if not inline:
                    self._doomed.append(piece.content)

    def data(self, content: int) -> bytes | None:
        """A content that is in its row; None if it is a file."""
        data: bytes | None = self.execute("SELECT data FROM contents WHERE id = ?", (content,)).fetchone()[0]
        return data

    def open(self, content: int) -> BinaryIO:
        """A content that is a file, to be read."""
        return self._path(content).open("rb", buffering=0)

    def pin(self, content: int) -> None:
        """Let a file stay until `unpin`, whatever becomes of its users: somebody reads it."""
        self._pinned[content] += 1

    def unpin(self, content: int) -> None:
        """The opposite of `pin`."""
        self._pinned[content] -= 1
        if not self._pinned[content]:
            del self._pinned[content]
            self._remove_doomed()

    def _remove_doomed(self) -> None:
        doomed, self._doomed = self._doomed, [content for content in self._doomed if content in self._pinned]
        for content in doomed:
            if content not in self._pinned:
                self.discard(content)

    def _path(self, content: int) -> Path:
        return self._files / f"{content:x}"

    def _free_id(self) -> int:
        return 1 + int(self.execute("SELECT coalesce(max(id), 0) FROM contents").fetchone()[0])

    def _sweep(self) -> None:
        known = {f"{row[0]:x}" for row in self.execute("SELECT id FROM contents WHERE data IS NULL")}
        with os.scandir(self._files) as entries:
            for entry in entries:
                if entry.name not in known:
                    Path(entry.path).unlink()

    # -- the whole ---------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget everything."""
        with self.transaction():
            self._doomed += [row[0] for row in self.execute("SELECT id FROM contents WHERE data IS NULL")]
            for table in _TABLES:
                self.execute(f"DELETE FROM {table}")

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """Everything, as JSON for `restore`; contents are held in memory meanwhile."""
        tables = {table: self._rows(table) for table in _TABLES}
        for row in tables["contents"]:
            data = self._path(row["id"]).read_bytes() if row["data"] is None else row["data"]
            row["data"] = base64.b64encode(data).decode()
        return tables

    def _rows(self, table: str) -> list[dict[str, Any]]:
        found = self.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]

    def restore(self, snapshot: dict[str, list[dict[str, Any]]]) -> None:
        """Become what a snapshot says."""
        self.clear()
        with self.transaction():
            for table in _TABLES:
                for row in snapshot.get(table, []):
                    self.insert(table, self._restored(row) if table == "contents" else row)
        self._next = max(self._next, self._free_id())

    def _restored(self, row: dict[str, Any]) -> dict[str, Any]:
        data = base64.b64decode(row["data"])
        if len(data) <= INLINE:
            return {**row, "data": data}
        self._path(row["id"]).write_bytes(data)
        return {**row, "data": None}

    def close(self) -> None:
        """Close it; a temporary one is gone."""
        self._db.close()
        if self._temporary:
            self._temporary.cleanup()
