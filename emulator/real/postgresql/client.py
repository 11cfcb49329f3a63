"""What the emulator asks of a server by its socket, as its superuser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from emulator.real.postgresql import contents
from emulator.real.postgresql.contents import Found
from emulator.real.servers import ServerError, as_user, run

USER = "postgres"
"""Of the system, as Debian's package makes it, and of the database: its superuser."""
QUIET = "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic"
"""Keeps statements of ours, which hold passwords, out of the server's log."""
PATIENCE = 5
"""Seconds that a connection, and an answer that a request waits for, may take."""

_FAILED = re.compile(r"pg_restore: error: (.*)")
_NO_ROLE = re.compile(r'could not execute query: ERROR:  role "[^"]*" does not exist')


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs; None if there is none."""
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max((path.parent for path in found), key=lambda path: float(path.parent.name), default=None)


class Client:
    """The superuser of one server.

    Args:
        socket: the name of the abstract socket that it listens at.
        port: part of the socket's name.
    """

    def __init__(self, socket: str, port: int) -> None:
        self._programs = programs() or Path()
        self._env = {
            "PGHOST": socket,
            "PGPORT": str(port),
            "PGUSER": USER,
            "PGDATABASE": USER,
            "PGOPTIONS": QUIET,
            "PGCONNECT_TIMEOUT": str(PATIENCE),
        }

    async def sql(self, text: str, database: str = USER) -> str:
        """What statements answer.

        Raises:
            ServerError: one failed, or there is no connection.
            OSError: psql cannot be run.
        """
        return (await run(self._psql, text=text, env={**self._env, "PGDATABASE": database})).strip()

    async def look(self) -> Found:
        """What the server holds. Raises as `sql` does."""
        return contents.found(await self.sql(contents.LOOK))

    def look_now(self) -> Found:
        """The same, for a request that cannot be answered without it: a few hundredths of a second.

        Raises:
            ServerError: the server does not answer.
            OSError: psql cannot be run.
        """
        command = [*self._psql, "-c", contents.LOOK]
        try:
            done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=PATIENCE, check=True)
        except subprocess.SubprocessError as error:
            raise ServerError(f"psql: {error}") from error
        return contents.found(done.stdout)

    async def dump(self, database: str, file: Path) -> None:
        """Dump a database in pg_dump's custom format. Raises as `sql` does."""
        await self._run("pg_dump", "--format", "custom", "--file", str(file), database)

    async def restore(self, file: Path, database: str) -> None:
        """Load a dump into a database, in place of what both have.

        Owners and grants come along for those roles that there are.

        Raises:
            ServerError: something else than a missing role went wrong.
            OSError: pg_restore cannot be run.
        """
        try:
            await self._run("pg_restore", "--clean", "--if-exists", "--dbname", database, str(file))
        except ServerError as error:
            failures = _FAILED.findall(str(error))
            if not failures or not all(_NO_ROLE.match(failure) for failure in failures):
                raise

    async def copy(self, folder: Path) -> None:
        """Copy all of the server's data, as at one moment, to a folder of the system's postgres. Raises as `sql`."""
        options = ["--pgdata", str(folder), "--checkpoint", "fast", "--no-sync"]
        await run([*as_user(USER, "KILL"), str(self._programs / "pg_basebackup"), *options], env=self._env)

    @property
    def _psql(self) -> list[str]:
        return [str(self._programs / "psql"), "--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1"]

    async def _run(self, program: str, *options: str) -> None:
        # These may take long, and must not outlive an emulator that is killed.
        leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        await run([*leash, str(self._programs / program), *options], env=self._env)
