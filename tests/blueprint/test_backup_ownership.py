"""As whom a backup is restored."""

from __future__ import annotations

import pytest

from blueprint.backup.ownership import Ownership, RoleFacts, choose, grants
from blueprint.errors import RestoreRefused

KEPT = Ownership(owners=True, privileges=True)


def facts(*memberships: str, roles: tuple[str, ...] = ("admin", "app", "other"), owner: str = "") -> RoleFacts:
    """A server with an administrator who may act as these roles."""
    return RoleFacts(admin="admin", roles=roles, memberships=("admin", *memberships), owner=owner)


@pytest.mark.parametrize(
    ("owners", "facts", "known", "elsewhere", "expected"),
    [
        (("app", "admin"), facts("app"), (), False, KEPT),
        (("admin", "pg_database_owner", "postgres"), facts(), (), False, KEPT),
        (("app", "other"), facts("app", "other"), (), False, KEPT),
        (("app",), facts(), ("app",), False, Ownership(user="app", owners=False, privileges=False)),
        (("app", "_rdb_superadmin"), facts("app", "_rdb_superadmin"), (), False, KEPT),
        (
            ("app", "_rdb_superadmin"),
            facts("app"),
            ("app",),
            False,
            Ownership(user="app", owners=False, privileges=False),
        ),
        (("_rdb_superadmin",), facts(owner="_rdb_superadmin"), (), False, Ownership(owners=False, privileges=False)),
        (("gone",), facts(owner="app"), ("app",), False, Ownership(user="app", owners=False, privileges=False)),
        (("gone",), facts(), (), False, Ownership(owners=False, privileges=False)),
        (
            ("app",),
            facts("app", owner="other"),
            ("other",),
            True,
            Ownership(user="other", owners=False, privileges=False),
        ),
        (("a", "b"), facts("other", owner="other"), (), True, Ownership(owners=False, privileges=False, role="other")),
        (("a", "b"), facts(), (), True, Ownership(owners=False, privileges=False)),
    ],
)
def test_owners_are_kept_where_they_can_be(
    owners: tuple[str, ...], facts: RoleFacts, known: tuple[str, ...], elsewhere: bool, expected: Ownership
) -> None:
    """Else everything belongs to one user: the only owner there was, or the one who owns the live database."""
    assert choose(owners, facts, known, elsewhere=elsewhere) == expected


@pytest.mark.parametrize(
    ("owners", "text"),
    [(("app", "other"), "app, and|may not act as other"), (("app",), "not in Secret Manager")],
)
def test_what_nobody_can_own_is_refused(owners: tuple[str, ...], text: str) -> None:
    """With what to type."""
    with pytest.raises(RestoreRefused, match=text) as caught:
        choose(owners, facts("app") if len(owners) > 1 else facts(), (), elsewhere=False)
    assert "GRANT" in caught.value.remedy


def test_privileges_of_scaleway_become_grants() -> None:
    """Those that it does not know of (custom) and those that are none become none."""
    assert grants("d", [("a", "none"), ("b", "custom"), ("c", "readonly")], ["public"]) == [
        'GRANT CONNECT ON DATABASE "d" TO "c"',
        'GRANT USAGE ON SCHEMA "public" TO "c"',
        'GRANT SELECT ON ALL TABLES IN SCHEMA "public" TO "c"',
        'GRANT SELECT ON ALL SEQUENCES IN SCHEMA "public" TO "c"',
    ]
