"""How a database is cut into archives."""

from __future__ import annotations

import pytest

from transfer.cut import LARGE, LEAST, SMALL, WITH_SCHEMA, Table, cut, pattern, selection

MB, GB = 2**20, 2**30


def table(name: str, size: int, schema: str = "public") -> Table:
    """A table of so many bytes."""
    return Table(schema, name, f"{schema}.{name}", "app", size)


def sizes(*numbers: int) -> list[Table]:
    """Tables t0, t1, ... of these sizes."""
    return [table(f"t{place}", number) for place, number in enumerate(numbers)]


@pytest.mark.parametrize(
    ("tables", "blobs", "lanes", "expected"),
    [
        ([], 0, 2, {"schema": []}),
        ([], 1, 2, {"schema": [], "blobs": []}),
        (sizes(0, SMALL, SMALL + 1), 0, 2, {"schema": ["t0", "t1"], "data-001": ["t2"]}),
        # All that fits into an archive of the least size is one.
        (sizes(20 * MB, 30 * MB, 10 * MB), 0, 2, {"schema": [], "data-001": ["t1", "t0", "t2"]}),
        # A large one stands alone, however large the whole is; the rest is packed, the largest first.
        (
            sizes(50 * GB, 2 * GB, 700 * MB, 400 * MB, 300 * MB),
            0,
            2,
            {"schema": [], "data-001": ["t0"], "data-002": ["t1"], "data-003": ["t2", "t4"], "data-004": ["t3"]},
        ),
        # One that is large for this database stands alone, too.
        (sizes(400 * MB, 30 * MB, 20 * MB), 0, 2, {"schema": [], "data-001": ["t0"], "data-002": ["t1", "t2"]}),
        # More lanes, smaller archives.
        (sizes(*[100 * MB] * 8), 0, 1, {"schema": [], **{f"data-{n:03d}": 2 for n in range(1, 5)}}),
        (sizes(*[100 * MB] * 8), 0, 2, {"schema": [], **{f"data-{n:03d}": 1 for n in range(1, 9)}}),
        # Large objects take their place among the archives.
        (sizes(90 * MB, 20 * MB), 80 * MB, 2, {"schema": [], "data-001": ["t0"], "blobs": [], "data-002": ["t1"]}),
    ],
)
def test_archives(tables: list[Table], blobs: int, lanes: int, expected: dict[str, list[str] | int]) -> None:
    """In the order in which lanes begin them."""
    found = cut(tables, blobs, lanes)

    assert [one.archive for one in found] == list(expected)
    for one in found:
        wanted = expected[one.archive]
        names = [table.name for table in one.tables]
        assert (len(names) if isinstance(wanted, int) else names) == wanted


def test_every_table_is_in_one_archive() -> None:
    """And what stays with the schema is bounded."""
    tables = [table(f"t{place}", (place * 7919) % (3 * MB)) for place in range(500)]
    found = cut(tables, 0, 2)

    assert sorted(t.name for one in found for t in one.tables) == sorted(t.name for t in tables)
    assert found[0].bytes <= WITH_SCHEMA
    assert all(one.bytes <= max(LEAST, sum(t.bytes for t in tables) / 8) for one in found[1:])
    assert all(one.bytes == sum(t.bytes for t in one.tables) for one in found)


def test_lanes_end_about_together() -> None:
    """Taken by the lane that is free first, as lanes do, no lane works much longer than the others."""
    tables = sizes(*[(place * 104_729) % (300 * MB) for place in range(60)])
    for lanes in (2, 4):
        busy = [0] * lanes
        for one in cut(tables, 0, lanes):
            busy[busy.index(min(busy))] += one.bytes
        assert max(busy) - min(busy) <= LARGE / lanes


@pytest.mark.parametrize(
    ("schema", "name", "expected"),
    [
        ("public", "users", '"public"."users"'),
        ("Mixed", "Case", '"Mixed"."Case"'),
        ("a b", 'say "hi"', '"a b"."say ""hi"""'),
        ("a.b", "c$*?|[x]", '"a.b"."c$*?|[x]"'),
    ],
)
def test_a_pattern_means_one_table(schema: str, name: str, expected: str) -> None:
    """Whatever its name."""
    assert pattern(Table(schema, name, "", "app", 0)) == expected


def test_archives_share_nothing() -> None:
    """The schema's leaves out the rows that the others hold."""
    cuts = cut(sizes(0, 90 * MB, 80 * MB), 1, 2)

    assert selection(cuts, "schema") == [
        "--no-blobs",
        '--exclude-table-data="public"."t1"',
        '--exclude-table-data="public"."t2"',
    ]
    assert selection(cuts, "data-001") == ["--data-only", "--no-blobs", '--table="public"."t1"']
    assert selection(cuts, "blobs") == ["--data-only", "--blobs", "--exclude-table=*.*"]
