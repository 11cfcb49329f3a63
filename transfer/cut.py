"""How a database is cut into archives. Pure.

A lane dumps one archive at a time, so the cut decides how long the last lane runs after the others have ended: large
tables stand alone and come first, what is left is packed into archives that are small enough to even out the end, and
large enough that pg_dump, which reads the whole catalogue first, is not started too often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SCHEMA, BLOBS = "schema", "blobs"

LARGE = 2**30
"""Bytes from which on a table stands alone, however large the whole is."""
LEAST = 64 * 2**20
"""Bytes that an archive of several tables holds at least, if there are as many."""
SMALL = 2**20
"""Bytes up to which a table's rows may stay with the schema."""
WITH_SCHEMA = 32 * 2**20
"""Bytes of rows that stay with the schema at most: a load keeps that archive in memory."""
PER_LANE = 4
"""Archives for each lane, roughly."""


@dataclass(frozen=True)
class Table:
    """A table that has rows of its own: a plain one or a leaf of a partitioned one."""

    schema: str
    name: str
    sql: str
    """As in SQL, quoted where it must be."""
    owner: str
    bytes: int


@dataclass(frozen=True)
class Cut:
    """What one archive holds."""

    archive: str
    tables: tuple[Table, ...]
    bytes: int


def cut(tables: Sequence[Table], blobs: int, lanes: int) -> tuple[Cut, ...]:
    """The archives, in the order in which lanes begin them: the schema first, then the largest.

    Args:
        blobs: bytes of large objects; 0 if there are none.
    """
    small, rest, kept = [], [], 0
    for table in sorted(tables, key=lambda table: (table.bytes, table.sql)):
        if table.bytes <= SMALL and kept + table.bytes <= WITH_SCHEMA:
            small.append(table)
            kept += table.bytes
        else:
            rest.append(table)
    total = sum(table.bytes for table in rest) + blobs
    capacity = min(LARGE, max(LEAST, total // (PER_LANE * lanes)))
    groups = _packed(rest[::-1], capacity)
    groups.sort(key=lambda group: -sum(table.bytes for table in group))
    data = [
        Cut(f"data-{number:03d}", tuple(group), sum(table.bytes for table in group))
        for number, group in enumerate(groups, start=1)
    ]
    data += [Cut(BLOBS, (), blobs)] if blobs else []
    return (Cut(SCHEMA, tuple(small), kept), *sorted(data, key=lambda one: -one.bytes))


def _packed(tables: Sequence[Table], capacity: int) -> list[list[Table]]:
    """First fit, of tables from the largest to the smallest; those that reach the capacity stand alone."""
    groups: list[list[Table]] = []
    room: list[int] = []
    for table in tables:
        fits = next((number for number, left in enumerate(room) if table.bytes <= left), None)
        if fits is None:
            groups.append([table])
            room.append(capacity - table.bytes)
        else:
            groups[fits].append(table)
            room[fits] -= table.bytes
    return groups


def pattern(table: Table) -> str:
    """A pattern of pg_dump that only this table matches: in quotes, nothing has a meaning but the quote itself."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in (table.schema, table.name))


def selection(cuts: Sequence[Cut], archive: str) -> list[str]:
    """Options of pg_dump that make an archive hold what it shall."""
    if archive == SCHEMA:
        others = [table for one in cuts if one.archive != SCHEMA for table in one.tables]
        return ["--no-blobs", *(f"--exclude-table-data={pattern(table)}" for table in others)]
    if archive == BLOBS:
        return ["--data-only", "--blobs", "--exclude-table=*.*"]
    (mine,) = (one for one in cuts if one.archive == archive)
    return ["--data-only", "--no-blobs", *(f"--table={pattern(table)}" for table in mine.tables)]
