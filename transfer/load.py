"""From the bucket into an empty database: the schema, then lanes of `age | zstd | pg_restore`, then indexes and rights.

A part is fed to a program only after its size and sha256 were found to be those of the dump. The schema's archive
alone lands in the job's folder, which is in memory, since it is read several times. Rows of the others come in frozen.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from transfer import contents, queries
from transfer.cut import SCHEMA
from transfer.database import Session, conninfo, environment, major, require_tools, version
from transfer.files import Code, Loaded, LoadJob, State, TransferError, write_secret
from transfer.frozen import frozen
from transfer.lanes import Lanes
from transfer.ledger import Account, Ledger, now
from transfer.loans import Loans
from transfer.pump import Pump
from transfer.run import Child, Run
from transfer.store import Store
from transfer.urls import Course, Urls, ahead

OPTIONS = "-c synchronous_commit=off -c max_parallel_maintenance_workers=1 -c maintenance_work_mem={memory}kB"
"""Of the sessions that restore: no waiting for a disk, since a database that a crash of the server spoils is loaded
again; and for building indexes, of which several are built side by side anyway, one more worker each and, all together,
as much memory as the server's cache has."""
LEAST_MEMORY = 1024
"""kB that PostgreSQL wants it to be at least."""
UNKNOWN, SINCE = 'unrecognized configuration parameter "transaction_timeout"', 17
"""What an older server says to pg_restore from this version on, which sets that for every session."""
IDENTITY = "identity"
_NAMED = 3


class Load:
    """One load.

    Args:
        ledger: to keep while it runs.
    """

    def __init__(self, run: Run, job: LoadJob, ledger: Ledger) -> None:
        self._run = run
        self._job = job
        self._ledger = ledger
        self._env = environment(job)
        self._harmless: str | None = None
        """An error that stops nothing."""
        self._identity = run.folder / IDENTITY
        write_secret(self._identity, job.identity + "\n")
        self._schema = run.folder / "schema.dump"
        ledger.accounts = [
            Account(archive.name, archive.tables, archive.raw_bytes)
            for archive in sorted(job.archives, key=lambda archive: (archive.name != SCHEMA, -archive.raw_bytes))
        ]
        self._archives = {archive.name: archive for archive in job.archives}
        self.urls = Urls(run, "GET", self._wanted)

    def carry(self) -> Loaded:
        """Do it.

        Raises:
            TransferError: it failed.
        """
        run, job = self._run, self._job
        require_tools("pg_restore", "vacuumdb")
        client = version(run, "pg_restore")
        session = Session(run, environment(job), Code.LOAD_FAILED)
        server = session.ask(queries.SERVER)
        memory = max(LEAST_MEMORY, server["cache"] // job.jobs)
        self._env = environment(job, PGOPTIONS=OPTIONS.format(memory=memory))
        self._harmless = UNKNOWN if major(client) >= SINCE > major(server["version"]) else None
        if occupants := session.ask(queries.OCCUPANTS):
            named = ", ".join(occupants[:_NAMED])
            raise TransferError(Code.NOT_EMPTY, f"the database holds {len(occupants)} relations already: {named}")
        run.step = "schema"
        self._fetch_schema()
        steps = contents.steps(self._restore("--list", str(self._schema)), superuser=server["superuser"])
        loans = Loans(session, environment(job))
        try:
            self._make(steps, loans)
        finally:
            loans.return_all()
            session.close()
        return Loaded(
            server_version=server["version"],
            pg_restore_version=client,
            left_out=steps.left_out,
            raw_bytes=self._ledger.raw_bytes,
            stored_bytes=self._ledger.stored_bytes,
            started=self._ledger.started,
            ended=now(),
        )

    def _make(self, steps: contents.Steps, loans: Loans) -> None:
        run, job = self._run, self._job
        everything = self._list("everything", (*steps.schemas, *steps.objects, *steps.rights))
        owners = contents.owners(self._restore("--schema-only", everything, "--file=-", str(self._schema)))
        if job.owners:
            loans.memberships(owners)
            loans.database(owners)
        if steps.schemas:
            self._into(self._list("schemas", steps.schemas))
        if job.owners:
            loans.schemas(owners)
        objects = self._list("objects", steps.objects)
        self._into("--section=pre-data", objects)
        run.step = "data"
        tasks: list[Callable[[], object]] = [
            functools.partial(self._lane, account) for account in self._ledger.accounts if account.archive != SCHEMA
        ]
        tasks.append(functools.partial(self._into, "--section=data", objects))
        Lanes(run, job.jobs, tasks).results()
        run.step = "indexes and constraints"
        self._into("--section=post-data", f"--jobs={job.jobs}", objects)
        loans.return_grants()
        run.step = "rights"
        if steps.rights:
            self._into(self._list("rights", steps.rights))
        run.step = "statistics"
        vacuumdb = ("vacuumdb", "--analyze-only", "--quiet", f"--jobs={job.jobs}", conninfo(job.database))
        run.output(*vacuumdb, env=self._env, code=Code.LOAD_FAILED)

    def _list(self, name: str, lines: Iterable[str]) -> str:
        path = self._run.folder / f"{name}.list"
        path.write_text("".join(f"{line}\n" for line in lines))
        return f"--use-list={path}"

    def _restore(self, *options: str) -> str:
        command = ("pg_restore", *options)
        return self._run.output(*command, env=self._env, code=Code.LOAD_FAILED, harmless=self._harmless)

    def _into(self, *options: str) -> str:
        """Restore from the schema's archive."""
        return self._restore(*self._options(), *options, str(self._schema))

    def _options(self) -> list[str]:
        job = self._job
        options = [f"--dbname={conninfo(job.database)}"]
        # Without it, pg_restore goes on after errors and counts them.
        options += [] if self._harmless else ["--exit-on-error"]
        options += [] if job.owners else ["--no-owner"]
        options += [] if job.privileges else ["--no-privileges"]
        return options + ([f"--role={job.role}"] if job.role else [])

    def _fetch_schema(self) -> None:
        (account,) = (account for account in self._ledger.accounts if account.archive == SCHEMA)
        with self._schema.open("wb") as file:
            decoders = self._decoders(account, file)
            trouble = self._feed(account, decoders[0])
            self._run.require(decoders, Code.LOAD_FAILED, trouble)
        account.raw_bytes = self._schema.stat().st_size
        self._end(account)

    def _lane(self, account: Account) -> None:
        """Load one archive of rows."""
        run = self._run
        decoders = self._decoders(account, subprocess.PIPE)
        command = ("pg_restore", *self._options(), "--data-only")
        restore = run.spawn(*command, stdin=subprocess.PIPE, env=self._env, buffered="input")
        pump = Pump(run, decoders[-1], restore, account, functools.partial(frozen, tables=account.tables))
        pump.start()
        trouble = self._feed(account, decoders[0])
        pump.join()
        run.require([*decoders, restore], Code.LOAD_FAILED, pump.trouble or trouble, self._harmless)
        self._end(account)

    def _decoders(self, account: Account, output: int | IO[bytes]) -> list[Child]:
        """From the first, which is fed, to the last, which writes what pg_dump wrote."""
        run, zstd = self._run, self._archives[account.archive].zstd
        command = ("age", "--decrypt", "--identity", str(self._identity))
        age = run.spawn(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE if zstd else output)
        if not zstd:
            return [age]
        last = run.spawn("zstd", "-qdc", stdin=age.stdout, stdout=output)
        age.stdout.close()
        return [age, last]

    def _feed(self, account: Account, age: Child) -> str:
        """Feed an archive's parts to age; one is fetched while the one before is fed. What went wrong, if anything."""
        account.state = State.RUNNING
        parts = self._archives[account.archive].parts
        buffers = [memoryview(bytearray(max((part.size for part in parts), default=0))) for _ in range(2)]
        store = Store(self._run, self.urls)
        get = functools.partial(store.get, account.archive)
        with ThreadPoolExecutor(1) as fetcher, contextlib.closing(store), age.stdin:
            coming = [fetcher.submit(get, part, buffers[part.index % 2]) for part in parts[:1]]
            for part, after in itertools.zip_longest(parts, parts[1:]):
                body = coming.pop().result()
                coming += [fetcher.submit(get, after, buffers[after.index % 2])] if after else []
                try:
                    while body:
                        body = body[age.stdin.write(body) :]
                except BrokenPipeError:
                    return "age reads no more"
                account.parts += 1
                account.stored_bytes += part.size
        return ""

    def _end(self, account: Account) -> None:
        if account.raw_bytes != account.estimate:
            text = f"{account.archive} has {account.raw_bytes} bytes instead of {account.estimate}"
            raise TransferError(Code.PIPE_BROKEN, text)
        account.state = State.DONE

    def _wanted(self) -> tuple[str, ...]:
        courses = [
            Course(account.archive, account.parts, len(self._archives[account.archive].parts) - 1)
            for account in self._ledger.accounts
            if account.state is not State.DONE
        ]
        return ahead(courses, self._job.jobs)
