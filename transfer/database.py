"""The database as this program meets it: an environment for PostgreSQL's programs, and a session of psql."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from transfer.files import Code, Job, TransferError
from transfer.run import Run

TOOLS = ("psql", "zstd", "age", "setpriv", "stdbuf")


def environment(job: Job, **more: str) -> dict[str, str]:
    """Where and as whom libpq connects. The password is here, since command lines can be read by everybody."""
    return {
        "PGHOST": job.host,
        "PGPORT": str(job.port),
        "PGUSER": job.user,
        "PGPASSWORD": job.password,
        "PGDATABASE": job.database,
        "PGCONNECT_TIMEOUT": "15",
        "PGAPPNAME": "transfer",
        **more,
    }


def conninfo(database: str) -> str:
    """A database's name where PostgreSQL's programs would take some names for connection strings."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def require_tools(*names: str) -> None:
    """Each of these programs, and those that both directions need, is installed.

    Raises:
        TransferError: one is not.
    """
    missing = [name for name in (*TOOLS, *names) if not shutil.which(name)]
    if missing:
        raise TransferError(Code.TOOL_MISSING, f"not installed on this node: {', '.join(missing)}")


def version(run: Run, program: str) -> str:
    """Of one of PostgreSQL's programs: "15.18"."""
    told = run.output(program, "--version", code=Code.TOOL_MISSING)
    found = re.search(r"\) (\d+[.\w]*)", told)
    if not found:
        raise TransferError(Code.TOOL_MISSING, f"{program} does not tell its version: {told.strip()}")
    return found[1]


def major(version: str) -> int:
    """The number that counts: archives of a newer one cannot be read by an older one."""
    return int(re.split(r"\D", version)[0])


class Session:
    """A session that stays, by way of a psql that reads statements from here.

    Args:
        code: for an error that tells nothing else.
        env: of libpq.
    """

    def __init__(self, run: Run, env: Mapping[str, str], code: Code) -> None:
        self._run = run
        self._code = code
        self._psql = run.spawn(
            *("psql", "--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**env, "PGCLIENTENCODING": "UTF8"},
        )
        # What the server sets for its applications would end a session that waits for hours.
        self.ask(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;"
            "SET max_parallel_workers_per_gather = 0; SELECT 1"
        )

    def ask(self, statement: str) -> Any:
        """The only value, in JSON, that these statements answer with.

        Raises:
            TransferError: the server refuses or is lost, or the run has failed.
        """
        try:
            self._psql.stdin.write(f"{statement};\n".encode())
            line = self._line()
        except BrokenPipeError:
            line = b""
        if line.endswith(b"\n"):
            return json.loads(line)
        self._run.require([self._psql], self._code, "psql ended in the midst")
        raise TransferError(self._code, "psql ended without an answer")

    def close(self) -> None:
        """End it: what it holds, its locks and its snapshot, is let go of."""
        self._psql.stdin.close()
        self._psql.end()

    def _line(self) -> bytes:
        # The pipe has no buffer: a line may come in pieces.
        line = b""
        while not line.endswith(b"\n") and (piece := self._psql.stdout.read(2**20)):
            line += piece
        return line
