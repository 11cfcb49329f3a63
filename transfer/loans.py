"""What a user who is no superuser must be let into, for a while, to give objects back to their owners.

PostgreSQL lets a user give an object away only to a role that it is a member of, and only if that role may create
objects in the schema, or schemas in the database. The administrator of a managed instance may grant itself all that;
it does so for the load, and takes it back.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from transfer.contents import Owners
from transfer.database import Session, quoted
from transfer.files import Code, TransferError

_PATIENCE = 30.0
"""Seconds for giving back what the load has borrowed."""


class Loans:
    """What has been borrowed. It is given back also when the load has failed and its session is gone.

    Args:
        session: of the user who loads.
        env: of libpq, to give back.
    """

    def __init__(self, session: Session, env: Mapping[str, str]) -> None:
        self._session = session
        self._env = env
        self._memberships: list[str] = []
        self._grants: list[str] = []

    def memberships(self, owners: Owners) -> None:
        """Become a member of every owner.

        Raises:
            TransferError: an owner does not exist, or nobody can become a member of it.
        """
        told = self._session.ask(f"""
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'name', name, 'exists', r.oid IS NOT NULL, 'superuser', coalesce(r.rolsuper, false),
                'member', r.oid IS NOT NULL AND pg_has_role(r.oid, 'USAGE'))), '[]')
            FROM jsonb_array_elements_text({_array(owners.roles)}) AS name LEFT JOIN pg_roles r ON r.rolname = name""")
        roles = [role for role in told if not role["name"].startswith("pg_")]
        if missing := _names(role for role in roles if not role["exists"]):
            raise TransferError(Code.ROLE_MISSING, f"owners of the dump's objects do not exist here: {missing}")
        foreign = [role for role in roles if not role["member"]]
        if beyond := _names(role for role in foreign if role["superuser"]):
            text = f"objects belong to superusers, whom this user cannot give them to: {beyond}; load without owners"
            raise TransferError(Code.NOT_PERMITTED, text)
        for role in foreign:
            self._borrow(self._memberships, quoted(role["name"]), "current_user")

    def database(self, owners: Owners) -> None:
        """Let owners of schemas create them in this database."""
        told = self._session.ask(f"""
            SELECT jsonb_build_object('database', current_database(), 'owners', coalesce(jsonb_agg(name), '[]'))
            FROM jsonb_array_elements_text({_array(owners.of_schemas)}) AS name
            WHERE NOT has_database_privilege(name, current_database(), 'CREATE')""")
        for owner in told["owners"]:
            self._borrow(self._grants, f"CREATE ON DATABASE {quoted(told['database'])}", quoted(owner))

    def schemas(self, owners: Owners) -> None:
        """Let owners of objects create them in their schemas, which exist by now."""
        told = self._session.ask(f"""
            SELECT coalesce(jsonb_agg(jsonb_build_array(pair->>0, pair->>1, privilege)), '[]')
            FROM jsonb_array_elements({_array(owners.within)}) AS pair, unnest(ARRAY['CREATE', 'USAGE']) AS privilege
            WHERE NOT has_schema_privilege(pair->>1, pair->>0, privilege)""")
        for schema, owner, privilege in told:
            self._borrow(self._grants, f"{privilege} ON SCHEMA {quoted(schema)}", quoted(owner))

    def return_grants(self) -> None:
        """Take back what owners were let into, before what the dump grants is granted."""
        self._return(self._grants)

    def return_all(self) -> None:
        """Take back all."""
        self._return(self._grants)
        self._return(self._memberships)

    def _borrow(self, loans: list[str], what: str, whom: str) -> None:
        loans.append(f"REVOKE {what} FROM {whom};\n")
        self._session.ask(f"GRANT {what} TO {whom}; SELECT 1")

    def _return(self, loans: list[str]) -> None:
        if loans:
            # Another session, and no child of the run: both may have ended.
            subprocess.run(
                ["psql", "--no-psqlrc", "-q"],
                input="".join(loans),
                text=True,
                env={**os.environ, **self._env, "PGCLIENTENCODING": "UTF8"},
                timeout=_PATIENCE,
                check=False,
            )
        loans.clear()


def _array(values: Iterable[object]) -> str:
    text = json.dumps(sorted(values, key=str))
    return "'" + text.replace("'", "''") + "'::jsonb"


def _names(roles: Iterable[dict[str, Any]]) -> str:
    return ", ".join(sorted(role["name"] for role in roles))
