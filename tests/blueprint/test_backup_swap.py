"""What is left to do of a swap, and what goes along with the name."""

from __future__ import annotations

import pytest

from blueprint.backup import sql
from blueprint.backup.swap import DatabaseFacts, carried_over, due, window
from blueprint.errors import RestoreRefused


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"live", "restored", "other"}, "swap"),
        ({"live", "kept"}, "done"),
        ({"live"}, "restored does not exist"),
        ({"restored"}, "move"),
        ({"live", "restored", "kept"}, "kept exists already"),
        ({"kept", "restored"}, "live does not exist"),
    ],
)
def test_what_is_due_follows_from_the_names(found: set[str], expected: str) -> None:
    """Both names change at once, so there is nothing in between."""
    if expected in ("swap", "move", "done"):
        assert due(found, "live", "restored", "kept") == expected
        return
    with pytest.raises(RestoreRefused, match=expected):
        due(found, "live", "restored", "kept")


def test_who_may_connect_and_settings_go_along() -> None:
    """What was granted on the restored one before is taken away; lists are not quoted again."""
    live = DatabaseFacts(
        name="live",
        owner="boss",
        acl=(("boss", "CREATE"), ("app", "CONNECT"), ("app", "TEMPORARY")),
        settings=('search_path="a b", public', "work_mem=4MB"),
        role_settings=(("app", "statement_timeout=9s"),),
    )
    restored = DatabaseFacts(
        name="res'tored", owner="admin", acl=(("admin", "CREATE"), ("", "CONNECT"), ("", "TEMPORARY"))
    )
    assert carried_over(live, restored) == [
        'REVOKE ALL ON DATABASE "res\'tored" FROM PUBLIC CASCADE',
        'GRANT CREATE ON DATABASE "res\'tored" TO "boss"',
        'GRANT CONNECT ON DATABASE "res\'tored" TO "app"',
        'GRANT TEMPORARY ON DATABASE "res\'tored" TO "app"',
        'ALTER DATABASE "res\'tored" SET "search_path" TO "a b", public',
        'ALTER DATABASE "res\'tored" SET "work_mem" TO \'4MB\'',
        "DO 'BEGIN ALTER ROLE \"app\" IN DATABASE \"res''tored\" SET \"statement_timeout\" TO ''9s''; "
        "EXCEPTION WHEN insufficient_privilege THEN NULL; END'",
    ]


def test_both_names_change_in_one_transaction_that_opens_both() -> None:
    """The kept one for nobody who was granted something on it but its owner."""
    live = DatabaseFacts(name="live", owner="boss", acl=(("boss", "CREATE"), ("app", "CONNECT"), ("app", "TEMPORARY")))
    told = window(live, "restored", "kept")
    inside = told.split("BEGIN;")[1].split("COMMIT;")[0].strip().splitlines()
    assert inside == [
        'ALTER DATABASE "live" RENAME TO "kept";',
        'ALTER DATABASE "restored" RENAME TO "live";',
        'ALTER DATABASE "live" ALLOW_CONNECTIONS true;',
        'ALTER DATABASE "kept" ALLOW_CONNECTIONS true;',
        'REVOKE ALL ON DATABASE "kept" FROM "app" CASCADE;',
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("plain", "'plain'"), ("it's", "'it''s'"), ("a\\'b", "E'a\\\\''b'"), ("", "''")],
)
def test_a_text_is_only_ever_a_text(value: str, expected: str) -> None:
    """Quotes and backslashes end nothing."""
    assert sql.text(value) == expected
