"""From the database to the bucket: lanes of `pg_dump | zstd | age`, cut into parts that go to presigned URLs.

Nothing lands on a disk. From version 16 on, pg_dump compresses with zstd by itself: the lane is a program shorter, and
whoever loads that archive gets rows by the hundred instead of one by one.

One session holds a snapshot, which every pg_dump uses, and a lock on every table: until a lane has come to it, nobody
may drop or truncate one, which a snapshot alone does not prevent. The locks are those of a reader; the application
writes on, but a migration that changes tables waits.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from typing import Any

from transfer import queries
from transfer.cut import SMALL, Cut, Table, cut, selection
from transfer.database import Session, environment, major, require_tools, version
from transfer.files import (
    Archive,
    Code,
    DatabaseFacts,
    Dumped,
    DumpJob,
    Part,
    SequenceFacts,
    State,
    TableFacts,
    TransferError,
)
from transfer.lanes import Lanes
from transfer.ledger import Account, Ledger, now
from transfer.pump import Pump
from transfer.run import Run
from transfer.store import Store
from transfer.urls import Course, Urls, ahead, likely_last

LOCK_WAIT = 60
"""Seconds to wait for the locks of a reader; whoever holds stronger ones changes the table."""
OWN_ZSTD = 16
"""The version of pg_dump from which on it compresses with zstd."""
_SHRUNK = 3
"""What that makes of rows, roughly: for an estimate."""
COUNTED = 20
"""The largest tables, whose rows are counted whatever it takes; of the others those that are small."""


class Dump:
    """One dump.

    Args:
        ledger: to keep while it runs.
    """

    def __init__(self, run: Run, job: DumpJob, ledger: Ledger) -> None:
        self._run = run
        self._job = job
        self._ledger = ledger
        self._own = False
        """Whether pg_dump compresses by itself."""
        self.urls = Urls(run, "PUT", self._wanted)

    def carry(self) -> Dumped:
        """Do it.

        Raises:
            TransferError: it failed.
        """
        run, job = self._run, self._job
        require_tools("pg_dump", "pg_dumpall")
        client = version(run, "pg_dump")
        self._own = major(client) >= OWN_ZSTD
        session = Session(run, environment(job), Code.DUMP_FAILED)
        try:
            server = session.ask(queries.SERVER)
            if major(client) < major(server["version"]):
                text = f"pg_dump {client} cannot dump a server of {server['version']}: install postgresql-client-"
                raise TransferError(Code.CLIENT_TOO_OLD, f"{text}{major(server['version'])} on this node")
            snapshot = session.ask(
                f"SET lock_timeout = '{LOCK_WAIT}s'; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                "SELECT to_jsonb(pg_export_snapshot())"
            )
            facts = _facts(session.ask(queries.FACTS), snapshot)
            cuts = self._cut(session)
            run.step = "data"
            lanes = Lanes(run, job.jobs, self._tasks(cuts, snapshot, server["encoding"]))
            # Meanwhile, in the same snapshot and independently of pg_dump.
            tables = [table for one in cuts for table in one.tables]
            counted = self._counted(session, tables)
            archives = lanes.results()
            run.step = "roles"
            roles = run.output(
                *("pg_dumpall", "--roles-only", "--no-role-passwords", f"--database={job.database}"),
                env=environment(job),
                code=Code.DUMP_FAILED,
            )
            # Still there: until here, nobody can have changed the tables.
            session.ask("SELECT 1")
        finally:
            session.close()
        return Dumped(
            database=facts,
            pg_dump_version=client,
            archives=tuple(archives),
            tables=tuple(
                TableFacts(table.schema, table.name, table.owner, table.bytes, counted.get(table)) for table in tables
            ),
            roles=roles,
            raw_bytes=self._ledger.raw_bytes,
            stored_bytes=self._ledger.stored_bytes,
            started=self._ledger.started,
            ended=now(),
        )

    def _tasks(self, cuts: Sequence[Cut], snapshot: str, encoding: str) -> list[Callable[[], Archive]]:
        # Names in options are UTF-8, whatever the database's encoding; one without an encoding converts nothing.
        env = environment(self._job, PGCLIENTENCODING=encoding if encoding == "SQL_ASCII" else "UTF8")
        compress = f"--compress=zstd:{self._job.level}" if self._own else "--compress=0"
        options = ("--format=custom", compress, f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_WAIT}s")
        command = ("pg_dump", *options, "--no-subscriptions")
        return [
            functools.partial(self._lane, account, (*command, *selection(cuts, account.archive)), env)
            for account in self._ledger.accounts
        ]

    def _cut(self, session: Session) -> tuple[Cut, ...]:
        tables = [Table(**table) for table in session.ask(queries.TABLES)]
        if tables:
            names = ", ".join(f"ONLY {table.sql}" for table in tables)
            session.ask(f"LOCK TABLE {names} IN ACCESS SHARE MODE; SELECT 1")
        cuts = cut(tables, session.ask(queries.BLOBS), self._job.jobs)
        self._ledger.accounts = [
            Account(one.archive, tuple(table.sql for table in one.tables), one.bytes // (_SHRUNK if self._own else 1))
            for one in cuts
        ]
        return cuts

    def _counted(self, session: Session, tables: Sequence[Table]) -> dict[Table, int]:
        largest = sorted(tables, key=lambda table: -table.bytes)
        chosen = [table for place, table in enumerate(largest) if place < COUNTED or table.bytes <= SMALL]
        return {table: session.ask(f"SELECT count(*) FROM ONLY {table.sql}") for table in chosen}

    def _wanted(self) -> tuple[str, ...]:
        size = self._job.part_size
        courses = [
            Course(account.archive, account.parts, likely_last(account.estimate, size, account.parts))
            for account in self._ledger.accounts
            if account.state is not State.DONE
        ]
        return ahead(courses, self._job.jobs)

    def _lane(self, account: Account, command: Sequence[str], env: Mapping[str, str]) -> Archive:
        """Dump one archive."""
        run, account.state = self._run, State.RUNNING
        dump = run.spawn(*command, stdout=subprocess.PIPE, env=env, buffered="output")
        chain = [dump]
        if not self._own:
            chain.append(run.spawn("zstd", "-qc", f"-{self._job.level}", stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        recipients = [f"--recipient={recipient}" for recipient in self._job.recipients]
        source = subprocess.PIPE if self._own else chain[-1].stdout
        chain.append(run.spawn("age", *recipients, stdin=source, stdout=subprocess.PIPE))
        if not self._own:
            chain[1].stdout.close()
        pump = Pump(run, dump, chain[1], account)
        pump.start()
        parts = self._store(account, chain[-1].stdout)
        pump.join()
        run.require(chain, Code.DUMP_FAILED, pump.trouble)
        if not account.raw_bytes or not parts:
            raise TransferError(Code.DUMP_FAILED, f"pg_dump wrote nothing for {account.archive}, and called that good")
        account.state = State.DONE
        return Archive(account.archive, account.tables, tuple(parts), account.raw_bytes, zstd=not self._own)

    def _store(self, account: Account, stream: FileIO) -> list[Part]:
        """Cut a stream into parts; one is stored while the next one is filled."""
        size = self._job.part_size
        buffers = [memoryview(bytearray(size)) for _ in range(2)]
        store = Store(self._run, self.urls)

        def put(index: int, body: memoryview) -> Part:
            part = store.put(account.archive, index, body)
            account.stored_bytes += part.size
            account.parts += 1
            return part

        parts: list[Part] = []
        with ThreadPoolExecutor(1) as sender, contextlib.closing(store):
            under_way: Future[Part] | None = None
            for index in itertools.count():
                buffer = buffers[index % 2]
                filled = _fill(stream, buffer)
                if under_way:
                    parts.append(under_way.result())
                if not filled:
                    break
                under_way = sender.submit(put, index, buffer[:filled])
        return parts


def _fill(stream: FileIO, buffer: memoryview) -> int:
    filled = 0
    while filled < len(buffer) and (count := stream.readinto(buffer[filled:])):
        filled += count
    return filled


def _facts(told: dict[str, Any], snapshot: str) -> DatabaseFacts:
    told["sequences"] = [SequenceFacts(**sequence) for sequence in told["sequences"]]
    lists = {name: tuple(value) for name, value in told.items() if isinstance(value, list)}
    return DatabaseFacts(**{**told, **lists, "snapshot": snapshot})
