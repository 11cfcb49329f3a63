"""The world in an SQLite file, so that a restart goes on where the last run ended."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from emulator.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (name, key)
);
"""


class StateFileError(Exception):
    """The file is there but cannot be used."""


class StateFile:
    """Rows for documents, in order of creation, written as they change.

    Args:
        path: created if absent.

    Raises:
        StateFileError: the file is not such a file, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise StateFileError(f"{path} cannot be used as a state file: {error}") from error

    def load(self, world: World) -> bool:
        """Fill the world from the file; whether there was anything in it."""
        tables: dict[str, dict[str, Any]] = {}
        for name, key, body in self._db.execute("SELECT name, key, body FROM documents ORDER BY number"):
            tables.setdefault(name, {})[key] = json.loads(body)
        if tables:
            world.restore({"tables": tables})
            world.changed.clear()
        return bool(tables)

    def save(self, world: World) -> None:
        """Write the documents that changed since the last save, in one transaction."""
        if not world.changed:
            return
        self._db.execute("BEGIN")
        for table, key in world.changed:
            document = world.find(table, key)
            if document is None:
                self._db.execute("DELETE FROM documents WHERE name = ? AND key = ?", (table, key))
            else:
                self._db.execute(
                    "INSERT INTO documents (name, key, body) VALUES (?, ?, ?)"
                    " ON CONFLICT (name, key) DO UPDATE SET body = excluded.body",
                    (table, key, json.dumps(document, separators=(",", ":"))),
                )
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
