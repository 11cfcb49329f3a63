"""One PostgreSQL server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from emulator.products.rdb.model import PORT
from emulator.real.postgresql import configuration, contents
from emulator.real.postgresql.client import USER, Client, programs
from emulator.real.postgresql.contents import Contents, Found, Rights
from emulator.real.postgresql.door import Door, Public
from emulator.real.process import Process
from emulator.real.servers import Server, ServerError, as_user, give, keep, run, start

ENDING = "INT"
"""Fast shutdown: clients are cut off rather than waited for."""
FILLED = "filled"
"""File in the data folder of a server that has once had all that the API says; it goes along into copies."""


@dataclass(frozen=True)
class Database:
    """What one server is to be.

    Attributes:
        address: where it listens, with `port`.
        public: who passes connections on to it from a public address; None if nobody does.
        settings: (name, value) as the API shows them.
        units: (name, unit) of settings whose values are numbers of something.
        certificate: PEM of certificate and key.
        contents: users, databases and privileges.
        snapshot: folder with the data that a new server begins with.
        source: id of the instance whose data a new server begins with.
    """

    address: str
    port: int
    public: Public | None
    settings: tuple[tuple[str, str], ...]
    units: tuple[tuple[str, str], ...]
    certificate: tuple[str, str]
    contents: Contents
    snapshot: Path | None = None
    source: str | None = None


def socket_of(instance_id: str) -> str:
    """Where a server listens for the emulator.

    An abstract socket: the path of a folder may be longer than the name of a socket can be.
    """
    return f"@scaleway-{instance_id}"


class PostgresqlServer(Server[Database]):
    """A postgres."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._programs = programs() or Path()
        self.client = Client(socket_of(folder.name), PORT)
        """Its superuser."""
        self.seen: Found | None = None
        """What it held at the end of the last change; None while it has not all that the API says from the start."""
        self._granted: dict[str, Rights] = {}
        self._door = Door()
        self._process: Process | None = None
        self._settings: configuration.Settings = {}

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.runs

    async def become(self, spec: Database) -> None:
        """Make, start or reload it, then bring its contents in line."""
        give(self.folder, USER)
        if spec.public != self._door.public:
            await self._door.close()
        await self._make(spec)
        knows = configuration.contexts(await run([str(self._programs / "postgres"), "--describe-config"]))
        settings = self._configure(spec, knows)
        if not self.runs or configuration.needs_start(self._settings, settings, knows):
            await self.stop()
            await self._start()
        elif self._process:
            self._process.send(signal.SIGHUP)
        self._settings = settings
        await self._fill(spec.contents)
        if spec.public and self._door.public is None:
            await self._door.open(spec.public, spec.address, spec.port)

    async def stop(self) -> None:
        """Cut its clients off and end it."""
        await self._door.close()
        if self._process:
            await self._process.stop(ask=signal.SIGINT)

    async def _make(self, spec: Database) -> None:
        """Make its data folder, whole or not at all."""
        data, unfinished = self.folder / "data", self.folder / "data.new"
        if data.exists():
            return
        await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
        if spec.snapshot:
            await run(
                [*as_user(USER, "KILL"), "cp", "--archive", "--reflink=auto", str(spec.snapshot), str(unfinished)]
            )
        elif spec.source:
            await Client(socket_of(spec.source), PORT).copy(unfinished)
        else:
            options = ["--username", USER, "--encoding", "UTF8", "--locale", "C.UTF-8", "--auth", "reject", "--no-sync"]
            await run([*as_user(USER, "KILL"), str(self._programs / "initdb"), "-D", str(unfinished), *options])
        unfinished.rename(data)

    def _configure(self, spec: Database, knows: dict[str, str]) -> configuration.Settings:
        own = {
            "listen_addresses": spec.address,
            "port": str(spec.port),
            "unix_socket_directories": socket_of(self.folder.name),
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
            "pg_ident.conf": configuration.superusers(pwd.getpwuid(os.geteuid()).pw_name),
            "server.crt": certificate,
            "server.key": key,
        }.items():
            keep(self.folder / name, content)
        return settings

    async def _start(self) -> None:
        options = ["-D", str(self.folder / "data"), "-c", f"config_file={self.folder / 'postgresql.conf'}"]
        command = [*as_user(USER, ENDING), str(self._programs / "postgres"), *options]
        self._process = Process(command, self.folder / "log", death=ENDING)
        await start(self._process, self._answers)

    async def _answers(self) -> bool:
        with contextlib.suppress(ServerError):
            return await self.client.sql("SELECT 1;") == "1"
        return False

    async def _fill(self, wanted: Contents) -> None:
        """Bring users, databases and privileges in line; what is written twice changes nothing."""
        filled = self.folder / "data" / FILLED
        there = await self.client.look()
        arrivals = contents.arrivals(wanted, there, afresh=not filled.exists())
        await self._all(contents.departures(wanted, there))
        await self._all(arrivals)
        filled.touch()
        there = await self.client.look()
        if gone := contents.gone_users(wanted, there):
            for database in (USER, *(place.name for place in there.databases if place.open)):
                await self._all(contents.bequests(gone), database)
            await self._all(contents.dropped_users(gone))
        for place in contents.governed(wanted, there):
            rights = contents.rights(wanted, place)
            # Grants get in the way of whoever changes tables at the same time: none without need.
            if rights != self._granted.get(place.name):
                schemas = json.loads(await self.client.sql(contents.SCHEMAS, place.name))
                statements = contents.privileges(wanted, place.name, schemas)
                await self._all(["BEGIN", *statements, "COMMIT"], place.name)
                self._granted[place.name] = rights
        self.seen = there

    def regrant(self) -> None:
        """Set all privileges once more at the next change: tables were made that have none."""
        self._granted.clear()

    async def _all(self, statements: list[str], database: str = USER) -> None:
        if statements:
            await self.client.sql("".join(f"{statement};\n" for statement in statements), database)
