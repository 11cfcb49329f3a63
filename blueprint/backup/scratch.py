"""Names of databases that a drill or a restore makes: recognisable, and never those of a live one."""

from __future__ import annotations

import re
from collections.abc import Collection

from blueprint.errors import RestoreRefused

DRILL, RESTORE, KEPT = "drill_", "restore_", "before_"
"""Starts of scratch names; the environment file may not call a database so."""
RESERVED = (DRILL, RESTORE, KEPT)
LONGEST = 63
"""Bytes of a name in PostgreSQL; a longer one would be cut off without a word."""
_PLAIN = re.compile(rf"[A-Za-z0-9_.-]{{1,{LONGEST}}}")
"""What a name may be made of that units and files on a node are called by, too."""


def drill_name(database: str, unique: str) -> str:
    """Name of a drill's scratch database."""
    return _name(DRILL, database, unique)


def restore_name(database: str, unique: str) -> str:
    """Name of a database that is restored beside the live one."""
    return _name(RESTORE, database, unique)


def kept_name(database: str, id: str) -> str:
    """Name that the live database gets when a restored one takes its place."""
    return _name(KEPT, database, id)


def require_scratch(name: str, live: Collection[str]) -> None:
    """See that a name can only be that of a scratch database.

    Args:
        name: what is to be made or dropped.
        live: names of the environment's databases.

    Raises:
        RestoreRefused: it could be a live one, or the server or a node would take it for another one.
    """
    if name in live or not name.startswith(RESERVED):
        raise RestoreRefused("could be a live database: nothing is done to it", subject=name)
    if not _PLAIN.fullmatch(name):
        raise RestoreRefused(
            "is no name that it can have",
            subject=name,
            remedy=f"at most {LONGEST} letters, digits, `_`, `.` and `-` fit",
        )


def ending(unique: str) -> str:
    """How all names end that one run makes."""
    return "_" + re.sub("[^a-z0-9]", "", unique.lower())


def _name(start: str, database: str, unique: str) -> str:
    end = ending(unique)
    return f"{start}{database}"[: LONGEST - len(end)] + end
