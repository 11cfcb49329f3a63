"""When a dump is whole, and when a restored database is what it should be."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.backup.manifest import DatabaseContents, Part, TableFacts
from blueprint.backup.site import Check, DatabaseAsset, Newest, SecretPlace
from blueprint.backup.verification import Answer, RestoredFacts, data_missing, judge, parts_missing, present

POINT = 1_000_000.0


def contents(**changes: Any) -> DatabaseContents:
    """A dump of two tables."""
    whole: dict[str, Any] = {
        "parts": (
            Part(archive="schema-3f2a", index=0, size=10, sha256="x"),
            Part(archive="data-001-3f2a", index=0, size=20, sha256="y"),
            Part(archive="data-001-3f2a", index=1, size=5, sha256="z"),
        ),
        "archives": {"schema-3f2a": ("public.small",), "data-001-3f2a": ("public.large",)},
        "tables": (
            TableFacts(name="public.small", rows=2, bytes=1),
            TableFacts(name="public.large", rows=None, bytes=100),
        ),
        "raw_bytes": 200,
        "database_bytes": 1000,
        "server_version": "16.4",
        "client_version": "16.4",
        "extensions": ("plpgsql",),
    }
    return DatabaseContents(**whole | changes)


STORED = {("schema-3f2a", 0): 10, ("data-001-3f2a", 0): 20, ("data-001-3f2a", 1): 5}


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (STORED, []),
        (STORED | {("data-001-9999", 0): 7}, []),
        ({key: size for key, size in STORED.items() if key[1] == 0}, ["part 1 of data-001-3f2a is not in the store"]),
        (STORED | {("schema-3f2a", 0): 9}, ["part 0 of schema-3f2a has 9 bytes in the store, and 10 were sent"]),
    ],
)
def test_every_part_has_to_be_there_as_it_was_sent(stored: dict[tuple[str, int], int], expected: list[str]) -> None:
    """What another attempt left there counts for nothing."""
    assert parts_missing(contents(), stored) == expected


@pytest.mark.parametrize(
    ("changes", "tables", "expected"),
    [
        ({}, 2, ""),
        ({"parts": (), "archives": {}, "raw_bytes": 0, "tables": ()}, 0, "no bytes"),
        ({"parts": ()}, 2, "the archive schema-3f2a has no bytes"),
        ({"tables": (), "archives": {"schema-3f2a": (), "data-001-3f2a": ()}}, 2, "no tables, and the server has 2"),
        ({"archives": {"schema-3f2a": (), "data-001-3f2a": ("public.large",)}}, 2, "the rows of 1 tables"),
        (
            {
                "parts": (
                    Part(archive="schema-3f2a", index=0, size=10, sha256="x"),
                    Part(archive="data-001-3f2a", index=1, size=5, sha256="z"),
                )
            },
            2,
            "has parts [1]",
        ),
        (
            {
                "parts": (Part(archive="schema-3f2a", index=0, size=10, sha256="x"),),
                "archives": {"schema-3f2a": ()},
                "tables": (),
            },
            0,
            "",
        ),
    ],
)
def test_a_dump_without_data_is_none(changes: dict[str, Any], tables: int, expected: str) -> None:
    """An empty database is backed up all the same."""
    found = data_missing(contents(**changes), tables)
    assert any(expected in finding for finding in found) if expected else found == []


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("small", "public.small"),
        ("audit.small", "audit.small"),
        ("other", "audit.other"),
        ("public.other", None),
        ("nothing", None),
    ],
)
def test_a_table_is_meant_with_or_without_its_schema(declared: str, expected: str | None) -> None:
    """`public` comes first."""
    assert present(declared, ["audit.small", "public.small", "audit.other"]) == expected


FOUND = RestoredFacts(
    tables=("public.small", "public.large", "public.migrations"),
    rows={"public.small": 2, "public.migrations": 1},
    newest=Answer(value=str(POINT - 10)),
    extensions=("plpgsql",),
    answers={"count": Answer(value="7")},
)
ASSET = DatabaseAsset(
    name="equitya",
    instance="db",
    user="admin",
    password=SecretPlace(path="/", name="x"),
    tables=("small",),
    migrations="migrations",
    newest=Newest(table="large", column="at", within=60),
    checks=(Check(name="count", sql="SELECT 7", expect="7"),),
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({"tables": ("public.large", "public.migrations")}, "missing tables: public.small"),
        ({"tables": ("public.small", "public.large")}, "the table of migrations migrations is missing"),
        ({"rows": {"public.small": 2, "public.migrations": 0}}, "the table of migrations migrations is empty"),
        ({"rows": {"public.small": 1, "public.migrations": 1}}, "public.small has 1 rows, and had 2"),
        ({"extensions": ()}, "the extension plpgsql is missing"),
        ({"invalid_indexes": ("orders_at",)}, "the index orders_at is invalid"),
        ({"newest": Answer(value=str(POINT - 61))}, "61 s before the backup"),
        ({"newest": Answer()}, "large.at has no time in any row"),
        ({"newest": Answer(error="no such column")}, "large.at: no such column"),
        ({"newest": None}, "there is no such table"),
        ({"answers": {"count": Answer(value="8")}}, "count: is '8', and should be '7'"),
        ({"answers": {"count": Answer(error="timeout")}}, "count: timeout"),
        ({"answers": {}}, "count: was not answered"),
    ],
)
def test_every_assertion_is_looked_at(changes: dict[str, Any], expected: str) -> None:
    """What fails is a finding of its own, and what was looked at is said in any case."""
    verdict = judge(ASSET, contents(), POINT, FOUND.model_copy(update=changes))
    assert any(expected in finding for finding in verdict.findings) if expected else verdict.findings == ()
    assert len(verdict.checked) == 8


def test_many_missing_tables_are_counted() -> None:
    """A finding is a line, not a list of a thousand names."""
    tables = tuple(TableFacts(name=f"public.t{number}", rows=None, bytes=1) for number in range(9))
    verdict = judge(ASSET.model_copy(update={"newest": None, "checks": ()}), contents(tables=tables), POINT, FOUND)
    assert verdict.findings == ("missing tables: public.t0, public.t1, public.t2, public.t3, public.t4 and 4 more",)
