"""What a database that a restore makes says of itself, in its comment: whose it is, and how far it is. Pure.

An attempt of a load may go on after another one took over. It must not make anew what is loaded by then, checked, and
about to take the live one's place; and no load writes over a database that another one made or kept.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from blueprint.backup import sql
from blueprint.backup.scratch import ending
from blueprint.errors import RestoreRefused

State = Literal["loading", "unmasked", "loaded"]
_MARK = re.compile(r"scaleway-infra restore (?P<run>.*): (?P<state>loading|unmasked|loaded)")


class Mark(NamedTuple):
    """One database's."""

    run: str
    """The restore that made it."""
    state: State
    """`unmasked`: whole, and not harmless yet."""

    def __str__(self) -> str:
        return f"scaleway-infra restore {self.run}: {self.state}"

    def on(self, database: str) -> str:
        """The statement that marks a database so."""
        return f"COMMENT ON DATABASE {sql.name(database)} IS {sql.text(str(self))}"


def mark_in(comment: str) -> Mark | None:
    """The mark that a database's comment is; None of any other comment."""
    found = _MARK.fullmatch(comment)
    return Mark(found["run"], found["state"]) if found else None  # type: ignore[arg-type]


def is_of(database: str, comment: str, run: str) -> bool:
    """Whether a restore made this database. One that has no mark yet may do so by its name."""
    mark = mark_in(comment)
    return mark.run == run if mark else not comment and database.endswith(ending(run))


def moved(restored: str, comment: str) -> bool:
    """Whether the database with this comment once had this name."""
    mark = mark_in(comment)
    return mark is not None and restored.endswith(ending(mark.run))


def require_whole(database: str, comment: str) -> None:
    """See that a database may take the place of a live one.

    Raises:
        RestoreRefused: not all is in it, or it is not masked.
    """
    mark = mark_in(comment)
    if mark and mark.state != "loaded":
        why = "is not masked" if mark.state == "unmasked" else "is not loaded to its end"
        raise RestoreRefused(why, subject=database, remedy="drop it, then restore again")


def making(database: str, run: str, options: str) -> str:
    """What psql is told to make a database for a restore, anew if that one had begun already.

    It answers first: `make`, `loaded` if that restore has loaded it, or `foreign` if it is not that one's. It is
    decided where it is done: whoever asks may have been held up for long.

    Args:
        options: of CREATE DATABASE.
    """
    loading, unmasked, loaded = (sql.text(str(Mark(run, state))) for state in ("loading", "unmasked", "loaded"))
    bare = "make" if is_of(database, "", run) else "foreign"
    return f"""\
SELECT coalesce((
    SELECT CASE WHEN mark = {loading} THEN 'make' WHEN mark IN ({unmasked}, {loaded}) THEN 'loaded'
                WHEN mark IS NULL THEN '{bare}' ELSE 'foreign' END
    FROM (SELECT shobj_description(oid, 'pg_database') AS mark FROM pg_database
          WHERE datname = {sql.text(database)}) AS there), 'make') AS due \\gset
\\echo :due
SELECT :'due' = 'make' AS make \\gset
\\if :make
{sql.dropped(database)}CREATE DATABASE {sql.name(database)} TEMPLATE template0 {options};
{Mark(run, "loading").on(database)};
REVOKE ALL ON DATABASE {sql.name(database)} FROM PUBLIC;
\\endif
"""
