"""What a server holds: from what there is and what the API says to the statements between them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from emulator.products.rdb.model import SUPERADMIN
from emulator.world import Document

MARK = "made through the API"
"""Comment on what the API made; it stays with a database that SQL renames."""
KINDS = ("TABLES", "SEQUENCES", "SCHEMAS")


@dataclass(frozen=True)
class User:
    """Somebody who may log in; an administrator may also create databases and roles, and owns those of the API."""

    name: str
    password: str
    admin: bool


@dataclass(frozen=True)
class Contents:
    """What the API says.

    Attributes:
        databases: (name, oid), by name; those without an oid are to be made.
        closed: names of databases that let nobody in, the superuser included; one that opens gets its rights then.
        drops: (id, name) of databases that are to be dropped.
        privileges: (database, user, permission), where a permission was ever set.
    """

    users: tuple[User, ...]
    databases: tuple[tuple[str, int], ...]
    closed: tuple[str, ...]
    drops: tuple[tuple[str, str], ...]
    privileges: tuple[tuple[str, str, str], ...]

    def permission(self, database: str, user: str) -> str | None:
        """What a user may do in a database: readonly, readwrite, all, custom or none; None if nobody has said."""
        return next((told for *pair, told in self.privileges if pair == [database, user]), None)


@dataclass(frozen=True)
class Place:
    """A database that there is.

    Attributes:
        size: in bytes.
        managed: whether the API made it.
        open: whether it allows connections.
    """

    name: str
    oid: int
    owner: str
    size: int
    managed: bool
    open: bool

    @property
    def document(self) -> Document:
        """As the API notes it."""
        return {
            "name": self.name,
            "managed": self.managed,
            "owner": self.owner,
            "size": self.size,
            "_oid": self.oid,
            "_open": self.open,
        }


@dataclass(frozen=True)
class Found:
    """What there is.

    Attributes:
        roles: every role.
        users: those of them that the API made.
        databases: every database but the superuser's own and the templates.
    """

    roles: frozenset[str]
    users: frozenset[str]
    databases: tuple[Place, ...]

    def has(self, database: str) -> bool:
        """Whether there is a database of this name."""
        return any(place.name == database for place in self.databases)

    @property
    def identities(self) -> tuple[tuple[str, int], ...]:
        """As `Contents.databases`."""
        return tuple((place.name, place.oid) for place in self.databases)

    @property
    def closed(self) -> tuple[str, ...]:
        """As `Contents.closed`."""
        return tuple(place.name for place in self.databases if not place.open)


@dataclass(frozen=True)
class Rights:
    """What the API says of one database, by name and oid.

    Attributes:
        users: name and whether it is an administrator.
        permissions: by user, where one was ever set.
    """

    database: tuple[str, int]
    users: tuple[tuple[str, bool], ...]
    permissions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Level:
    """What a permission means, as the lists that GRANT takes; a schema's stand for those still to be made, too."""

    database: str
    schemas: str
    tables: str
    sequences: str


LEVELS = {
    "readonly": Level("CONNECT", "USAGE", "SELECT", "SELECT"),
    "readwrite": Level("CONNECT, TEMPORARY", "USAGE", "SELECT, INSERT, UPDATE, DELETE", "USAGE, SELECT, UPDATE"),
    "all": Level("ALL", "ALL", "ALL", "ALL"),
}

LOOK = f"""
SELECT json_build_object(
    'roles', (SELECT json_agg(rolname) FROM pg_roles),
    'users', (SELECT json_agg(rolname) FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = '{MARK}'),
    'databases', (
        SELECT coalesce(json_agg(json_build_object(
            'name', datname, 'oid', oid::bigint, 'owner', pg_get_userbyid(datdba), 'size', pg_database_size(oid),
            'managed', coalesce(shobj_description(oid, 'pg_database') = '{MARK}', false), 'open', datallowconn
        ) ORDER BY datname COLLATE "C"), '[]')
        FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'));
"""
"""Run in any database, for `found`."""

SCHEMAS = """
SELECT coalesce(json_agg(nspname), '[]') FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema';
"""
"""Run in each database: the schemas whose contents privileges concern."""


def contents_of(instance: Document) -> Contents:
    """What the document of an instance says about its contents."""
    return Contents(
        users=tuple(User(user["name"], user["_password"], user["is_admin"]) for user in instance["_users"]),
        databases=tuple(sorted((database["name"], database.get("_oid", 0)) for database in instance["_databases"])),
        closed=tuple(sorted(each["name"] for each in instance["_databases"] if not each.get("_open", True))),
        drops=tuple((drop["id"], drop["name"]) for drop in instance.get("_dropped", ())),
        privileges=tuple(
            (database, user, permission)
            for database, users in sorted(instance["_privileges"].items())
            for user, permission in sorted(users.items())
        ),
    )


def found(told: str) -> Found:
    """The answer to `LOOK`."""
    seen = json.loads(told)
    return Found(
        roles=frozenset(seen["roles"]),
        users=frozenset(seen["users"] or ()),
        databases=tuple(Place(**place) for place in seen["databases"]),
    )


def departures(wanted: Contents, there: Found) -> list[str]:
    """Statements that drop databases with whoever is connected, to run in the database postgres."""
    names = dict.fromkeys(name for _, name in wanted.drops)
    return [f"DROP DATABASE {_name(name)} WITH (FORCE)" for name in names if there.has(name)]


def arrivals(wanted: Contents, there: Found, *, afresh: bool) -> list[str]:
    """Statements that make and change users, and make databases, to run in the database postgres.

    Args:
        afresh: the server is new and has nothing: all databases are to be made. Later on, one that is missing was
            renamed or dropped by a user.
    """
    statements = [] if SUPERADMIN in there.roles else [f"CREATE ROLE {SUPERADMIN}"]
    for user in wanted.users:
        name = _name(user.name)
        rights = "CREATEDB CREATEROLE" if user.admin else "NOCREATEDB NOCREATEROLE"
        statements += [] if user.name in there.roles else [f"CREATE ROLE {name}"]
        statements += [
            f"ALTER ROLE {name} LOGIN {rights} PASSWORD {_text(user.password)}",
            f"COMMENT ON ROLE {name} IS '{MARK}'",
            f"GRANT {SUPERADMIN} TO {name}" if user.admin else f"REVOKE {SUPERADMIN} FROM {name}",
        ]
    for database, oid in wanted.databases:
        name = _name(database)
        if not oid or afresh:
            statements += [] if there.has(database) else [f"CREATE DATABASE {name} OWNER {SUPERADMIN}"]
            statements += [f"COMMENT ON DATABASE {name} IS '{MARK}'"]
    return statements


def governed(wanted: Contents, there: Found) -> list[Place]:
    """The open databases in which the API has a say: those that it made, and those that it gave privileges in."""
    given = {database for database, *_ in wanted.privileges}
    return [place for place in there.databases if place.open and (place.managed or place.name in given)]


def gone_users(wanted: Contents, there: Found) -> list[str]:
    """The users that the API knows no longer."""
    return sorted(there.users - {user.name for user in wanted.users})


def bequests(users: Iterable[str]) -> list[str]:
    """Statements that free users who go from what they own and hold in one database."""
    return [
        statement
        for user in map(_name, users)
        for statement in (f"REASSIGN OWNED BY {user} TO {SUPERADMIN}", f"DROP OWNED BY {user}")
    ]


def dropped_users(users: Iterable[str]) -> list[str]:
    """Statements that drop users who own and hold nothing more."""
    return [f"DROP ROLE {_name(user)}" for user in users]


def rights(wanted: Contents, place: Place) -> Rights:
    """All that `privileges` follow from in a database."""
    return Rights(
        database=(place.name, place.oid),
        users=tuple((user.name, user.admin) for user in wanted.users),
        permissions=tuple((user, told) for database, user, told in wanted.privileges if database == place.name),
    )


def privileges(wanted: Contents, database: str, schemas: Iterable[str]) -> list[str]:
    """Statements that make every user's rights in a database what the API says, to run there in one transaction.

    Where the API never said anything, nothing is taken away: a database that SQL renamed keeps its rights.
    Administrators may do everything in it, by way of its owner, whose members they are; nothing is taken from them.

    Args:
        schemas: those of the database.
    """
    there = ", ".join(map(_name, schemas))
    makers = [SUPERADMIN, *(user.name for user in wanted.users)]
    statements = [f"REVOKE ALL ON DATABASE {_name(database)} FROM PUBLIC"]
    statements += _set("GRANT", LEVELS["all"], "TO", SUPERADMIN, database, there, makers[1:])
    for user in wanted.users:
        permission = wanted.permission(database, user.name)
        if permission is None:
            continue
        if permission == "custom":
            # What it may do beyond connecting was granted in SQL.
            statements.append(f"GRANT CONNECT ON DATABASE {_name(database)} TO {_name(user.name)}")
            continue
        # A maker's rights on what it will make itself are its own: revoked, it could not use what it has just made.
        others = [maker for maker in makers if maker != user.name]
        if not user.admin:
            statements += _set("REVOKE", LEVELS["all"], "FROM", user.name, database, there, others)
        if permission != "none":
            statements += _set("GRANT", LEVELS[permission], "TO", user.name, database, there, others)
    return statements


def _set(verb: str, rights: Level, link: str, user: str, database: str, schemas: str, makers: list[str]) -> list[str]:
    whom = f"{link} {_name(user)}"
    statements = [f"{verb} {rights.database} ON DATABASE {_name(database)} {whom}"]
    if schemas:
        statements += [
            f"{verb} {rights.schemas} ON SCHEMA {schemas} {whom}",
            f"{verb} {rights.tables} ON ALL TABLES IN SCHEMA {schemas} {whom}",
            f"{verb} {rights.sequences} ON ALL SEQUENCES IN SCHEMA {schemas} {whom}",
        ]
    future = dict(zip(KINDS, (rights.tables, rights.sequences, rights.schemas), strict=True))
    return statements + [
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {_name(maker)} {verb} {right} ON {kind} {whom}"
        for maker in makers
        for kind, right in future.items()
    ]


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
