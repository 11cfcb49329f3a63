"""As whom a backup is restored, and to whom its objects belong then. Pure."""

from __future__ import annotations

from collections.abc import Collection

from blueprint.backup import sql
from blueprint.errors import RestoreRefused
from blueprint.resource import Model

SYSTEM = ("pg_", "postgres")
"""Starts of roles that are the server's own: what they own in a database is made by extensions."""
PROVIDER = "_rdb"
"""Start of Scaleway's own roles. They own what its API makes; nobody else becomes an owner in their place."""

READ, WRITE = "SELECT", "SELECT, INSERT, UPDATE, DELETE"
_RIGHTS = {
    "readonly": ("CONNECT", "USAGE", READ, "SELECT"),
    "readwrite": ("CONNECT, TEMPORARY", "USAGE", WRITE, "USAGE, SELECT, UPDATE"),
    "all": ("ALL", "ALL", "ALL", "ALL"),
}
"""What a privilege at Scaleway means on the database, its schemas, tables and sequences."""


class RoleFacts(Model):
    """What a server says of its roles."""

    admin: str
    """The administrator, who restores."""
    roles: tuple[str, ...]
    """Every role."""
    memberships: tuple[str, ...]
    """Those that the administrator may act as, or may let itself."""
    owner: str = ""
    """The role that owns most tables of the live database of that name; empty if there is none."""
    database_owner: str = ""
    """Who owns the live database itself."""


class Ownership(Model):
    """As whom a load runs."""

    user: str = ""
    """Who logs in; the administrator if empty."""
    owners: bool
    """Whether objects get their former owners."""
    privileges: bool
    """Whether what was granted is granted again."""
    role: str = ""
    """As whom everything is made instead; the one who logs in if empty."""


def needed_roles(owners: Collection[str], admin: str) -> tuple[str, ...]:
    """Those that the administrator must be a member of, to give objects to them."""
    return tuple(sorted(owner for owner in owners if owner != admin and not owner.startswith(SYSTEM)))


def choose(owners: Collection[str], facts: RoleFacts, known: Collection[str], *, elsewhere: bool) -> Ownership:
    """Keep owners and grants where that can be; else everything belongs to one user of the server.

    Args:
        owners: roles that own something in the backup.
        facts: the server's roles.
        known: users whose password is in Secret Manager.
        elsewhere: the server is another environment's: its roles are not those of the backup.

    Raises:
        RestoreRefused: several users own the backup, and the administrator may not act as each of them.
    """
    needed = needed_roles(owners, facts.admin)
    if not elsewhere and set(needed) <= set(facts.memberships):
        return Ownership(owners=True, privileges=True)
    people = [owner for owner in needed if not owner.startswith(PROVIDER)]
    if not elsewhere and len(people) > 1:
        closed = ", ".join(owner for owner in needed if owner not in facts.memberships)
        raise RestoreRefused(
            f"belongs to {', '.join(needed)}, and {facts.admin} may not act as {closed}, or there is no such role",
            remedy=f"make the users that are missing; as a superuser or as those: GRANT {closed} TO {facts.admin}",
        )
    heir = people[0] if not elsewhere and people and people[0] in facts.roles else facts.owner
    if not heir or heir == facts.admin or heir.startswith(PROVIDER):
        return Ownership(owners=False, privileges=False)
    if heir in known:
        return Ownership(user=heir, owners=False, privileges=False)
    if heir in facts.memberships:
        return Ownership(owners=False, privileges=False, role=heir)
    raise RestoreRefused(
        f"should belong to {heir}, as whom {facts.admin} may not act and whose password is not in Secret Manager",
        remedy=f"as a superuser or as {heir}: GRANT {heir} TO {facts.admin}",
    )


def grants(database: str, privileges: Collection[tuple[str, str]], schemas: Collection[str]) -> list[str]:
    """Statements that give users in a restored database what they may do in the live one.

    Args:
        database: the restored one.
        privileges: (user, permission) as Scaleway's API tells them.
        schemas: of the restored one.
    """
    statements = []
    for user, permission in privileges:
        if permission not in _RIGHTS:
            continue
        on_database, on_schema, on_tables, on_sequences = _RIGHTS[permission]
        whom = f"TO {sql.name(user)}"
        statements.append(f"GRANT {on_database} ON DATABASE {sql.name(database)} {whom}")
        for schema in map(sql.name, schemas):
            statements += [
                f"GRANT {on_schema} ON SCHEMA {schema} {whom}",
                f"GRANT {on_tables} ON ALL TABLES IN SCHEMA {schema} {whom}",
                f"GRANT {on_sequences} ON ALL SEQUENCES IN SCHEMA {schema} {whom}",
            ]
    return statements
