"""Rows that come in frozen: `COPY ... WITH (FREEZE)` in place of the COPY that an archive of pg_dump asks for.

Whoever reads other rows first writes into them that they count, and a vacuum must freeze each of them one day: of a
large database that has just been loaded, building its indexes alone writes most pages a second time. PostgreSQL lets
only the transaction freeze that has truncated the table, and takes statements that come in one message as one
transaction (documentation, "COPY" and "Message Flow"); so a TRUNCATE stands before the COPY in the archive's table of
contents. Only tables that the load itself has made, and that are empty, come this way.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from io import FileIO

_NAME = rb'(?:"(?:[^"]|"")+"|[^\s".]+)'
_COPY = re.compile(rb"\0(.{4})COPY (" + _NAME + rb"\." + _NAME + rb") ", re.DOTALL)
"""The beginning of a string in a table of contents: a sign, four bytes of length, the string (pg_backup_archiver.c)."""
_END, _FROZEN = b" FROM stdin;\n", b" FROM stdin WITH (FREEZE);\n"
_PIECE, _LIMIT = 2**16, 2**22
"""Bytes to read at a time, and in all: whatever has not shown itself by then comes as it is."""


def frozen(stream: FileIO, tables: Collection[str]) -> tuple[int, bytes]:
    """Read the beginning of an archive: how many bytes that was, and what pg_restore shall see in their place.

    Args:
        tables: those of the archive, as in SQL. Only a statement for one of these is taken for one, and only the first
            for each: rows come after the table of contents, and may look like anything.
    """
    wanted = {table.encode() for table in tables}
    head, found = b"", dict[bytes, tuple[int, int]]()
    while len(found) < len(wanted) and len(head) < _LIMIT and (piece := stream.read(_PIECE)):
        head += piece
        found = _statements(head, wanted)
    seen, after = [], 0
    for table, (begin, end) in found.items():
        statement = b"TRUNCATE TABLE ONLY " + table + b"; " + head[begin:end].removesuffix(_END) + _FROZEN
        seen += [head[after : begin - 4], struct.pack("<I", len(statement)), statement]
        after = end
    return len(head), b"".join([*seen, head[after:]])


def _statements(head: bytes, wanted: Collection[bytes]) -> dict[bytes, tuple[int, int]]:
    """Where the statements of tables stand, as far as they are all there, in their order."""
    found: dict[bytes, tuple[int, int]] = {}
    for match in _COPY.finditer(head):
        (length,) = struct.unpack("<I", match[1])
        begin = match.start() + 5
        if match[2] in wanted and head[begin : begin + length].endswith(_END):
            found.setdefault(match[2], (begin, begin + length))
    return found
