"""Whether a dump is whole, and whether a restored database is what its manifest and the file say. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from blueprint.backup.manifest import DatabaseContents, TableFacts
from blueprint.backup.site import Check, DatabaseAsset
from blueprint.resource import Model

MOST_NAMED = 5
"""Tables that a finding names; of more it says how many."""


class Answer(Model):
    """What a restored database answered to a check."""

    value: str = ""
    error: str = ""
    """Why there is no value."""


class RestoredFacts(Model):
    """What is in a restored database."""

    tables: tuple[str, ...]
    """With schema, as `TableFacts.name` has them."""
    rows: dict[str, int] = {}
    """Exact, by table."""
    newest: Answer | None = None
    """The newest time in the column that the file names, seconds since the epoch; None if it names none."""
    extensions: tuple[str, ...] = ()
    invalid_indexes: tuple[str, ...] = ()
    answers: dict[str, Answer] = {}
    """By check."""


class Verdict(Model):
    """What was looked at and what is wrong."""

    findings: tuple[str, ...]
    checked: tuple[str, ...]


def parts_missing(contents: DatabaseContents, stored: Mapping[tuple[str, int], int]) -> list[str]:
    """What the store has not, or not as it was sent.

    Args:
        contents: what the dump says of itself.
        stored: sizes of what is in the store, by archive and index.
    """
    found = list[str]()
    for part in contents.parts:
        size = stored.get((part.archive, part.index))
        if size is None:
            found.append(f"part {part.index} of {part.archive} is not in the store")
        elif size != part.size:
            found.append(
                f"part {part.index} of {part.archive} has {size} bytes in the store, and {part.size} were sent"
            )
    return found


def data_missing(contents: DatabaseContents, server_tables: int) -> list[str]:
    """Why a dump that ended well is no backup all the same; empty if it is one.

    Args:
        contents: what the dump says of itself.
        server_tables: tables that the server says the database has.
    """
    found = list[str]()
    if not contents.archives or not contents.raw_bytes:
        found.append("the dump has no bytes")
    for archive in contents.archives:
        parts = [part for part in contents.parts if part.archive == archive]
        if not sum(part.size for part in parts):
            found.append(f"the archive {archive} has no bytes")
        if (indexes := sorted(part.index for part in parts)) != list(range(len(parts))):
            found.append(f"the archive {archive} has parts {indexes}")
    if server_tables and not contents.tables:
        found.append(f"the dump has no tables, and the server has {server_tables}")
    held = sum(len(tables) for tables in contents.archives.values())
    if held < len(contents.tables):
        found.append(f"the archives have the rows of {held} tables, and there were {len(contents.tables)}")
    return found


def present(declared: str, tables: Collection[str]) -> str | None:
    """The table that the file means, with its schema, or None. Without one in the file it is `public`'s first."""
    if "." in declared:
        return declared if declared in tables else None
    found = [table for table in tables if table.partition(".")[2] == declared]
    return next((table for table in found if table == f"public.{declared}"), found[0] if found else None)


def judge(asset: DatabaseAsset, contents: DatabaseContents, point: float, facts: RestoredFacts) -> Verdict:
    """Hold a restored database against its manifest and the file's assertions.

    Args:
        asset: what the file says.
        contents: what the manifest says.
        point: the moment that the backup shows.
        facts: what is there.
    """
    findings, checked = list[str](), list[str]()
    for looked, wrong in (
        _tables(contents.tables, facts),
        _rows(contents.tables, facts),
        _extensions(contents, facts),
        ("no index is invalid", [f"the index {index} is invalid" for index in facts.invalid_indexes]),
        _declared(asset, facts),
        _migrations(asset, facts),
        _newest(asset, point, facts),
        *(_check(check, facts.answers.get(check.name)) for check in asset.checks),
    ):
        checked += [looked] if looked else []
        findings += wrong
    return Verdict(findings=tuple(findings), checked=tuple(checked))


Look = tuple[str, list[str]]
"""What was looked at, in words (empty if there was nothing to look at), and what is wrong."""


def _tables(expected: Collection[TableFacts], facts: RestoredFacts) -> Look:
    missing = [table.name for table in expected if table.name not in facts.tables]
    named = ", ".join(missing[:MOST_NAMED]) + (f" and {len(missing) - MOST_NAMED} more" * (len(missing) > MOST_NAMED))
    return f"{len(expected)} tables of the backup are there", [f"missing tables: {named}"] if missing else []


def _rows(expected: Collection[TableFacts], facts: RestoredFacts) -> Look:
    counted = [table for table in expected if table.rows is not None and table.name in facts.tables]
    wrong = [
        f"{table.name} has {facts.rows.get(table.name)} rows, and had {table.rows}"
        for table in counted
        if facts.rows.get(table.name) != table.rows
    ]
    total = sum(table.rows or 0 for table in counted)
    return f"{total} rows of {len(counted)} tables are as many as there were", wrong


def _extensions(contents: DatabaseContents, facts: RestoredFacts) -> Look:
    missing = sorted(set(contents.extensions) - set(facts.extensions))
    looked = f"{len(contents.extensions)} extensions are there"
    return looked if contents.extensions else "", [f"the extension {extension} is missing" for extension in missing]


def _declared(asset: DatabaseAsset, facts: RestoredFacts) -> Look:
    missing = [table for table in asset.tables if not present(table, facts.tables)]
    looked = f"tables that the file names: {', '.join(asset.tables)}"
    return looked if asset.tables else "", [f"the table {table} is missing" for table in missing]


def _migrations(asset: DatabaseAsset, facts: RestoredFacts) -> Look:
    if not asset.migrations:
        return "", []
    looked, found = f"migrations in {asset.migrations}", present(asset.migrations, facts.tables)
    if found is None:
        return looked, [f"the table of migrations {asset.migrations} is missing"]
    return looked, [] if facts.rows.get(found) else [f"the table of migrations {asset.migrations} is empty"]


def _newest(asset: DatabaseAsset, point: float, facts: RestoredFacts) -> Look:
    if (newest := asset.newest) is None:
        return "", []
    looked = f"the newest row of {newest.table} is within {newest.within:g} s of the backup"
    column = f"{newest.table}.{newest.column}"
    if facts.newest is None or facts.newest.error:
        return looked, [f"{column}: {facts.newest.error if facts.newest else 'there is no such table'}"]
    if not facts.newest.value:
        return looked, [f"{column} has no time in any row"]
    at = float(facts.newest.value)
    age = point - at
    if age <= newest.within:
        return looked, []
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    return looked, [f"the newest row of {newest.table} is of {when}: {age:.0f} s before the backup"]


def _check(check: Check, answer: Answer | None) -> Look:
    looked = f"check {check.name}"
    if answer is None or answer.error:
        return looked, [f"{check.name}: {answer.error if answer else 'was not answered'}"]
    if answer.value != check.expect:
        return looked, [f"{check.name}: is {answer.value!r}, and should be {check.expect!r}"]
    return looked, []
