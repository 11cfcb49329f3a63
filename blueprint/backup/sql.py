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
