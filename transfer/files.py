"""What the program and whoever drives it say to each other: files in the job's folder.

::

    job.json       driver    what to do; 0600. It holds secrets: the program reads it once and removes it.
    driver         driver    touched as a sign of life, at least every few seconds; its content is of no interest.
    urls/*.json    driver    {"<archive>.<index>": "presigned URL"}; each file is new, and written atomically.
                             The folder is the program's from its first `wants` to its end: then it is gone.
    wants.json     program   `Wants`: parts that it has no usable URL for. Answered by a new file in `urls/`.
    progress.json  program   `Progress`, at most once a second, and once more at the end.
    result.json    program   `Dumped` or `Loaded`; written before `progress.json` says `done`, and only then.

A name of a part is `part_name(archive, index)`: `data-001.0007`. Every file is JSON with the dataclass's fields, and
appears whole: it is written beside its place and renamed. The program imports nothing but Python's standard library,
since a node has nothing else.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

JOB = "job.json"
DRIVER = "driver"
URLS = "urls"
WANTS = "wants.json"
PROGRESS = "progress.json"
RESULT = "result.json"

PART_SIZE = 32 * 2**20
AHEAD = 32
"""Parts for which URLs are asked ahead, per lane: a driver that is away for a minute costs nothing."""


class State(StrEnum):
    """Where a transfer, or one archive of it, stands."""

    WAITING = "waiting"
    """Of an archive only: no lane has begun it."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Code(StrEnum):
    """Why a transfer failed."""

    TOOL_MISSING = "tool_missing"
    """A program is not installed on the node; the message names it."""
    CLIENT_TOO_OLD = "client_too_old"
    """pg_dump refuses servers of a newer major version than its own."""
    SERVER_LOST = "server_lost"
    """The database cannot be reached, or ended in the midst."""
    NOT_PERMITTED = "not_permitted"
    """The password is wrong, or the user may not read or make something."""
    LOCKED = "locked"
    """A table was locked by others for too long."""
    NOT_EMPTY = "not_empty"
    """The database to load into has tables."""
    ROLE_MISSING = "role_missing"
    """An owner of the dump's objects does not exist on the server."""
    DUMP_FAILED = "dump_failed"
    LOAD_FAILED = "load_failed"
    PIPE_BROKEN = "pipe_broken"
    """zstd or age ended with an error, or a stream was shorter than it must be."""
    WRONG_IDENTITY = "wrong_identity"
    """None of the recipients of the archive is the identity's."""
    PART_DAMAGED = "part_damaged"
    """A part is missing, of another size or of another sha256; the message names it."""
    STORE_REFUSED = "store_refused"
    """Object storage refuses, also with fresh URLs."""
    STORE_LOST = "store_lost"
    """Object storage has not taken or given a part for too long."""
    DRIVER_LOST = "driver_lost"
    """No sign of life of the driver for as long as the job is patient."""
    NO_SPACE = "no_space"
    """The job's folder is full."""
    STOPPED = "stopped"
    """SIGTERM."""
    UNFORESEEN = "unforeseen"
    """A mistake in the program; the message has the exception's type."""


class TransferError(Exception):
    """The transfer cannot go on.

    Attributes:
        code: why.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Part:
    """One object in the bucket."""

    index: int
    """From 0, without gaps."""
    size: int
    """Bytes as stored, that is compressed and encrypted."""
    sha256: str
    """Of the bytes as stored, in hex."""


@dataclass(frozen=True)
class Archive:
    """One output of pg_dump in custom format: `cat parts | age -d -i KEY | zstd -dcf | pg_restore` reads it."""

    name: str
    """`schema`, `blobs` or `data-NNN`."""
    tables: tuple[str, ...]
    """Whose rows it holds: `schema.name`, quoted where SQL must. Of `schema`, the small ones."""
    parts: tuple[Part, ...]
    raw_bytes: int
    """Of pg_dump's output."""
    zstd: bool = True
    """Whether zstd lies around that output. From version 16 on, pg_dump compresses by itself."""


@dataclass(frozen=True)
class Job:
    """What both directions need."""

    host: str
    port: int
    user: str
    password: str
    database: str
    jobs: int = field(default=2, kw_only=True)
    """Lanes that run side by side; each is a pipe of three or four programs."""
    patience: float = field(default=600.0, kw_only=True)
    """Seconds without a touch of the file `driver` after which it gives up."""


@dataclass(frozen=True)
class DumpJob(Job):
    """From the database to the bucket."""

    recipients: tuple[str, ...]
    """Public keys of age; each of their identities opens the archives."""
    part_size: int = field(default=PART_SIZE, kw_only=True)
    """Bytes of a part; the last one of an archive is shorter. Two of them are in memory, per lane."""
    level: int = field(default=1, kw_only=True)
    """Of zstd."""


@dataclass(frozen=True)
class LoadJob(Job):
    """From the bucket into a database that exists and has no tables."""

    identity: str
    """A secret key of age."""
    archives: tuple[Archive, ...]
    """As a dump's result has them."""
    owners: bool = field(default=True, kw_only=True)
    """Whether objects get their former owners back; those must exist. Else all belong to `role`, or to the user."""
    privileges: bool = field(default=True, kw_only=True)
    """Whether what was granted is granted again; whom it was granted to must exist."""
    role: str = field(default="", kw_only=True)
    """To SET before anything is made."""


@dataclass(frozen=True)
class Wants:
    """Parts without a usable URL: none has come yet, or the store answered that it is no longer good."""

    method: str
    """To presign: PUT or GET."""
    parts: tuple[str, ...]
    """Their names, the most urgent first."""


@dataclass(frozen=True)
class ArchiveProgress:
    """How far one archive is."""

    tables: tuple[str, ...]
    state: State
    estimate: int
    """Bytes of pg_dump's output that are expected: for a dump from the tables' sizes, for a load exact."""
    raw_bytes: int
    stored_bytes: int
    parts: int


@dataclass(frozen=True)
class Progress:
    """How far it is."""

    state: State
    step: str
    """What goes on, in a word or two: `data`, `indexes and constraints`."""
    archives: dict[str, ArchiveProgress]
    estimate: int
    """Sum over the archives, as the next three."""
    raw_bytes: int
    stored_bytes: int
    parts: int
    rate: float
    """Bytes of pg_dump's output per second, over the last seconds."""
    started: str
    """ISO 8601, UTC, as every time here."""
    updated: str
    code: Code | None
    """Why it failed; None unless it did."""
    message: str
    """What happened, for a person; without secrets."""


@dataclass(frozen=True)
class TableFacts:
    """A table that was dumped."""

    schema: str
    name: str
    owner: str
    bytes: int
    """On the server's disk, with TOAST and without indexes."""
    rows: int | None
    """Exact, counted in the dump's snapshot; None where counting would cost as much as dumping."""


@dataclass(frozen=True)
class SequenceFacts:
    """A sequence. Sequences stand outside of snapshots: the dump may hold a later value."""

    schema: str
    name: str
    last_value: int | None
    """None if it has not been used."""


@dataclass(frozen=True)
class DatabaseFacts:
    """What the server says of the database, in the dump's snapshot."""

    server_version: str
    encoding: str
    collate: str
    ctype: str
    owner: str
    database_bytes: int
    extensions: dict[str, str]
    """Name -> version."""
    owners: tuple[str, ...]
    """Roles that own something in it; the server's first superuser is not told."""
    acl: tuple[str, ...]
    """What was granted on the database itself, as in `pg_database.datacl`: a load does not grant it."""
    settings: tuple[str, ...]
    """Of `ALTER DATABASE ... SET` and `ALTER ROLE ... IN DATABASE`, `role: name=value`: a load does not set them."""
    sequences: tuple[SequenceFacts, ...]
    lsn: str
    """Position in the write-ahead log at the snapshot: all that is in the dump was written before."""
    snapshot: str
    """PostgreSQL's name of it."""
    snapshot_time: str


@dataclass(frozen=True)
class Dumped:
    """The result of a dump."""

    database: DatabaseFacts
    pg_dump_version: str
    archives: tuple[Archive, ...]
    tables: tuple[TableFacts, ...]
    roles: str
    """As from `pg_dumpall --roles-only --no-role-passwords`."""
    raw_bytes: int
    stored_bytes: int
    started: str
    ended: str


@dataclass(frozen=True)
class Loaded:
    """The result of a load."""

    server_version: str
    pg_restore_version: str
    left_out: tuple[str, ...]
    """Objects of the dump that were not made, as pg_restore lists them, since the user is no superuser."""
    raw_bytes: int
    stored_bytes: int
    started: str
    ended: str


def part_name(archive: str, index: int) -> str:
    """What a part is called in `urls/*.json` and `wants.json`."""
    return f"{archive}.{index:04d}"


def archive_of(data: Mapping[str, Any]) -> Archive:
    """An archive from its JSON."""
    parts = tuple(Part(**part) for part in data["parts"])
    return Archive(data["name"], tuple(data["tables"]), parts, data["raw_bytes"], data["zstd"])


def read_dump_job(folder: Path) -> DumpJob:
    """The dump that `job.json` asks for."""
    data = json.loads((folder / JOB).read_text())
    return DumpJob(**data | {"recipients": tuple(data["recipients"])})


def read_load_job(folder: Path) -> LoadJob:
    """The load that `job.json` asks for."""
    data = json.loads((folder / JOB).read_text())
    return LoadJob(**data | {"archives": tuple(map(archive_of, data["archives"]))})


def write(path: Path, data: Any) -> None:
    """Write a dataclass, or what JSON can hold, for the owner only, so that a reader sees all of it or nothing."""
    told = dataclasses.asdict(data) if dataclasses.is_dataclass(data) and not isinstance(data, type) else data
    write_secret(path, json.dumps(told))


def write_secret(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    beside.rename(path)
