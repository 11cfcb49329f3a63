"""A database of any size that looks like an application's: rows of several shapes, text that compresses well."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

from bench.transfers import Cluster

TABLES = {
    "accounts": "id bigint, email text, name text, created timestamptz, settings jsonb",
    "orders": "id bigint, account_id bigint, at timestamptz, state text, total numeric(10, 2), lines jsonb",
    "events": "id bigint, account_id bigint, at timestamptz, kind text, address inet, body text",
    "documents": "id uuid, owner_id bigint, title text, body text, tags text[], changed timestamptz",
}
_ROWS = {"accounts": 5_000, "orders": 10_000, "events": 40_000, "documents": 3_000}
"""Of the first lot. It is then multiplied: what repeats is further apart than the compressors look back."""
_LOT = 17_000_000
"""Bytes of one lot, indexes included."""
_MORE = """
CREATE TEMPORARY TABLE some_accounts AS SELECT * FROM accounts;
CREATE TEMPORARY TABLE some_orders AS SELECT * FROM orders;
CREATE TEMPORARY TABLE some_events AS SELECT * FROM events;
CREATE TEMPORARY TABLE some_documents AS SELECT * FROM documents;
DO $$BEGIN FOR n IN 1..{more} LOOP
    INSERT INTO accounts SELECT id + 5000 * n, n || email, name, created, settings FROM some_accounts;
    INSERT INTO orders SELECT id + 10000 * n, account_id + 5000 * n, at, state, total, lines FROM some_orders;
    INSERT INTO events SELECT id + 40000 * n, account_id + 5000 * n, at, kind, address, body FROM some_events;
    INSERT INTO documents SELECT md5(n || id::text)::uuid, owner_id, title, body, tags, changed FROM some_documents;
END LOOP; END$$;
"""
_KEYS = """
ALTER TABLE accounts ADD PRIMARY KEY (id);
ALTER TABLE orders ADD PRIMARY KEY (id);
ALTER TABLE events ADD PRIMARY KEY (id);
ALTER TABLE documents ADD PRIMARY KEY (id);
ALTER TABLE orders ADD FOREIGN KEY (account_id) REFERENCES accounts;
CREATE UNIQUE INDEX ON accounts (email);
CREATE INDEX ON orders (account_id);
CREATE INDEX ON events (account_id, at);
CREATE INDEX ON documents (owner_id);
VACUUM ANALYZE;
"""


def fill(server: Cluster, database: str, size: int) -> int:
    """Make tables of about `size` bytes with their indexes; how many bytes the database has then."""
    draw = random.Random(1)
    words = ["".join(draw.choices("aeiouabcdefghilmnoprstuv", k=draw.randint(2, 10))) for _ in range(6000)]
    common = [1 / (10 + place) for place in range(len(words))]

    def prose(length: int) -> str:
        return " ".join(draw.choices(words, common, k=length))

    share = min(1.0, max(0.05, size / _LOT))
    for table, columns in TABLES.items():
        lines = "".join(
            "\t".join(map(str, row)) + "\n" for row in _rows(table, round(share * _ROWS[table]), draw, prose)
        )
        server.sql(f"CREATE TABLE {table} ({columns});\nCOPY {table} FROM STDIN;\n{lines}\\.\n", database)
    if (more := round(size / _LOT) - 1) > 0:
        server.sql(_MORE.format(more=more), database)
    server.sql(_KEYS, database)
    return int(server.sql(f"SELECT pg_database_size('{database}')"))


def _rows(table: str, count: int, draw: random.Random, prose: Callable[[int], str]) -> Iterator[tuple[object, ...]]:

    for number in range(1, count + 1):
        account, moment = (
            draw.randint(1, 250),
            f"2023-{1 + number % 12:02}-{1 + number % 28:02} 12:{number % 60:02}+00",
        )
        match table:
            case "accounts":
                settings = {"theme": draw.choice(["dark", "light"]), "mails": number % 3 == 0, "seats": number % 50}
                yield number, f"{prose(1)}{number}@example.com", prose(2).title(), moment, json.dumps(settings)
            case "orders":
                lines = [
                    {"article": prose(2), "count": draw.randint(1, 9), "price": draw.randint(1, 9999)} for _ in "ab"
                ]
                state, total = draw.choice(["paid", "sent", "open"]), draw.randint(1, 99999) / 100
                yield number, account, moment, state, total, json.dumps(lines)
            case "events":
                kind, address = draw.choice(["login", "view", "click", "error"]), f"10.0.{account % 256}.{number % 256}"
                yield number, account, moment, kind, address, prose(14)
            case _:
                tags = f"{{{prose(1)},{prose(1)}}}"
                yield f"{number:032x}", account, prose(5).title(), prose(120), tags, moment


def fingerprint(server: Cluster, database: str) -> str:
    """Counts and sums over every table, which differ if rows do."""
    sums = "SELECT '{0}', count(*), sum(hashtextextended(t::text, 0)) FROM {0} AS t;"
    return server.sql("".join(map(sums.format, TABLES)), database)
