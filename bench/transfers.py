"""A PostgreSQL server, a bucket, and the program `transfer` between them, with a driver of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from activities.backup.program import archive
from bench.environments import ROOT
from emulator.app import ACCESS_KEY, SECRET_KEY
from emulator.real.postgresql.client import USER, programs
from emulator.real.servers import as_user
from starters.child import Child, free_port, listens
from transfer.files import DRIVER, JOB, PROGRESS, RESULT, URLS, WANTS, DumpJob, Job, LoadJob, archive_of, write

HOST = "127.0.0.1"
BUCKET = "backups"
PATIENCE = 60.0
"""Seconds that anything may take to start."""
SETTINGS = {"fsync": "off", "full_page_writes": "off", "unix_socket_directories": "", "max_wal_size": "8GB"}
_TURN = 0.02


def missing() -> str:
    """What keeps this machine from it; empty if nothing does."""
    if sys.platform != "linux" or programs() is None:
        return "needs Linux and postgresql"
    absent = [name for name in ("pg_dump", "psql", "zstd", "age", "age-keygen", "setpriv") if not shutil.which(name)]
    return f"not installed: {', '.join(absent)}" if absent else ""


def until(holds: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition.

    Raises:
        AssertionError: it does not come true in time.
    """
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(_TURN)


@dataclass
class Cluster:
    """A PostgreSQL server: its superuser `postgres` is trusted, others log in with passwords.

    Attributes:
        folder: its data and log.
        settings: of postgresql.conf.
    """

    folder: Path
    settings: Mapping[str, str]

    def __post_init__(self) -> None:
        self._programs = programs() or Path()
        self.port = free_port()
        fixed = {**SETTINGS, "listen_addresses": HOST, "port": str(self.port), **self.settings}
        options = [option for name, value in fixed.items() for option in ("-c", f"{name}={value}")]
        command = [*as_user(USER, "INT"), str(self._programs / "postgres"), "-D", str(self.folder / "data"), *options]
        self.process = Child("PostgreSQL", command, self.folder / "log")

    def make(self) -> None:
        """Make its data folder."""
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER, USER)
        options = ["--username", USER, "--encoding", "UTF8", "--locale", "C.UTF-8", "--auth", "trust", "--no-sync"]
        command = [*as_user(USER, "KILL"), str(self._programs / "initdb"), "-D", str(self.folder / "data"), *options]
        subprocess.run(command, check=True, capture_output=True)
        access = f"host all {USER} {HOST}/32 trust\nhost all all {HOST}/32 scram-sha-256\n"
        (self.folder / "data/pg_hba.conf").write_text(access)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process.start()
        ready = ["pg_isready", "-q", "-h", HOST, "-p", str(self.port)]
        until(lambda: subprocess.run(ready, check=False).returncode == 0, self.process.last_words())

    def stop(self, *, kill: bool = False) -> None:
        """Cut its clients off and end it, at once.

        Args:
            kill: as a crash does.
        """
        if self.process.pid and self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGKILL if kill else signal.SIGINT)
            until(lambda: self.process.returncode is not None, "PostgreSQL does not stop")

    def environment(self, database: str, user: str = USER, password: str = "") -> dict[str, str]:
        """For PostgreSQL's programs."""
        where = {"PGHOST": HOST, "PGPORT": str(self.port), "PGDATABASE": database}
        return {**os.environ, **where, "PGUSER": user, "PGPASSWORD": password}

    def sql(self, text: str, database: str = USER, user: str = USER, password: str = "") -> str:
        """What statements answer.

        Raises:
            AssertionError: one of them fails.
        """
        told = subprocess.run(
            ["psql", "--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1"],
            input=text,
            env=self.environment(database, user, password),
            capture_output=True,
            text=True,
            check=False,
        )
        assert not told.returncode, told.stderr
        return told.stdout.strip()


@contextmanager
def cluster(folder: Path, **settings: str) -> Iterator[Cluster]:
    """A server that runs meanwhile."""
    made = Cluster(folder, settings)
    made.make()
    made.start()
    try:
        yield made
    finally:
        made.stop()


@dataclass(frozen=True)
class Bucket:
    """A bucket of a local Scaleway."""

    api: str
    client: Any

    def url(self, method: str, key: str, seconds: int = 3600) -> str:
        """A presigned URL."""
        operation = {"PUT": "put_object", "GET": "get_object"}[method]
        what = {"Bucket": BUCKET, "Key": key}
        return str(self.client.generate_presigned_url(operation, Params=what, ExpiresIn=seconds))

    def keys(self) -> list[str]:
        """Of all objects."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


@contextmanager
def bucket(folder: Path) -> Iterator[Bucket]:
    """A bucket of a local Scaleway that runs as a process of its own meanwhile."""
    port = free_port()
    command = [sys.executable, "-m", "emulator", "--port", str(port), "--state", str(folder / "state.db")]
    process = Child("the local Scaleway", command, folder / "log", cwd=ROOT)
    process.start()
    try:
        until(lambda: "s3 " in process.last_words(30) and listens(port), "the local Scaleway does not start")
        (address,) = (line.split()[1] for line in process.last_words(30).splitlines() if line.startswith("s3 "))
        client = boto3.client(
            "s3",
            endpoint_url=address,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="fr-par",
        )
        client.create_bucket(Bucket=BUCKET)
        yield Bucket(f"http://{HOST}:{port}", client)
    finally:
        process.stop()


def identity() -> tuple[str, str]:
    """A new key pair of age: the public and the secret one."""
    told = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout.splitlines()
    return told[1].rpartition(" ")[2], told[2]


class Transfer:
    """One run of the program, and its driver: a thread that touches and presigns.

    Args:
        folder: of the job; made if it is not there.
        sign: the URL for a method and a part.
        path: folders to look for programs in; the usual ones if it is empty.
    """

    def __init__(self, folder: Path, job: Job, sign: Callable[[str, str], str], path: str = "") -> None:
        self.folder = folder
        self._sign = sign
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / "transfer.pyz"
        program.write_bytes(archive())
        write(folder / JOB, job)
        direction = "dump" if isinstance(job, DumpJob) else "load"
        env = {**os.environ, "PATH": path or os.environ["PATH"]}
        self.process = Child(
            "transfer", [sys.executable, "-I", str(program), direction, str(folder)], folder / "log", env
        )
        self._away = threading.Event()
        self._over = threading.Event()
        self._withheld: Callable[[str], bool] = lambda part: False
        self._driver = threading.Thread(target=self._drive)

    def __enter__(self) -> Transfer:
        self.process.start()
        self._driver.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._driver.join()
        self.process.stop()

    def withhold(self, parts: Callable[[str], bool]) -> None:
        """The driver gives no URLs of these parts."""
        self._withheld = parts

    def leave(self) -> None:
        """The driver goes away."""
        self._away.set()

    def come_back(self) -> None:
        """The driver goes on."""
        self._away.clear()

    def progress(self) -> dict[str, Any]:
        """What the program tells."""
        return _read(self.folder / PROGRESS)

    def wait(self, patience: float = PATIENCE) -> dict[str, Any]:
        """Its progress once it has ended."""
        until(lambda: self.process.returncode is not None, "the transfer does not end", patience)
        return self.progress()

    def result(self, patience: float = PATIENCE) -> dict[str, Any]:
        """Its result.

        Raises:
            AssertionError: it failed.
        """
        progress = self.wait(patience)
        assert progress["state"] == "done", f"{progress['code']}: {progress['message']}\n{self.process.last_words(30)}"
        return _read(self.folder / RESULT)

    def _drive(self) -> None:
        answered = 0
        for number in range(10**9):
            if self._over.wait(_TURN) or self.process.returncode is not None:
                return
            if self._away.is_set():
                continue
            (self.folder / DRIVER).touch()
            asked = _written(self.folder / WANTS)
            if asked == answered:
                continue
            wants = _read(self.folder / WANTS)
            parts = [part for part in wants["parts"] if not self._withheld(part)]
            answered = asked if parts == wants["parts"] else 0
            if parts:
                urls = {part: self._sign(wants["method"], part) for part in parts}
                # A run that has ended has no place for them any more.
                with contextlib.suppress(FileNotFoundError):
                    write(self.folder / URLS / f"{number}.json", urls)


def _written(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime_ns
    return 0


def _read(path: Path) -> dict[str, Any]:
    with contextlib.suppress(FileNotFoundError):
        return dict(json.loads(path.read_text()))
    return {}


def dump_job(server: Cluster, database: str, recipients: Iterable[str], **options: Any) -> DumpJob:
    """A dump by the superuser, unless options say otherwise."""
    return DumpJob(**{**_where(server, database), "recipients": tuple(recipients), **options})


def load_job(server: Cluster, database: str, secret: str, dumped: Mapping[str, Any], **options: Any) -> LoadJob:
    """A load of what a dump told, by the superuser, unless options say otherwise."""
    archives = tuple(map(archive_of, dumped["archives"]))
    return LoadJob(**{**_where(server, database), "identity": secret, "archives": archives, **options})


def _where(server: Cluster, database: str) -> dict[str, Any]:
    return {"host": HOST, "port": server.port, "user": USER, "password": "", "database": database}
