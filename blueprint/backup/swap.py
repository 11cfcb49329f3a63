"""How a restored database takes the place of the live one: what is to be done, and the statements. Pure.

Both names change in one transaction, in which nobody can connect to either; whoever is connected is cut off before it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from blueprint.backup import sql
from blueprint.errors import RestoreRefused
from blueprint.resource import Model

LOCK_SECONDS = 5
"""That each statement may wait for others."""
TURN = 4_702_111_234_474_983_745
"""Key of the advisory lock of whoever swaps: an attempt whose worker died may still be at it."""
LISTS = ("search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries")
"""Settings whose values are lists: they are kept quoted, and quoted once more would be one name."""

LOOK = """
SELECT coalesce(json_agg(json_build_object(
    'name', datname, 'owner', pg_get_userbyid(datdba), 'comment', coalesce(shobj_description(oid, 'pg_database'), ''),
    'mine', pg_has_role(datdba, 'USAGE'),
    'acl', (SELECT coalesce(json_agg(json_build_array(
                coalesce(pg_get_userbyid(nullif(grantee, 0)), ''), privilege_type)), '[]')
            FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))),
    'settings', (SELECT coalesce(json_agg(setting), '[]') FROM pg_db_role_setting, unnest(setconfig) AS setting
                 WHERE setdatabase = d.oid AND setrole = 0),
    'role_settings', (SELECT coalesce(json_agg(json_build_array(pg_get_userbyid(setrole), setting)), '[]')
                      FROM pg_db_role_setting, unnest(setconfig) AS setting
                      WHERE setdatabase = d.oid AND setrole <> 0))), '[]')
FROM pg_database d WHERE {chosen}"""
"""Gives `DatabaseFacts` in JSON, of the databases that are chosen."""

MAY_END = "(pg_has_role(pg_roles.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))"
"""Of a row of `pg_roles`: whether whoever asks may end its sessions."""


class DatabaseFacts(Model):
    """What the server says of one database."""

    name: str
    owner: str
    acl: tuple[tuple[str, str], ...] = ()
    """(grantee, privilege), as granted or by default; the grantee is empty for everybody."""
    settings: tuple[str, ...] = ()
    """`name=value` of `ALTER DATABASE ... SET`."""
    role_settings: tuple[tuple[str, str], ...] = ()
    """(role, `name=value`) of `ALTER ROLE ... IN DATABASE ... SET`."""
    comment: str = ""
    mine: bool = True
    """Whether whoever asks is its owner, or may act as its owner: nobody else can rename it."""


def due(found: Collection[str], live: str, restored: str, kept: str) -> Literal["swap", "move", "done"]:
    """What is left to do: "move" if nothing has the name that counts.

    Args:
        found: names of databases that exist.
        live: the name that counts.
        restored: the name of what shall have it.
        kept: the name for what has it now.

    Raises:
        RestoreRefused: neither before nor after a swap looks like this.
    """
    there = (live in found, restored in found, kept in found)
    if there == (True, True, False):
        return "swap"
    if there == (False, True, False):
        return "move"
    if there == (True, False, True):
        return "done"
    missing = [name for name in (live, restored) if name not in found]
    why = f"{', '.join(missing)} does not exist" if missing else f"{kept} exists already"
    raise RestoreRefused(why, subject=live, remedy="see which databases the instance has; nothing was changed")


def require_mine(databases: Collection[DatabaseFacts], admin: str) -> None:
    """See that the administrator can rename them. What Scaleway's API makes belongs to a role of Scaleway's.

    Raises:
        RestoreRefused: one belongs to somebody as whom the administrator may not act.
    """
    for database in databases:
        if not database.mine:
            raise RestoreRefused(
                f"belongs to {database.owner}, as whom {admin} may not act: it cannot be renamed",
                subject=database.name,
                remedy=f"as {database.owner}: ALTER DATABASE {sql.name(database.name)} OWNER TO {sql.name(admin)}; or "
                "let the application use the restored database under the name that it has",
            )


def carried_over(live: DatabaseFacts, restored: DatabaseFacts) -> list[str]:
    """Statements that give the restored database what `pg_dump` does not carry: who may connect, and its settings."""
    target = sql.name(restored.name)
    return [
        *(f"REVOKE ALL ON DATABASE {target} FROM {_whom(grantee)} CASCADE" for grantee in grantees(restored)),
        *(f"GRANT {right} ON DATABASE {target} TO {_whom(who)}" for who, right in live.acl if who != restored.owner),
        *(f"ALTER DATABASE {target} SET {_setting(each)}" for each in live.settings),
        *(
            _if_permitted(f"ALTER ROLE {sql.name(role)} IN DATABASE {target} SET {_setting(each)}")
            for role, each in live.role_settings
        ),
    ]


def closing(live: DatabaseFacts) -> str:
    """What psql is told first: nobody can connect any more. It answers with the time."""
    return f"""\
SET lock_timeout = '{LOCK_SECONDS}s';
ALTER DATABASE {sql.name(live.name)} ALLOW_CONNECTIONS false;
SELECT extract(epoch FROM clock_timestamp());
"""


def ending(live: DatabaseFacts) -> str:
    """What a user's psql is told, to end its own sessions: the administrator may not be allowed to."""
    return f"""\
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = {sql.text(live.name)} AND usename = current_user AND pid <> pg_backend_pid();
"""


def window(live: DatabaseFacts, restored: str, kept: str) -> str:
    """What psql is told then: cut everybody off, change the names and open both, the kept one for few.

    It answers with one line of JSON; with none if an earlier attempt was faster. Its variable `since` is when nobody
    could connect any more.
    """
    here, coming, going = sql.name(live.name), sql.name(restored), sql.name(kept)
    both = sql.texts((live.name, restored))
    revoked = "".join(f"REVOKE ALL ON DATABASE {going} FROM {_whom(grantee)} CASCADE;\n" for grantee in grantees(live))
    return f"""\
SET lock_timeout = '{LOCK_SECONDS}s';
SET statement_timeout = '{3 * LOCK_SECONDS}s';
SELECT FROM pg_advisory_lock({TURN});
SELECT count(*) = 2 AS due FROM pg_database WHERE datname = ANY ({both}) \\gset
\\if :due
ALTER DATABASE {coming} ALLOW_CONNECTIONS false;
SELECT count(pg_terminate_backend(pid)) AS closed FROM pg_stat_activity JOIN pg_roles ON pg_roles.oid = usesysid
    WHERE datname = ANY ({both}) AND NOT rolsuper AND {MAY_END} \\gset
BEGIN;
ALTER DATABASE {here} RENAME TO {going};
ALTER DATABASE {coming} RENAME TO {here};
ALTER DATABASE {here} ALLOW_CONNECTIONS true;
ALTER DATABASE {going} ALLOW_CONNECTIONS true;
{revoked}COMMIT;
SELECT json_build_object('closed', :closed, 'seconds', extract(epoch FROM clock_timestamp()) - :since);
\\endif
"""


def opened(names: Sequence[str]) -> str:
    """Statements that let connections in again, to those of these databases that exist, whatever happened."""
    return (
        "SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', datname) FROM pg_database "
        f"WHERE datname = ANY ({sql.texts(names)}) AND NOT datallowconn \\gexec\n"
    )


def grantees(database: DatabaseFacts) -> list[str]:
    """Everybody but the owner who may do something with it, each once."""
    return list(dict.fromkeys(grantee for grantee, _ in database.acl if grantee != database.owner))


def _whom(grantee: str) -> str:
    return sql.name(grantee) if grantee else "PUBLIC"


def _if_permitted(statement: str) -> str:
    # As a text, which nothing in the statement can end: users choose their settings.
    return f"DO {sql.text(f'BEGIN {statement}; EXCEPTION WHEN insufficient_privilege THEN NULL; END')}"


def _setting(setting: str) -> str:
    key, _, value = setting.partition("=")
    return f"{sql.name(key)} TO {value if key in LISTS else sql.text(value)}"
