"""One PostgreSQL server."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from emulator.real.postgresql import configuration, contents
from emulator.real.postgresql.contents import Contents
from emulator.real.process import Process
from emulator.real.servers import Server, ServerError, as_user, give, keep, run, start

USER = "postgres"
"""Of the system, as Debian's package makes it, and of the database: its superuser."""
QUIET = "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic"
"""Keeps statements of ours, which hold passwords, out of the server's log."""
ENDING = "INT"
"""Fast shutdown: clients are cut off rather than waited for."""


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs; None if there is none."""
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max((path.parent for path in found), key=lambda path: float(path.parent.name), default=None)


@dataclass(frozen=True)
class Database:
    """What one server is to be.

    Attributes:
        address: where it listens, with `port`.
        settings: (name, value) as the API shows them.
        units: (name, unit) of settings whose values are numbers of something.
        certificate: PEM of certificate and key.
        contents: users, databases and privileges.
    """

    address: str
    port: int
    settings: tuple[tuple[str, str], ...]
    units: tuple[tuple[str, str], ...]
    certificate: tuple[str, str]
    contents: Contents


class PostgresqlServer(Server[Database]):
    """A postgres."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._programs = programs() or Path()
        # An abstract socket: the path of a folder may be longer than the name of a socket can be.
        self._socket = f"@scaleway-{folder.name}"
        self._port = 0
        self._process: Process | None = None
        self._settings: configuration.Settings = {}

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.runs

    async def become(self, spec: Database) -> None:
        """Make, start or reload it, then bring its contents in line."""
        give(self.folder, USER)
        await self._make()
        knows = configuration.contexts(await run([str(self._programs / "postgres"), "--describe-config"]))
        settings = self._configure(spec, knows)
        if not self.runs or configuration.needs_start(self._settings, settings, knows):
            await self.stop()
            await self._start(spec.port)
        elif self._process:
            self._process.send(signal.SIGHUP)
        self._settings = settings
        await self._fill(spec.contents)

    async def stop(self) -> None:
        """Cut its clients off and end it."""
        if self._process:
            await self._process.stop(ask=signal.SIGINT)

    async def _make(self) -> None:
        """Make its data folder, whole or not at all."""
        data, unfinished = self.folder / "data", self.folder / "data.new"
        if data.exists():
            return
        shutil.rmtree(unfinished, ignore_errors=True)
        options = ["--username", USER, "--encoding", "UTF8", "--locale", "C.UTF-8", "--auth", "reject", "--no-sync"]
        await run([*as_user(USER, "KILL"), str(self._programs / "initdb"), "-D", str(unfinished), *options])
        unfinished.rename(data)

    def _configure(self, spec: Database, knows: dict[str, str]) -> configuration.Settings:
        own = {
            "listen_addresses": spec.address,
            "port": str(spec.port),
            "unix_socket_directories": self._socket,
            "hba_file": str(self.folder / "pg_hba.conf"),
            "ident_file": str(self.folder / "pg_ident.conf"),
            "ssl_cert_file": str(self.folder / "server.crt"),
            "ssl_key_file": str(self.folder / "server.key"),
        }
        shown = configuration.known(dict(spec.settings), dict(spec.units), knows)
        settings = {**configuration.FIXED, **shown, **own}
        certificate, key = spec.certificate
        for name, content in {
            "postgresql.conf": configuration.written(settings),
            "pg_hba.conf": configuration.access(),
            "pg_ident.conf": f"emulator {pwd.getpwuid(os.geteuid()).pw_name} {USER}\n",
            "server.crt": certificate,
            "server.key": key,
        }.items():
            keep(self.folder / name, content)
        return settings

    async def _start(self, port: int) -> None:
        self._port = port
        options = ["-D", str(self.folder / "data"), "-c", f"config_file={self.folder / 'postgresql.conf'}"]
        command = [*as_user(USER, ENDING), str(self._programs / "postgres"), *options]
        self._process = Process(command, self.folder / "log", death=ENDING)
        await start(self._process, self._answers)

    async def _answers(self) -> bool:
        with contextlib.suppress(ServerError):
            return await self._sql("SELECT 1;") == "1"
        return False

    async def _fill(self, wanted: Contents) -> None:
        """Bring users, databases and privileges in line; what is written twice changes nothing."""
        there = contents.found(await self._sql(contents.LOOK))
        await self._all(contents.arrivals(wanted, there) + contents.dropped_databases(wanted, there))
        if gone := contents.gone_users(wanted, there):
            kept = there.everywhere - (there.databases - set(wanted.databases)) | set(wanted.databases)
            for database in sorted(kept):
                await self._all(contents.bequests(gone), database)
            await self._all(contents.dropped_users(gone))
        for database in wanted.databases:
            schemas = json.loads(await self._sql(contents.SCHEMAS, database))
            statements = contents.privileges(wanted, database, schemas)
            await self._all(["BEGIN", *statements, "COMMIT"], database)

    async def _all(self, statements: list[str], database: str = USER) -> None:
        await self._sql("".join(f"{statement};\n" for statement in statements), database)

    async def _sql(self, text: str, database: str = USER) -> str:
        command = [str(self._programs / "psql"), "--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        env = {"PGHOST": self._socket, "PGPORT": str(self._port), "PGUSER": USER, "PGDATABASE": database}
        told = await run(command, text=text, env={**env, "PGOPTIONS": QUIET, "PGCONNECT_TIMEOUT": "5"})
        return told.strip()
