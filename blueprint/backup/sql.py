"""Statements to PostgreSQL, made of names and texts that may hold anything. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def name(text: str) -> str:
    """An identifier, quoted."""
    return '"' + text.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string constant, whatever `standard_conforming_strings` says."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'" if "\\" in value else f"'{escaped}'"


def texts(values: Iterable[str]) -> str:
    """An array of strings."""
    return f"ARRAY[{', '.join(map(text, values))}]::text[]"


def table(schema: str, relation: str) -> str:
    """A table's name with its schema."""
    return f"{name(schema)}.{name(relation)}"


def become_members(roles: Iterable[str]) -> str:
    """Make the current user a member of these roles, as far as the server lets it."""
    return "".join(
        f"DO $do$ BEGIN GRANT {name(role)} TO CURRENT_USER; "
        "EXCEPTION WHEN insufficient_privilege OR undefined_object OR invalid_grant_operation THEN NULL; END $do$;\n"
        for role in roles
    )


def dropped(database: str) -> str:
    """What psql is told to drop a database, if it exists, whoever is connected to it.

    Not `WITH (FORCE)`: only a superuser may end an autovacuum worker by that, and a database that was just loaded has
    one. A drop without it asks the worker to leave. Clients that may not be ended keep the database, for then.
    """
    return (
        "SELECT count(pg_terminate_backend(pid)) AS ended FROM pg_stat_activity "
        f"WHERE datname = {text(database)} AND pg_has_role(usesysid, 'MEMBER') AND pid <> pg_backend_pid() \\gset\n"
        f"DROP DATABASE IF EXISTS {name(database)};\n"
    )
