"""Rows come in frozen, and nothing that only looks like a statement is touched."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.transfers import Cluster, Transfer, dump_job, load_job
from transfer.frozen import frozen


def archived(*strings: bytes) -> bytes:
    """Strings as they stand in an archive, with something between them."""
    return b"PGDMP\1" + b"".join(b"\0" + struct.pack("<I", len(text)) + text + b"\1\1\0\0\0" for text in strings)


def edited(archive: bytes, *tables: str) -> bytes:
    """What pg_restore is to see of an archive."""
    with tempfile.TemporaryFile(buffering=0) as stream:
        stream.write(archive)
        stream.seek(0)
        count, seen = frozen(stream, tables)
        rest = stream.readall()
    assert count + len(rest) == len(archive)
    return seen + rest


ONE = b"COPY public.one (a, b) FROM stdin;\n"
FROZEN = b"TRUNCATE TABLE ONLY public.one; COPY public.one (a, b) FROM stdin WITH (FREEZE);\n"
ODD = b'app."Odd ""name"" (a) FROM stdin;\n"'


@pytest.mark.parametrize(
    ("strings", "tables", "seen"),
    [
        ([ONE], ["public.one"], [FROZEN]),
        ([ONE, ONE], ["public.one"], [FROZEN, ONE]),
        ([ONE], ["public.two"], [ONE]),
        ([ONE], [], [ONE]),
        ([b"COPY public.one  FROM stdin;\n"], ["public.one"], [FROZEN.replace(b"(a, b)", b"")]),
        ([ONE[:-1]], ["public.one"], [ONE[:-1]]),
        ([b"x" + ONE], ["public.one"], [b"x" + ONE]),
        (
            [b"COPY " + ODD + b' ("x\ny") FROM stdin;\n'],
            [ODD.decode()],
            [b"TRUNCATE TABLE ONLY " + ODD + b"; COPY " + ODD + b' ("x\ny") FROM stdin WITH (FREEZE);\n'],
        ),
    ],
)
def test_only_a_tables_first_statement_is_edited(strings: list[bytes], tables: list[str], seen: list[bytes]) -> None:
    """A row may hold the text of a statement, length and all."""
    assert edited(archived(*strings), *tables) == archived(*seen)


def test_a_statement_that_comes_in_pieces_is_found() -> None:
    """And what never shows itself is given up, whatever comes."""
    far = b"." * 200_000
    assert edited(archived(far, ONE), "public.one") == archived(far, FROZEN)
    assert edited(archived(far, ONE), "public.one", "public.two") == archived(far, FROZEN)


def test_a_loaded_table_needs_no_vacuum(
    server: Cluster,
    database: Callable[[str], str],
    sign: Callable[[str, str], str],
    keys: tuple[str, str],
    tmp_path: Path,
) -> None:
    """Every page of it is known to hold only rows that everybody sees; a row that looks like a statement is a row."""
    one, two = database("app"), database("app")
    server.sql(
        "CREATE TABLE first (a text); INSERT INTO first SELECT E'COPY public.first (a) FROM stdin;\\n' ||"
        "CASE WHEN i > 1 THEN repeat(md5(i::text), 9) ELSE '' END FROM generate_series(1, 9000) AS i",
        one,
    )
    with Transfer(tmp_path / "dump", dump_job(server, one, [keys[0]]), sign) as dump:
        dumped = dump.result()
    assert [archive["tables"] for archive in dumped["archives"]][1:] == [["public.first"]]
    with Transfer(tmp_path / "load", load_job(server, two, keys[1], dumped), sign) as load:
        load.result()
    pages = server.sql("SELECT relpages > 100, relallvisible = relpages FROM pg_class WHERE relname = 'first'", two)
    assert pages == "t|t"
    rows = "SELECT count(*), sum(hashtextextended(a, 0)) FROM first"
    assert server.sql(rows, two) == server.sql(rows, one)
